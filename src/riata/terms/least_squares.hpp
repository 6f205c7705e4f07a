// The data fit 1/2 ||D z - x||^2.
#pragma once

#include "riata/terms/batch.hpp"

namespace riata {

/// What layers ask of a data fit 1/2 ||M^(1/2) (D z - x)||^2: only how M acts. Here M is the identity.
/// `first` is the index of the tile's first signal, for weights that differ from signal to signal.
template <class F, class T>
concept DataFit = requires(const F& fit, MatrixRef<T> residuals, Index first) {
  fit.weigh(residuals, first);
};

struct LeastSquares {
  template <Scalar T>
  void weigh(MatrixRef<T>, Index /*first*/) const {}
};

/// M = diag(w_i), the weights of a batch.
template <Scalar T>
struct WeightedLeastSquares {
  const SeenBatch<T>& batch;
  void weigh(MatrixRef<T> residuals, Index first) const { residuals.array() *= batch.weights(first, residuals.cols()).array(); }
};

}  // namespace riata
