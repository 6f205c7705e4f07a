#include "riata/networks/network.hpp"

#include <fmt/ranges.h>

#include <algorithm>
#include <atomic>
#include <cmath>

#include "riata/core/check.hpp"
#include "riata/core/stopping.hpp"
#include "riata/linalg/tiles.hpp"
#include "riata/networks/certified_pass.hpp"
#include "riata/solvers/certificate.hpp"
#include "riata/solvers/tile_certificate.hpp"
#include "riata/unrolled/differentiate.hpp"

namespace riata {
namespace {

/// What a network of these options may not be.
template <Scalar T>
void require_options(const std::string& kind, const KindTraits& traits, const NetworkOptions& options, Index n_atoms) {
  require(options.threshold == ThresholdShape::scalar || traits.atom_thresholds,
          "threshold = 'atom', must be 'scalar' for the kind '{}'", kind);
  require(!options.support_selection || traits.support_selection,
          "support_selection is given, but the kind '{}' has none; coupled, tied and alista do", kind);
  if (const auto& selection = options.support_selection)
    require(selection->p > 0 && selection->p <= selection->p_max && selection->p_max <= 100,
            "support_selection = ({}, {}), must be (p, p_max) with 0 < p <= p_max <= 100", selection->p, selection->p_max);
  require(!options.positive || traits.positive, "positive = true, but the kind '{}' does not keep codes positive", kind);
  require(!options.positive || !options.support_selection,
          "positive = true, but support_selection leaves entries of either sign; give one of them");
  require(options.groups.empty() || traits.groups, "groups are given, but the kind '{}' has none; group does", kind);
  if (traits.groups) PenaltyOptions{.kind = PenaltyKind::group, .groups = options.groups}.validate(n_atoms);
  if (options.lipschitz)
    require(std::isfinite(*options.lipschitz) && *options.lipschitz > 0, "lipschitz = {}, must be > 0", *options.lipschitz);
}

/// The kinds of this trait.
template <Scalar T>
std::vector<std::string> kinds_with(bool KindTraits::*trait) {
  std::vector<std::string> names = network_kinds<T>();
  std::erase_if(names, [&](const std::string& name) { return !(find_network_kind<T>(name).traits.*trait); });
  return names;
}

/// x - x is zero unless x is infinite or NaN.
template <Scalar T>
bool all_finite(const ConstMatrixRef<T>& Z) {
  return (Z.array() - Z.array()).sum() == T(0);
}

/// The first signal that diverged, of those that tiles note in any order.
class Divergence {
 public:
  void note(Index signal) {
    for (Index first = first_; signal < first && !first_.compare_exchange_weak(first, signal);) {
    }
  }
  template <Scalar T>
  void note_in(Index first, const ConstMatrixRef<T>& Z) {
    if (all_finite<T>(Z)) return;
    for (Index i = 0; i < Z.cols(); ++i)
      if (!all_finite<T>(Z.col(i))) note(first + i);
  }
  void refuse(const char* where, int n_layers) const {
    require(first_ == none,
            "{}: the network diverges on signal {}: what it gives after {} layers is not finite; safeguard or "
            "finish gives another code",
            where, first_.load(), n_layers);
  }

