// One layer of an unfolded network, on a tile of signals: what LayerPass calls.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "riata/core/parameters.hpp"

namespace riata {

/// The tile's signals, n_features x n_signals, their weights of the penalty, and those of their entries in the data fit.
template <Scalar T>
struct TileInput {
  ConstMatrixRef<T> X;
  ConstVectorRef<T> reg;
  ConstMatrixRef<T> weights = Matrix<T>();  ///< of X's shape, or 0 x 0: ones

  bool is_weighted() const { return weights.size() > 0; }
  /// r = w r, entry by entry
  void weigh(MatrixRef<T> r) const {
    if (is_weighted()) r.array() *= weights.array();
  }
};

/// What a pass and its layers have room for.
struct PassRoom {
  int n_layers;
  int stored;  ///< the last layers, through which backward() goes: only their states are kept
  Index tile;  ///< the most signals at a time
};

/// The scalars of layers of ISTA or FISTA: alpha_k = s_k / L and m_k, one entry per layer, and of which part of reg the layer's
/// weight is.
struct LayerSchedule {
  std::vector<double> steps;
  std::vector<double> momenta;
  std::vector<double> reg_shares = {};  ///< empty: ones
  double lipschitz = 1;
  double reg_share(int k) const { return reg_shares.empty() ? 1 : reg_shares[static_cast<std::size_t>(k)]; }
  int n_layers() const { return static_cast<int>(steps.size()); }
};

/// m_k = (t_k - 1) / t_{k+1} of Beck and Teboulle (2009), or zeros.
std::vector<double> layer_momenta(int n_layers, bool accelerate);

/// What flows from layer to layer, or its cotangent. Where the shrink says that zeros are dead, the cotangent of z = 0 is never
/// read and may be anything: all layers of a network shrink alike.
template <Scalar T>
struct LayerState {
  MatrixRef<T> z;                       ///< the code, n_atoms x n_signals
  std::span<MatrixRef<T>> blocks = {};  ///< what else the kind declares (kinds.hpp), each with n_signals columns
  int number = 0;                       ///< of the layer whose input it is
};

/// An array of the parameters and its name in the pack.
template <Scalar T>
struct NamedArray {
  std::string name;
  const Matrix<T>& values;
};

/// Where backward() adds what it finds.
template <Scalar T>
struct LayerGradients {
  Parameters<T>& parameters;     ///< what is not in it is not wanted
  MatrixRef<T> signals;          ///< n_features x n_signals, or 0 x 0
  std::span<double> reg;         ///< one entry per signal, or empty
  std::span<double> steps = {};  ///< by the factors of a schedule's steps, one per layer; or empty
  bool dictionary = false;       ///< `parameters` holds the dictionary's

  Matrix<T>* find(const std::string& name) const {
    const auto found = parameters.find(name);
    return found == parameters.end() ? nullptr : &found->second;
  }
};

/// Owns the workspace of one thread, borrows the rest. One object may serve several layers, which it tells by the number of
/// `before`.
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
  /// Of kinds whose blocks follow from the codes (KindTraits::rebuilds) and are not kept: those of `after` once more.
  virtual void rebuild(const LayerState<T>& /*before*/, const LayerState<T>& /*after*/) {}
  /// Turns the cotangent of `after` into that of `before`. The last forward() of this layer was that of the same tile, made to
  /// keep.
  virtual void backward(const TileInput<T>& input, const LayerState<T>& before, const LayerState<T>& after,
                        const LayerState<T>& cotangent, const LayerGradients<T>& gradients) = 0;
  /// Adds what backward() has put aside since the last call.
  virtual void finish(const LayerGradients<T>& /*gradients*/) {}
};

}  // namespace riata
