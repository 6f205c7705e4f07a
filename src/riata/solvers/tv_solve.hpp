// Signals that are constant but for jumps, seen through a known operator, to a duality gap:
//
//   u_i = argmin_u  P(u) = 1/2 ||x_i - A u||^2 + reg_i sum_t |u_{t+1} - u_t|,     i = 1, ..., n_signals.
//
// With u = L z, L the running sum, this is a Lasso in the columns of A L whose first one, A 1, costs nothing: taken out of the
// other columns and of x it leaves a Lasso without (free_atoms.hpp), which many signals share. The other methods work on u itself:
// proximal gradient with the exact prox of total variation, plain or accelerated (Beck and Teboulle, 2009, with gradient restart),
// and the primal-dual iteration of Condat (2013) and Vu (2013), with sigma = ||A||^2 / 8 and tau = 1 / ||A||^2.
#pragma once

#include <vector>

#include "riata/core/option.hpp"
#include "riata/core/status.hpp"
#include "riata/core/threads.hpp"
#include "riata/operators/dictionary.hpp"
#include "riata/solvers/tv_certificate.hpp"
#include "riata/terms/reg.hpp"

namespace riata {

enum class TvSolver {
  automatic,    ///< working_set, or apgd where signals have masks of their own or are longer than 8192
  working_set,  ///< the Lasso in the columns of A L, by its path or coordinate descent (encode.hpp); A as a matrix
  synthesis,    ///< FISTA on that Lasso
  pgd,          ///< proximal gradient on u
  apgd,         ///< the same, accelerated
  condat_vu,
  dual,  ///< accelerated proximal gradient on the dual problem of Chambolle (2004); for A with independent columns
  admm   ///< on the jumps, with rho = ||A||^2 / 4
};
template <>
inline constexpr Name<TvSolver> names<TvSolver>[] = {{TvSolver::automatic, "auto"},      {TvSolver::working_set, "working-set"},
                                                     {TvSolver::synthesis, "synthesis"}, {TvSolver::pgd, "pgd"},
                                                     {TvSolver::apgd, "apgd"},           {TvSolver::condat_vu, "condat-vu"},
                                                     {TvSolver::dual, "dual"},           {TvSolver::admm, "admm"}};

struct TvOptions {
  TvSolver method = TvSolver::automatic;
  double tol = 1e-6;      ///< a signal is done when gap <= tol * 1/2 ||x||^2; 0: as far as it goes
  int max_iter = 100000;  ///< iterations, or knots or sweeps of the Lasso's solver; reaching it is a Status
  int check_every = 10;   ///< iterations between gap evaluations of the methods from pgd on
  Execution execution = {};
  void validate() const;  ///< @throws std::invalid_argument naming the field, its value and the rule
};

template <>
inline constexpr auto described<TvOptions> =
    std::tuple{Option{"method", &TvOptions::method, rule::anything, "Solver of total variation"},
               Option{"tol", &TvOptions::tol, rule::not_negative, "A signal is done when gap <= tol * ||x||^2 / 2"},
               Option{"max_iter", &TvOptions::max_iter, rule::at_least_one, "Iterations, at most"},
               Option{"check_every", &TvOptions::check_every, rule::at_least_one}};

template <Scalar T>
struct TvResult {
  Matrix<T> signals;           ///< u, n_times x n_signals
  Vector<double> reg;          ///< the weights themselves, also where a fraction was asked for
  Vector<double> objective;    ///< P(u_i), recomputed in double at the returned signal
  Vector<double> gap;          ///< likewise (tv_certificate.hpp); in units of the objective
  Vector<int> n_iter;          ///< iterations, or knots or sweeps
  std::vector<Status> status;  ///< converged, max_iter_reached, or stalled: rounding lets it go no further
  TvSolver method;             ///< the one that ran
};

/// X is n_observed x n_signals, A maps n_times to n_observed: a matrix, or a CausalConvolution. `mask`: weights in [0, 1] of the
/// data fit, n_observed x 1 for all signals or of X's shape; what it hides with 0 may be anything. A fraction is of each signal's
/// own tv_reg_max(). Where A takes constants to 0, that of u is 0. Neither signals nor certificates depend on the number of
/// threads.
/// @throws std::invalid_argument if sizes disagree, an entry is not finite, or reg is not > 0
template <Scalar T>
TvResult<T> tv_solve(const NonDeduced<ConstMatrixRef<T>>& X, const Dictionary<T>& A, const Reg& reg,
                     const TvOptions& options = {}, const OptionalMatrixRef<T>& mask = {});

}  // namespace riata
