#include "riata/terms/group_l1.hpp"

#include <numeric>

#include "riata/core/check.hpp"

namespace riata {

template <Scalar T>
GroupL1<T>::GroupL1(const PenaltyOptions& options, Index n_atoms)
    : positive_(options.positive), weights_(options.weights), atoms_(static_cast<std::size_t>(n_atoms)) {
  options.validate(n_atoms);
  const auto label = [&](Index j) { return options.groups[static_cast<std::size_t>(j)]; };
  std::iota(atoms_.begin(), atoms_.end(), Index{0});
  std::stable_sort(atoms_.begin(), atoms_.end(), [&](Index a, Index b) { return label(a) < label(b); });
  for (Index k = 0; k < n_atoms; ++k)
    if (k == 0 || label(atoms_[static_cast<std::size_t>(k)]) != label(atoms_[static_cast<std::size_t>(k - 1)]))
      offsets_.push_back(k);
  offsets_.push_back(n_atoms);
  require(weights_.empty() || std::ssize(weights_) == n_groups(), "weights: {} entries for {} groups; they must be equal",
          weights_.size(), n_groups());
  for (Index g = 0; g < std::ssize(weights_); ++g)
    require(std::isfinite(static_cast<T>(weight(g))) && static_cast<T>(weight(g)) > T(0),
            "weights: entry {} is {}, must be > 0 and finite", g, weight(g));
}

template <Scalar T>
double GroupL1<T>::value(const ConstVectorRef<T>& z) const {
  double sum = 0;
  for (Index g = 0; g < n_groups(); ++g) sum += weight(g) * norm(g, z);
  return sum;
}

template <Scalar T>
void GroupL1<T>::prox(MatrixRef<T> V, const Thresholds<T>& thresholds) const {
  for (Index i = 0; i < V.cols(); ++i) {
    T* v = V.col(i).data();
    const auto entry = [&](Index j) { return part(v[j]); };
    for (Index g = 0; g < n_groups(); ++g) {
      const double t = weight(g) * static_cast<double>(thresholds.of(0, i)), least = std::max(t, 0.0);
      const double sum = sum_of_squares(g, entry);
      const double length = is_in_range(sum) && sum <= least * least ? 0 : norm(g, entry, sum);
      const T factor = length <= least ? T(0) : static_cast<T>(1 - t / length);
      for (const Index* j = begin(g); j != end(g); ++j) v[*j] = factor <= T(0) ? T(0) : part(v[*j]) * factor;
    }
  }
}

template <Scalar T>
void GroupL1<T>::prox_vjp(const ConstMatrixRef<T>& Z, const Thresholds<T>& thresholds, MatrixRef<T> H,
                          const ThresholdCotangents<T>& cotangents) const {
  double theta_sum = 0;
  for (Index i = 0; i < Z.cols(); ++i) {
    double sum = 0;  // of w_G u^T y over the groups
    for (Index g = 0; g < n_groups(); ++g) {
      const double t = weight(g) * static_cast<double>(thresholds.of(0, i));
      const double length = norm(g, Z.col(i));
      double along = 0;
      for (const Index* j = begin(g); j != end(g); ++j) along += static_cast<double>(Z(*j, i)) * static_cast<double>(H(*j, i));
      if (length == 0) {
        for (const Index* j = begin(g); j != end(g); ++j) H(*j, i) = T(0);
        continue;
      }
      along /= length;
      sum += weight(g) * along;
      const double shrunk = t / (length + t);
      for (const Index* j = begin(g); j != end(g); ++j) {
        const double u = static_cast<double>(Z(*j, i)) / length, y = static_cast<double>(H(*j, i));
        H(*j, i) = positive_ && u == 0 ? T(0) : static_cast<T>(y - shrunk * (y - u * along));
      }
    }
    theta_sum -= static_cast<double>(thresholds.rho(i)) * sum;
    if (!cotangents.rho.empty()) cotangents.rho[static_cast<std::size_t>(i)] = -static_cast<double>(thresholds.scalar()) * sum;
  }
  if (cotangents.theta != nullptr) (*cotangents.theta)(0) += static_cast<T>(theta_sum);
}

template <Scalar T>
double GroupL1<T>::subgradient_distance(const ConstVectorRef<T>& z, const ConstVectorRef<double>& correlations,
                                        double reg) const {
  double worst = 0;
  for (Index g = 0; g < n_groups(); ++g) {
    const double length = norm(g, z), bound = reg * weight(g);
    const auto off = [&](Index j) {  // a code that is held at zero from above is pulled down as hard as may be
      const double c = correlations(j), u = static_cast<double>(z(j)) / length;
      return u == 0 ? part(c) : u < 0 && positive_ ? INFINITY : c - bound * u;
    };
    worst = std::max(worst, length > 0 ? norm(g, off) : weight(g) * (pull(g, [&](Index j) { return correlations(j); }) - reg));
  }
  return worst;
}

template <Scalar T>
void GroupL1<T>::add_subgradient(const ConstMatrixRef<T>& Z, const ConstVectorRef<T>& scales, MatrixRef<T> cotangents) const {
  for (Index i = 0; i < Z.cols(); ++i)
    for (Index g = 0; g < n_groups(); ++g) {
      const double length = norm(g, [&](Index j) { return Z(j, i); });
      if (length == 0) continue;
      for (const Index* j = begin(g); j != end(g); ++j)
        cotangents(*j, i) += static_cast<T>(static_cast<double>(scales(i)) * weight(g) * static_cast<double>(Z(*j, i)) / length);
    }
}

template class GroupL1<float>;
template class GroupL1<double>;

}  // namespace riata
