#include "riata/operators/analytic_weight.hpp"

#include <algorithm>

#include "riata/core/check.hpp"
#include "riata/core/stopping.hpp"
#include "riata/linalg/decompositions.hpp"
#include "riata/operators/convolutional_dictionary.hpp"

namespace riata {
namespace {

constexpr Index most_entries = 6000;  // of a kernel, whose square is the size of M
constexpr double ridge = 0.01;        // rho, of the largest eigenvalue of M

/// Kernels (channel after channel, L samples each) as combinations of as few channels as span them: A_k = basis reduced_k.
struct SpannedChannels {
  Matrix<double> basis;    // n_channels x rank, orthonormal columns
  Matrix<double> reduced;  // (rank L) x n_atoms
};

SpannedChannels span_channels(const Matrix<double>& atoms, Index n_channels) {
  const Index L = atoms.rows() / n_channels, K = atoms.cols();
  Matrix<double> stacked(L * K, n_channels);
  for (Index k = 0; k < K; ++k)
    stacked.middleRows(k * L, L) = Eigen::Map<const Matrix<double>>(atoms.col(k).data(), L, n_channels);
  const ThinSvd svd = thin_svd(stacked);
  require(svd.s(0) > 0, "analytic_weight: the dictionary is zero");
  const double least = static_cast<double>(stacked.rows()) * Eigen::NumTraits<double>::epsilon() * svd.s(0);
  const Index rank = (svd.s.array() > least).count();
  SpannedChannels spanned{svd.V.leftCols(rank), Matrix<double>(rank * L, K)};
  for (Index k = 0; k < K; ++k)
    Eigen::Map<Matrix<double>>(spanned.reduced.col(k).data(), L, rank) = stacked.middleRows(k * L, L) * spanned.basis;
  return spanned;
}

/// M
Matrix<double> gram_of_translates(const Matrix<double>& atoms, Index n_channels) {
  const Index L = atoms.rows() / n_channels;
  Matrix<double> M(atoms.rows(), atoms.rows());
  for (Index c = 0; c < n_channels; ++c)
    for (Index b = c; b < n_channels; ++b) {
      leave_if_stopped();
      Vector<double> R(2 * L - 1);  // R_cb(s) in place s + L - 1
      for (Index s = 1 - L; s < L; ++s) {
        const Index first = std::max<Index>(0, -s), n = L - std::abs(s);
        R(s + L - 1) = atoms.middleRows(c * L + first, n).cwiseProduct(atoms.middleRows(b * L + first + s, n)).sum();
      }
      for (Index l = 0; l < L; ++l) {
        M.col(c * L + l).segment(b * L, L) = R.segment(L - 1 - l, L);
        M.row(c * L + l).segment(b * L, L) = R.segment(L - 1 - l, L).transpose();
      }
      if (b == c) continue;
      M.block(c * L, b * L, L, L) = M.block(b * L, c * L, L, L).transpose();
    }
  return M;
}

}  // namespace

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

template <Scalar T>
Matrix<T> ConvolutionalDictionary<T>::analytic_weight() const {
  const Index L = atom_times(), C = shape_.n_channels, K = n_atoms();
  const auto [basis, A] = span_channels(atoms().template cast<double>(), C);
  require(
      A.rows() <= most_entries,
      "analytic_weight: kernels of {} samples in {} channels that are independent need a matrix of {} x {}, must be of at most "
      "{} x {}; take fewer samples or fewer channels",
      L, basis.cols(), A.rows(), A.rows(), most_entries, most_entries);
  const auto [values, Q] = symmetric_eigen(gram_of_translates(A, basis.cols()));
  const Vector<double> inverse = (values.array() + ridge * values.maxCoeff()).inverse();
  const Matrix<double> projected = Q.transpose() * A;
  const Matrix<double> PA = Q * (inverse.asDiagonal() * projected);
  Matrix<T> W(v_.rows() / n_rows_ * C, K);
  for (Index k = 0; k < K; ++k) {
    const double along = PA.col(k).dot(A.col(k));
    const Matrix<double> w =
        Eigen::Map<const Matrix<double>>(PA.col(k).data(), L, basis.cols()) * basis.transpose() * (along > 0 ? 1 / along : 0.0);
    W.col(k) = w.reshaped().template cast<T>();
  }
  return W;
}

template Matrix<float> ConvolutionalDictionary<float>::analytic_weight() const;
template Matrix<double> ConvolutionalDictionary<double>::analytic_weight() const;
template Matrix<float> analytic_weight<float>(const ConstMatrixRef<float>&);
template Matrix<double> analytic_weight<double>(const ConstMatrixRef<double>&);

}  // namespace riata
