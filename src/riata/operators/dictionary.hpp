// What every dictionary offers: a linear map codes -> signals with parameters. Solvers, layers and learners see only this,
// so a convolutional or masked model runs through the same code as a matrix.
#pragma once

#include <concepts>

#include "riata/core/types.hpp"

namespace riata {

template <class D>
concept Dictionary = requires(const D& d, D& mutable_d, const Matrix<typename D::scalar>& codes,
                              const Matrix<typename D::scalar>& signals, MatrixRef<typename D::scalar> out,
                              typename D::scalar scale) {
  requires Scalar<typename D::scalar>;
  { d.signal_size() } -> std::convertible_to<Index>;
  { d.code_size() } -> std::convertible_to<Index>;
  d.apply(codes, out);                                  // out = D Z, columns are signals
  d.adjoint(signals, out);                              // out = D^T R
  d.accumulate_gradient(scale, signals, codes, out);    // out += scale d<R, D Z>/d(parameters)
  { d.squared_norm() } -> std::convertible_to<double>;  // >= ||D||_2^2, to rounding where that is affordable
  { d.parameters() } -> std::convertible_to<const Matrix<typename D::scalar>&>;
};

}  // namespace riata
