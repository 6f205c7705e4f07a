#include "riata/networks/analytic_weight.hpp"

#include <algorithm>

#include "riata/core/check.hpp"
#include "riata/core/stopping.hpp"
#include "riata/linalg/decompositions.hpp"

namespace riata {

template <Scalar T>
Matrix<T> analytic_weight(const NonDeduced<ConstMatrixRef<T>>& D) {
  require(D.size() > 0, "analytic_weight: the dictionary is empty");
  require_finite("analytic_weight", "dictionary", D, of_atoms);
  // D = U diag(s) V^T: P = U diag(s)^-2 U^T, so D_j^T P D_j = ||V_j||^2 and P D = U diag(s)^-1 V^T, V_j the j-th row of V.
  const Matrix<double> A = D.template cast<double>();
  const auto [U, s, V] = thin_svd(A);
  require(s(0) > 0, "analytic_weight: the dictionary is zero");
  const double smallest =
      static_cast<double>(std::max(A.rows(), A.cols())) * static_cast<double>(Eigen::NumTraits<T>::epsilon()) * s(0);
  const Index rank = (s.array() > smallest).count();
  const double n_operations = 2 * static_cast<double>(A.size()) * static_cast<double>(rank);
  Matrix<double> W = run_stoppable(n_operations, [U = Matrix<double>(U.leftCols(rank)), s = Vector<double>(s.head(rank)),
                                                  V = Matrix<double>(V.leftCols(rank))] {
    return Matrix<double>(U * s.cwiseInverse().asDiagonal() * V.transpose());
  });
  for (Index j = 0; j < W.cols(); ++j) {
    // As computed, and not ||V_j||^2, so that the constraint holds to rounding.
    const double along = W.col(j).dot(A.col(j));
    W.col(j) *= A.col(j).isZero(0) ? 0.0 : 1 / along;
  }
  return W.template cast<T>();
}

template Matrix<float> analytic_weight<float>(const ConstMatrixRef<float>&);
template Matrix<double> analytic_weight<double>(const ConstMatrixRef<double>&);

}  // namespace riata
