// From the penalty that options name to the class that is it.
#pragma once

#include <variant>

#include "riata/operators/dense_dictionary.hpp"
#include "riata/operators/units.hpp"
#include "riata/terms/group_l1.hpp"
#include "riata/terms/l0.hpp"
#include "riata/terms/l1.hpp"
#include "riata/terms/own_penalty.hpp"

namespace riata {

/// How reg g(z) follows the unit of the signals.
inline RegUnit reg_unit(PenaltyKind kind) {
  if (kind == PenaltyKind::l0) return RegUnit::squared;
  return kind == PenaltyKind::elastic_net ? RegUnit::absolute : RegUnit::linear;
}

/// The same with weights as T has them.
template <Scalar T>
PenaltyOptions rounded(PenaltyOptions penalty) {
  for (double& w : penalty.weights) w = static_cast<double>(static_cast<T>(w));
  return penalty;
}

/// use(penalty), the penalty for codes in the atoms of D, with weights of l1 and the elastic net as allowed.
/// @throws std::invalid_argument if the options do not fit
template <Scalar T, class Use>
auto with_penalty(const PenaltyOptions& options, const Dictionary<T>& D, const Use& use, Weights allowed = Weights::finite) {
  switch (options.kind) {
    case PenaltyKind::group:
      return use(GroupL1<T>(options, D.code_size()));
    case PenaltyKind::l0:
      return use(L0<T>(options, D.code_size(), D.squared_norm()));
    case PenaltyKind::own:
      options.validate(D.code_size());
      return use(Given<T>(options));
    default:
      return use(L1<T>(options, D.code_size(), allowed));
  }
}

/// use(penalty) for the signals from `first` on: the one given, or where each signal has weights of its own, that of one.
template <Penalty P, class Use>
auto with_weights_of(Index first, const P& penalty, const PenaltyOptions& options, Index n_atoms, const Use& use) {
  if constexpr (std::same_as<P, L1<typename P::scalar>>)
    if (options.has_weights_per_signal(n_atoms)) {
      P its = penalty;
      its.weigh_for(first, options);
      return use(its);
    }
  return use(penalty);
}

/// Any of them, chosen when it is made: for layers and losses, which ask once per tile.
template <Scalar T>
class AnyPenalty {
 public:
  /// @throws std::invalid_argument if the options do not fit
  AnyPenalty(const PenaltyOptions& options, const Dictionary<T>& D)
      : penalty_(with_penalty<T>(options, D, [](auto&& penalty) -> Variant { return std::move(penalty); })) {}

  /// use(the penalty as its class)
  template <class Use>
  decltype(auto) visit(const Use& use) const {
    return std::visit(use, penalty_);
  }
  /// It, where it is a P, else null.
  template <class P>
  const P* as() const {
    return std::get_if<P>(&penalty_);
  }
  bool zeros_are_dead() const {
    return visit([]<class P>(const P&) { return P::zeros_are_dead; });
  }
  double value(const ConstVectorRef<T>& z) const {
    return visit([&](const auto& g) { return g.value(z); });
  }
  void prox_vjp(const ConstMatrixRef<T>& Z, const Thresholds<T>& thresholds, MatrixRef<T> H,
                const ThresholdCotangents<T>& cotangents) const {
    visit([&](const auto& g) { g.prox_vjp(Z, thresholds, H, cotangents); });
  }
  void add_subgradient(const ConstMatrixRef<T>& Z, const ConstVectorRef<T>& scales, MatrixRef<T> H) const {
    visit([&](const auto& g) { g.add_subgradient(Z, scales, H); });
  }

 private:
  using Variant = std::variant<L1<T>, GroupL1<T>, L0<T>, Given<T>>;
  Variant penalty_;
};

}  // namespace riata
