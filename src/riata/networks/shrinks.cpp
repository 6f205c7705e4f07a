#include "riata/networks/shrinks.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <utility>

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

}  // namespace

template <Scalar T>
SoftShrink<T>::SoftShrink(const LayerSite<T>& site) : penalty_({}, site.model.n_atoms()), n_largest_(selected_atoms(site)) {}

template <Scalar T>
void SoftShrink<T>::forward(MatrixRef<T> A, const Thresholds<T>& thresholds) {
  if (n_largest_ > 0) select(A, thresholds);
  penalty_.prox(A, thresholds);
  for_each_selected([&](Index j, Index i, T& value) { A(j, i) = value; });
}

/// visit(atom, signal, the entry's place in values_) for the entries left as they are.
template <Scalar T>
template <class Visit>
void SoftShrink<T>::for_each_selected(const Visit& visit) {
  for (std::size_t i = 0, k = 0; i < ends_.size(); ++i)
    for (; k < static_cast<std::size_t>(ends_[i]); ++k) visit(selected_[k], static_cast<Index>(i), values_[k]);
}

/// Notes the entries that are among the n_largest_ of their signal and above their thresholds. Ties with the next one are not.
template <Scalar T>
void SoftShrink<T>::select(const ConstMatrixRef<T>& A, const Thresholds<T>& thresholds) {
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
void SoftShrink<T>::backward(const ConstMatrixRef<T>& Z, const Thresholds<T>& thresholds, MatrixRef<T> H,
                             const ThresholdCotangents<T>& cotangents) {
  for_each_selected([&](Index j, Index i, T& value) { value = std::exchange(H(j, i), T(0)); });  // no threshold moves them
  penalty_.prox_vjp(Z, thresholds, H, cotangents);
  for_each_selected([&](Index j, Index i, T& value) { H(j, i) = Z(j, i) != T(0) ? value : T(0); });
}

template class SoftShrink<float>;
template class SoftShrink<double>;

}  // namespace riata
