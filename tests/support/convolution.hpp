// A dictionary that is not the library's own: x = sum_k d_k * z_k (full convolution) by direct sums. Kernels are columns, a code
// holds the activations of one kernel after another.
#pragma once

#include "riata/operators/dense_dictionary.hpp"

namespace riata::testing {

template <class T>
class Convolution final : public Dictionary<T> {
 public:
  Convolution(Matrix<T> kernels, Index signal_size) : kernels_(std::move(kernels)), n_(signal_size) {}

  Index signal_size() const override { return n_; }
  Index code_size() const override { return kernels_.cols() * positions(); }
  void apply(const ConstMatrixRef<T>& Z, MatrixRef<T> X) const override {
    X.setZero();
    visit([&](Index k, Index p, Index t) { X.row(p + t) += kernels_(t, k) * Z.row(k * positions() + p); });
  }
  void adjoint(const ConstMatrixRef<T>& R, MatrixRef<T> Z) const override {
    Z.setZero();
    visit([&](Index k, Index p, Index t) { Z.row(k * positions() + p) += kernels_(t, k) * R.row(p + t); });
  }
  double squared_norm() const override { return DenseDictionary<T>(dense()).squared_norm(); }
  Parameters<T> parameters() const override { return {{"kernels", kernels_}}; }
  void accumulate_gradient(T scale, const ConstMatrixRef<T>& R, const ConstMatrixRef<T>& Z,
                           Parameters<T>& gradient) const override {
    if (const auto own = gradient.find("kernels"); own != gradient.end())
      visit([&](Index k, Index p, Index t) { own->second(t, k) += scale * R.row(p + t).dot(Z.row(k * positions() + p)); });
  }
  void project(Parameters<T>& parameters) const override {
    if (const auto own = parameters.find("kernels"); own != parameters.end())
      project_atoms<T>(own->second, Constraint::unit_sphere);
  }
  std::unique_ptr<Dictionary<T>> at(const Parameters<T>& parameters) const override {
    const auto own = parameters.find("kernels");
    return std::make_unique<Convolution>(own != parameters.end() ? own->second : kernels_, n_);
  }
  std::unique_ptr<Dictionary<double>> in_double() const override {
    return std::make_unique<Convolution<double>>(kernels_.template cast<double>(), n_);
  }

  /// The same map as a matrix, and the gradient of its kernels from that of the matrix.
  Matrix<T> dense() const {
    Matrix<T> A = Matrix<T>::Zero(n_, code_size());
    visit([&](Index k, Index p, Index t) { A(p + t, k * positions() + p) = kernels_(t, k); });
    return A;
  }
  Matrix<T> kernels_gradient(const Matrix<T>& of_dense) const {
    Matrix<T> gradient = Matrix<T>::Zero(kernels_.rows(), kernels_.cols());
    visit([&](Index k, Index p, Index t) { gradient(t, k) += of_dense(p + t, k * positions() + p); });
    return gradient;
  }

 private:
  Index positions() const { return n_ - kernels_.rows() + 1; }
  void visit(const auto& each) const {
    for (Index k = 0; k < kernels_.cols(); ++k)
      for (Index p = 0; p < positions(); ++p)
        for (Index t = 0; t < kernels_.rows(); ++t) each(k, p, t);
  }
  Matrix<T> kernels_;
  Index n_;
};

}  // namespace riata::testing
