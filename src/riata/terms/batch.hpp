// Signals and what belongs to each of them: the data fit of a batch.
//
//   1/2 sum_t w_ti (x - D z)_ti^2,   w in [0, 1]
//
// is diagonal: coloured noise is W x in the dictionary W D. Weights stay below 1 so that ||D||_2^2 is a Lipschitz constant whatever the
// batch; others scale reg. What w = 0 hides may be anything, NaN too.
#pragma once

#include <optional>

#include "riata/core/types.hpp"

namespace riata {

/// A view: what it shows must outlive it. Made of a matrix where there are no weights.
template <Scalar T>
struct Batch {
  template <class Derived>
  Batch(const Eigen::DenseBase<Derived>& signals)  // NOLINT(google-explicit-constructor): signals are a batch
      : X(signals.derived()) {}
  Batch(const ConstMatrixRef<T>& signals, const ConstMatrixRef<T>& mask) : X(signals), weights(mask) {}

  bool is_weighted() const { return weights.has_value(); }
  Index size() const { return X.cols(); }

  ConstMatrixRef<T> X;                       ///< n_features x n_signals
  std::optional<ConstMatrixRef<T>> weights;  ///< of X's shape; absent: ones
};

template <MatrixExpression M>
Batch(const M&) -> Batch<typename M::Scalar>;
template <MatrixExpression M, MatrixOf<typename M::Scalar> W>
Batch(const M&, const W&) -> Batch<typename M::Scalar>;

/// A batch as algorithms read it: checked, with zeros where nothing was seen. Borrows what has no weights.
template <Scalar T>
class SeenBatch {
 public:
  /// @throws std::invalid_argument, beginning with `where`, if the weights have another shape or one is not in [0, 1]
  SeenBatch(const char* where, const Batch<T>& batch);
  SeenBatch(const SeenBatch&) = delete;

  const ConstMatrixRef<T>& X() const { return X_; }
  bool is_weighted() const { return weights_.has_value(); }
  /// Of the signals [first, first + n); 0 x 0 where there are none.
  ConstMatrixRef<T> weights(Index first, Index n) const;

 private:
  Matrix<T> seen_, none_;
  ConstMatrixRef<T> X_;
  std::optional<ConstMatrixRef<T>> weights_;
};

}  // namespace riata
