// A learner is five parts: sampler, direction, update, constraint, schedule. Every method of dictionary learning is a
// choice of the five; learn_dictionary() names the common choices.
#pragma once

#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "riata/core/status.hpp"
#include "riata/learning/direction.hpp"
#include "riata/learning/sampler.hpp"
#include "riata/optim/checkpoint.hpp"
#include "riata/optim/line_search.hpp"

namespace riata {

/// When phases begin and end.
struct Schedule {
  bool learn_steps = false;               ///< a second phase moves dictionary and step factors together
  int max_iter = 300;                     ///< accepted iterations, both phases together
  double tol = 1e-6;                      ///< a phase ends when (previous - value) / previous < tol; see LineSearch::step()
  std::optional<double> max_time_s = {};  ///< seconds of this call
};

/// What happens to atoms that no signal uses, or that double another.
struct AtomPolicy {
  bool replace = true;      ///< try a random signal of the batch in their place; kept only if the value does not rise
  int check_every = 10;     ///< accepted iterations between checks
  double duplicate = 0.99;  ///< |cosine| above which the later of two atoms counts as a copy
  std::uint64_t seed = 0;
};

/// One row per accepted iteration.
struct History {
  std::vector<double> value, step, seconds;
  std::vector<std::int64_t> phase;
};

template <Scalar T>
struct LearnResult {
  Matrix<T> dictionary;       ///< n_features x n_atoms
  std::vector<double> steps;  ///< step factors, one per layer; empty if the coder has none
  History history;
  double initial_value = std::numeric_limits<double>::quiet_NaN();  ///< the objective before the first step, if known
  double reg = 0;                                                   ///< the weight used, as a number
  int n_replaced = 0;                                               ///< dead or duplicate atoms replaced
  /// converged: neither dictionary nor steps alone, against their gradient, lower the loss by 1e-4 of it; stalled: tol ended it
  /// where they do.
  Status status = Status::converged;
};

template <Scalar T>
class Learner {
 public:
  /// @throws std::invalid_argument if the update needs a piece that the direction does not produce, naming it
  Learner(std::unique_ptr<Sampler<T>> sampler, std::unique_ptr<Direction<T>> direction, LineSearch<T> update,
          Constraint constraint, Schedule schedule, AtomPolicy atoms = {}, Checkpoint checkpoint = {});

  /// Learns from `initial` ("dictionary", and "steps" where the coder has them). An interrupted run returns the best
  /// parameters so far. @throws riata::Error if a checkpoint cannot be written
  LearnResult<T> fit(Parameters<T> initial, const Observer& observer = {});

 private:
  struct State;
  bool iterate(State& state, CheckpointFile& file, const Observer& observer);
  void replace_atoms(State& state, const Parameters<T>& gradient);
  void save(const State& state, CheckpointFile& file) const;
  void load(State& state, const NamedTensors& tensors, const std::string& where);
  void verify(State& state);

  std::unique_ptr<Sampler<T>> sampler_;
  std::unique_ptr<Direction<T>> direction_;
  LineSearch<T> update_;
  Constraint constraint_;
  Schedule schedule_;
  AtomPolicy atoms_;
  Checkpoint checkpoint_;
};

}  // namespace riata
