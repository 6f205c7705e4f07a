// A pass over the layers driven by hand, tile by tile: value and gradients of the Lasso loss, summed.
#pragma once

#include <algorithm>
#include <memory>
#include <span>
#include <vector>

#include "riata/operators/dense_dictionary.hpp"
#include "riata/terms/l1.hpp"
#include "riata/unrolled/coupled_layer.hpp"
#include "riata/unrolled/pass.hpp"

namespace riata::testing {

template <class T>
struct PassResult {
  double value = 0;
  Matrix<T> codes, signals;
  Parameters<T> parameters;
  std::vector<double> steps, reg;
  const Matrix<T>& dictionary() const { return parameters.begin()->second; }  ///< of a dictionary with one parameter
};

/// `init`, if not empty, holds the starts, `weights` those of the data fit.
template <class T>
PassResult<T> run_pass(Pass<T>& pass, Index tile, const Dictionary<T>& D, const L1<T>& penalty, const LayerSchedule& schedule,
                       const Matrix<T>& X, const Vector<T>& reg, const Matrix<T>& init = {}, const Matrix<T>& weights = {}) {
  const Index m = D.code_size();
  PassResult<T> result{.codes = Matrix<T>(m, X.cols()),
                       .signals = Matrix<T>::Zero(X.rows(), X.cols()),
                       .parameters = D.parameters(),
                       .steps = std::vector<double>(schedule.steps.size()),
                       .reg = std::vector<double>(static_cast<std::size_t>(X.cols()))};
  for (auto& [name, gradient] : result.parameters) gradient.setZero();
  const auto gradients = [&](Index first, Index n) {
    return LayerGradients<T>{
        .parameters = result.parameters,
        .signals = result.signals.middleCols(first, n),
        .reg = std::span<double>(result.reg).subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(n)),
        .steps = result.steps,
        .dictionary = true};
  };
  for (Index first = 0; first < X.cols(); first += tile) {
    const Index n = std::min(tile, X.cols() - first);
    const Matrix<T> of_tile = weights.size() > 0 ? Matrix<T>(weights.middleCols(first, n)) : Matrix<T>();
    const TileInput<T> input{X.middleCols(first, n), reg.segment(first, n), of_tile};
    pass.forward(input, init.size() > 0 ? Matrix<T>(init.middleCols(first, n)) : Matrix<T>());
    const Matrix<T> Z = pass.codes();
    result.codes.middleCols(first, n) = Z;
    Matrix<T> r(X.rows(), n), weighted, cotangent(m, n);
    D.apply(Z, r);
    r -= X.middleCols(first, n);
    weighted = r;
    input.weigh(weighted);
    for (Index i = 0; i < n; ++i) {
      result.value += 0.5 * static_cast<double>(r.col(i).dot(weighted.col(i))) +
                      static_cast<double>(reg(first + i)) * penalty.value(Z.col(i));
      result.reg[static_cast<std::size_t>(first + i)] += penalty.value(Z.col(i));
    }
    D.accumulate_gradient(1, weighted, Z, result.parameters);
    result.signals.middleCols(first, n) -= weighted;
    D.adjoint(weighted, cotangent);
    penalty.add_subgradient(Z, reg.segment(first, n), cotangent);
    pass.cotangent() = cotangent;
    pass.backward(input, gradients(first, n));
  }
  pass.finish(gradients(0, 0));
  return result;
}

/// The general pass through ISTA or FISTA in any dictionary.
template <class T>
std::unique_ptr<LayerPass<T>> layer_pass(const Dictionary<T>& D, const PenaltyOptions& penalty, const LayerSchedule& schedule,
                                         int stored, Index tile, bool extrapolated = false) {
  const Index m = D.code_size();
  const int n_layers = schedule.n_layers();
  const PassRoom room{n_layers, stored, tile};
  const Shrink<T> shrink(AnyPenalty<T>(penalty, D));
  const CoupledParts<T> parts{.schedule = &schedule};
  std::vector<std::unique_ptr<Layer<T>>> layers;
  typename LayerPass<T>::State state{.n_atoms = m};
  if (schedule.momenta == layer_momenta(n_layers, false)) {
    layers.push_back(std::make_unique<CoupledLayer<T>>(D, shrink, parts, room));
  } else {
    layers.push_back(std::make_unique<FistaLayer<T>>(D, shrink, parts, room));
    state = {.n_atoms = m, .blocks = {m}, .rebuilds = true, .block_is_output = extrapolated};
  }
  return std::make_unique<LayerPass<T>>(std::move(layers), state, room);
}

/// Through it in tiles of two signals, the last one short.
template <class T>
PassResult<T> run_layers(const Dictionary<T>& D, const PenaltyOptions& penalty, const LayerSchedule& schedule, const Matrix<T>& X,
                         const Vector<T>& reg, int stored, const Matrix<T>& init = {}, const Matrix<T>& weights = {},
                         bool extrapolated = false) {
  return run_pass<T>(*layer_pass<T>(D, penalty, schedule, stored, 2, extrapolated), 2, D, L1<T>(penalty, D.code_size()), schedule,
                     X, reg, init, weights);
}

inline double distance(const Matrix<double>& a, const Matrix<double>& b) { return (a - b).norm() / (1 + b.norm()); }
inline Eigen::Map<const Vector<double>> as_vector(const std::vector<double>& v) { return {v.data(), std::ssize(v)}; }

}  // namespace riata::testing
