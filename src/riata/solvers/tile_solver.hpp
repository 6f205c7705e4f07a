// How encode() drives an algorithm: one tile of signals at a time. Internal.
#pragma once

#include <memory>

#include "riata/solvers/encode.hpp"
#include "riata/solvers/gram_operator.hpp"
#include "riata/solvers/tile_certificate.hpp"

namespace riata {

struct PathGram;  // gram_homotopy.hpp

/// The signals of one tile whose solution is not known to be zero.
template <Scalar T>
struct SolverTile {
  Matrix<T> X;             ///< signals
  Matrix<T> weights;       ///< of the data fit, in X's shape; or 0 x 0
  Matrix<T> correlations;  ///< D^T X, or of the weighted signals
  Matrix<T> Z;             ///< in: start; out: codes
  Vector<T> reg;
  Vector<double> half_norm_sq;        ///< 1/2 ||x||^2, weighted
  Vector<double> target;              ///< absolute gap at which each signal is done
  Vector<int> n_iter;                 ///< out
  Vector<double> objective, gap;      ///< out: TileCertificate's of the codes
  std::vector<bool> is_fixed;         ///< out, of a penalty without a gap: no step moves the code
  std::vector<StepTrace> trace = {};  ///< out, one per signal, with options.record

  /// Room for n signals, none solved.
  void open(Index n_features, Index n_atoms, Index n, bool is_weighted) {
    X.resize(n_features, n);
    weights.resize(is_weighted ? n_features : 0, is_weighted ? n : 0);
    correlations.resize(n_atoms, n);
    Z.resize(n_atoms, n);
    reg.resize(n);
    for (Vector<double>* v : {&half_norm_sq, &target, &objective, &gap}) v->resize(n);
    n_iter.setZero(n);
    is_fixed.assign(static_cast<std::size_t>(n), false);
    trace.clear();
  }
};

template <Scalar T>
class TileSolver {
 public:
  virtual ~TileSolver() = default;
  virtual void solve(SolverTile<T>& tile) = 0;
};

/// What the workspaces of all threads share. Borrowed by the solvers.
template <Penalty P>
struct SharedProblem {
  using T = typename P::scalar;
  const Dictionary<T>& D;
  const Dictionary<double>* exact;  ///< D in double; null where coordinate descent goes without (exact_for())
  const P& penalty;
  const EncodeOptions& options;
};

/// ISTA or FISTA, by options.method. `lipschitz` >= ||D||_2^2.
template <Penalty P>
std::unique_ptr<TileSolver<typename P::scalar>> make_proximal_gradient(const SharedProblem<P>& problem, double lipschitz);

/// OISTA. `lipschitz` >= ||D||_2^2.
template <Scalar T>
std::unique_ptr<TileSolver<T>> make_oista(const SharedProblem<L1<T>>& problem, double lipschitz);

template <Penalty P>
std::unique_ptr<TileSolver<typename P::scalar>> make_backtracking(const SharedProblem<P>& problem);

/// `gram`: of D, or null, and then every path is followed without.
template <Scalar T>
std::unique_ptr<TileSolver<T>> make_lars(const SharedProblem<L1<T>>& problem, const PathGram* gram);

/// `gram`: that of D.
template <Scalar T>
std::unique_ptr<TileSolver<T>> make_coordinate_descent(const SharedProblem<L1<T>>& problem,
                                                       std::unique_ptr<GramOperator<T>> gram);

}  // namespace riata
