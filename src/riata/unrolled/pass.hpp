// The layers of one tile of signals, forward and straight back: what a sweep drives, a virtual call per tile. A pass owns the
// workspace of one thread and borrows the rest. Two of them: through any layers, here, and the fused AdaptivePass
// (adaptive_pass.hpp).
#pragma once

#include <memory>
#include <vector>

#include "riata/unrolled/layer.hpp"

namespace riata {

/// What a tile keeps of each signal: so many codes before and after layers, six at work, and so many other columns of `n_rows`.
template <Scalar T>
double bytes_per_signal(int n_codes, Index n_atoms, int n_others, Index n_rows) {
  return sizeof(T) * (static_cast<double>(n_codes + 6) * static_cast<double>(n_atoms) + n_others * static_cast<double>(n_rows));
}

template <Scalar T>
class Pass {
 public:
  virtual ~Pass() = default;

  /// Runs all layers from z = Z0, zero if that is empty. `input` must outlive backward().
  virtual void forward(const TileInput<T>& input, const ConstMatrixRef<T>& Z0) = 0;
  virtual ConstMatrixRef<T> codes() const = 0;  ///< the output
  virtual MatrixRef<T> cotangent() = 0;         ///< the derivative of the loss by the output, to be set before backward()
  /// Back through the layers that are kept. Parameters' gradients are complete only after finish(); those by the signals count
  /// what passes through these layers alone.
  virtual void backward(const TileInput<T>& input, const LayerGradients<T>& gradients) = 0;
  /// Adds what backward() has put aside since the last call.
  virtual void finish(const LayerGradients<T>& gradients) = 0;
};

/// Layer by layer.
template <Scalar T>
class LayerPass final : public Pass<T> {
 public:
  struct State {
    Index n_atoms;
    std::vector<Index> blocks = {};  ///< the rows of each
    bool rebuilds = false;           ///< they follow from the codes, and are not kept
    bool block_is_output = false;    ///< the first of them, instead of the code
  };

  /// `layers`: one for each, or one for all.
  LayerPass(std::vector<std::unique_ptr<Layer<T>>> layers, const State& state, const PassRoom& room);

  void forward(const TileInput<T>& input, const ConstMatrixRef<T>& Z0) override;
  /// The same step by step: start(), then step(input, 0), step(input, 1), ...
  void start(const TileInput<T>& input, const ConstMatrixRef<T>& Z0);
  void step(const TileInput<T>& input, int layer);
  ConstMatrixRef<T> codes() const override;  ///< what the last step() returned
  /// The state before layer k; of those that are not kept, the last two codes are still there.
  LayerState<T> state(int k);

  MatrixRef<T> cotangent() override;
  void backward(const TileInput<T>& input, const LayerGradients<T>& gradients) override;
  /// The same through the layers before `last` alone, whose cotangent_state() this then is.
  void backward(const TileInput<T>& input, const LayerGradients<T>& gradients, int last);
  LayerState<T> cotangent_state() { return {cotangent_z_.leftCols(n_), cotangent_blocks_.of_tile}; }
  void finish(const LayerGradients<T>& gradients) override;

 private:
  struct Blocks {
    std::vector<Matrix<T>> all = {};
    std::vector<MatrixRef<T>> of_tile = {};  // the first n_ columns
  };
  std::size_t slot(int k) const;
  Layer<T>& layer(int k) { return *layers_[layers_.size() == 1 ? 0 : static_cast<std::size_t>(k)]; }
  void set_signals(Index n);

  const std::vector<std::unique_ptr<Layer<T>>> layers_;
  const PassRoom room_;
  const bool rebuilds_, block_is_output_;
  // Before each layer, and after the last.
  std::vector<Matrix<T>> z_;
  std::vector<Blocks> blocks_;
  Matrix<T> cotangent_z_;
  Blocks cotangent_blocks_;
  Index n_ = 0;   // signals of the tile
  int done_ = 0;  // layers
};

}  // namespace riata
