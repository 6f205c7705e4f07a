#include "riata/terms/l0.hpp"

#include <algorithm>

#include "riata/linalg/kernels.hpp"

namespace riata {

template <Scalar T>
void hard_threshold(MatrixRef<T> V, const Thresholds<T>& thresholds) {
  for (Index i = 0; i < V.cols(); ++i) {
    const auto cut = [&](const auto& least) {
      for (Index j = 0; j < V.rows(); ++j)
        if (std::abs(V(j, i)) <= least(j)) V(j, i) = T(0);
    };
    if (thresholds.is_per_atom())
      cut([&](Index j) { return thresholds.of(j, i); });
    else
      cut([least = thresholds.of(0, i)](Index) { return least; });
  }
}

template <Scalar T>
void hard_threshold_vjp(const ConstMatrixRef<T>& Z, MatrixRef<T> H, const ThresholdCotangents<T>& cotangents) {
  for (Index i = 0; i < Z.cols(); ++i) masked_sign_sum(Z.rows(), Z.col(i).data(), nullptr, H.col(i).data());
  std::fill(cotangents.rho.begin(), cotangents.rho.end(), 0.0);
}

template <Scalar T>
L0<T>::L0(const PenaltyOptions& options, Index n_atoms, double lipschitz) : L1<T>({}, n_atoms), lipschitz_(lipschitz) {
  options.validate(n_atoms);
}

template <Scalar T>
void L0<T>::prox(MatrixRef<T> V, const Thresholds<T>& thresholds) const {
  Vector<T> least(V.cols());
  for (Index i = 0; i < V.cols(); ++i) least(i) = std::sqrt(2 * thresholds.of(0, i));
  hard_threshold<T>(V, least);
}

template <Scalar T>
double L0<T>::subgradient_distance(const ConstVectorRef<T>& z, const ConstVectorRef<double>& correlations, double reg) const {
  const double bound = std::sqrt(2 * reg * lipschitz_);
  double worst = 0;
  for (Index j = 0; j < z.size(); ++j) {
    const double c = std::abs(correlations(j)), length = std::abs(static_cast<double>(z(j)));
    worst = std::max(worst, length > 0 ? std::max(c, bound - lipschitz_ * length) : c - bound);
  }
  return worst;
}

#define RIATA_INSTANTIATE(T)                                           \
  template void hard_threshold<T>(MatrixRef<T>, const Thresholds<T>&); \
  template void hard_threshold_vjp<T>(const ConstMatrixRef<T>&, MatrixRef<T>, const ThresholdCotangents<T>&);
RIATA_INSTANTIATE(float)
RIATA_INSTANTIATE(double)
#undef RIATA_INSTANTIATE

template class L0<float>;
template class L0<double>;

}  // namespace riata
