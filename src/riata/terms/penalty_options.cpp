#include "riata/terms/penalty_options.hpp"

#include "riata/core/check.hpp"

namespace riata {

void PenaltyOptions::validate(Index n_atoms) const {
  const bool entrywise = kind == PenaltyKind::l1 || kind == PenaltyKind::elastic_net;
  require(entrywise || !positive, "positive is for the penalties 'l1' and 'elastic_net', not for '{}'", to_string(kind));
  require(entrywise || weights.empty(), "weights are for the penalties 'l1' and 'elastic_net', not for '{}'", to_string(kind));
  require(kind == PenaltyKind::elastic_net || !l1_ratio, "l1_ratio is for the penalty 'elastic_net', not for '{}'",
          to_string(kind));
  check_options(*this);
  require(kind == PenaltyKind::group || groups.empty(), "groups are for the penalty 'group', not for '{}'", to_string(kind));
  if (kind != PenaltyKind::group) return;
  require(!groups.empty(), "penalty = 'group' needs groups, one label >= 0 per atom");
  require(std::ssize(groups) == n_atoms, "groups: {} entries for {} atoms; they must be equal", groups.size(), n_atoms);
  for (std::size_t j = 0; j < groups.size(); ++j) require(groups[j] >= 0, "groups: entry {} is {}, must be >= 0", j, groups[j]);
}

void require_l1(const char* where, const PenaltyOptions& options) {
  require(options.kind == PenaltyKind::l1, "{}: penalty = '{}', must be 'l1'", where, to_string(options.kind));
}

}  // namespace riata
