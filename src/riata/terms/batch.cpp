#include "riata/terms/batch.hpp"

#include "riata/core/check.hpp"
#include "riata/core/stopping.hpp"

namespace riata {
namespace {

template <Scalar T>
Matrix<T> seen(const char* where, const Batch<T>& batch) {
  if (!batch.is_weighted()) return {};
  const ConstMatrixRef<T>& W = *batch.weights;
  require(W.rows() == batch.X.rows() && W.cols() == batch.X.cols(), "{}: mask has shape ({}, {}), expected the signals' ({}, {})",
          where, W.cols(), W.rows(), batch.X.cols(), batch.X.rows());
  for (Index i = 0; i < W.cols(); ++i) {
    leave_if_stopped();
    for (Index t = 0; t < W.rows(); ++t)
      require(W(t, i) >= T(0) && W(t, i) <= T(1),
              "{}: mask holds {} at signal {}, feature {}; must be between 0 and 1 (divide by the largest, and reg too)", where,
              static_cast<double>(W(t, i)), i, t);
  }
  return (W.array() == T(0)).select(T(0), batch.X);
}

}  // namespace

template <Scalar T>
SeenBatch<T>::SeenBatch(const char* where, const Batch<T>& batch)
    : seen_(seen(where, batch)),
      X_(batch.is_weighted() ? ConstMatrixRef<T>(seen_) : ConstMatrixRef<T>(batch.X)),
      weights_(batch.weights) {}

template <Scalar T>
ConstMatrixRef<T> SeenBatch<T>::weights(Index first, Index n) const {
  return weights_ ? ConstMatrixRef<T>(weights_->middleCols(first, n)) : ConstMatrixRef<T>(none_);
}

template class SeenBatch<float>;
template class SeenBatch<double>;

}  // namespace riata
