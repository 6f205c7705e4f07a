// The optimality conditions of one signal on the support S of its code z:  D_S^T (D_S z_S - x) + reg w_S s = 0. Internal.
#pragma once

#include <Eigen/QR>
#include <algorithm>
#include <vector>

#include "riata/core/stopping.hpp"
#include "riata/terms/l1.hpp"

namespace riata {

/// Everything in double. The pseudo-inverse of D_S is not there where the support is empty.
struct SupportSystem {
  using Decomposition = Eigen::CompleteOrthogonalDecomposition<Matrix<double>>;

  SupportSystem(const ConstVectorRef<double>& x, const Matrix<double>& D, const L1<double>& penalty,
                const ConstVectorRef<double>& z) {
    for (Index j = 0; j < z.size(); ++j)
      if (z(j) != 0) S.push_back(j);
    z_S = z(S);
    D_S = D(Eigen::all, S);
    leave_if_stopped();
    r = x - D_S * z_S;
    signs = z_S.cwiseSign();
    weights.resize(z_S.size());
    for (Index k = 0; k < weights.size(); ++k) weights(k) = penalty.weight(S[static_cast<std::size_t>(k)]);
    if (S.empty()) return;
    const auto n = static_cast<double>(D_S.rows()), s = static_cast<double>(D_S.cols());
    pseudo_inverse = run_stoppable(2 * n * s * std::min(n, s), [A = D_S] { return Decomposition(A); });
  }

  /// p = (D_S^+)^T c_S and a_S = D_S^+ p, so a_S = (D_S^T D_S)^+ c_S; columns are right-hand sides.
  Matrix<double> pull(const Matrix<double>& c_S) const {
    return stoppable(c_S,
                     [](const Decomposition& of, const Matrix<double>& b) -> Matrix<double> { return of.transpose().solve(b); });
  }
  Matrix<double> solve(const Matrix<double>& p) const {
    return stoppable(p, [](const Decomposition& of, const Matrix<double>& b) -> Matrix<double> { return of.solve(b); });
  }

  std::vector<Index> S;
  Matrix<double> D_S;
  Vector<double> z_S, r, signs, weights;  ///< code, residual x - D z, signs and weights on S
  Decomposition pseudo_inverse;

 private:
  template <class Solve>
  Matrix<double> stoppable(const Matrix<double>& b, const Solve& solve) const {
    const double n_operations = 4.0 * static_cast<double>(D_S.size()) * static_cast<double>(b.cols());
    if (n_operations < 1e8) return solve(pseudo_inverse, b);  // without copies
    return run_stoppable(n_operations, [of = pseudo_inverse, b, solve] { return solve(of, b); });
  }
};

}  // namespace riata
