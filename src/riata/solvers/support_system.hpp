// The optimality conditions of one signal on the support S of its code z:  D_S^T (D_S z_S - x) + reg w_S s = 0. Internal.
#pragma once

#include <Eigen/QR>
#include <vector>

#include "riata/terms/l1.hpp"

namespace riata {

/// Everything in double. The pseudo-inverse of D_S is not there where the support is empty.
struct SupportSystem {
  SupportSystem(const ConstVectorRef<double>& x, const Matrix<double>& D, const L1<double>& penalty,
                const ConstVectorRef<double>& z) {
    for (Index j = 0; j < z.size(); ++j)
      if (z(j) != 0) S.push_back(j);
    z_S = z(S);
    D_S = D(Eigen::all, S);
    r = x - D_S * z_S;
    signs = z_S.cwiseSign();
    weights.resize(z_S.size());
    for (Index k = 0; k < weights.size(); ++k) weights(k) = penalty.weight(S[static_cast<std::size_t>(k)]);
    if (!S.empty()) pseudo_inverse.compute(D_S);
  }

  /// p = (D_S^+)^T c_S and a_S = D_S^+ p, so a_S = (D_S^T D_S)^+ c_S; columns are right-hand sides.
  Matrix<double> pull(const Matrix<double>& c_S) const { return pseudo_inverse.transpose().solve(c_S); }
  Matrix<double> solve(const Matrix<double>& p) const { return pseudo_inverse.solve(p); }

  std::vector<Index> S;
  Matrix<double> D_S;
  Vector<double> z_S, r, signs, weights;  ///< code, residual x - D z, signs and weights on S
  Eigen::CompleteOrthogonalDecomposition<Matrix<double>> pseudo_inverse;
};

}  // namespace riata
