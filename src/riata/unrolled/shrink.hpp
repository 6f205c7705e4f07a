// The shrinkage of a layer: the prox of a penalty and its derivative (terms/). Selected entries, if any, stay as they are, and no
// threshold moves them: which they are is held constant.
#pragma once

#include <vector>

#include "riata/terms/penalty.hpp"

namespace riata {

template <Scalar T>
class Shrink {
 public:
  /// Of each signal the `n_largest` entries are left as they are, as far as they exceed their thresholds.
  explicit Shrink(AnyPenalty<T> penalty, Index n_largest = 0) : penalty_(std::move(penalty)), n_largest_(n_largest) {}

  bool zeros_are_dead() const { return penalty_.zeros_are_dead(); }
  void forward(MatrixRef<T> A, const Thresholds<T>& thresholds) {
    forward(A, thresholds, [](Index) {});
  }
  /// The same where fill(i) writes column i of A first, which then still is in the nearest cache.
  template <class Fill>
  void forward(MatrixRef<T> A, const Thresholds<T>& thresholds, const Fill& fill) {
    places_.clear();
    signals_.clear();
    values_.clear();
    penalty_.visit([&](const auto& g) {
      for (Index i = 0; i < A.cols(); ++i) {
        fill(i);
        const std::size_t first = places_.size();
        if (n_largest_ > 0) select(A, i, thresholds);
        g.prox(A.middleCols(i, 1), Thresholds<T>(thresholds.rho.segment(i, 1), thresholds.theta));
        for (std::size_t k = first; k < places_.size(); ++k) A(places_[k], i) = values_[k];
      }
    });
  }
  /// Z: what forward() made of A. H: the cotangent of Z, then of A.
  void backward(const ConstMatrixRef<T>& Z, const Thresholds<T>& thresholds, MatrixRef<T> H,
                const ThresholdCotangents<T>& cotangents);

 private:
  void select(const MatrixRef<T>& A, Index signal, const Thresholds<T>& thresholds);
  template <class Visit>
  void for_each_selected(const Visit& visit);

  AnyPenalty<T> penalty_;
  Index n_largest_;
  std::vector<T> sizes_;
  // The tile's entries left as they are: atoms, signals, values.
  std::vector<Index> places_, signals_;
  std::vector<T> values_;
};

}  // namespace riata
