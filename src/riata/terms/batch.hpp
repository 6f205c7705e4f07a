// Signals and what belongs to each of them: the data fit of a batch.
//
//   1/2 sum_t w_ti (x - D z)_ti^2,   w in [0, 1]
//
// is diagonal: coloured noise is W x in the dictionary W D. Weights stay below 1 so that ||D||_2^2 is a Lipschitz constant
// whatever the batch; others scale reg. What w = 0 hides may be anything, NaN too.
#pragma once

#include <memory>
#include <optional>

#include "riata/core/types.hpp"

namespace riata {

/// A view that shares with its copies what had to be copied for it: expressions, rows, strides. Eigen's would point to what is
/// gone.
template <Scalar T>
class KeptMatrixRef : public ConstMatrixRef<T> {
 public:
  template <class Derived>
  KeptMatrixRef(const Eigen::DenseBase<Derived>& A)  // NOLINT(google-explicit-constructor): as Eigen's
      : KeptMatrixRef(std::make_shared<const ConstMatrixRef<T>>(A.derived())) {}

 private:
  explicit KeptMatrixRef(std::shared_ptr<const ConstMatrixRef<T>> kept) : ConstMatrixRef<T>(*kept), kept_(std::move(kept)) {}
  std::shared_ptr<const ConstMatrixRef<T>> kept_;
};

/// As KeptMatrixRef, or absent. Does not decide T.
template <Scalar T>
using OptionalKeptRef = NonDeduced<std::optional<KeptMatrixRef<T>>>;

/// Weights, or what was seen: booleans.
template <class Mask, class T>
concept MaskScalar = std::same_as<typename Mask::Scalar, T> || std::same_as<typename Mask::Scalar, bool>;

/// A view: the matrices that it shows must outlive it. Made of a matrix where there are no weights.
template <Scalar T>
struct Batch {
  template <class Derived>
  Batch(const Eigen::DenseBase<Derived>& signals)  // NOLINT(google-explicit-constructor): signals are a batch
      : X(signals) {}
  template <class Derived, MaskScalar<T> Mask>
  Batch(const Eigen::DenseBase<Derived>& signals, const Eigen::DenseBase<Mask>& mask)
      : X(signals), weights(mask.derived().template cast<T>()) {}

  bool is_weighted() const { return weights.has_value(); }
  Index size() const { return X.cols(); }

  KeptMatrixRef<T> X;                       ///< n_features x n_signals
  std::optional<KeptMatrixRef<T>> weights;  ///< of X's shape; absent: ones
};

template <MatrixExpression M>
Batch(const M&) -> Batch<typename M::Scalar>;
template <MatrixExpression M, MaskScalar<typename M::Scalar> Mask>
Batch(const M&, const Eigen::DenseBase<Mask>&) -> Batch<typename M::Scalar>;

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
