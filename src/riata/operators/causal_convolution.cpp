#include "riata/operators/causal_convolution.hpp"

#include <algorithm>
#include <cmath>
#include <complex>
#include <numbers>

#include "riata/core/check.hpp"
#include "riata/linalg/kernels.hpp"

namespace riata {

template <Scalar T>
CausalConvolution<T>::CausalConvolution(Vector<T> kernel, Index n_times) : kernel_(std::move(kernel)), n_times_(n_times) {
  require(kernel_.size() > 0 && n_times > 0, "kernel: {} entries for signals of {} samples; expected at least one of both",
          kernel_.size(), n_times);
  require_finite("operator", "the kernel", kernel_, of_vector);
  if (kernel_.size() > n_times) kernel_.conservativeResize(n_times);
}

template <Scalar T>
void CausalConvolution<T>::apply(const ConstMatrixRef<T>& Z, MatrixRef<T> X) const {
  X.setZero();
  for (Index i = 0; i < Z.cols(); ++i) {
    leave_if_stopped();
    for (Index l = 0; l < kernel_.size(); ++l) add_scaled(n_times_ - l, kernel_(l), Z.col(i).data(), X.col(i).data() + l);
  }
}

template <Scalar T>
void CausalConvolution<T>::adjoint(const ConstMatrixRef<T>& R, MatrixRef<T> Z) const {
  Z.setZero();
  for (Index i = 0; i < R.cols(); ++i) {
    leave_if_stopped();
    for (Index l = 0; l < kernel_.size(); ++l) add_scaled(n_times_ - l, kernel_(l), R.col(i).data() + l, Z.col(i).data());
  }
}

template <Scalar T>
double CausalConvolution<T>::squared_norm() const {
  const Index length = kernel_.size(), n = 16 * length;
  double largest = 0;
  for (Index f = 0; f <= n / 2; ++f) {
    if (f % 1024 == 0) leave_if_stopped();
    std::complex<double> sum = 0;
    const std::complex<double> turn = std::polar(1.0, -2 * std::numbers::pi * static_cast<double>(f) / static_cast<double>(n));
    for (Index l = length - 1; l >= 0; --l) sum = sum * turn + static_cast<double>(kernel_(l));  // Horner
    largest = std::max(largest, std::norm(sum));
  }
  return largest / std::cos(std::numbers::pi * static_cast<double>(length - 1) / static_cast<double>(n));
}

template <Scalar T>
std::unique_ptr<Dictionary<double>> CausalConvolution<T>::in_double() const {
  return std::make_unique<CausalConvolution<double>>(kernel_.template cast<double>(), n_times_);
}

template class CausalConvolution<float>;
template class CausalConvolution<double>;

}  // namespace riata
