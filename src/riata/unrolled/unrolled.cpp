#include "riata/unrolled/unrolled.hpp"

#include <algorithm>
#include <cmath>
#include <memory>

#include "riata/core/check.hpp"
#include "riata/core/stopping.hpp"
#include "riata/linalg/tiles.hpp"
#include "riata/operators/units.hpp"
#include "riata/solvers/certificate.hpp"
#include "riata/solvers/tile_certificate.hpp"
#include "riata/unrolled/differentiate.hpp"
#include "riata/unrolled/unrolled_layers.hpp"

namespace riata {

void UnrolledOptions::validate() const {
  check_options(*this);
  require(steps.empty() || std::ssize(steps) == n_layers, "steps: {} entries for {} layers; they must be equal", steps.size(),
          n_layers);
  for (std::size_t i = 0; i < steps.size(); ++i)
    require(std::isfinite(steps[i]), "steps: entry {} is {}, must be finite", i, steps[i]);
}

namespace {

template <Scalar T>
Partition partition(const Dictionary<T>& D, Index n_signals, int stored) {
  Index n_parameters = 0;
  for (const auto& [name, values] : D.parameters()) n_parameters += values.size();
  return riata::partition(n_signals, {.bytes_per_signal = bytes_per_signal<T>(stored, D.code_size(), stored + 2, D.signal_size()),
                                      .left_entries = n_parameters,
                                      .lane_bytes = sizeof(T) * static_cast<double>(n_parameters)});
}

/// The arguments of all three entry points, checked and completed. Atoms have their unit (units.hpp); signals get one for all
/// where derivatives are summed, otherwise they and reg are as given.
template <Scalar T>
struct Problem {
  Problem(const char* where, const Batch<T>& batch, const Dictionary<T>& dictionary, const Reg& weight,
          const UnrolledOptions& options, bool one_unit, T largest_target = 0)
      : execution(options.execution),
        reg_shape(weight),
        scope(options.execution),
        seen(where, batch),
        unit(reg_unit(options.penalty.kind)),
        e(one_unit && unit != RegUnit::absolute ? signal_exponent(std::max(largest_entry<T>(seen.X()), largest_target)) : 0),
        atoms(dictionary, unit),
        X_in_unit(e == 0 ? Matrix<T>() : Matrix<T>(shifted(seen.X(), -e))),
        X(e == 0 ? seen.X() : ConstMatrixRef<T>(X_in_unit)),
        D(atoms.dictionary()),
        f(atoms.exponent()),
        layers(options, D, f,
               {.weighted = seen.is_weighted(), .gram_pays = gram_pays(D.code_size(), options.n_layers, X.cols())}) {
    require_signals<T>(where, seen.X(), dictionary);
    reg = resolve_reg<T>(weight, batch, dictionary, options.penalty, options.execution);
    if (unit == RegUnit::absolute) TileUnits<T>(f, unit).open(seen.X(), reg);  // which refuses what needs a unit
    if (one_unit)
      for (T& r : reg) r = shifted_reg(r, weight_exponent());
  }
  int weight_exponent() const { return unit == RegUnit::squared ? 2 * e : e + f; }  // of reg

  TileInput<T> tile(Index first, Index n) const {
    return {X.middleCols(first, n), reg.segment(first, n), seen.weights(first, n)};
  }

  Index n_atoms() const { return D.code_size(); }
  Matrix<T> start(Index /*first*/, Index /*n*/) const { return {}; }
  UnrolledGradient<T> differentiate(int stored, Wanted<T> wanted, double scale, const auto& loss) const {
    const Partition parts = partition<T>(D, X.cols(), stored);
    return riata::differentiate<T>(
        *this, parts, execution, [&] { return layers.make_pass(stored, parts.tile); }, std::move(wanted), scale, loss);
  }

