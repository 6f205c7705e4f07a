// The one run of learning and training: a sampler gives the batch, the update asks (these parameters, these sums), the direction
// answers, the update asks again or moves.
//
//   while (question = run.question())  run.tell(run.answer(question))
//
// A method is a choice of the parts: learn_dictionary(), train() and denoise() name the common ones. What outlives an iteration
// changes only in the tell() that completes it, so that one that is interrupted leaves no trace.
#pragma once

#include <chrono>
#include <exception>
#include <limits>
#include <memory>
#include <vector>

#include "riata/learning/atoms.hpp"
#include "riata/learning/direction.hpp"
#include "riata/optim/checkpoint.hpp"
#include "riata/optim/update.hpp"

namespace riata {

/// What moves, for how long.
struct Phase {
  std::set<std::string> moves;                     ///< names of parameters
  int max_iter = std::numeric_limits<int>::max();  ///< iterations
  std::optional<int> n_layers = {};                ///< the loss is at their output; by default the last one's
  std::map<std::string, double> rates = {};        ///< by name, for updates that take them
  bool may_go_back = false;                        ///< starts from where the run began, if the loss is less there
};

/// Looks at the signals held out, which decide where a phase ends, and what the next starts from.
struct Validation {
  int every = 10;         ///< iterations between looks
  int patience = 4000;    ///< iterations without a better look that end a phase
  double least_gain = 0;  ///< a look is better by more than that share of the best one
  void validate() const;  ///< @throws std::invalid_argument
};

/// For sentences.
struct RunWords {
  const char *who = "learn", *iterations = "iterations", *value = "objective at its dictionary";
};

template <Scalar T>
struct RunOptions {
  int max_iter = 300;                   ///< iterations, all phases together
  double tol = 1e-6;                    ///< a phase may end when (previous - value) / previous < tol; see the update
  std::optional<double> max_time = {};  ///< seconds of this call
  std::function<void(Parameters<T>&)> project = Position<T>::none;  ///< onto the set they must lie in
  /// Takes from a direction at parameters what leads off that set; for updates that look at its length.
  std::function<void(const Parameters<T>&, Parameters<T>&)> make_tangent = Position<T>::as_it_is;
  std::function<void(const Parameters<T>&, const std::string&)> check = {};  ///< refuses stored ones that a run does not lead to
  AtomPolicy atoms = {.replace = false};
  AtomReplacement<T> replacement = {};
  Validation validation = {};  ///< for samplers that hold signals out
  bool looks_first = false;    ///< asks the value of all signals before the first iteration
  Checkpoint checkpoint = {};
  Execution execution = {};
  RunWords words = {};
};

template <Scalar T>
struct RunResult {
  Parameters<T> parameters;
  History history;
  double initial_value = std::numeric_limits<double>::quiet_NaN();  ///< before the first step, if known
  std::optional<double> value = {};                                 ///< the last known
  std::optional<double> best_value = {};                            ///< of the phase's looks at the signals held out
  Parameters<T> best = {};                                          ///< where
  int phase = 0;                                                    ///< the last
  int n_replaced = 0;                                               ///< atoms replaced
  /// converged: no block of parameters alone, against its gradient, lowers the loss by 1e-4 of it; stalled: a tolerance or
  /// patience ended the run where one does.
  Status status = Status::converged;
  std::exception_ptr failure = {};  ///< of the observer, of stop_requested, or of writing the checkpoint
};

/// The same, but what its stop_requested throws (a signal's handler, say) stops it and stays in `failure`, which must outlive it.
Execution keeping_failure(const Execution& execution, std::exception_ptr& failure);

template <Scalar T>
class Run {
 public:
  /// Names what moves after what is in `initial`, which is projected first.
  /// @throws std::invalid_argument if a part is null, the update needs a piece that the direction does not produce, a phase moves
  ///         what is not in `initial`, or a part's state has a name of the run's own or of another part's
  Run(std::unique_ptr<Sampler<T>> sampler, std::unique_ptr<Direction<T>> direction, std::unique_ptr<Update<T>> update,
      std::vector<Phase> phases, Parameters<T> initial, RunOptions<T> options = {});
  Run(const Run&) = delete;

  /// To the end, in this process. A run that is stopped has its last accepted iteration, and goes on from there when called
  /// again.
  /// @throws what the observer or stop_requested throw, riata::Error if a checkpoint cannot be written: the run is saved before
  RunResult<T> fit(const Observer& observer = {});
  /// The same, with that in its result.
  RunResult<T> fit_and_keep_failure(const Observer& observer = {});

  // For whoever drives it otherwise.

  /// What has to be answered next; null when the run is over.
  const Question<T>* question();
  /// The answer of this process: that of the direction on the signals asked for.
  Sums<T> answer(const Question<T>& question, const Execution& execution = {});
  /// Whether that completed an accepted iteration. @throws std::invalid_argument where the run cannot go on
  bool tell(Sums<T> answer);
  /// Forgets what was asked and told since the state changed.
  void drop() { dialogue_.reset(); }

  /// That of the last complete iteration. With the last n_told() answers it is all that a run is, unless its direction holds
  /// codes.
  NamedTensors state() const;
  int n_told() const { return n_told_; }
  /// What the last complete iteration has led to.
  const RunResult<T>& so_far() const { return state_; }
  /// @throws std::invalid_argument, beginning with `where`, if the state is not that of such a run
  void restore(const NamedTensors& state, const std::string& where = "state");
  /// Goes on where the run stood after these answers, in the middle of an iteration.
  void retell(const std::vector<Sums<T>>& told);

 private:
  struct State : RunResult<T> {
    Index iteration = 0;  // accepted or refused
    int taken = 0;        // of them, in the phase
    bool ended = false, certified = true;
    double ended_tol = 0;  // at which the last phase ended
    int best_taken = 0;    // iterations of the phase before the best look
    Vector<double> usage;  // running, of atoms, where batches change
    int n_accepted() const { return static_cast<int>(this->history.value.size()); }
  };
  Sample<T> sample_for(const Question<T>& question);
  Asking<T, Status> play();
  Asking<T, bool> verify_stored_value();
  Asking<T, bool> look_first();
  Asking<T, bool> go_back_if_that_is_less();
  Asking<T, bool> begin_next_phase();
  Asking<T, bool> look_at_held_out();
  Asking<T, bool> iterate(bool is_function);
  void keep(Outcome<T> outcome, const std::vector<Index>& replaced, const Vector<double>& usage);
  bool follows_usage() const { return options_.atoms.replace && !sampler_->is_fixed(); }
  bool asks_usage() const { return options_.atoms.replace && (!sampler_->is_fixed() || options_.replacement.put); }
  Index n_atoms() const;
  void require_start(double value) const;
  bool is_last() const { return state_.phase + 1 == static_cast<int>(phases_.size()); }
  const Phase& phase() const { return phases_[static_cast<std::size_t>(state_.phase)]; }
  double seconds() const;
  NamedTensors state_of_parts() const;

  std::unique_ptr<Sampler<T>> sampler_;
  std::unique_ptr<Direction<T>> direction_;
  std::unique_ptr<Update<T>> update_;
  const std::vector<Phase> phases_;
  const Parameters<T> initial_;
  const RunOptions<T> options_;
  bool has_held_out_, is_verified_ = true;  // verified: what was restored has the value that it says
  State state_;
  std::optional<Dialogue<T, Status>> dialogue_;
  int n_told_ = 0;             // since the state changed
  double seconds_before_ = 0;  // of the runs this one resumes
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace riata
