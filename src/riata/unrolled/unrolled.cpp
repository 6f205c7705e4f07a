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
#include "riata/terms/penalty.hpp"
#include "riata/unrolled/adaptive_pass.hpp"
#include "riata/unrolled/layers.hpp"
#include "riata/unrolled/tangents.hpp"

namespace riata {

void UnrolledOptions::validate() const {
  check_options(*this);
  require(steps.empty() || std::ssize(steps) == n_layers, "steps: {} entries for {} layers; they must be equal", steps.size(),
          n_layers);
  for (std::size_t i = 0; i < steps.size(); ++i)
    require(std::isfinite(steps[i]), "steps: entry {} is {}, must be finite", i, steps[i]);
}

std::vector<double> layer_momenta(int n_layers, bool accelerate) {
  std::vector<double> momenta(static_cast<std::size_t>(n_layers), 0.0);
  double t = 1;
  for (double& m : momenta) {
    const double t_next = (1 + std::sqrt(1 + 4 * t * t)) / 2;
    if (accelerate) m = (t - 1) / t_next;
    t = t_next;
  }
  return momenta;
}

LayerSchedule make_schedule(const UnrolledOptions& options, double squared_norm) {
  LayerSchedule schedule;
  const double norm_sq = options.lipschitz.value_or(squared_norm);
  schedule.lipschitz = norm_sq > 0 ? norm_sq : 1;
  schedule.momenta = layer_momenta(options.n_layers, options.algorithm == Layers::fista);
  schedule.steps.assign(static_cast<std::size_t>(options.n_layers), 1 / schedule.lipschitz);
  for (std::size_t i = 0; i < options.steps.size(); ++i) schedule.steps[i] *= options.steps[i];
  return schedule;
}

namespace {

template <Scalar T>
Partition partition(const Dictionary<T>& D, Index n_signals, int stored) {
  const double entry = sizeof(T);
  Index n_parameters = 0;
  for (const auto& [name, values] : D.parameters()) n_parameters += values.size();
  return riata::partition(
      n_signals, {.bytes_per_signal = entry * static_cast<double>((stored + 6) * D.code_size() + (stored + 2) * D.signal_size()),
                  .left_entries = n_parameters,
                  .lane_bytes = entry * static_cast<double>(n_parameters)});
}

/// Any penalty for layers, a virtual call per signal.
template <DifferentiablePenalty P>
class ForLayers final : public OwnPenalty<typename P::scalar> {
 public:
  using T = typename P::scalar;
  explicit ForLayers(P penalty) : penalty_(std::move(penalty)) {}
  std::string name() const override { return {}; }
  double value(const ConstVectorRef<T>& z) const override { return penalty_.value(z); }
  void prox(MatrixRef<T> V, const Thresholds<T>& thresholds) const override { penalty_.prox(V, thresholds); }
  double dual_norm(const ConstVectorRef<double>& c) const override { return penalty_.largest_pull(c.size(), c.data()); }
  void prox_vjp(const ConstMatrixRef<T>& Z, const Thresholds<T>& thresholds, MatrixRef<T> H,
                const ThresholdCotangents<T>& cotangents) const override {
    penalty_.prox_vjp(Z, thresholds, H, cotangents);
  }
  void add_subgradient(const ConstMatrixRef<T>& Z, const ConstVectorRef<T>& scales, MatrixRef<T> H) const override {
    penalty_.add_subgradient(Z, scales, H);
  }