  const Execution& execution;
  const Reg& reg_shape;
  StopScope scope;
  const SeenBatch<T> seen;
  const RegUnit unit;
  const int e;
  const UnitAtoms<T> atoms;
  const Matrix<T> X_in_unit;
  const ConstMatrixRef<T> X;
  const Dictionary<T>& D;
  const int f;
  const UnrolledLayers<T> layers;
  Vector<T> reg;
};

/// A <- 2^e A. @throws std::invalid_argument if that overflows; what was not finite before is left as it is: layers may diverge
template <class Derived>
void leave_unit(const char* what, Eigen::DenseBase<Derived>& A, int e) {
  if (e == 0 || A.size() == 0) return;
  const typename Derived::PlainObject computed = A.derived();
  A.derived() = shifted(A, e).eval();
  require_fits(what, computed, A);
}

/// The derivatives in the units of the caller. `output` is that of the value: 2e of a loss, e - f of a code.
template <Scalar T>
void leave_units(UnrolledGradient<T>& g, const Problem<T>& problem, int output) {
  const int e = problem.e, f = problem.f;
  if (e == 0 && f == 0) return;
  g.value = std::ldexp(g.value, output);
  for (auto& [name, gradient] : g.parameters) leave_unit("the gradient by the dictionary", gradient, output - f);
  leave_unit("the gradient by the steps", g.steps, output);
  leave_unit("the gradient by reg", g.reg, output - problem.weight_exponent());
  leave_unit("the gradient by the signals", g.signals, output - e);
  leave_unit("the codes", g.codes, e - f);
  leave_unit("the codes' squares", g.usage, 2 * (e - f));
}

}  // namespace

template <Scalar T>
Matrix<T> unrolled_encode(const NonDeduced<Batch<T>>& batch, const Dictionary<T>& D, const Reg& reg,
                          const UnrolledOptions& options, const OptionalMatrixRef<T>& init) {
  const Problem<T> problem("unrolled_encode", batch, D, reg, options, false);
  const ConstMatrixRef<T>& X = problem.X;
  if (init) require_codes<T>("unrolled_encode", "init", *init, X.cols(), D.code_size());
  const Partition parts = partition<T>(problem.D, X.cols(), 0);
  Matrix<T> codes(D.code_size(), X.cols());
  for_each_tile(
      parts, X.cols(), options.execution, [&] { return problem.layers.make_pass(0, parts.tile); },
      [&](Index first, Index n, auto& pass) {
        TileUnits<T> units(problem.f, problem.unit);
        units.open(X.middleCols(first, n), problem.reg.segment(first, n));
        Matrix<T> start = init ? Matrix<T>(init->middleCols(first, n)) : Matrix<T>();
        units.enter(start);
        pass.forward({units.X(), units.reg(), problem.seen.weights(first, n)}, start);
        auto Z = codes.middleCols(first, n);
        Z = pass.codes();
        const Matrix<T> in_unit = units.none() ? Matrix<T>() : Matrix<T>(Z);
        units.leave(Z);
        if (!units.none()) require_fits("unrolled_encode: the codes", in_unit, Z);
      });
  return codes;
}

template <Scalar T>
UnrolledGradient<T> unrolled_gradient(const NonDeduced<Batch<T>>& batch, const Dictionary<T>& D_given, const Reg& reg,
                                      const UnrolledOptions& options, const GradientOptions& wanted,
                                      const OptionalMatrixRef<T>& target_given) {
  Matrix<T> target;  // what was seen of it, in the unit
  if (target_given && batch.is_weighted() && batch.weights->cols() == target_given->cols() &&
      batch.weights->rows() == target_given->rows())
    target = (batch.weights->array() == T(0)).select(T(0), *target_given);
  std::optional<ConstMatrixRef<T>> fitted(target_given);
  if (target.size() > 0) fitted.emplace(target);
  const T largest_target = fitted ? largest_entry<T>(*fitted) : T(0);
  const Problem<T> problem("unrolled_gradient", batch, D_given, reg, options, true, largest_target);
  const ConstMatrixRef<T>& X = problem.X;
  const int kept = kept_layers(wanted.backprop, options.n_layers);
  if (fitted) {
    require(fitted->rows() == X.rows() && fitted->cols() == X.cols(),
            "unrolled_gradient: targets has shape ({}, {}), expected the signals' ({}, {})", fitted->cols(), fitted->rows(),
            X.cols(), X.rows());
    require_in_range<T>("unrolled_gradient", "targets", *fitted);
    if (problem.e != 0) {
      target = shifted(*fitted, -problem.e).eval();
      fitted.emplace(target);
    }
  }
  const bool back = kept > 0 && (wanted.dictionary || wanted.steps || wanted.reg || wanted.signals);
  const double scale = wanted.reduction == Reduction::mean ? 1.0 / static_cast<double>(X.cols()) : 1.0;
  auto result = problem.differentiate(
      back ? kept : 0,
      {.parameters = wanted.dictionary ? zeros_like(problem.D.parameters()) : Parameters<T>(),
       .dictionary = wanted.dictionary,
       .steps = wanted.steps ? options.n_layers : 0,
       .reg = wanted.reg,
       .signals = wanted.signals,
       .codes = wanted.codes,
       .usage = wanted.usage,
       .back = back},
      scale, TileLoss<T>{problem.D, wanted.loss == Loss::lasso ? &problem.layers.penalty() : nullptr, scale, fitted});
  leave_units(result, problem, 2 * problem.e);
  return result;
}

template <Scalar T>
UnrolledGradient<T> unrolled_vjp(const NonDeduced<Batch<T>>& batch, const Dictionary<T>& D, const Reg& reg,
                                 const NonDeduced<ConstMatrixRef<T>>& cotangent, const UnrolledOptions& options,
                                 std::optional<int> backprop) {
  const Problem<T> problem("unrolled_vjp", batch, D, reg, options, true);
  const int kept = kept_layers(backprop, options.n_layers);
  require_codes<T>("unrolled_vjp", "cotangent", cotangent, batch.size(), D.code_size());
  auto result = problem.differentiate(kept,
                                      {.parameters = zeros_like(problem.D.parameters()),
                                       .dictionary = true,
                                       .steps = options.n_layers,
                                       .reg = true,
                                       .signals = true,
                                       .codes = true,
                                       .back = true},
                                      1, AlongLoss<T>{cotangent});
  leave_units(result, problem, problem.e - problem.f);
  return result;
}

template <Scalar T>
double unrolled_loss(const NonDeduced<Batch<T>>& batch, const Dictionary<T>& D, const Reg& reg, const UnrolledOptions& options,
                     const GradientOptions& wanted) {
  GradientOptions value_only{.loss = wanted.loss, .backprop = 0, .reduction = wanted.reduction};
  value_only.dictionary = value_only.steps = value_only.reg = value_only.codes = false;
  return unrolled_gradient<T>(batch, D, reg, options, value_only).value;
}

#define RIATA_INSTANTIATE(T)                                                                                                   \
  template Matrix<T> unrolled_encode<T>(const Batch<T>&, const Dictionary<T>&, const Reg&, const UnrolledOptions&,             \
                                        const OptionalMatrixRef<T>&);                                                          \
  template UnrolledGradient<T> unrolled_gradient<T>(const Batch<T>&, const Dictionary<T>&, const Reg&, const UnrolledOptions&, \
                                                    const GradientOptions&, const OptionalMatrixRef<T>&);                      \
  template UnrolledGradient<T> unrolled_vjp<T>(const Batch<T>&, const Dictionary<T>&, const Reg&, const ConstMatrixRef<T>&,    \
                                               const UnrolledOptions&, std::optional<int>);                                    \
  template double unrolled_loss<T>(const Batch<T>&, const Dictionary<T>&, const Reg&, const UnrolledOptions&,                  \
                                   const GradientOptions&);
RIATA_INSTANTIATE(float)
RIATA_INSTANTIATE(double)
#undef RIATA_INSTANTIATE

}  // namespace riata