 private:
  static constexpr Index none = std::numeric_limits<Index>::max();
  std::atomic<Index> first_ = none;
};

}  // namespace

void NetworkGuards::validate() const {
  if (finish) require(std::isfinite(*finish) && *finish >= 0, "finish = {}, must be >= 0 and finite", *finish);
}

template <Scalar T>
Network<T>::Network(std::string kind, const Dictionary<T>& dictionary, int n_layers, NetworkOptions options)
    : Network(std::move(kind), std::shared_ptr<const Dictionary<T>>(dictionary.at({})), n_layers, std::move(options)) {}

template <Scalar T>
Network<T>::Network(std::string kind, DenseDictionary<T> dictionary, int n_layers, NetworkOptions options)
    : Network(std::move(kind), std::make_shared<const DenseDictionary<T>>(dictionary.owned()), n_layers, std::move(options)) {}

template <Scalar T>
Network<T>::Network(std::string kind, std::shared_ptr<const Dictionary<T>> dictionary, int n_layers, NetworkOptions&& options,
                    bool awaits_parameters)
    : kind_(std::move(kind)), model_{std::move(dictionary), n_layers, 1, std::move(options), awaits_parameters} {
  const NetworkKind<T>& row = find_network_kind<T>(kind_);
  require(n_layers >= 1 && n_layers <= most_layers, "n_layers = {}, must be between 1 and {}", n_layers, most_layers);
  const bool serves = row.traits.any_dictionary || model_.dictionary().matrix().has_value() ||
                      (row.traits.any_atoms && model_.dictionary().unstructured() != nullptr);
  if (!serves) {
    const bool is_convolution = model_.dictionary().unstructured() != nullptr;
    refuse(formatted("Network: the kind '{}' needs a dictionary that is a matrix{}, which this one is not; '{}' serve it", kind_,
                     row.traits.any_atoms ? " or a convolution" : "",
                     fmt::join(kinds_with<T>(is_convolution ? &KindTraits::any_length : &KindTraits::any_dictionary), "', '")));
  }
  require_options<T>(kind_, row.traits, model_.options, model_.n_atoms());
  const double norm_sq = model_.options.lipschitz.value_or(model_.dictionary().squared_norm());
  require(norm_sq > 0, "Network: the dictionary is zero");
  require(std::isnormal(static_cast<T>(norm_sq)) && std::isnormal(static_cast<T>(1 / norm_sq)),
          "Network: L = {:.3g}, of which steps are the inverse, leaves the precision of the dictionary; scale the atoms",
          norm_sq);
  model_.lipschitz = norm_sq;
  Parameters<T> initial;
  for (int t = 0; t < n_layers; ++t) {
    leave_if_stopped();
    initial.merge(row.initial(model_, t));
  }
  parameters_.set(std::move(initial));
}

template <Scalar T>
Network<T> Network<T>::with_parameters(std::string kind, const Dictionary<T>& dictionary, int n_layers,
                                       const NetworkOptions& options, Parameters<T> parameters) {
  Network network(std::move(kind), std::shared_ptr<const Dictionary<T>>(dictionary.at({})), n_layers, NetworkOptions(options),
                  /*awaits_parameters=*/true);
  network.set_parameters(std::move(parameters));
  network.model_.awaits_parameters = false;
  return network;
}

template <Scalar T>
Parameters<T> Network<T>::shapes(std::string kind, const Dictionary<T>& dictionary, int n_layers, const NetworkOptions& options) {
  return Network(std::move(kind), std::shared_ptr<const Dictionary<T>>(dictionary.at({})), n_layers, NetworkOptions(options),
                 /*awaits_parameters=*/true)
      .parameters();
}

template <Scalar T>
Network<T> Network<T>::over(const Dictionary<T>& dictionary) const {
  const Dictionary<T>& own = model_.dictionary();
  if (dictionary.code_size() != own.code_size() || dictionary.signal_size() != own.signal_size())
    require(traits().any_length, "Network: the parameters of the kind '{}' are those of one length of signals", kind_);
  const Parameters<T> before = own.parameters(), after = dictionary.parameters();
  const bool alike = std::ranges::equal(before, after, [](const auto& a, const auto& b) {
    return a.first == b.first && a.second.rows() == b.second.rows() && a.second.cols() == b.second.cols();
  });
  require(alike && !before.empty(), "Network: the atoms of the other dictionary differ in number or size from its own");
  Network other = *this;
  other.model_.shared_dictionary = dictionary.at({});
  other.norm_ = std::make_shared<Norm>();
  return other;
}

template <Scalar T>
double Network<T>::squared_norm() const {
  if (!model_.options.lipschitz) return model_.lipschitz;
  std::call_once(norm_->once, [&] { norm_->squared = model_.dictionary().squared_norm(); });
  return norm_->squared;
}

template <Scalar T>
void Network<T>::set_parameters(Parameters<T> parameters) {
  const auto before = parameters_.get();
  for (const auto& [name, values] : *before) {
    const auto given = parameters.find(name);
    require(given != parameters.end(), "parameters: '{}' is missing", name);
    require(given->second.rows() == values.rows() && given->second.cols() == values.cols(),
            "parameters: '{}' has shape ({}, {}), expected ({}, {})", name, given->second.cols(), given->second.rows(),
            values.cols(), values.rows());
    require_finite("parameters", name.c_str(), given->second, of_file);
  }
  for (const auto& [name, values] : parameters)
    require(before->contains(name), "parameters: a network of kind '{}' with {} layers has no '{}'", kind_, n_layers(), name);
  if (const auto& check = find_network_kind<T>(kind_).check) check("parameters", model_, parameters);
  parameters_.set(std::move(parameters));
}

template <Scalar T>
std::set<std::string> Network<T>::trainable(int first, int last) const {
  std::set<std::string> names;
  const auto& fixed = traits().fixed;
  const auto parameters = parameters_.get();
  for (const auto& [name, values] : *parameters) {
    const std::optional<int> layer = layer_of(name);
    if (!fixed.contains(name) && (!layer || (*layer >= first && *layer < last))) names.insert(name);
  }
  return names;
}

template <Scalar T>
void Network<T>::require_targets(const char* where, Index n_signals, const ConstMatrixRef<T>& targets) const {
  const Index m = model_.n_atoms();
  require(targets.rows() == m && targets.cols() == n_signals, "targets have shape ({}, {}), expected ({}, {})", targets.cols(),
          targets.rows(), n_signals, m);
  require_finite(where, "targets", targets, of_codes);
}

template <Scalar T>
void Network<T>::require_heeded(const char* where, const Batch<T>& batch) const {
  if (batch.is_weighted() && !traits().weights)
    refuse(formatted("{}: the layers of the kind '{}' do not heed a mask or weights; those of '{}' do", where, kind_,
                     fmt::join(kinds_with<T>(&KindTraits::weights), "', '")));
}

template <Scalar T>
void Network<T>::project(Parameters<T>& parameters) const {
  if (const auto& project = find_network_kind<T>(kind_).project) project(model_, parameters);
}

/// The arguments of every pass, checked and completed.
template <Scalar T>
struct Network<T>::Call {
  Call(const char* where, const Network& network, const Batch<T>& batch, const Reg& weight, const NetworkRun<T>& how)
      : net(network),
        scope(how.execution),
        seen(where, batch),
        X(seen.X()),
        reg_shape(weight),
        run(how),
        n_layers(how.n_layers.value_or(net.n_layers())) {
    require_signals<T>(where, X, net.dictionary());
    net.require_heeded(where, batch);
    require(n_layers >= 1 && n_layers <= net.n_layers(), "{}: n_layers = {}, must be between 1 and the network's {}", where,
            n_layers, net.n_layers());
    if (run.init) require_codes<T>(where, "init", *run.init, X.cols(), n_atoms());
    reg = resolve_reg<T>(weight, batch, net.dictionary(), net.penalty(), run.execution);
  }

