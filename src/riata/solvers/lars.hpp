// The whole regularisation path of one signal, exactly: the codes are piecewise linear in reg, and these are the knots.
#pragma once

#include "riata/core/status.hpp"
#include "riata/core/threads.hpp"
#include "riata/operators/dense_dictionary.hpp"
#include "riata/terms/l1.hpp"

namespace riata {

struct PathOptions {
  double reg_min = 0;     ///< where the path ends, >= 0
  int max_knots = 10000;  ///< at most so many knots, the first included
  PenaltyOptions penalty = {};
  Execution execution = {};  ///< one path runs on the calling thread; n_threads has no effect
  void validate() const;     ///< @throws std::invalid_argument
};

template <>
inline constexpr auto described<PathOptions> =
    std::tuple{Option{"reg_min", &PathOptions::reg_min, rule::not_negative},
               Option{"max_knots", &PathOptions::max_knots, rule::at_least_one}, Option{"penalty", &PathOptions::penalty}};

template <Scalar T>
struct LassoPath {
  Vector<T> regs;      ///< the knots, descending: regs(0) is reg_max; the last is reg_min unless max_knots came first, or
                       ///< nearly collinear atoms have codes so large that rounding hides the next knot (reg < 1e-4 reg_max)
  Matrix<T> codes;     ///< n_atoms x n_knots, a solution at each; between two knots the solution is their linear interpolation
  Vector<double> gap;  ///< at each knot, as in EncodeResult; at reg = 0, where no dual point is feasible, 1/2 ||r||^2
  Status status;       ///< converged; max_iter_reached where max_knots came first; stalled where rounding ended the path before
                       ///< reg_min or left a knot that is no solution, its gap, in double, above 1e-9 of 1/2 ||x||^2
};

/// All z(reg) = argmin_z 1/2 ||x - D z||^2 + reg g(z), reg from reg_max down to reg_min, by the homotopy (LARS) of Osborne,
/// Presnell and Turlach (2000) and Efron et al. (2004). Where the solution is not unique (dependent atoms), one of them.
/// x is n_features. Computed in double. reg_max = 0 gives the single knot 0; reg_min >= reg_max the single knot reg_min.
/// @throws std::invalid_argument if sizes disagree or an entry is not finite; Interrupted
template <Scalar T>
LassoPath<T> lasso_path(const NonDeduced<ConstVectorRef<T>>& x, const DenseDictionary<T>& D, const PathOptions& options = {});

struct LarsOptions {
  int n_nonzero = 1;  ///< where each path ends
  PenaltyOptions penalty = {};
  Execution execution = {};
  void validate() const;  ///< @throws std::invalid_argument
};

template <>
inline constexpr auto described<LarsOptions> =
    std::tuple{Option{"n_nonzero", &LarsOptions::n_nonzero, rule::at_least_one}, Option{"penalty", &LarsOptions::penalty}};

template <Scalar T>
struct LarsResult {
  Matrix<T> codes;     ///< n_atoms x n_signals
  Vector<T> regs;      ///< of each signal, where its code is the solution
  Vector<double> gap;  ///< as in LassoPath
  std::vector<Status>
      status;  ///< converged; stalled where rounding ended a path before it had n_nonzero atoms, or a code is no solution
};

/// The code of each signal at the first knot of its path with n_nonzero atoms, more if some enter together, or at reg = 0 if there is none. Where no atom leaves the
/// path on the way, this is least angle regression after n_nonzero steps (Efron et al., 2004). X is n_features x n_signals.
/// The results do not depend on the number of threads.
/// @throws as lasso_path
template <Scalar T>
LarsResult<T> lars(const NonDeduced<ConstMatrixRef<T>>& X, const DenseDictionary<T>& D, const LarsOptions& options);

}  // namespace riata
