// The shrinkages of the layers: the prox of a penalty and its derivative (terms/), made for a layer's place in its network.
// Of L1 the selected entries, if any, stay as they are, and no threshold moves them: which they are is held constant.
#pragma once

#include <vector>

#include "riata/networks/model.hpp"
#include "riata/terms/group_l1.hpp"
#include "riata/terms/l0.hpp"
#include "riata/terms/l1.hpp"

namespace riata {

template <Scalar T>
class SoftShrink {
 public:
  static constexpr bool zeros_are_dead = L1<T>::zeros_are_dead;
  explicit SoftShrink(const LayerSite<T>& site);
  void forward(MatrixRef<T> A, const Thresholds<T>& thresholds);
  /// Z: what forward() made of A. H: the cotangent of Z, then of A.
  void backward(const ConstMatrixRef<T>& Z, const Thresholds<T>& thresholds, MatrixRef<T> H,
                const ThresholdCotangents<T>& cotangents);

 private:
  void select(const ConstMatrixRef<T>& A, const Thresholds<T>& thresholds);
  template <class Visit>
  void for_each_selected(const Visit& visit);

  L1<T> penalty_;
  Index n_largest_ = 0;  // entries to leave as they are; 0 without support selection
  std::vector<T> sizes_;
  // Of the tile: the entries left as they are, and where each signal's end.
  std::vector<Index> selected_, ends_;
  std::vector<T> values_;
};

template <Scalar T>
struct HardShrink {
  explicit HardShrink(const LayerSite<T>& /*site*/) {}
  void forward(MatrixRef<T> A, const Thresholds<T>& thresholds) const { hard_threshold<T>(A, thresholds); }
  void backward(const ConstMatrixRef<T>& Z, const Thresholds<T>& /*thresholds*/, MatrixRef<T> H,
                const ThresholdCotangents<T>& cotangents) const {
    hard_threshold_vjp<T>(Z, H, cotangents);
  }
};

template <Scalar T>
class GroupShrink {
 public:
  static constexpr bool zeros_are_dead = GroupL1<T>::zeros_are_dead;
  explicit GroupShrink(const LayerSite<T>& site)
      : penalty_({.kind = PenaltyKind::group, .groups = site.model.options.groups}, site.model.n_atoms()) {}
  void forward(MatrixRef<T> A, const Thresholds<T>& thresholds) const { penalty_.prox(A, thresholds); }
  void backward(const ConstMatrixRef<T>& Z, const Thresholds<T>& thresholds, MatrixRef<T> H,
                const ThresholdCotangents<T>& cotangents) const {
    penalty_.prox_vjp(Z, thresholds, H, cotangents);
  }

 private:
  GroupL1<T> penalty_;
};

}  // namespace riata
