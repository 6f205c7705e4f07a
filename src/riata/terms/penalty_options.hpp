// Which penalty g, as callers name it; the objective carries reg * g.
//
//   l1            g(z) = sum_j w_j |z_j|
//   elastic_net   g(z) = l1_ratio sum_j w_j |z_j| + (1 - l1_ratio)/2 ||z||^2     Zou and Hastie (2005)
//   group         g(z) = sum_G w_G ||z_G||_2, G over the groups of atoms         Yuan and Lin (2006)
//   l0            g(z) = ||z||_0, the number of atoms used
//   own           what a caller brings, in C++ (own_penalty.hpp)
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <tuple>
#include <vector>

#include "riata/core/names.hpp"
#include "riata/core/option.hpp"
#include "riata/core/types.hpp"

namespace riata {

enum class PenaltyKind { l1, elastic_net, group, l0, own };

template <Scalar T>
class OwnPenalty;

template <>
inline constexpr Name<PenaltyKind> names<PenaltyKind>[] = {
    {PenaltyKind::l1, "l1"}, {PenaltyKind::elastic_net, "elastic_net"}, {PenaltyKind::group, "group"}, {PenaltyKind::l0, "l0"}};
inline const char* to_string(PenaltyKind kind) { return kind == PenaltyKind::own ? "own" : to_string<PenaltyKind>(kind); }

struct PenaltyOptions {
  bool positive = false;  ///< codes must be >= 0; not for l0
  /// Factors of reg, empty: all ones. l1 and elastic_net: one per atom; group: one per group, by ascending label. Where codes are
  /// found and certified, an atom of weight 0 is free (free_atoms.hpp) and one of infinite weight excluded, and encode(), the
  /// certificates and reg_max() take one per atom and signal, too, the n_atoms of a signal after those of the last.
  std::vector<double> weights = {};
  PenaltyKind kind = PenaltyKind::l1;
  std::optional<double> l1_ratio = {};    ///< elastic_net: the share of l1, in (0, 1]; absent: 0.5
  std::vector<std::int64_t> groups = {};  ///< group: one label >= 0 per atom; atoms with equal labels are a group
  /// own: what own_penalty() puts here, one of the two.
  std::tuple<std::shared_ptr<const OwnPenalty<float>>, std::shared_ptr<const OwnPenalty<double>>> own = {};
  /// @throws std::invalid_argument naming the field, its value and the rule; L1 and GroupL1 check the weights
  void validate(Index n_atoms) const;
  bool has_weights_per_signal(Index n_atoms) const;
  bool has_free_atoms() const;  ///< those of weight 0
  bool operator==(const PenaltyOptions&) const = default;
};

template <>
inline constexpr auto described<PenaltyOptions> = std::tuple{
    Option{"positive", &PenaltyOptions::positive, rule::anything, "Codes must be >= 0; not for l0"},
    Option{"weights", &PenaltyOptions::weights},
    Option{"penalty", &PenaltyOptions::kind, rule::anything,
           "l1; l1 and half a squared norm; the norms of groups; the number of atoms (hard thresholding, no gap)"},
    Option{"l1_ratio", &PenaltyOptions::l1_ratio, Rule{[](double v) { return v > 0 && v <= 1; }, "must be > 0 and <= 1"},
           "The elastic net's share of l1, > 0 and <= 1; default: 0.5"},
    Option{"groups", &PenaltyOptions::groups}};

/// For those who know l1 alone. @throws std::invalid_argument for another penalty
void require_l1(const char* where, const PenaltyOptions& options);

}  // namespace riata
