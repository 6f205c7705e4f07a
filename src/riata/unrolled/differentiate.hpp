// A loss of the output of layers and its derivatives, in one sweep: every tile forward, its loss, and straight back. Internal.
#pragma once

#include "riata/core/sweep.hpp"
#include "riata/terms/penalty.hpp"
#include "riata/unrolled/pass.hpp"
#include "riata/unrolled/unrolled.hpp"

namespace riata {

/// 1/2 sum w (D z - target)^2, target x by default, and + reg g(z) where there is a penalty.
template <Scalar T>
struct TileLoss {
  const Dictionary<T>& D;
  const AnyPenalty<T>* penalty;
  double scale = 1;                   ///< of the derivatives
  OptionalMatrixRef<T> targets = {};  ///< of all signals; x, where there are none, is differentiated too

  /// The tile's loss at Z, in double and not scaled. Adds the explicit derivatives that are wanted, and writes that by Z unless
  /// its `cotangent` is 0 x 0.
  double operator()(Index first, const TileInput<T>& input, const ConstMatrixRef<T>& Z, MatrixRef<T> cotangent,
                    const LayerGradients<T>& gradients) const;
};

/// <cotangent, codes>
template <Scalar T>
struct AlongLoss {
  const ConstMatrixRef<T>& cotangents;
  double operator()(Index first, const TileInput<T>&, const ConstMatrixRef<T>& Z, MatrixRef<T> cotangent,
                    const LayerGradients<T>&) const {
    const auto given = cotangents.middleCols(first, Z.cols());
    if (cotangent.size() > 0) cotangent = given;
    return Z.template cast<double>().cwiseProduct(given.template cast<double>()).sum();
  }
};

/// What a sweep is to find.
template <Scalar T>
struct Wanted {
  Parameters<T> parameters = {};  ///< zeros, in the place of the gradients
  bool dictionary = false;        ///< the dictionary's are among them
  int steps = 0;                  ///< so many layers' steps
  bool reg = false, signals = false, codes = false, usage = false;
  bool back = false;  ///< is there anything to go back for?
};

/// The sums of tiles.
template <Scalar T>
struct LayerSums {
  double value = 0;
  Parameters<T> parameters = {};
  Vector<double> steps = {}, usage = {};

  LayerSums& operator+=(const LayerSums& other) {
    value += other.value;
    for (const auto& [name, values] : other.parameters) parameters.at(name) += values;
    steps += other.steps;
    usage += other.usage;
    return *this;
  }
};

/// `call` has X, the shape of reg, tile(first, n) and start(first, n); `make_pass` gives a pass that keeps what `wanted` needs;
/// loss(first, input, Z, cotangent, gradients) is as TileLoss. Value and usage are multiplied by `scale`.
template <Scalar T>
UnrolledGradient<T> differentiate(const auto& call, const Partition& parts, const Execution& execution, const auto& make_pass,
                                  Wanted<T> wanted, double scale, const auto& loss) {
  const Index n_signals = call.X.cols(), n_atoms = call.n_atoms();
  UnrolledGradient<T> result;
  if (wanted.codes) result.codes.resize(n_atoms, n_signals);
  if (wanted.signals) result.signals.setZero(call.X.rows(), n_signals);
  std::vector<double> by_reg(wanted.reg ? static_cast<std::size_t>(n_signals) : 0);
  Matrix<T> nothing;
  const auto gradients_of = [&](LayerSums<T>& sums, Index first, Index n) {
    return LayerGradients<T>{
        .parameters = sums.parameters,
        .signals = wanted.signals ? MatrixRef<T>(result.signals.middleCols(first, n)) : MatrixRef<T>(nothing),
        .reg = wanted.reg ? std::span(by_reg).subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(n))
                          : std::span<double>(),
        .steps = std::span(sums.steps.data(), static_cast<std::size_t>(sums.steps.size())),
        .dictionary = wanted.dictionary};
  };
  const LayerSums<T> zero{.parameters = std::move(wanted.parameters),
                          .steps = Vector<double>::Zero(wanted.steps),
                          .usage = Vector<double>::Zero(wanted.usage ? n_atoms : 0)};
  LayerSums<T> total = sweep(
      parts, n_signals, execution, zero, make_pass,
      [&](Index first, Index n, Pass<T>& pass, LayerSums<T>& sums) {
        const TileInput<T> input = call.tile(first, n);
        const LayerGradients<T> gradients = gradients_of(sums, first, n);
        pass.forward(input, call.start(first, n));
        const ConstMatrixRef<T> Z = pass.codes();
        if (wanted.codes) result.codes.middleCols(first, n) = Z;
        if (wanted.usage) sums.usage += Z.template cast<double>().rowwise().squaredNorm();
        sums.value += loss(first, input, Z, wanted.back ? pass.cotangent() : MatrixRef<T>(nothing), gradients);
        if (wanted.back) pass.backward(input, gradients);
      },
      [&](Pass<T>& pass, LayerSums<T>& sums) {
        if (wanted.back) pass.finish(gradients_of(sums, 0, 0));
        sums.value *= scale;
        sums.usage *= scale;
      });
  result.value = total.value;
  result.parameters = std::move(total.parameters);
  result.steps = std::move(total.steps);
  result.usage = std::move(total.usage);
  if (wanted.reg) {
    const Eigen::Map<const Vector<double>> all(by_reg.data(), n_signals);
    result.reg = call.reg_shape.is_per_signal() ? Vector<double>(all) : Vector<double>::Constant(1, all.sum());
  }
  return result;
}

}  // namespace riata
