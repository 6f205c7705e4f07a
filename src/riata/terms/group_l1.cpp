#include "riata/terms/group_l1.hpp"

#include <numeric>

namespace riata {

template <Scalar T>
GroupL1<T>::GroupL1(const PenaltyOptions& options, Index n_atoms) : atoms_(static_cast<std::size_t>(n_atoms)) {
  options.validate(n_atoms);
  const auto label = [&](Index j) { return options.groups[static_cast<std::size_t>(j)]; };
  std::iota(atoms_.begin(), atoms_.end(), Index{0});
  std::stable_sort(atoms_.begin(), atoms_.end(), [&](Index a, Index b) { return label(a) < label(b); });
  for (Index k = 0; k < n_atoms; ++k)
    if (k == 0 || label(atoms_[static_cast<std::size_t>(k)]) != label(atoms_[static_cast<std::size_t>(k - 1)]))
      offsets_.push_back(k);
  offsets_.push_back(n_atoms);
}

template <Scalar T>
double GroupL1<T>::value(const ConstVectorRef<T>& z) const {
  double sum = 0;
  for (Index g = 0; g < n_groups(); ++g) sum += norm(g, z);
  return sum;
}

template <Scalar T>
void GroupL1<T>::prox(MatrixRef<T> V, const ConstVectorRef<T>& thresholds) const {
  for (Index i = 0; i < V.cols(); ++i)
    for (Index g = 0; g < n_groups(); ++g) {
      const double length = norm(g, V.col(i)), threshold = static_cast<double>(thresholds(i));
      const T factor = length > threshold ? static_cast<T>(1 - threshold / length) : T(0);
      for (const Index* j = begin(g); j != end(g); ++j) V(*j, i) = factor > T(0) ? V(*j, i) * factor : T(0);
    }
}

template <Scalar T>
double GroupL1<T>::dual_scaling(const ConstVectorRef<double>& correlations, double reg) const {
  const double largest = largest_pull(correlations.size(), correlations.data());
  return largest <= reg ? 1.0 : reg / largest;
}

template <Scalar T>
double GroupL1<T>::subgradient_distance(const ConstVectorRef<T>& z, const ConstVectorRef<double>& correlations,
                                        double reg) const {
  double worst = 0;
  for (Index g = 0; g < n_groups(); ++g) {
    const double length = norm(g, z);
    worst =
        std::max(worst, length > 0 ? norm(g, [&](Index j) { return correlations(j) - reg * static_cast<double>(z(j)) / length; })
                                   : norm(g, correlations) - reg);
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
        cotangents(*j, i) += static_cast<T>(static_cast<double>(scales(i)) * static_cast<double>(Z(*j, i)) / length);
    }
}

template class GroupL1<float>;
template class GroupL1<double>;

}  // namespace riata
