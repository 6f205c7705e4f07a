// A run's third part: how parameters move. It never sees signals: it asks (optim/asking.hpp) and is told sums over them.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "riata/core/status.hpp"
#include "riata/core/tensors.hpp"
#include "riata/optim/asking.hpp"

namespace riata {

/// Where an iteration begins.
template <Scalar T>
struct Position {
  const Parameters<T>& parameters;
  const std::set<std::string>& moves;                         ///< the names that the phase moves
  const std::map<std::string, double>& rates = no_rates;      ///< the phase's, by name, where it has any
  const std::function<void(Parameters<T>&)>& project = none;  ///< puts parameters onto the set they must lie in
  /// Takes from a direction at parameters what leads off that set.
  const std::function<void(const Parameters<T>&, Parameters<T>&)>& make_tangent = as_it_is;
  std::optional<double> value = {};           ///< of this very batch at `parameters`, if it was asked before
  double tol = 0;                             ///< a relative decrease below this may end the phase
  bool is_fixed = true;                       ///< all iterations see the same batch, so that no step left is an end
  bool holds_codes = false;                   ///< the direction's answers are at codes that it holds
  int n_steps = 0;                            ///< accepted before
  const char *who = "run", *steps = "steps";  ///< for sentences

  /// The same at other parameters, which must outlive it.
  Position moved_to(const Parameters<T>& others) const {
    return {others, moves, rates, project, make_tangent, value, tol, is_fixed, holds_codes, n_steps, who, steps};
  }
  static inline const std::map<std::string, double> no_rates;
  static inline const std::function<void(Parameters<T>&)> none = [](Parameters<T>&) {};
  static inline const std::function<void(const Parameters<T>&, Parameters<T>&)> as_it_is = [](const Parameters<T>&,
                                                                                              Parameters<T>&) {};
};

template <Scalar T>
struct Outcome {
  Parameters<T> parameters = {};  ///< the new ones, if it moved
  bool moved = false;
  double value = 0;         ///< of the batch: at the new parameters if each step is verified, else before
  double step = 0;          ///< > 0 if it moved
  bool ends_phase = false;  ///< no step is left to take; an update on changing batches never says so because one was refused
  bool certified = false;   ///< ended, and no block alone lowers the loss by 1e-4 of it
  std::function<void()> keep = {};  ///< makes the update remember what its next step needs, once the iteration counts
};

/// How a run is said to have ended whose search has, certified or not.
inline Status status_of_end(bool certified) { return certified ? Status::converged : Status::stalled; }

template <Scalar T>
class Update {
 public:
  virtual ~Update() = default;
  virtual const char* name() const = 0;  ///< for sentences: "the line search"
  virtual std::set<Piece> needs() const = 0;
  /// Is each step taken only where the value was seen to fall?
  virtual bool verifies() const { return false; }

  /// One iteration. The update itself stays as it is: what it has to remember goes into Outcome::keep, so that an iteration that
  /// is interrupted leaves no trace.
  virtual Asking<T, Outcome<T>> step(Position<T> from) = 0;

  virtual void reset() {}  ///< where a phase begins
  /// Columns of "dictionary" that are others now, of which nothing is known.
  virtual void forget_atoms(const std::vector<Index>& /*atoms*/) {}
  virtual NamedTensors state() const { return {}; }
  /// @throws std::invalid_argument if the state is not that of such parameters
  virtual void restore(const NamedTensors& /*state*/, const Parameters<T>& /*parameters*/) {}
};

}  // namespace riata
