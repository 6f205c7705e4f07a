#include "riata/unrolled/adaptive_pass.hpp"

#include <algorithm>

#include "riata/core/stopping.hpp"
#include "riata/linalg/blas.hpp"

namespace riata {
namespace {

/// Forward and back, a dense layer costs 12 n m flops per signal, one on the supports 2 m |S| and, of smaller vectors, 4 |U| |S|;
/// U must also be gathered. Measured, with 64 features in 256 atoms: layers on supports pay below about this share.
Index active_atoms_that_pay(Index n_features) { return n_features * 3 / 4; }

}  // namespace

template <Scalar T>
AdaptivePass<T>::AdaptivePass(std::unique_ptr<LayerPass<T>> dense, const DenseDictionary<T>& D, const L1<T>& penalty,
                              const GramProblem<T>& gram, const LayerSchedule& schedule, bool extrapolated, const PassRoom& room)
    : dense_(std::move(dense)),
      D_(D),
      penalty_(penalty),
      schedule_(schedule),
      extrapolated_(extrapolated),
      stored_(room.stored),
      most_active_(active_atoms_that_pay(D.signal_size())),
      sparse_(gram, schedule, room.stored) {
  for (Matrix<T>* A : {&C_, &Z_, &Y_, &cotangent_y_}) A->resize(D.code_size(), room.tile);
}

template <Scalar T>
MatrixRef<T> AdaptivePass<T>::input_of(int k) const {
  const LayerState<T> state = dense_->state(k);
  return state.blocks.empty() ? state.z : state.blocks[0];
}

template <Scalar T>
ConstMatrixRef<T> AdaptivePass<T>::codes() const {
  if (all_dense()) return dense_->codes();
  return (extrapolated_ ? Y_ : Z_).leftCols(n_);
}

template <Scalar T>
void AdaptivePass<T>::forward(const TileInput<T>& input, const ConstMatrixRef<T>& Z0) {
  const int n_layers = schedule_.n_layers();
  n_ = input.X.cols();
  D_.adjoint(input.X, C_.leftCols(n_));
  dense_->start(input, Z0);
  for (n_dense_ = 0; n_dense_ < n_layers && !is_sparse(n_dense_, input.reg, Z0.size() == 0); ++n_dense_)
    dense_->step(input, n_dense_);
  if (all_dense()) return;
  sparse_.open(C_.leftCols(n_), n_dense_);
  const MatrixRef<T> z = dense_->state(n_dense_).z, z_before = dense_->state(std::max(n_dense_ - 1, 0)).z, y = input_of(n_dense_);
  for (Index i = 0; i < n_; ++i) {
    leave_if_stopped();
    sparse_.forward(i, input.reg(i), z.col(i), z_before.col(i), y.col(i), Z_.col(i), Y_.col(i));
  }
}

/// Will layers from k on have few active atoms? Before layer 0, from zero, those it is about to give. A start that was given
/// does not tell, nor does what a step of zero left as it was.
template <Scalar T>
bool AdaptivePass<T>::is_sparse(int k, const ConstVectorRef<T>& reg, bool from_zero) const {
  if (k == 0 && !from_zero) return false;
  if (k > 0 && schedule_.steps[static_cast<std::size_t>(k - 1)] == 0) return false;
  const MatrixRef<T> y = input_of(k);
  Index count = 0;
  for (Index i = 0; i < n_; ++i)
    count += k == 0 && from_zero ? penalty_.count_pulled(C_.rows(), C_.col(i).data(), reg(i))
                                 : count_outside(C_.rows(), y.col(i).data(), T(0), T(0));
  return count <= most_active_ * n_;
}

template <Scalar T>
void AdaptivePass<T>::backward(const TileInput<T>& input, const LayerGradients<T>& gradients) {
  if (all_dense()) return dense_->backward(input, gradients);
  if (stored_ == 0) return;
  const LayerState<T> cotangent = dense_->cotangent_state();
  const bool has_pair = !cotangent.blocks.empty();
  MatrixRef<T> of_z = cotangent.z, of_y = has_pair ? cotangent.blocks[0] : MatrixRef<T>(cotangent_y_.leftCols(n_));
  if (!has_pair) of_y.setZero();
  if (has_pair) (extrapolated_ ? of_z : of_y).setZero();
  for (Index i = 0; i < n_; ++i) {
    leave_if_stopped();
    sparse_.backward(i, input.reg(i), of_z.col(i), of_y.col(i),
                     {.dictionary = gradients.dictionary,
                      .steps = gradients.steps,
                      .reg = gradients.reg.empty() ? nullptr : &gradients.reg[static_cast<std::size_t>(i)]});
  }
  if (!has_pair) of_z += of_y;
  if (gradients.dictionary) D_.accumulate_gradient(T(1), input.X, sparse_.pulls(), gradients.parameters);
  if (gradients.signals.size() > 0) {
    Matrix<T> DP(D_.signal_size(), n_);
    D_.apply(sparse_.pulls(), DP);
    MatrixRef<T>(gradients.signals) += DP;
  }
  dense_->backward(input, gradients, n_dense_);
}

template <Scalar T>
void AdaptivePass<T>::finish(const LayerGradients<T>& gradients) {
  if (gradients.dictionary) sparse_.add_couplings(gradients.parameters.at("dictionary"));
}

template class AdaptivePass<float>;
template class AdaptivePass<double>;

}  // namespace riata
