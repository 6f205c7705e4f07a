// Sparse coding of a batch of signals that share a dictionary:
//
//   z_i = argmin_z  1/2 ||x_i - D z||^2 + reg_i g(z),   i = 1, ..., n_signals,
//
// each signal stopped by its own relative duality gap; with the l0 penalty, which has none, at a fixed point.
#pragma once

#include <optional>
#include <vector>

#include "riata/core/status.hpp"
#include "riata/core/threads.hpp"
#include "riata/operators/dense_dictionary.hpp"
#include "riata/terms/batch.hpp"
#include "riata/terms/penalty_options.hpp"
#include "riata/terms/reg.hpp"

namespace riata {

enum class Solver {
  automatic,           ///< coordinate descent, or for many signals LARS where it is the faster one (l1 alone): correlated atoms,
                       ///< small reg; docs/choosing_a_solver.md. FISTA for groups and masks, ISTA for l0. The result says which
  ista,                ///< proximal gradient, step 1 / ||D||_2^2; with the l0 penalty iterative hard thresholding
  fista,               ///< accelerated; Beck and Teboulle (2009), with gradient restart by default
  oista,               ///< oracle ISTA; Ablin et al. (2019), step 1 / ||D_S||_2^2 on the current support
  backtracking,        ///< proximal gradient, each step found by trial; no norm of D is needed
  coordinate_descent,  ///< cyclic, on working sets, with the Gram matrix where signals are many; l1 and elastic net
  lars                 ///< l1 alone: the exact path down to reg, in double; an iteration is a knot, a start is not used
};

/// FISTA's extrapolation y = z + m (z - z_before), with k counted from the last restart.
enum class Momentum {
  beck_teboulle,     ///< m = (t_k - 1) / t_{k+1},  t_{k+1} = (1 + sqrt(1 + 4 t_k^2)) / 2
  chambolle_dossal,  ///< m = (k - 1) / (k + a): the iterates converge for a > 2
  greedy             ///< m = 1, until the restart; Liang, Luo and Schoenlieb (2022)
};

/// When FISTA forgets its momentum; O'Donoghue and Candes (2015).
enum class Restart {
  never,
  gradient,  ///< where it points uphill: (y - z)^T (z - z_before) > 0
  objective  ///< where F rose; costs one more product D z per iteration
};

/// What OISTA divides by.
enum class SupportNorm {
  exact,     ///< ||D_S||_2^2 from the symmetric eigenvalues: the paper's oracle
  estimated  ///< warm-started power iteration; a step that proves too long is refused and corrects the estimate
};

template <>
inline constexpr Name<Solver> names<Solver>[] = {{Solver::automatic, "auto"},
                                                 {Solver::ista, "ista"},
                                                 {Solver::fista, "fista"},
                                                 {Solver::oista, "oista"},
                                                 {Solver::backtracking, "backtracking"},
                                                 {Solver::coordinate_descent, "cd"},
                                                 {Solver::lars, "lars"}};
template <>
inline constexpr Name<Momentum> names<Momentum>[] = {
    {Momentum::beck_teboulle, "beck_teboulle"}, {Momentum::chambolle_dossal, "chambolle_dossal"}, {Momentum::greedy, "greedy"}};
template <>
inline constexpr Name<Restart> names<Restart>[] = {
    {Restart::gradient, "gradient"}, {Restart::objective, "objective"}, {Restart::never, "never"}};
template <>
inline constexpr Name<SupportNorm> names<SupportNorm>[] = {{SupportNorm::estimated, "estimated"}, {SupportNorm::exact, "exact"}};

struct EncodeOptions {
  Solver method = Solver::automatic;
  double tol = 1e-6;     ///< a signal is done when gap <= tol * 1/2 ||x||^2; 0: as far as it goes. With the l0 penalty: when
                         ///< a step left its support as it was and moved its code by tol ||z|| at most, or by rounding
  int max_iter = 10000;  ///< iterations, or sweeps over the atoms for coordinate descent; reaching it is a Status
  int check_every = 10;  ///< iterations between gap evaluations of the proximal methods
  Momentum momentum = Momentum::beck_teboulle;
  double momentum_delay = 3;  ///< the a >= 2 of Chambolle and Dossal
  Restart restart = Restart::gradient;
  SupportNorm support_norm = SupportNorm::estimated;
  double shrink = 0.5;                    ///< backtracking: a refused step is multiplied by this, in (0, 1)
  std::optional<double> first_step = {};  ///< backtracking: every iteration's first trial; absent: the last step / shrink
  bool record = false;                    ///< keep a trace; the proximal methods alone have one
  PenaltyOptions penalty = {};
  Execution execution = {};
  void validate() const;  ///< @throws std::invalid_argument naming the field, its value and the rule
};

template <>
inline constexpr auto described<EncodeOptions> =
    std::tuple{Option{"method", &EncodeOptions::method, rule::anything, "cd is coordinate descent, lars the exact path"},
               Option{"tol", &EncodeOptions::tol, rule::not_negative,
                      "A signal is done when gap <= tol * ||x||^2 / 2; with the l0 penalty when its code moves by tol at most"},
               Option{"max_iter", &EncodeOptions::max_iter, rule::at_least_one, "Iterations or sweeps, at most"},
               Option{"check_every", &EncodeOptions::check_every, rule::at_least_one},
               Option{"momentum", &EncodeOptions::momentum, rule::anything, "FISTA's extrapolation"},
               Option{"momentum_delay", &EncodeOptions::momentum_delay,
                      Rule{[](double v) { return v >= 2 && rule::not_negative.holds(v); }, "must be >= 2 and finite"}},
               Option{"restart", &EncodeOptions::restart, rule::anything, "When FISTA forgets its momentum"},
               Option{"support_norm", &EncodeOptions::support_norm},
               Option{"shrink", &EncodeOptions::shrink, Rule{[](double v) { return v > 0 && v < 1; }, "must be between 0 and 1"}},
               Option{"first_step", &EncodeOptions::first_step, rule::positive},
               Option{"record", &EncodeOptions::record},
               Option{"penalty", &EncodeOptions::penalty}};

/// What one signal went through: one entry per iteration.
struct StepTrace {
  std::vector<double> objective;  ///< F after the iteration, in double
  std::vector<double> step;       ///< the step taken
  std::vector<bool> accepted;     ///< OISTA: was it 1 / ||D_S||^2? Backtracking: was it the first trial? Else true
};

template <Scalar T>
struct EncodeResult {
  Matrix<T> codes;                    ///< n_atoms x n_signals
  Vector<double> objective;           ///< F(z_i), recomputed in double at the returned code
  Vector<double> gap;                 ///< duality gap, likewise; in units of the objective. NaN with the l0 penalty
  Vector<int> n_iter;                 ///< iterations or sweeps
  std::vector<Status> status;         ///< converged, or max_iter_reached (also when coordinate descent stalls: rounding)
  Solver method;                      ///< the one that ran
  std::vector<StepTrace> trace = {};  ///< one per signal with `record`; no entries where zero or the start was optimal
};

/// X is n_features x n_signals, or {X, mask} with weights in [0, 1] of its shape for 'ista', 'fista' and 'backtracking'; `init`,
/// if given, is n_atoms x n_signals. Neither codes nor certificates depend on the number of threads.
/// @throws std::invalid_argument if sizes disagree, an entry is not finite, or reg is not > 0
template <Scalar T>
EncodeResult<T> encode(const NonDeduced<Batch<T>>& batch, const Dictionary<T>& D, const Reg& reg,
                       const EncodeOptions& options = {}, const OptionalMatrixRef<T>& init = {});

/// The same into `result`, whose memory it uses again where sizes agree; `init` may be result.codes. What an exception leaves in
/// it means nothing.
template <Scalar T>
void encode(const NonDeduced<Batch<T>>& batch, const Dictionary<T>& D, const Reg& reg, EncodeResult<T>& result,
            const EncodeOptions& options = {}, const OptionalMatrixRef<T>& init = {});

}  // namespace riata
