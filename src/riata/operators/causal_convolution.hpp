// A known filter of what came before: x_t = sum_l h_l u_{t - l}, of n_times samples in and out; a code before the first sample is
// 0.
#pragma once

#include "riata/operators/dictionary.hpp"

namespace riata {

/// The lower triangular Toeplitz matrix of a kernel, without the matrix. It has no parameters.
template <Scalar T>
class CausalConvolution final : public Dictionary<T> {
 public:
  /// Samples of the kernel beyond n_times have no effect. @throws std::invalid_argument if one of both is empty or not finite
  CausalConvolution(Vector<T> kernel, Index n_times);

  const Vector<T>& kernel() const { return kernel_; }
  Index signal_size() const override { return n_times_; }
  Index code_size() const override { return n_times_; }
  void apply(const ConstMatrixRef<T>& Z, MatrixRef<T> X) const override;
  void adjoint(const ConstMatrixRef<T>& R, MatrixRef<T> Z) const override;
  /// max |sum_l h_l e^(-i f l)|^2 over a grid of N >= 16 L frequencies f, over cos(pi (L - 1) / N), which bounds it between them.
  double squared_norm() const override;
  Parameters<T> parameters() const override { return {}; }
  void accumulate_gradient(T, const ConstMatrixRef<T>&, const ConstMatrixRef<T>&, Parameters<T>&) const override {}
  void project(Parameters<T>&) const override {}
  std::unique_ptr<Dictionary<T>> at(const Parameters<T>&) const override { return std::make_unique<CausalConvolution>(*this); }
  std::unique_ptr<Dictionary<double>> in_double() const override;

 private:
  Vector<T> kernel_;
  Index n_times_;
};

}  // namespace riata
