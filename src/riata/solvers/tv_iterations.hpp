// The methods of tv_solve.hpp that iterate on the signals themselves, tile by tile, in double. Internal.
#pragma once

#include "riata/solvers/tv_solve.hpp"

namespace riata {

struct TvIterations {
  const Dictionary<double>& A;
  const Vector<double>& response;  ///< A 1
  double lipschitz;                ///< >= ||A||_2^2
  const TvOptions& options;        ///< method: pgd, apgd or condat_vu

  /// U holds the start and receives the signals, whose gaps are at most `target`, or which reached max_iter. `weights` of X's
  /// shape, or 0 x 0.
  void solve(const ConstMatrixRef<double>& X, const ConstMatrixRef<double>& weights, const Vector<double>& reg,
             const Vector<double>& target, Matrix<double>& U, Vector<int>& n_iter) const;
};

}  // namespace riata
