// The data fit 1/2 ||D z - x||^2.
#pragma once

#include "riata/core/types.hpp"

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

}  // namespace riata
