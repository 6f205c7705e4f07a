// The shrinkages of the layers of a network, made for a layer's place in it (unrolled/shrink.hpp).
#pragma once

#include "riata/networks/model.hpp"
#include "riata/unrolled/shrink.hpp"

namespace riata {

/// The prox of the network's penalty, with the layer's support selection.
template <Scalar T>
struct SoftShrink : Shrink<T> {
  explicit SoftShrink(const LayerSite<T>& site)
      : Shrink<T>(AnyPenalty<T>(site.model.penalty(), site.model.dictionary()), site.model.selected_atoms(site.layer)) {}
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

}  // namespace riata
