// The fast pass, for a dense dictionary, least squares and l1: the first layers, whose codes are dense, in products of whole
// tiles (coupled_layer.hpp), and from where the supports have become small, signal by signal on them (sparse_layers.hpp), and
// there they stay. What decides is the tile's own density, so no bit depends on threads.
#pragma once

#include <optional>

#include "riata/operators/dense_dictionary.hpp"
#include "riata/unrolled/pass.hpp"
#include "riata/unrolled/sparse_layers.hpp"

namespace riata {

template <Scalar T>
class AdaptivePass final : public Pass<T> {
 public:
  /// Takes `dense`, the pass through the same layers; borrows all but numbers. With `extrapolated` the output is y_N.
  AdaptivePass(std::unique_ptr<LayerPass<T>> dense, const DenseDictionary<T>& D, const L1<T>& penalty, const GramProblem<T>& gram,
               const LayerSchedule& schedule, bool extrapolated, const PassRoom& room);

  void forward(const TileInput<T>& input, const ConstMatrixRef<T>& Z0) override;
  int n_dense_layers() const { return n_dense_; }  ///< how many ran on the whole tile, in the last forward()
  ConstMatrixRef<T> codes() const override;
  MatrixRef<T> cotangent() override { return dense_->cotangent(); }
  void backward(const TileInput<T>& input, const LayerGradients<T>& gradients) override;
  void finish(const LayerGradients<T>& gradients) override;

 private:
  bool all_dense() const { return n_dense_ == schedule_.n_layers(); }
  bool is_sparse(int k, const ConstVectorRef<T>& reg, bool from_zero) const;
  /// y_k, after k dense layers.
  MatrixRef<T> input_of(int k) const;

  const std::unique_ptr<LayerPass<T>> dense_;
  const DenseDictionary<T>& D_;
  const L1<T>& penalty_;
  const LayerSchedule& schedule_;
  const bool extrapolated_;
  const int stored_;
  const Index most_active_;  ///< per signal, for layers on supports to pay
  SparseLayers<T> sparse_;
  int n_dense_ = 0;  ///< layers before the sparse ones
  Index n_ = 0;
  Matrix<T> C_, Z_, Y_, cotangent_y_;
};

}  // namespace riata
