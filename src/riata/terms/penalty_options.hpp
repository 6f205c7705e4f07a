// Which penalty g, as callers name it; the objective carries reg * g.
//
//   l1            g(z) = sum_j w_j |z_j|
//   elastic-net   g(z) = l1_ratio sum_j w_j |z_j| + (1 - l1_ratio)/2 ||z||^2     Zou and Hastie (2005)
//   group         g(z) = sum_G ||z_G||_2, G over the groups of atoms             Yuan and Lin (2006)
//   l0            g(z) = ||z||_0, the number of atoms used
//   own           what a caller brings, in C++ (own_penalty.hpp)
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <tuple>
#include <vector>

#include "riata/core/types.hpp"

namespace riata {

enum class PenaltyKind { l1, elastic_net, group, l0, own };

template <Scalar T>
class OwnPenalty;

/// "l1", "elastic-net", "group" or "l0". @throws std::invalid_argument
PenaltyKind parse_penalty(std::string_view name);
/// The reverse of parse_penalty().
const char* to_string(PenaltyKind kind);

struct PenaltyOptions {
  bool positive = false;             ///< codes must be >= 0; l1 and elastic-net
  std::vector<double> weights = {};  ///< one factor > 0 per atom, multiplying reg; empty: all ones; l1 and elastic-net
  PenaltyKind kind = PenaltyKind::l1;
  std::optional<double> l1_ratio = {};    ///< elastic-net: the share of l1, in (0, 1]; absent: 0.5
  std::vector<std::int64_t> groups = {};  ///< group: one label >= 0 per atom; atoms with equal labels are a group
  /// own: what own_penalty() puts here, one of the two.
  std::tuple<std::shared_ptr<const OwnPenalty<float>>, std::shared_ptr<const OwnPenalty<double>>> own = {};
  /// @throws std::invalid_argument naming the field, its value and the rule; L1 checks the weights
  void validate(Index n_atoms) const;
  bool operator==(const PenaltyOptions&) const = default;
};

/// For those who differentiate or learn: l1 is all they know. @throws std::invalid_argument for another penalty
void require_l1(const char* where, const PenaltyOptions& options);

}  // namespace riata
