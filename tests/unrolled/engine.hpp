// A pass over the layers driven by hand, tile by tile: value and gradients of the Lasso loss, summed.
#pragma once

#include <algorithm>
#include <span>
#include <vector>

#include "riata/operators/dense_dictionary.hpp"
#include "riata/terms/l1.hpp"
#include "riata/unrolled/layers.hpp"

namespace riata::testing {

template <class T>
struct PassResult {
  double value = 0;
  Matrix<T> codes, signals;
  Parameters<T> parameters;
  std::vector<double> steps, reg;
  const Matrix<T>& dictionary() const { return parameters.begin()->second; }  ///< of a dictionary with one parameter
};

/// `init`, if not empty, holds the starts. With `extrapolated` y_N is the output.
template <class Pass, class Dict, class Fit, class T = typename Dict::scalar>
PassResult<T> run_pass(Pass& pass, Index tile, const Dict& D, const Fit& fit, const L1<T>& penalty, const LayerSchedule& schedule,
                       const Matrix<T>& X, const Vector<T>& reg, const Matrix<T>& init = Matrix<T>(), bool extrapolated = false) {
  const Index m = D.code_size();
  PassResult<T> result{.codes = Matrix<T>(m, X.cols()),
                       .signals = Matrix<T>::Zero(X.rows(), X.cols()),
                       .parameters = D.parameters(),
                       .steps = std::vector<double>(schedule.steps.size()),
                       .reg = std::vector<double>(static_cast<std::size_t>(X.cols()))};
  for (auto& [name, gradient] : result.parameters) gradient.setZero();
  for (Index first = 0; first < X.cols(); first += tile) {
    const Index n = std::min(tile, X.cols() - first);
    const Matrix<T> start = init.size() > 0 ? Matrix<T>(init.middleCols(first, n)) : Matrix<T>();
    pass.forward(X.middleCols(first, n), reg.segment(first, n), first, start);
    const Matrix<T> Z = extrapolated ? Matrix<T>(pass.extrapolated()) : Matrix<T>(pass.codes());
    result.codes.middleCols(first, n) = Z;
    Matrix<T> r(X.rows(), n), weighted, cotangent(m, n);
    D.apply(Z, r);
    r -= X.middleCols(first, n);
    weighted = r;
    fit.weigh(MatrixRef<T>(weighted), first);
    for (Index i = 0; i < n; ++i) {
      result.value += 0.5 * static_cast<double>(r.col(i).dot(weighted.col(i))) +
                      static_cast<double>(reg(first + i)) * penalty.value(Z.col(i));
      result.reg[static_cast<std::size_t>(first + i)] += penalty.value(Z.col(i));
    }
    D.accumulate_gradient(1, weighted, Z, result.parameters);
    result.signals.middleCols(first, n) -= weighted;
    D.adjoint(weighted, cotangent);
    penalty.add_subgradient(Z, reg.segment(first, n), cotangent);
    pass.codes_cotangent().setZero();
    pass.extrapolated_cotangent().setZero();
    if (extrapolated)
      pass.extrapolated_cotangent() = cotangent;
    else
      pass.codes_cotangent() = cotangent;
    pass.backward(reg.segment(first, n), first,
                  {.parameters = &result.parameters,
                   .signals = result.signals.middleCols(first, n),
                   .steps = result.steps,
                   .reg = std::span<double>(result.reg).subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(n))});
  }
  return result;
}

/// The same by TilePass in tiles of two signals, the last one short.
template <class Dict, class Fit, class T = typename Dict::scalar>
PassResult<T> run_tiles(const Dict& D, const Fit& fit, const L1<T>& penalty, const LayerSchedule& schedule, const Matrix<T>& X,
                        const Vector<T>& reg, int stored, const Matrix<T>& init = Matrix<T>(), bool extrapolated = false) {
  TilePass<Dict, Fit, L1<T>> pass(D, fit, penalty, schedule, stored, 2);
  return run_pass(pass, 2, D, fit, penalty, schedule, X, reg, init, extrapolated);
}

inline double distance(const Matrix<double>& a, const Matrix<double>& b) { return (a - b).norm() / (1 + b.norm()); }
inline Eigen::Map<const Vector<double>> as_vector(const std::vector<double>& v) { return {v.data(), std::ssize(v)}; }

}  // namespace riata::testing
