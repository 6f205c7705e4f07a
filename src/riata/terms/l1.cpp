#include "riata/terms/l1.hpp"

#include <algorithm>
#include <cmath>

#include "riata/core/check.hpp"
#include "riata/linalg/kernels.hpp"

namespace riata {

template <Scalar T>
L1<T>::L1(const PenaltyOptions& options, Index n_atoms) : positive_(options.positive) {
  options.validate(n_atoms);
  if (options.kind == PenaltyKind::elastic_net) {
    const double l1_ratio = options.l1_ratio.value_or(0.5);
    l1_ratio_ = static_cast<T>(l1_ratio);
    require(l1_ratio_ > T(0), "l1_ratio = {}, must be > 0 in the signals' precision", l1_ratio);
    ridge_ = 1 - static_cast<double>(l1_ratio_);
  }
  const auto n = static_cast<Index>(options.weights.size());
  require(n == 0 || n == n_atoms, "weights: {} entries for {} atoms; they must be equal", n, n_atoms);
  for (Index j = 0; j < n; ++j) {
    const double w = options.weights[static_cast<std::size_t>(j)];
    const T rounded = static_cast<T>(w) * l1_ratio_;  // float holds less
    require(std::isfinite(rounded) && rounded > T(0), "weights: entry {} is {}, must be > 0 and finite", j, w);
  }
  weights_ = Eigen::Map<const Vector<double>>(options.weights.data(), n).template cast<T>() * l1_ratio_;
}

template <Scalar T>
double L1<T>::value(const ConstVectorRef<T>& z) const {
  const double l1 = weights_.size() == 0 ? static_cast<double>(l1_ratio_) * absolute_sum(z.size(), z.data())
                                         : z.template cast<double>().cwiseAbs().dot(weights_.template cast<double>());
  return has_ridge() ? l1 + 0.5 * ridge_ * z.template cast<double>().squaredNorm() : l1;
}

template <Scalar T>
void L1<T>::prox(MatrixRef<T> V, const ConstVectorRef<T>& thresholds) const {
  for (Index i = 0; i < V.cols(); ++i) {
    if (!positive_ && thresholds(i) < T(0)) {
      // A negative step factor: the minimiser of 1/2 (u - v)^2 - |t| |u| moves away from zero.
      for (Index j = 0; j < V.rows(); ++j) {
        const T v = V(j, i), t = thresholds(i) * weight(j);
        V(j, i) = v > T(0) ? v - t : v < T(0) ? v + t : T(0);
      }
    } else if (!positive_ && weights_.size() == 0) {
      soft_threshold(V.rows(), thresholds(i) * l1_ratio_, V.col(i).data());
      if (has_ridge()) V.col(i) /= shrinkage(thresholds(i));
    } else {
      for (Index j = 0; j < V.rows(); ++j) V(j, i) = prox(V(j, i), thresholds(i), j);
    }
  }
}

template <Scalar T>
void L1<T>::prox_vjp(const ConstMatrixRef<T>& Z, MatrixRef<T> cotangents, VectorRef<double> threshold_cotangents) const {
  for (Index i = 0; i < Z.cols(); ++i)
    threshold_cotangents(i) =
        -masked_sign_sum(Z.rows(), Z.col(i).data(), weights_.size() ? weights_.data() : nullptr, cotangents.col(i).data());
}

template <Scalar T>
void L1<T>::add_subgradient(const ConstMatrixRef<T>& Z, const ConstVectorRef<T>& scales, MatrixRef<T> cotangents) const {
  for (Index i = 0; i < Z.cols(); ++i)
    add_signs(Z.rows(), Z.col(i).data(), scales(i), weights_.size() ? weights_.data() : nullptr, cotangents.col(i).data());
}

template <Scalar T>
double L1<T>::reg_max(const ConstVectorRef<double>& correlations) const {
  return largest_pull(correlations.size(), correlations.data());
}

template <Scalar T>
double L1<T>::dual_scaling(const ConstVectorRef<double>& correlations, double reg) const {
  const double largest = reg_max(correlations);
  return largest <= reg ? 1.0 : reg / largest;
}

template <Scalar T>
double L1<T>::subgradient_distance(double z, double correlation, double reg, Index atom) const {
  const double bound = reg * static_cast<double>(weight(atom));
  if (z > 0) return std::abs(correlation - bound);
  if (z < 0) return positive_ ? INFINITY : std::abs(correlation + bound);
  return std::max(0.0, (positive_ ? correlation : std::abs(correlation)) - bound);
}

template <Scalar T>
double L1<T>::subgradient_distance(const ConstVectorRef<T>& z, const ConstVectorRef<double>& correlations, double reg) const {
  double worst = 0;
  for (Index j = 0; j < z.size(); ++j)
    worst = std::max(worst, subgradient_distance(static_cast<double>(z(j)), correlations(j), reg, j));
  return worst;
}

template class L1<float>;
template class L1<double>;

}  // namespace riata