  TileInput<T> tile(Index first, Index n) const {
    return {X.middleCols(first, n), reg.segment(first, n), seen.weights(first, n)};
  }
  Index n_atoms() const { return net.model_.n_atoms(); }
  Matrix<T> start(Index first, Index n) const { return run.init ? Matrix<T>(run.init->middleCols(first, n)) : Matrix<T>(); }

  auto pass_maker(const Parameters<T>& parameters, int stored, Index tile) const {
    return [this, &parameters, stored, tile] {
      return make_pass(find_network_kind<T>(net.kind()), net.model_, parameters,
                       {.n_layers = n_layers, .stored = stored, .tile = tile});
    };
  }

  /// `lane_entries`: of the gradient that every lane holds.
  Partition parts(bool keep, Index lane_entries) const {
    const NetworkModel<T>& model = net.model_;
    Index blocks = 0;
    if (const auto& declared = find_network_kind<T>(net.kind()).blocks)
      for (const Index rows : declared(model)) blocks += rows;
    const int slots = keep ? n_layers + 1 : 2;
    const Index n_rows = std::max(model.n_features(), blocks);
    return partition(X.cols(), {.bytes_per_signal = bytes_per_signal<T>(slots, model.n_atoms(), slots, n_rows),
                                .left_entries = model.n_features() * model.n_atoms(),
                                .lane_bytes = sizeof(T) * static_cast<double>(lane_entries)});
  }

