// TilePass for a dense dictionary, least squares and l1, several times as fast: the first layers, whose codes are dense, in
// products of whole tiles (layers.hpp), and from where the supports have become small, signal by signal on them
// (sparse_layers.hpp), and there they stay. What decides is the tile's own density, so no bit depends on threads.
#pragma once

#include <optional>

#include "riata/operators/dense_dictionary.hpp"
#include "riata/unrolled/layers.hpp"
#include "riata/unrolled/sparse_layers.hpp"

namespace riata {

template <Scalar T>
class AdaptivePass final : public Pass<T> {
 public:
  using Dense = TilePass<DenseDictionary<T>, LeastSquares, L1<T>>;
  using typename Pass<T>::Gradients;

  /// Borrows all but numbers. Without `gram` all layers are dense.
  AdaptivePass(const DenseDictionary<T>& D, const L1<T>& penalty, const GramProblem<T>* gram, const LayerSchedule& schedule,
               int stored, Index tile);
  AdaptivePass(const AdaptivePass&) = delete;  // its parts refer to each other

  void forward(const ConstMatrixRef<T>& X, const ConstVectorRef<T>& reg, Index first, const ConstMatrixRef<T>& Z0) override;

  int n_dense_layers() const { return n_dense_; }  ///< how many ran on the whole tile, in the last forward()
  ConstMatrixRef<T> codes() const override { return all_dense() ? dense_.codes() : ConstMatrixRef<T>(Z_.leftCols(n_)); }
  ConstMatrixRef<T> extrapolated() const override {
    return all_dense() ? dense_.extrapolated() : ConstMatrixRef<T>(Y_.leftCols(n_));
  }
  MatrixRef<T> codes_cotangent() override { return dense_.codes_cotangent(); }
  MatrixRef<T> extrapolated_cotangent() override { return dense_.extrapolated_cotangent(); }

  void backward(const ConstVectorRef<T>& reg, Index first, const Gradients& gradients) override;
  void finish(Parameters<T>& gradient) override;

 private:
  bool all_dense() const { return n_dense_ == schedule_.n_layers(); }
  bool is_sparse(int k, const ConstVectorRef<T>& reg, bool from_zero) const;

  const DenseDictionary<T>& D_;
  const L1<T>& penalty_;
  const LayerSchedule& schedule_;
  const int stored_;
  const Index most_active_;  ///< per signal, for layers on supports to pay
  LeastSquares fit_;
  Dense dense_;
  std::optional<SparseLayers<T>> sparse_;
  int n_dense_ = 0;  ///< layers before the sparse ones
  Index n_ = 0;
  std::optional<ConstMatrixRef<T>> X_;
  Matrix<T> C_, Z_, Y_;
};

}  // namespace riata
