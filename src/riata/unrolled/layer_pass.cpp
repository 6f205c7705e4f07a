#include "riata/core/stopping.hpp"
#include "riata/unrolled/pass.hpp"

namespace riata {

template <Scalar T>
LayerPass<T>::LayerPass(std::vector<std::unique_ptr<Layer<T>>> layers, const State& state, const PassRoom& room)
    : layers_(std::move(layers)),
      room_(room),
      rebuilds_(state.rebuilds),
      block_is_output_(state.block_is_output),
      z_(static_cast<std::size_t>(room.stored + 2)),
      blocks_(rebuilds_ ? 1 : z_.size()) {
  const auto add_blocks = [&](Blocks& to) {
    for (const Index rows : state.blocks) to.all.emplace_back(rows, room_.tile);
  };
  for (Matrix<T>& z : z_) z.resize(state.n_atoms, room_.tile);  // memory that nobody has touched yet
  for (Blocks& blocks : blocks_) add_blocks(blocks);
  cotangent_z_.resize(state.n_atoms, room_.tile);
  add_blocks(cotangent_blocks_);
}

template <Scalar T>
void LayerPass<T>::set_signals(Index n) {
  if (n == n_) return;
  n_ = n;
  const auto show = [n](Blocks& blocks) {
    blocks.of_tile.clear();
    for (Matrix<T>& block : blocks.all) blocks.of_tile.emplace_back(block.leftCols(n));
  };
  for (Blocks& blocks : blocks_) show(blocks);
  show(cotangent_blocks_);
}

/// The states N - stored - 1, ..., N are kept; those before them take turns in the first two places.
template <Scalar T>
std::size_t LayerPass<T>::slot(int k) const {
  const int place = k - (room_.n_layers - room_.stored - 1);
  return static_cast<std::size_t>(place >= 0 ? place : (place % 2 + 2) % 2);
}

template <Scalar T>
LayerState<T> LayerPass<T>::state(int k) {
  return {z_[slot(k)].leftCols(n_), blocks_[rebuilds_ ? 0 : slot(k)].of_tile, k};
}

template <Scalar T>
ConstMatrixRef<T> LayerPass<T>::codes() const {
  if (block_is_output_) return blocks_[rebuilds_ ? 0 : slot(done_)].of_tile.front();
  return z_[slot(done_)].leftCols(n_);
}

template <Scalar T>
void LayerPass<T>::start(const TileInput<T>& input, const ConstMatrixRef<T>& Z0) {
  set_signals(input.X.cols());
  done_ = 0;
  LayerState<T> first = state(0);
  if (Z0.size() > 0)
    first.z = Z0;
  else
    first.z.setZero();
  layer(0).start(first);
}

template <Scalar T>
void LayerPass<T>::step(const TileInput<T>& input, int k) {
  leave_if_stopped();
  layer(k).forward(input, state(k), state(k + 1));
  done_ = k + 1;
}

template <Scalar T>
void LayerPass<T>::forward(const TileInput<T>& input, const ConstMatrixRef<T>& Z0) {
  start(input, Z0);
  for (int k = 0; k < room_.n_layers; ++k) step(input, k);
}

template <Scalar T>
MatrixRef<T> LayerPass<T>::cotangent() {
  return block_is_output_ ? cotangent_blocks_.of_tile.front() : MatrixRef<T>(cotangent_z_.leftCols(n_));
}

template <Scalar T>
void LayerPass<T>::backward(const TileInput<T>& input, const LayerGradients<T>& gradients) {
  if (block_is_output_) cotangent_z_.setZero();
  for (std::size_t b = block_is_output_ ? 1 : 0; b < cotangent_blocks_.all.size(); ++b) cotangent_blocks_.all[b].setZero();
  backward(input, gradients, room_.n_layers);
}

template <Scalar T>
void LayerPass<T>::backward(const TileInput<T>& input, const LayerGradients<T>& gradients, int last) {
  for (int k = last - 1; k >= room_.n_layers - room_.stored; --k) {
    leave_if_stopped();
    if (rebuilds_ && k > 0)
      layer(k - 1).rebuild(state(k - 1), state(k));
    else if (rebuilds_)
      layer(0).start(state(0));
    layer(k).backward(input, state(k), state(k + 1), cotangent_state(), gradients);
  }
}

template <Scalar T>
void LayerPass<T>::finish(const LayerGradients<T>& gradients) {
  for (const auto& layer : layers_) layer->finish(gradients);
}

template class LayerPass<float>;
template class LayerPass<double>;

}  // namespace riata
