// The methods of tv_solve.hpp that iterate on the signals themselves, tile by tile, in double. Internal.
#pragma once

#include "riata/solvers/tv_solve.hpp"

namespace riata {

/// What "admm" and "dual" multiply with: (A^T A + rho nabla^T nabla)^-1, or (A^T A)^-1.
struct TvInverse {
  /// @throws std::invalid_argument for "dual" where columns of A depend on each other
  TvInverse(const Dictionary<double>& A, const Vector<double>& response, double lipschitz, TvSolver method);
  Matrix<double> matrix;
  double rho;   ///< of admm
  double step;  ///< of dual: 1 / ||nabla (A^T A)^-1 nabla^T|| or less
};

struct TvIterations {
  const Dictionary<double>& A;
  const Vector<double>& response;  ///< A 1
  double lipschitz;                ///< >= ||A||_2^2
  const TvOptions& options;        ///< method: pgd, apgd, condat_vu, dual or admm
  const TvInverse* inverse;        ///< of the last two, or null

  /// U holds the start and receives the signals, whose gaps are at most `target`, or which reached max_iter. `weights` of X's
  /// shape, or 0 x 0.
  void solve(const ConstMatrixRef<double>& X, const ConstMatrixRef<double>& weights, const Vector<double>& reg,
             const Vector<double>& target, Matrix<double>& U, Vector<int>& n_iter) const;
};

}  // namespace riata
