// One layer of an unfolded network, on a tile of signals: what NetworkPass calls.
#pragma once

#include <optional>
#include <span>
#include <string>

#include "riata/networks/model.hpp"

namespace riata {

/// The tile's signals, n_features x n_signals, their weights of the penalty, and those of their entries in the data fit.
template <Scalar T>
struct TileInput {
  ConstMatrixRef<T> X;
  ConstVectorRef<T> reg;
  std::optional<ConstMatrixRef<T>> weights = {};  ///< of X's shape; absent: ones

  /// r = w r, entry by entry
  void weigh(MatrixRef<T> r) const {
    if (weights) r.array() *= weights->array();
  }
};

/// What flows from layer to layer, or its cotangent. Where the shrink says that zeros are dead, the cotangent of z = 0 is never read
/// and may be anything: all layers of a network shrink alike.
template <Scalar T>
struct LayerState {
  MatrixRef<T> z;                       ///< the code, n_atoms x n_signals
  std::span<MatrixRef<T>> blocks = {};  ///< what else the kind declares (kinds.hpp), each with n_signals columns
};

/// Where backward() adds what it finds.
template <Scalar T>
struct LayerGradients {
  Parameters<T>& parameters;  ///< what is not in it is not wanted
  MatrixRef<T> signals;       ///< n_features x n_signals, or 0 x 0
  std::span<double> reg;      ///< one entry per signal, or empty

  Matrix<T>* find(const std::string& name) const {
    const auto found = parameters.find(name);
    return found == parameters.end() ? nullptr : &found->second;
  }
};

/// Owns the workspace of one thread, borrows the rest.
template <Scalar T>
class Layer {
 public:
  virtual ~Layer() = default;
  /// Of the first layer: fills the blocks of the state whose code is the start.
  virtual void start(const LayerState<T>& first) {
    for (MatrixRef<T>& block : first.blocks) block.setZero();
  }
  /// Writes all of `after`.
  virtual void forward(const TileInput<T>& input, const LayerState<T>& before, const LayerState<T>& after) = 0;
  /// Turns the cotangent of `after` into that of `before`. The last forward() was that of the same tile, made to keep.
  virtual void backward(const TileInput<T>& input, const LayerState<T>& before, const LayerState<T>& after,
                        const LayerState<T>& cotangent, const LayerGradients<T>& gradients) = 0;
  /// Adds what backward() has put aside since the last call.
  virtual void finish(const LayerGradients<T>& /*gradients*/) {}
};

}  // namespace riata
