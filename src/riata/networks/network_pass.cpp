#include "riata/networks/network_pass.hpp"

#include "riata/core/stopping.hpp"

namespace riata {

template <Scalar T>
NetworkPass<T>::NetworkPass(const NetworkKind<T>& kind, const NetworkModel<T>& model, const Parameters<T>& parameters,
                            int n_layers, bool keep, Index tile)
    : keep_(keep) {
  const Index residual = kind.traits.carries_residual ? model.n_features() : 0;
  for (int t = 0; t < n_layers; ++t) {
    leave_if_stopped();
    layers_.push_back(kind.make({.model = model, .parameters = parameters, .layer = t, .tile = tile, .keep = keep}));
  }
  const std::size_t slots = static_cast<std::size_t>(keep ? n_layers + 1 : 2);
  z_.assign(slots, Matrix<T>(model.n_atoms(), tile));
  v_.assign(slots, Matrix<T>(residual, tile));
  cotangent_z_.resize(model.n_atoms(), tile);
  cotangent_v_.resize(residual, tile);
}

template <Scalar T>
void NetworkPass<T>::start(const TileInput<T>& input, const ConstMatrixRef<T>& Z0) {
  n_ = input.X.cols();
  done_ = 0;
  LayerState<T> first = state(0);
  if (Z0.size() > 0)
    first.z = Z0;
  else
    first.z.setZero();
  first.v.setZero();
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
  cotangent_v_.setZero();
  const LayerState<T> cotangent{cotangent_z_.leftCols(n_), cotangent_v_.leftCols(n_)};
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
