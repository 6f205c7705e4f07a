#include "riata/unrolled/shrink.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <utility>

namespace riata {

/// Notes the entries that are among the n_largest_ of their signal and above their thresholds. Ties with the next one are not.
template <Scalar T>
void Shrink<T>::select(const MatrixRef<T>& A, Index signal, const Thresholds<T>& thresholds) {
  const Index m = A.rows();
  sizes_.resize(static_cast<std::size_t>(m));
  const auto a = A.col(signal);
  T next = -1;  // the largest that is not among them
  if (n_largest_ < m) {
    for (Index j = 0; j < m; ++j) {
      const T size = std::abs(a(j));
      sizes_[static_cast<std::size_t>(j)] = size >= T(0) ? size : std::numeric_limits<T>::infinity();  // NaN has no order
    }
    std::nth_element(sizes_.begin(), sizes_.begin() + n_largest_, sizes_.end(), std::greater<>());
    next = sizes_[static_cast<std::size_t>(n_largest_)];
  }
  for (Index j = 0; j < m; ++j)
    if (std::abs(a(j)) > next && std::abs(a(j)) > thresholds.of(j, signal)) {
      places_.push_back(j);
      signals_.push_back(signal);
      values_.push_back(a(j));
    }
}

/// visit(atom, signal, value) for the entries left as they are.
template <Scalar T>
template <class Visit>
void Shrink<T>::for_each_selected(const Visit& visit) {
  for (std::size_t k = 0; k < places_.size(); ++k) visit(places_[k], signals_[k], values_[k]);
}

template <Scalar T>
void Shrink<T>::backward(const ConstMatrixRef<T>& Z, const Thresholds<T>& thresholds, MatrixRef<T> H,
                         const ThresholdCotangents<T>& cotangents) {
  for_each_selected([&](Index j, Index i, T& value) { value = std::exchange(H(j, i), T(0)); });  // no threshold moves them
  penalty_.prox_vjp(Z, thresholds, H, cotangents);
  for_each_selected([&](Index j, Index i, T& value) { H(j, i) = Z(j, i) != T(0) ? value : T(0); });
}

template class Shrink<float>;
template class Shrink<double>;

}  // namespace riata
