#include "riata/networks/network_pass.hpp"

#include "riata/core/stopping.hpp"

namespace riata {

template <Scalar T>
NetworkPass<T>::NetworkPass(const NetworkKind<T>& kind, const NetworkModel<T>& model, const Parameters<T>& parameters,
                            int n_layers, bool keep, Index tile)
    : keep_(keep) {
  for (int t = 0; t < n_layers; ++t) {
    leave_if_stopped();
    layers_.push_back(kind.make({.model = model, .parameters = parameters, .layer = t, .tile = tile, .keep = keep}));
  }
  const std::size_t slots = static_cast<std::size_t>(keep ? n_layers + 1 : 2);
  z_.assign(slots, Matrix<T>(model.n_atoms(), tile));
  cotangent_z_.resize(model.n_atoms(), tile);
  if (kind.blocks)
    for (const Index rows : kind.blocks(model)) cotangent_blocks_.all.emplace_back(rows, tile);
  blocks_.assign(slots, cotangent_blocks_);
}

template <Scalar T>
void NetworkPass<T>::set_signals(Index n) {
  if (n == n_) return;
  n_ = n;
  const auto show = [n](Blocks& blocks) {
    blocks.of_tile.clear();
    for (Matrix<T>& block : blocks.all) blocks.of_tile.emplace_back(block.leftCols(n));
  };
  for (Blocks& blocks : blocks_) show(blocks);
  show(cotangent_blocks_);
}

template <Scalar T>
void NetworkPass<T>::start(const TileInput<T>& input, const ConstMatrixRef<T>& Z0) {
  set_signals(input.X.cols());
  done_ = 0;
  LayerState<T> first = state(0);
  if (Z0.size() > 0)
    first.z = Z0;
  else
    first.z.setZero();
  layers_.front()->start(first);
}

template <Scalar T>
void NetworkPass<T>::step(const TileInput<T>& input, int layer) {
  leave_if_stopped();
  layers_[static_cast<std::size_t>(layer)]->forward(input, state(layer), state(layer + 1));
  done_ = layer + 1;
}

template <Scalar T>
void NetworkPass<T>::forward(const TileInput<T>& input, const ConstMatrixRef<T>& Z0) {
  start(input, Z0);
  for (int t = 0; t < static_cast<int>(layers_.size()); ++t) step(input, t);
}

template <Scalar T>
void NetworkPass<T>::backward(const TileInput<T>& input, int first, const LayerGradients<T>& gradients) {
  for (Matrix<T>& block : cotangent_blocks_.all) block.setZero();
  const LayerState<T> cotangent{cotangent_z_.leftCols(n_), cotangent_blocks_.of_tile};
  for (int t = static_cast<int>(layers_.size()) - 1; t >= first; --t) {
    leave_if_stopped();
    layers_[static_cast<std::size_t>(t)]->backward(input, state(t), state(t + 1), cotangent, gradients);
  }
}

template <Scalar T>
void NetworkPass<T>::finish(const LayerGradients<T>& gradients) {
  for (const auto& layer : layers_) layer->finish(gradients);
}

template class NetworkPass<float>;
template class NetworkPass<double>;

}  // namespace riata
