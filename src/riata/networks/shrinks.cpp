#include "riata/networks/shrinks.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "riata/linalg/kernels.hpp"
#include "riata/operators/units.hpp"

namespace riata {
namespace {

/// How many of m atoms layer t leaves as they are. The published code takes what exceeds the percentile, by the nearest rank.
template <Scalar T>
Index selected_atoms(const LayerSite<T>& site) {
  const auto& selection = site.model.options.support_selection;
  if (!selection) return 0;
  const double share = std::min((site.layer + 1) * selection->p, selection->p_max) / 100;
  return std::lround(share * static_cast<double>(site.model.n_atoms() - 1));
}

/// ||a_G||, also where its square is no number.
template <Scalar T>
double length_of(const ConstVectorRef<T>& a, const std::vector<Index>& G) {
  constexpr double least = 1e-280, most = 1e280;
  double sum = 0;
  for (const Index j : G) sum += static_cast<double>(a(j)) * static_cast<double>(a(j));
  if (sum >= least && sum <= most) return std::sqrt(sum);
  return norm_in_range<double>(Vector<double>(a(G).template cast<double>()));
}

}  // namespace

template <Scalar T>
SoftShrink<T>::SoftShrink(const LayerSite<T>& site) : n_largest_(selected_atoms(site)) {}

template <Scalar T>
void SoftShrink<T>::forward(MatrixRef<T> A, const TileThresholds<T>& thresholds) {
  if (n_largest_ > 0) select(A, thresholds);
  const Matrix<T>& theta = thresholds.theta;
  for (Index i = 0; i < A.cols(); ++i) {
    const T rho = thresholds.rho(i);
    if (theta.size() > 1) {
      soft_threshold_each(A.rows(), rho, theta.data(), A.col(i).data());
    } else if (theta(0) * rho >= T(0)) {
      soft_threshold(A.rows(), theta(0) * rho, A.col(i).data());
    } else {
      const Vector<T> equal = Vector<T>::Constant(A.rows(), theta(0));
      soft_threshold_each(A.rows(), rho, equal.data(), A.col(i).data());
    }
  }
  if (n_largest_ == 0) return;
  for (Index i = 0, k = 0; i < A.cols(); ++i)
    for (; k < ends_[static_cast<std::size_t>(i)]; ++k)
      A(selected_[static_cast<std::size_t>(k)], i) = values_[static_cast<std::size_t>(k)];
}

/// Notes the entries that are among the n_largest_ of their signal and above their thresholds. Ties with the next one are not.
template <Scalar T>
void SoftShrink<T>::select(const ConstMatrixRef<T>& A, const TileThresholds<T>& thresholds) {
  selected_.clear();
  values_.clear();
  ends_.clear();
  const Index m = A.rows();
  sizes_.resize(static_cast<std::size_t>(m));
  for (Index i = 0; i < A.cols(); ++i) {
    T next = -1;  // the largest that is not among them
    if (n_largest_ < m) {
      for (Index j = 0; j < m; ++j) {
        const T size = std::abs(A(j, i));
        sizes_[static_cast<std::size_t>(j)] = size >= T(0) ? size : std::numeric_limits<T>::infinity();  // NaN has no order
      }
      std::nth_element(sizes_.begin(), sizes_.begin() + n_largest_, sizes_.end(), std::greater<>());
      next = sizes_[static_cast<std::size_t>(n_largest_)];
    }
    for (Index j = 0; j < m; ++j)
      if (std::abs(A(j, i)) > next && std::abs(A(j, i)) > thresholds.of(j, i)) {
        selected_.push_back(j);
        values_.push_back(A(j, i));
      }
    ends_.push_back(std::ssize(selected_));
  }
}

template <Scalar T>
void SoftShrink<T>::backward(const ConstMatrixRef<T>& Z, const TileThresholds<T>& thresholds, MatrixRef<T> H,
                             const ThresholdGradients<T>& gradients) {
  const Matrix<T>& theta = thresholds.theta;
  const bool per_atom = theta.size() > 1;
  double theta_sum = 0;
  for (Index i = 0, k = 0; i < Z.cols(); ++i) {
    const T rho = thresholds.rho(i);
    // sum_j w_j sign(z_j) h_j, w = theta or 1
    double sum = masked_sign_sum(Z.rows(), Z.col(i).data(), per_atom ? theta.data() : nullptr, H.col(i).data());
    if (per_atom && gradients.theta != nullptr)
      for (Index j = 0; j < Z.rows(); ++j)
        if (Z(j, i) != T(0)) (*gradients.theta)(j) -= rho * (Z(j, i) > T(0) ? H(j, i) : -H(j, i));
    if (n_largest_ > 0)
      for (; k < ends_[static_cast<std::size_t>(i)]; ++k) {
        const Index j = selected_[static_cast<std::size_t>(k)];
        const T along = Z(j, i) > T(0) ? H(j, i) : Z(j, i) < T(0) ? -H(j, i) : T(0);
        sum -= static_cast<double>(per_atom ? theta(j) : T(1)) * static_cast<double>(along);
        if (per_atom && gradients.theta != nullptr) (*gradients.theta)(j) += rho * along;
      }
    if (!per_atom) theta_sum -= static_cast<double>(rho) * sum;
    if (!gradients.rho.empty())
      gradients.rho[static_cast<std::size_t>(i)] = per_atom ? -sum : -static_cast<double>(theta(0)) * sum;
  }
  if (!per_atom && gradients.theta != nullptr) (*gradients.theta)(0) += static_cast<T>(theta_sum);
}

template <Scalar T>
void HardShrink<T>::forward(MatrixRef<T> A, const TileThresholds<T>& thresholds) {
  for (Index i = 0; i < A.cols(); ++i)
    for (Index j = 0; j < A.rows(); ++j)
      if (std::abs(A(j, i)) <= thresholds.of(j, i)) A(j, i) = T(0);
}

template <Scalar T>
void HardShrink<T>::backward(const ConstMatrixRef<T>& Z, const TileThresholds<T>& /*thresholds*/, MatrixRef<T> H,
                             const ThresholdGradients<T>& gradients) {
  for (Index i = 0; i < Z.cols(); ++i) masked_sign_sum(Z.rows(), Z.col(i).data(), nullptr, H.col(i).data());
  std::fill(gradients.rho.begin(), gradients.rho.end(), 0.0);
}

template <Scalar T>
GroupShrink<T>::GroupShrink(const LayerSite<T>& site) {
  std::map<std::int64_t, std::vector<Index>> by_label;
  const auto& labels = site.model.options.groups;
  for (std::size_t j = 0; j < labels.size(); ++j) by_label[labels[j]].push_back(static_cast<Index>(j));
  for (auto& [label, atoms] : by_label) groups_.push_back(std::move(atoms));
}

template <Scalar T>
void GroupShrink<T>::forward(MatrixRef<T> A, const TileThresholds<T>& thresholds) {
  for (Index i = 0; i < A.cols(); ++i)
    for (const auto& G : groups_) {
      const double length = length_of<T>(A.col(i), G), tau = static_cast<double>(thresholds.of(0, i));
      const T factor = length <= std::max(tau, 0.0) ? T(0) : static_cast<T>(1 - tau / length);
      for (const Index j : G) A(j, i) = factor <= T(0) ? T(0) : A(j, i) * factor;
    }
}

template <Scalar T>
void GroupShrink<T>::backward(const ConstMatrixRef<T>& Z, const TileThresholds<T>& thresholds, MatrixRef<T> H,
                              const ThresholdGradients<T>& gradients) {
  double theta_sum = 0;
  for (Index i = 0; i < Z.cols(); ++i) {
    double sum = 0;  // of u^T y over the groups
    const double tau = static_cast<double>(thresholds.of(0, i));
    for (const auto& G : groups_) {
      double along = 0;
      for (const Index j : G) along += static_cast<double>(Z(j, i)) * static_cast<double>(H(j, i));
      const double length = length_of<T>(Z.col(i), G);
      if (length == 0) {
        for (const Index j : G) H(j, i) = T(0);
        continue;
      }
      along /= length;
      sum += along;
      const double shrunk = tau / (length + tau);
      for (const Index j : G) {
        const double u = static_cast<double>(Z(j, i)) / length, y = static_cast<double>(H(j, i));
        H(j, i) = static_cast<T>(y - shrunk * (y - u * along));
      }
    }
    theta_sum -= static_cast<double>(thresholds.rho(i)) * sum;
    if (!gradients.rho.empty()) gradients.rho[static_cast<std::size_t>(i)] = -static_cast<double>(thresholds.theta(0)) * sum;
  }
  if (gradients.theta != nullptr) (*gradients.theta)(0) += static_cast<T>(theta_sum);
}

template class SoftShrink<float>;
template class SoftShrink<double>;
template class HardShrink<float>;
template class HardShrink<double>;
template class GroupShrink<float>;
template class GroupShrink<double>;

}  // namespace riata
