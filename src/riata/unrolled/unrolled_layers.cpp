#include "riata/unrolled/unrolled_layers.hpp"

#include <algorithm>
#include <cmath>

#include "riata/core/check.hpp"
#include "riata/terms/reg.hpp"
#include "riata/unrolled/adaptive_pass.hpp"
#include "riata/unrolled/coupled_layer.hpp"

namespace riata {

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

int kept_layers(std::optional<int> backprop, int n_layers) {
  const int kept = backprop.value_or(n_layers);
  require(kept >= 0 && kept <= n_layers, "backprop = {}, must be between 0 and n_layers = {}", kept, n_layers);
  return kept;
}

template <Scalar T>
LayerSchedule make_schedule(const UnrolledOptions& options, const Dictionary<T>& D, int f) {
  options.validate();
  LayerSchedule schedule;
  const double norm_sq = options.lipschitz ? std::ldexp(*options.lipschitz, -2 * f) : D.squared_norm();
  schedule.lipschitz = norm_sq > 0 ? norm_sq : 1;
  schedule.momenta = layer_momenta(options.n_layers, options.algorithm == Layers::fista);
  schedule.steps.assign(static_cast<std::size_t>(options.n_layers), 1 / schedule.lipschitz);
  for (std::size_t i = 0; i < options.steps.size(); ++i) schedule.steps[i] *= options.steps[i];
  if (options.decay != 1)
    for (int k = 0; k < options.n_layers; ++k) schedule.reg_shares.push_back(std::pow(options.decay, k));
  return schedule;
}

template <Scalar T>
UnrolledLayers<T>::UnrolledLayers(const UnrolledOptions& options, const Dictionary<T>& D, int f, const Use& use)
    : D_(D),
      penalty_(options.penalty, D),
      accelerated_(options.algorithm == Layers::fista),
      extrapolated_(options.return_extrapolated),
      on_supports_(use.on_supports),
      schedule_(make_schedule(options, D, f)) {
  const PenaltyKind kind = options.penalty.kind;
  const bool any_negative = std::ranges::any_of(options.steps, [](double s) { return s < 0; });
  require(!any_negative || kind == PenaltyKind::l1 || kind == PenaltyKind::group,
          "steps: factors below zero are for the penalties 'l1' and 'group', not for '{}'", to_string(kind));
  const auto* dense = dynamic_cast<const DenseDictionary<T>*>(&D);
  if (use.gram_pays && !use.weighted && dense != nullptr && kind == PenaltyKind::l1 && !any_negative)
    gram_.emplace(dense->atoms(), *penalty_.template as<L1<T>>());
}

template <Scalar T>
std::unique_ptr<Pass<T>> UnrolledLayers<T>::make_pass(int stored, Index tile) const {
  const Index m = D_.code_size();
  const PassRoom room{schedule_.n_layers(), stored, tile};
  const CoupledParts<T> parts{.schedule = &schedule_, .on_supports = on_supports_ && stored == 0};
  std::vector<std::unique_ptr<Layer<T>>> layers;
  typename LayerPass<T>::State state{.n_atoms = m};
  if (accelerated_) {
    layers.push_back(std::make_unique<FistaLayer<T>>(D_, Shrink<T>(penalty_), parts, room));
    state = {.n_atoms = m, .blocks = {m}, .rebuilds = true, .block_is_output = extrapolated_};
  } else {
    layers.push_back(std::make_unique<CoupledLayer<T>>(D_, Shrink<T>(penalty_), parts, room));
  }
  auto pass = std::make_unique<LayerPass<T>>(std::move(layers), state, room);
  if (!gram_) return pass;
  return std::make_unique<AdaptivePass<T>>(std::move(pass), dynamic_cast<const DenseDictionary<T>&>(D_),
                                           *penalty_.template as<L1<T>>(), *gram_, schedule_, extrapolated_, room);
}

template <Scalar T>
T require_signal(const char* where, const Dictionary<T>& D, const ConstVectorRef<T>& x, double reg,
                 const ConstVectorRef<T>& code) {
  require(x.size() == D.signal_size(), "{}: x has {} entries, expected the atoms' {}", where, x.size(), D.signal_size());
  require(code.size() == D.code_size(), "{}: code has {} entries, expected one per atom, {}", where, code.size(), D.code_size());
  if (!is_in_range<T>(x)) {
    require_finite(where, "x", x, {nullptr, "feature"});
    refuse(formatted("{}: x has an entry whose square overflows; scale x and reg down", where));
  }
  return require_weight<T>(reg);
}

#define RIATA_INSTANTIATE(T)                                                                  \
  template LayerSchedule make_schedule<T>(const UnrolledOptions&, const Dictionary<T>&, int); \
  template class UnrolledLayers<T>;                                                           \
  template T require_signal<T>(const char*, const Dictionary<T>&, const ConstVectorRef<T>&, double, const ConstVectorRef<T>&);
RIATA_INSTANTIATE(float)
RIATA_INSTANTIATE(double)
#undef RIATA_INSTANTIATE

}  // namespace riata
