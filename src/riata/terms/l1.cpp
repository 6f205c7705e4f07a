#include "riata/terms/l1.hpp"

#include <algorithm>
#include <cmath>

#include "riata/core/check.hpp"
#include "riata/linalg/kernels.hpp"

namespace riata {

template <Scalar T>
L1<T>::L1(const PenaltyOptions& options, Index n_atoms, Weights allowed) : positive_(options.positive), allowed_(allowed) {
  options.validate(n_atoms);
  if (options.kind == PenaltyKind::elastic_net) {
    const double l1_ratio = options.l1_ratio.value_or(0.5);
    l1_ratio_ = static_cast<T>(l1_ratio);
    require(l1_ratio_ > T(0), "l1_ratio = {}, must be > 0 in the signals' precision", l1_ratio);
    ridge_ = 1 - static_cast<double>(l1_ratio_);
  }
  const auto n = std::ssize(options.weights);
  require(n == 0 || n == n_atoms || (allowed != Weights::finite && options.has_weights_per_signal(n_atoms)),
          "weights: {} entries for {} atoms; they must be equal", n, n_atoms);
  if (n == 0) return;
  weights_.resize(n_atoms);
  weigh_for(0, options);
}

namespace {

/// What a weight breaks.
const char* what_holds(double w, Weights allowed) {
  if (allowed == Weights::finite || (w > 0 && std::isfinite(w))) return "must be > 0 and finite";
  return allowed == Weights::or_infinite ? "must be > 0" : "must be >= 0";
}

}  // namespace

template <Scalar T>
void L1<T>::weigh_for(Index signal, const PenaltyOptions& options) {
  const Index n_atoms = weights_.size(), first = options.has_weights_per_signal(n_atoms) ? signal * n_atoms : 0;
  for (Index j = 0; j < n_atoms; ++j) {
    const double w = options.weights[static_cast<std::size_t>(first + j)];
    const T rounded = static_cast<T>(w) * l1_ratio_;  // float holds less
    const bool fits = std::isinf(rounded) ? allowed_ != Weights::finite && std::isinf(w) && w > 0
                                          : rounded > T(0) || (allowed_ == Weights::any && w == 0);
    require(fits, "weights: entry {} is {}, {}", first + j, w, what_holds(w, allowed_));
    weights_(j) = rounded;
  }
}

template <Scalar T>
double L1<T>::value(const ConstVectorRef<T>& z) const {
  double l1 = 0;
  if (uniform())
    l1 = static_cast<double>(l1_ratio_) * absolute_sum(z.size(), z.data());
  else
    for (Index j = 0; j < z.size(); ++j)
      if (z(j) != T(0)) l1 += std::abs(static_cast<double>(z(j))) * static_cast<double>(weights_(j));
  return has_ridge() ? l1 + 0.5 * ridge_ * z.template cast<double>().squaredNorm() : l1;
}

/// Entry by entry: for thresholds per atom, weights, or of one sign alone.
template <Scalar T>
void L1<T>::prox_each(VectorRef<T> v, const Thresholds<T>& thresholds, Index signal) const {
  for (Index j = 0; j < v.size(); ++j) {
    const T tau = thresholds.of(j, signal), t = tau * weight(j);
    if (tau < T(0) && !positive_)  // the minimiser of 1/2 (u - v)^2 - |t| |u|
      v(j) = (v(j) > T(0) ? v(j) - t : v(j) < T(0) ? v(j) + t : v(j)) / shrinkage(tau);
    else
      v(j) = std::isnan(v(j)) || std::isnan(tau) ? v(j) + tau : prox(v(j), tau, j);
  }
}

template <Scalar T>
void L1<T>::prox(MatrixRef<T> V, const Thresholds<T>& thresholds) const {
  const bool is_plain = !positive_ && uniform();
  for (Index i = 0; i < V.cols(); ++i) {
    const T tau = thresholds.of(0, i);
    if (is_plain && !thresholds.is_per_atom() && !(tau < T(0))) {
      soft_threshold(V.rows(), tau * l1_ratio_, V.col(i).data());
      if (has_ridge()) V.col(i) /= shrinkage(tau);
    } else if (is_plain && thresholds.is_per_atom() && !has_ridge()) {
      soft_threshold_each(V.rows(), thresholds.rho(i), thresholds.theta->data(), V.col(i).data());
    } else {
      prox_each(V.col(i), thresholds, i);
    }
  }
}

template <Scalar T>
void L1<T>::prox_vjp(const ConstMatrixRef<T>& Z, const Thresholds<T>& thresholds, MatrixRef<T> H,
                     const ThresholdCotangents<T>& cotangents) const {
  const bool is_per_atom = thresholds.is_per_atom();
  const Vector<T> both = is_per_atom && !uniform() ? Vector<T>(thresholds.theta->col(0).cwiseProduct(weights_)) : Vector<T>();
  const T* const factors = is_per_atom && !uniform() ? both.data()
                           : is_per_atom             ? thresholds.theta->data()
                           : uniform()               ? nullptr
                                                     : weights_.data();
  double theta_sum = 0;
  for (Index i = 0; i < Z.cols(); ++i) {
    const auto z = Z.col(i);
    auto h = H.col(i);
    if (has_ridge())
      for (Index j = 0; j < h.size(); ++j) h(j) /= shrinkage(thresholds.of(j, i));
    // sum_j theta_j (w_j sign(z_j) + b z_j) h_j, theta_j = 1 where it is one for all
    double sum = masked_sign_sum(Z.rows(), z.data(), factors, h.data());
    if (uniform()) sum *= static_cast<double>(l1_ratio_);
    if (has_ridge())
      for (Index j = 0; j < h.size(); ++j)
        sum += ridge_ * static_cast<double>(is_per_atom ? (*thresholds.theta)(j) : T(1)) * static_cast<double>(z(j)) *
               static_cast<double>(h(j));
    const double rho = static_cast<double>(thresholds.rho(i));
    if (!is_per_atom)
      theta_sum -= rho * sum;
    else if (cotangents.theta != nullptr)
      for (Index j = 0; j < h.size(); ++j)
        if (z(j) != T(0)) (*cotangents.theta)(j) -= thresholds.rho(i) * (slope(z(j), j) * h(j));
    if (!cotangents.rho.empty())
      cotangents.rho[static_cast<std::size_t>(i)] = is_per_atom ? -sum : -static_cast<double>(thresholds.scalar()) * sum;
  }
  if (!is_per_atom && cotangents.theta != nullptr) (*cotangents.theta)(0) += static_cast<T>(theta_sum);
}

template <Scalar T>
void L1<T>::add_subgradient(const ConstMatrixRef<T>& Z, const ConstVectorRef<T>& scales, MatrixRef<T> cotangents) const {
  for (Index i = 0; i < Z.cols(); ++i) {
    add_signs(Z.rows(), Z.col(i).data(), uniform() ? scales(i) * l1_ratio_ : scales(i), uniform() ? nullptr : weights_.data(),
              cotangents.col(i).data());
    if (has_ridge()) cotangents.col(i) += scales(i) * static_cast<T>(ridge_) * Z.col(i);
  }
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
