#include "riata/terms/penalty_options.hpp"

#include <algorithm>

#include "riata/core/check.hpp"

namespace riata {

void PenaltyOptions::validate(Index n_atoms) const {
  const bool takes_weights = kind != PenaltyKind::l0 && kind != PenaltyKind::own;
  require(takes_weights || !positive, "positive is for the penalties 'l1', 'elastic_net' and 'group', not for '{}'",
          to_string(kind));
  require(takes_weights || weights.empty(), "weights are for the penalties 'l1', 'elastic_net' and 'group', not for '{}'",
          to_string(kind));
  require(kind == PenaltyKind::elastic_net || !l1_ratio, "l1_ratio is for the penalty 'elastic_net', not for '{}'",
          to_string(kind));
  check_options(*this);
  require(kind == PenaltyKind::group || groups.empty(), "groups are for the penalty 'group', not for '{}'", to_string(kind));
  if (kind != PenaltyKind::group) return;
  require(!groups.empty(), "penalty = 'group' needs groups, one label >= 0 per atom");
  require(std::ssize(groups) == n_atoms, "groups: {} entries for {} atoms; they must be equal", groups.size(), n_atoms);
  for (std::size_t j = 0; j < groups.size(); ++j) require(groups[j] >= 0, "groups: entry {} is {}, must be >= 0", j, groups[j]);
}

bool PenaltyOptions::has_weights_per_signal(Index n_atoms) const {
  return kind != PenaltyKind::group && std::ssize(weights) > n_atoms && std::ssize(weights) % n_atoms == 0;
}

bool PenaltyOptions::has_free_atoms() const { return kind != PenaltyKind::group && std::ranges::count(weights, 0.0) > 0; }

void require_l1(const char* where, const PenaltyOptions& options) {
  require(options.kind == PenaltyKind::l1, "{}: penalty = '{}', must be 'l1'", where, to_string(options.kind));
}

}  // namespace riata
