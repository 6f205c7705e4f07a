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
AdaptivePass<T>::AdaptivePass(const DenseDictionary<T>& D, const L1<T>& penalty, const GramProblem<T>* gram,
                              const LayerSchedule& schedule, int stored, Index tile)
    : D_(D),
      penalty_(penalty),
      schedule_(schedule),
      stored_(stored),
      most_active_(active_atoms_that_pay(D.signal_size())),
      dense_(D, fit_, penalty, schedule, stored, tile) {
  if (gram == nullptr) return;
  sparse_.emplace(*gram, schedule, stored);
  for (Matrix<T>* A : {&C_, &Z_, &Y_}) A->resize(D.code_size(), tile);
}

template <Scalar T>
void AdaptivePass<T>::forward(const ConstMatrixRef<T>& X, const ConstVectorRef<T>& reg, Index first,
                              const ConstMatrixRef<T>& Z0) {
  const int n_layers = schedule_.n_layers();
  n_ = X.cols();
  X_.emplace(X);
  if (sparse_) D_.adjoint(X, C_.leftCols(n_));
  dense_.start(n_, Z0);
  for (n_dense_ = 0; n_dense_ < n_layers && !is_sparse(n_dense_, reg, Z0.size() == 0); ++n_dense_)
    dense_.step(X, reg, first, n_dense_);
  if (all_dense()) return;
  sparse_->open(C_.leftCols(n_), n_dense_);
  const auto z = dense_.z(n_dense_), z_before = dense_.z(std::max(n_dense_ - 1, 0)), y = dense_.y();
  for (Index i = 0; i < n_; ++i) {
    leave_if_stopped();
    sparse_->forward(i, reg(i), z.col(i), z_before.col(i), y.col(i), Z_.col(i), Y_.col(i));
  }
}

/// Will layers from k on have few active atoms? Before layer 0, from zero, those it is about to give. A start that was given
/// does not tell, nor does what a step of zero left as it was.
template <Scalar T>
bool AdaptivePass<T>::is_sparse(int k, const ConstVectorRef<T>& reg, bool from_zero) const {
  if (!sparse_ || (k == 0 && !from_zero)) return false;
  if (k > 0 && schedule_.steps[static_cast<std::size_t>(k - 1)] == 0) return false;
  Index count = 0;
  for (Index i = 0; i < n_; ++i)
    count += k == 0 && from_zero ? penalty_.count_pulled(C_.rows(), C_.col(i).data(), reg(i))
                                 : count_outside(C_.rows(), dense_.y().col(i).data(), T(0), T(0));
  return count <= most_active_ * n_;
}

template <Scalar T>
void AdaptivePass<T>::backward(const ConstVectorRef<T>& reg, Index first, const Gradients& given) {
  if (all_dense()) {
    dense_.backward(reg, first, given);
    return;
  }
  if (stored_ == 0) return;
  Gradients gradients = given;
  auto cotangent_z = codes_cotangent(), cotangent_y = extrapolated_cotangent();
  for (Index i = 0; i < n_; ++i) {
    leave_if_stopped();
    sparse_->backward(i, reg(i), cotangent_z.col(i), cotangent_y.col(i),
                      {.dictionary = gradients.parameters != nullptr,
                       .steps = gradients.steps,
                       .reg = gradients.reg.empty() ? nullptr : &gradients.reg[static_cast<std::size_t>(i)]});
  }
  if (gradients.parameters != nullptr) D_.accumulate_gradient(T(1), *X_, sparse_->pulls(), *gradients.parameters);
  if (gradients.signals.size() > 0) {
    Matrix<T> DP(D_.signal_size(), n_);
    D_.apply(sparse_->pulls(), DP);
    gradients.signals += DP;
  }
  dense_.backward(reg, first, gradients, n_dense_);
}

template <Scalar T>
void AdaptivePass<T>::finish(Parameters<T>& gradient) {
  if (sparse_) sparse_->add_couplings(gradient.at("dictionary"));
}

template class AdaptivePass<float>;
template class AdaptivePass<double>;

}  // namespace riata