 private:
  P penalty_;
};

/// The arguments of all three entry points, checked and completed. Atoms have their unit (units.hpp); signals get one for all
/// where derivatives are summed, otherwise they and reg are as given.
template <Scalar T>
struct Problem {
  Problem(const char* where, const Batch<T>& batch, const Dictionary<T>& dictionary, const Reg& weight,
          const UnrolledOptions& options, bool one_unit, T largest_target = 0)
      : scope(options.execution),
        seen(where, batch),
        fit{seen},
        unit(reg_unit(options.penalty.kind)),
        e(one_unit && unit != RegUnit::absolute ? signal_exponent(std::max(largest_entry<T>(seen.X()), largest_target)) : 0),
        atoms(dictionary, unit),
        X_in_unit(e == 0 ? Matrix<T>() : Matrix<T>(shifted(seen.X(), -e))),
        X(e == 0 ? seen.X() : ConstMatrixRef<T>(X_in_unit)),
        D(atoms.dictionary()),
        f(atoms.exponent()),
        penalty(with_penalty<T>(options.penalty, D, []<Penalty P>(const P& g) {
          if constexpr (std::same_as<P, Given<T>>)
            return g;
          else
            return Given<T>(std::shared_ptr<const OwnPenalty<T>>(std::make_shared<ForLayers<P>>(g)));
        })) {
    options.validate();
    if (options.penalty.kind == PenaltyKind::l1) l1.emplace(options.penalty, dictionary.code_size());
    require_signals<T>(where, seen.X(), dictionary);
    reg = resolve_reg<T>(weight, batch, dictionary, options.penalty, options.execution);
    if (unit == RegUnit::absolute) TileUnits<T>(f, unit).open(seen.X(), reg);  // which refuses what needs a unit
    if (one_unit)
      for (T& r : reg) r = shifted_reg(r, weight_exponent());
    UnrolledOptions in_unit = options;
    if (options.lipschitz) in_unit.lipschitz = std::ldexp(*options.lipschitz, -2 * f);
    schedule = make_schedule(in_unit, options.lipschitz ? 0 : D.squared_norm());
    const bool thresholds_negative = std::any_of(options.steps.begin(), options.steps.end(), [](double s) { return s < 0; });
    require(!thresholds_negative || l1 || options.penalty.kind == PenaltyKind::group,
            "steps: factors below zero are for the penalties 'l1' and 'group', not for '{}'", to_string(options.penalty.kind));
    if (l1 && !seen.is_weighted()) dense = dynamic_cast<const DenseDictionary<T>*>(&D);
    if (dense != nullptr && !thresholds_negative && gram_pays(D.code_size(), options.n_layers, X.cols()))
      gram.emplace(dense->atoms(), *l1);
  }
  int weight_exponent() const { return unit == RegUnit::squared ? 2 * e : e + f; }  // of reg

  std::unique_ptr<Pass<T>> make_pass(int stored, Index tile) const {
    if (dense != nullptr) return std::make_unique<AdaptivePass<T>>(*dense, *l1, gram ? &*gram : nullptr, schedule, stored, tile);
    if (seen.is_weighted())
      return std::make_unique<TilePass<Dictionary<T>, WeightedLeastSquares<T>, Given<T>>>(D, fit, penalty, schedule, stored,
                                                                                          tile);
    return std::make_unique<TilePass<Dictionary<T>, LeastSquares, Given<T>>>(D, plain, penalty, schedule, stored, tile);
  }

  StopScope scope;
  const SeenBatch<T> seen;
  const WeightedLeastSquares<T> fit;
  const LeastSquares plain = {};
  const RegUnit unit;
  const int e;
  const UnitAtoms<T> atoms;
  const Matrix<T> X_in_unit;
  const ConstMatrixRef<T> X;
  const Dictionary<T>& D;
  const DenseDictionary<T>* dense = nullptr;  // D where it is one, and no signal is weighted
  const int f;
  const Given<T> penalty;
  std::optional<L1<T>> l1;  // where it is that
  Vector<T> reg;
  LayerSchedule schedule;
  std::optional<GramProblem<T>> gram;
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

/// What tiles add to.
template <Scalar T>
struct UnrolledSums {
  double value = 0;
  Parameters<T> parameters = {};
  Vector<double> steps = {}, usage = {};

