// The forward and backward pass of a network over one tile of signals. Owns one thread's workspace, borrows the rest.
#pragma once

#include <memory>
#include <vector>

#include "riata/networks/kinds.hpp"

namespace riata {

template <Scalar T>
class NetworkPass {
 public:
  /// With `keep`, backward() may be called.
  NetworkPass(const NetworkKind<T>& kind, const NetworkModel<T>& model, const Parameters<T>& parameters, int n_layers, bool keep,
              Index tile);

  /// Runs the layers from z = Z0, or zero if it is empty.
  void forward(const TileInput<T>& input, const ConstMatrixRef<T>& Z0);
  /// The output of layer `layer` alone: start(), then step(input, 0), step(input, 1), ... is forward().
  void start(const TileInput<T>& input, const ConstMatrixRef<T>& Z0);
  void step(const TileInput<T>& input, int layer);

  /// What the last step() returned.
  auto codes() const { return z_[slot(done_)].leftCols(n_); }

  /// To be set before backward(): the derivative of the loss by the output.
  auto codes_cotangent() { return cotangent_z_.leftCols(n_); }
  /// Through the layers n_layers - 1, ..., first. Derivatives by the signals count what passes through these layers alone.
  void backward(const TileInput<T>& input, int first, const LayerGradients<T>& gradients);
  /// Adds what backward() has put aside since the last call.
  void finish(const LayerGradients<T>& gradients);

 private:
  std::size_t slot(int layer) const { return static_cast<std::size_t>(keep_ ? layer : layer % 2); }
  LayerState<T> state(int layer) { return {z_[slot(layer)].leftCols(n_), blocks_[slot(layer)].of_tile}; }
  void set_signals(Index n);

  const bool keep_;
  std::vector<std::unique_ptr<Layer<T>>> layers_;
  // Before each layer, and after the last.
  std::vector<Matrix<T>> z_;
  struct Blocks {
    std::vector<Matrix<T>> all = {};
    std::vector<MatrixRef<T>> of_tile = {};  // the first n_ columns
  };
  std::vector<Blocks> blocks_;
  Matrix<T> cotangent_z_;
  Blocks cotangent_blocks_;
  Index n_ = 0;   // signals of the tile
  int done_ = 0;  // layers
};

}  // namespace riata