  const Network& net;
  StopScope scope;
  const SeenBatch<T> seen;
  const ConstMatrixRef<T>& X;
  const Reg& reg_shape;
  const NetworkRun<T>& run;
  int n_layers;
  Vector<T> reg;
};

template <Scalar T>
Matrix<T> Network<T>::encode(const NonDeduced<Batch<T>>& batch, const Reg& reg, const NetworkRun<T>& run) const {
  const Call call("encode", *this, batch, reg, run);
  const auto parameters = parameters_.get();
  const Partition parts = call.parts(false, 0);
  Matrix<T> codes(model_.n_atoms(), batch.size());
  Divergence diverged;
  for_each_tile(parts, batch.size(), run.execution, call.pass_maker(*parameters, 0, parts.tile),
                [&](Index first, Index n, LayerPass<T>& pass) {
                  pass.forward(call.tile(first, n), call.start(first, n));
                  diverged.note_in<T>(first, pass.codes());
                  codes.middleCols(first, n) = pass.codes();
                });
  diverged.refuse("encode", call.n_layers);
  return codes;
}

template <Scalar T>
EncodeResult<T> Network<T>::encode_certified(const NonDeduced<Batch<T>>& batch, const Reg& reg, const NetworkGuards& guards,
                                             const NetworkRun<T>& run) const {
  guards.validate();
  const Call call("encode", *this, batch, reg, run);
  const Index n_signals = batch.size();
  const CertifiedNetwork<T> shared(*this, call.n_layers, guards.safeguard, n_signals, batch.is_weighted());
  CertifiedCodes<T> codes(model_.n_atoms(), n_signals);
  const Partition parts = call.parts(false, 0);
  for_each_tile(
      parts, n_signals, run.execution, [&] { return std::make_unique<CertifiedPass<T>>(shared, parts.tile); },
      [&](Index first, Index n, CertifiedPass<T>& pass) {
        pass.forward(call.tile(first, n), call.start(first, n), codes.tile(first, n));
      });
  const double tol = guards.finish.value_or(0);
  codes.judge(tol);
  if (guards.finish) Finisher<T>(*this, tol, run.execution, batch.is_weighted()).finish(call.seen, call.reg, codes);
  Divergence diverged;
  for (Index i = 0; i < n_signals; ++i)
    if (!codes.is_known(i)) diverged.note(i);
  diverged.refuse("encode", call.n_layers);
  return std::move(codes.result);
}

template <Scalar T>
std::vector<Matrix<T>> Network<T>::outputs(const NonDeduced<Batch<T>>& batch, const Reg& reg, const NetworkRun<T>& run) const {
  const Call call("outputs", *this, batch, reg, run);
  const auto parameters = parameters_.get();
  const Partition parts = call.parts(false, 0);
  Divergence diverged;
  std::vector<Matrix<T>> outputs(static_cast<std::size_t>(call.n_layers), Matrix<T>(model_.n_atoms(), batch.size()));
  for_each_tile(parts, batch.size(), run.execution, call.pass_maker(*parameters, 0, parts.tile),
                [&](Index first, Index n, LayerPass<T>& pass) {
                  const TileInput<T> input = call.tile(first, n);
                  pass.start(input, call.start(first, n));
                  for (int t = 0; t < call.n_layers; ++t) {
                    pass.step(input, t);
                    outputs[static_cast<std::size_t>(t)].middleCols(first, n) = pass.codes();
                  }
                  diverged.note_in<T>(first, pass.codes());
                });
  diverged.refuse("outputs", call.n_layers);
  return outputs;
}

/// `loss` as TileLoss; its value is multiplied by `scale`.
template <Scalar T>
NetworkGradient<T> Network<T>::differentiate(const Call& call, const NetworkDerivatives& asked, double scale,
                                             const auto& loss) const {
  const auto parameters = parameters_.get();
  int first_layer = asked.reg || asked.signals ? 0 : call.n_layers;  // that must be differentiated
  Index lane_entries = 0;
  Wanted<T> wanted{.reg = asked.reg, .signals = asked.signals, .codes = asked.codes};
  for (const std::string& name : asked.parameters) {
    const auto found = parameters->find(name);
    require(found != parameters->end(), "parameters: a network of kind '{}' with {} layers has no '{}'", kind_, n_layers(), name);
    require(layer_of(name).value_or(0) < call.n_layers, "parameters: '{}' is not among the first {} layers", name, call.n_layers);
    require(!traits().fixed.contains(name), "parameters: '{}' of the kind '{}' is fixed", name, kind_);
    first_layer = std::min(first_layer, layer_of(name).value_or(0));
    lane_entries += found->second.size();
    wanted.parameters[name].setZero(found->second.rows(), found->second.cols());
  }
  wanted.back = first_layer < call.n_layers;
  const Partition parts = call.parts(wanted.back, lane_entries);
  return riata::differentiate<T>(call, parts, call.run.execution,
                                 call.pass_maker(*parameters, call.n_layers - first_layer, parts.tile), std::move(wanted), scale,
                                 loss);
}

template <Scalar T>
NetworkGradient<T> Network<T>::loss_gradient_for(const char* where, const Batch<T>& batch, const Reg& reg,
                                                 const NetworkDerivatives& wanted, const NetworkRun<T>& run,
                                                 const OptionalMatrixRef<T>& targets) const {
  const Call call(where, *this, batch, reg, run);
  const double scale = 1.0 / static_cast<double>(batch.size());
  if (!targets) {
    const AnyPenalty<T> penalty(this->penalty(), dictionary());
    return differentiate(call, wanted, scale, TileLoss<T>{dictionary(), &penalty, scale});
  }
  require_targets(where, batch.size(), *targets);
  return differentiate(
      call, wanted, scale,
      [&](Index first, const TileInput<T>&, const ConstMatrixRef<T>& Z, MatrixRef<T> cotangent, const LayerGradients<T>&) {
        const auto target = targets->middleCols(first, Z.cols());
        if (cotangent.size() > 0) cotangent = static_cast<T>(scale) * (Z - target);
        double value = 0;
        for (Index i = 0; i < Z.cols(); ++i) value += 0.5 * (Z.col(i) - target.col(i)).template cast<double>().squaredNorm();
        return value;
      });
}

template <Scalar T>
double Network<T>::loss(const NonDeduced<Batch<T>>& batch, const Reg& reg, const NetworkRun<T>& run,
                        const OptionalMatrixRef<T>& targets) const {
  return loss_gradient_for("loss", batch, reg, {}, run, targets).value;
}

template <Scalar T>
NetworkGradient<T> Network<T>::loss_gradient(const NonDeduced<Batch<T>>& batch, const Reg& reg, const NetworkDerivatives& wanted,
                                             const NetworkRun<T>& run, const OptionalMatrixRef<T>& targets) const {
  return loss_gradient_for("loss_gradient", batch, reg, wanted, run, targets);
}

template <Scalar T>
NetworkGradient<T> Network<T>::vjp(const NonDeduced<Batch<T>>& batch, const Reg& reg,
                                   const NonDeduced<ConstMatrixRef<T>>& cotangent, const NetworkDerivatives& wanted,
                                   const NetworkRun<T>& run) const {
  const Call call("vjp", *this, batch, reg, run);
  require_codes<T>("vjp", "cotangent", cotangent, batch.size(), model_.n_atoms());
  return differentiate(call, wanted, 1, AlongLoss<T>{cotangent});
}

template class Network<float>;
template class Network<double>;

}  // namespace riata