  UnrolledSums& operator+=(const UnrolledSums& other) {
    value += other.value;
    for (const auto& [name, values] : other.parameters) parameters.at(name) += values;
    steps += other.steps;
    usage += other.usage;
    return *this;
  }
  std::span<double> layers() { return {steps.data(), static_cast<std::size_t>(steps.size())}; }
};

/// The loss at one tile's output Z, in double, and the residual w (D Z - target).
template <Scalar T>
double tile_loss(const Problem<T>& problem, Loss loss, Index first, const ConstMatrixRef<T>& target, const ConstMatrixRef<T>& Z,
                 const ConstVectorRef<T>& reg, MatrixRef<T> residual) {
  problem.D.apply(Z, residual);
  residual -= target;
  Matrix<T> plain;
  if (problem.seen.is_weighted()) {
    plain = residual;
    problem.fit.weigh(residual, first);
  }
  double value = 0;
  for (Index i = 0; i < Z.cols(); ++i) {
    const auto r = residual.col(i).template cast<double>();
    value += 0.5 * (plain.size() > 0 ? r.dot(plain.col(i).template cast<double>()) : r.squaredNorm());
    if (loss == Loss::lasso) value += static_cast<double>(reg(i)) * problem.penalty.value(Z.col(i));
  }
  return value;
}

/// A derivative per signal in the shape of reg: as it is, or their sum.
Vector<double> gradient_like(const Reg& reg, const std::vector<double>& per_signal) {
  const Eigen::Map<const Vector<double>> all(per_signal.data(), std::ssize(per_signal));
  return reg.is_per_signal() ? Vector<double>(all) : Vector<double>::Constant(1, all.sum());
}

}  // namespace

template <Scalar T>
Matrix<T> unrolled_encode(const NonDeduced<Batch<T>>& batch, const Dictionary<T>& D, const Reg& reg,
                          const UnrolledOptions& options, const Matrix<T>* init) {
  const Problem<T> problem("unrolled_encode", batch, D, reg, options, false);
  const ConstMatrixRef<T>& X = problem.X;
  if (init != nullptr) {
    require(init->rows() == D.code_size() && init->cols() == X.cols(),
            "unrolled_encode: init has shape ({}, {}), expected ({}, {})", init->cols(), init->rows(), X.cols(), D.code_size());
    require_finite("unrolled_encode", "init", *init, of_codes);
  }
  const Partition parts = partition<T>(problem.D, X.cols(), 0);
  Matrix<T> codes(D.code_size(), X.cols());
  for_each_tile(
      parts, X.cols(), options.execution, [&] { return problem.make_pass(0, parts.tile); },
      [&](Index first, Index n, auto& pass) {
        TileUnits<T> units(problem.f, problem.unit);
        units.open(X.middleCols(first, n), problem.reg.segment(first, n));
        Matrix<T> start = init != nullptr ? Matrix<T>(init->middleCols(first, n)) : Matrix<T>();
        units.enter(start);
        pass.forward(units.X(), units.reg(), first, start);
        auto Z = codes.middleCols(first, n);
        if (options.return_extrapolated)
          Z = pass.extrapolated();
        else
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
                                      const Matrix<T>* target_given) {
  Matrix<T> target;  // what was seen of it, in the unit
  if (target_given != nullptr && batch.is_weighted() && batch.weights->cols() == target_given->cols() &&
      batch.weights->rows() == target_given->rows())
    target = (batch.weights->array() == T(0)).select(T(0), *target_given);
  const Matrix<T>* fitted = target.size() > 0 ? &target : target_given;
  const T largest_target = fitted != nullptr ? largest_entry<T>(*fitted) : T(0);
  const Problem<T> problem("unrolled_gradient", batch, D_given, reg, options, true, largest_target);
  const ConstMatrixRef<T>& X = problem.X;
  const Dictionary<T>& D = problem.D;
  const int kept = wanted.backprop.value_or(options.n_layers);
  require(kept >= 0 && kept <= options.n_layers, "backprop = {}, must be between 0 and n_layers = {}", kept, options.n_layers);
  if (fitted != nullptr) {
    require(fitted->rows() == X.rows() && fitted->cols() == X.cols(),
            "unrolled_gradient: target has shape ({}, {}), expected the signals' ({}, {})", fitted->cols(), fitted->rows(),
            X.cols(), X.rows());
    require_in_range<T>("unrolled_gradient", "target", *fitted);
    if (problem.e != 0) {
      target = shifted(*fitted, -problem.e).eval();
      fitted = &target;
    }
  }
  const Index n_features = X.rows(), n_atoms = D.code_size(), n_signals = X.cols();
  const bool back = kept > 0 && (wanted.dictionary || wanted.steps || wanted.reg || wanted.signals);
  const int stored = back ? kept : 0;
  const Partition parts = partition<T>(D, n_signals, stored);
  const double scale = wanted.reduction == Reduction::mean ? 1.0 / static_cast<double>(n_signals) : 1.0;

  UnrolledGradient<T> result;
  if (wanted.codes) result.codes.resize(n_atoms, n_signals);
  if (wanted.signals) result.signals.setZero(n_features, n_signals);
  std::vector<double> reg_gradient(wanted.reg ? static_cast<std::size_t>(n_signals) : 0);
  UnrolledSums<T> zero;
  if (wanted.dictionary) zero.parameters = zeros_like(D.parameters());
  if (wanted.steps) zero.steps.setZero(options.n_layers);
  if (wanted.usage) zero.usage.setZero(n_atoms);

  UnrolledSums<T> total = sweep(
      parts, n_signals, options.execution, zero, [&] { return problem.make_pass(stored, parts.tile); },
      [&](Index first, Index n, auto& pass, UnrolledSums<T>& sums) {
        const auto tile_reg = problem.reg.segment(first, n);
        pass.forward(X.middleCols(first, n), tile_reg, first, Matrix<T>());
        Matrix<T> Z = pass.codes();
        if (options.return_extrapolated) Z = pass.extrapolated();
        if (wanted.codes) result.codes.middleCols(first, n) = Z;
        if (wanted.usage) sums.usage += Z.template cast<double>().rowwise().squaredNorm();

        // The loss, its explicit derivatives, and the cotangent of the output.
        Matrix<T> r(n_features, n);
        const auto tile_target =
            fitted != nullptr ? ConstMatrixRef<T>(fitted->middleCols(first, n)) : ConstMatrixRef<T>(X.middleCols(first, n));
        sums.value += tile_loss<T>(problem, wanted.loss, first, tile_target, Z, tile_reg, r);
        r *= static_cast<T>(scale);
        if (wanted.dictionary) D.accumulate_gradient(T(1), r, Z, sums.parameters);
        if (wanted.signals && fitted == nullptr) result.signals.middleCols(first, n) -= r;
        if (wanted.reg && wanted.loss == Loss::lasso)
          for (Index i = 0; i < n; ++i)
            reg_gradient[static_cast<std::size_t>(first + i)] = scale * problem.penalty.value(Z.col(i));
        if (!back) return;
        Matrix<T> cotangent(n_atoms, n);
        D.adjoint(r, cotangent);
        if (wanted.loss == Loss::lasso) problem.penalty.add_subgradient(Z, static_cast<T>(scale) * tile_reg, cotangent);
        pass.codes_cotangent().setZero();
        pass.extrapolated_cotangent().setZero();
        if (options.return_extrapolated)
          pass.extrapolated_cotangent() = cotangent;
        else
          pass.codes_cotangent() = cotangent;
        Matrix<T> nothing;
        pass.backward(
            tile_reg, first,
            {.parameters = wanted.dictionary ? &sums.parameters : nullptr,
             .signals = wanted.signals ? MatrixRef<T>(result.signals.middleCols(first, n)) : MatrixRef<T>(nothing),
             .steps = sums.layers(),
             .reg = wanted.reg
                        ? std::span<double>(reg_gradient).subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(n))
                        : std::span<double>()});
      },
      [&](auto& pass, UnrolledSums<T>& sums) {
        if (back && wanted.dictionary) pass.finish(sums.parameters);
        sums.value *= scale;
        sums.usage *= scale;
      });
  result.value = total.value;
  result.parameters = std::move(total.parameters);
  result.steps = std::move(total.steps);
  result.usage = std::move(total.usage);
  if (wanted.reg) result.reg = gradient_like(reg, reg_gradient);
  leave_units(result, problem, 2 * problem.e);
  return result;
}

template <Scalar T>
UnrolledGradient<T> unrolled_vjp(const NonDeduced<Batch<T>>& batch, const Dictionary<T>& D_given, const Reg& reg,
                                 const NonDeduced<ConstMatrixRef<T>>& cotangent, const UnrolledOptions& options,
                                 std::optional<int> backprop) {
  const Problem<T> problem("unrolled_vjp", batch, D_given, reg, options, true);
  const ConstMatrixRef<T>& X = problem.X;
  const Dictionary<T>& D = problem.D;
  const int kept = backprop.value_or(options.n_layers);
  require(kept >= 0 && kept <= options.n_layers, "backprop = {}, must be between 0 and n_layers = {}", kept, options.n_layers);
  const Index n_features = X.rows(), n_atoms = D.code_size(), n_signals = X.cols();
  require(cotangent.rows() == n_atoms && cotangent.cols() == n_signals,
          "unrolled_vjp: cotangent has shape ({}, {}), expected ({}, {})", cotangent.cols(), cotangent.rows(), n_signals,
          n_atoms);
  require_finite("unrolled_vjp", "cotangent", cotangent, of_codes);
  const Partition parts = partition<T>(D, n_signals, kept);
  UnrolledGradient<T> result;
  result.codes.resize(n_atoms, n_signals);
  result.signals.setZero(n_features, n_signals);
  std::vector<double> per_signal(static_cast<std::size_t>(n_signals));
  const UnrolledSums<T> zero{.parameters = zeros_like(D.parameters()), .steps = Vector<double>::Zero(options.n_layers)};
  UnrolledSums<T> total = sweep(
      parts, n_signals, options.execution, zero, [&] { return problem.make_pass(kept, parts.tile); },
      [&](Index first, Index n, auto& pass, UnrolledSums<T>& sums) {
        const auto tile_reg = problem.reg.segment(first, n);
        pass.forward(X.middleCols(first, n), tile_reg, first, Matrix<T>());
        auto codes = result.codes.middleCols(first, n);
        codes = pass.codes();
        if (options.return_extrapolated) codes = pass.extrapolated();
        pass.codes_cotangent().setZero();
        pass.extrapolated_cotangent().setZero();
        if (options.return_extrapolated)
          pass.extrapolated_cotangent() = cotangent.middleCols(first, n);
        else
          pass.codes_cotangent() = cotangent.middleCols(first, n);
        pass.backward(
            tile_reg, first,
            {.parameters = &sums.parameters,
             .signals = result.signals.middleCols(first, n),
             .steps = sums.layers(),
             .reg = std::span<double>(per_signal).subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(n))});
      },
      [&](auto& pass, UnrolledSums<T>& sums) { pass.finish(sums.parameters); });
  result.parameters = std::move(total.parameters);
  result.steps = std::move(total.steps);
  result.reg = gradient_like(reg, per_signal);
  result.value = result.codes.template cast<double>().cwiseProduct(cotangent.template cast<double>()).sum();
  leave_units(result, problem, problem.e - problem.f);
  return result;
}

template <Scalar T>
double unrolled_loss(const NonDeduced<Batch<T>>& batch, const Dictionary<T>& D, const Reg& reg, const UnrolledOptions& options,
                     const GradientOptions& wanted) {
  const GradientOptions value_only{.loss = wanted.loss,
                                   .backprop = 0,
                                   .reduction = wanted.reduction,
                                   .dictionary = false,
                                   .steps = false,
                                   .reg = false,
                                   .signals = false,
                                   .codes = false};
  return unrolled_gradient<T>(batch, D, reg, options, value_only).value;
}

#define RIATA_INSTANTIATE(T)                                                                                                   \
  template Matrix<T> unrolled_encode<T>(const Batch<T>&, const Dictionary<T>&, const Reg&, const UnrolledOptions&,             \
                                        const Matrix<T>*);                                                                     \
  template UnrolledGradient<T> unrolled_gradient<T>(const Batch<T>&, const Dictionary<T>&, const Reg&, const UnrolledOptions&, \
                                                    const GradientOptions&, const Matrix<T>*);                                 \
  template UnrolledGradient<T> unrolled_vjp<T>(const Batch<T>&, const Dictionary<T>&, const Reg&, const ConstMatrixRef<T>&,    \
                                               const UnrolledOptions&, std::optional<int>);                                    \
  template double unrolled_loss<T>(const Batch<T>&, const Dictionary<T>&, const Reg&, const UnrolledOptions&,                  \
                                   const GradientOptions&);
RIATA_INSTANTIATE(float)
RIATA_INSTANTIATE(double)

}  // namespace riata
