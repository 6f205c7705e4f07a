#include "riata/terms/penalty_options.hpp"

#include <fmt/ranges.h>

#include <algorithm>

#include "riata/core/check.hpp"

namespace riata {
namespace {

constexpr std::initializer_list<const char*> penalty_names = {"l1", "elastic-net", "group", "l0", "own"};

}  // namespace

PenaltyKind parse_penalty(std::string_view name) {
  const auto begin = penalty_names.begin(), end = penalty_names.end() - 1;  // nobody's own has a name here
  const auto found = std::find(begin, end, name);
  require(found != end, "penalty = '{}', must be one of '{}'", name, fmt::join(begin, end, "', '"));
  return static_cast<PenaltyKind>(found - begin);
}

const char* to_string(PenaltyKind kind) { return penalty_names.begin()[static_cast<std::size_t>(kind)]; }

void PenaltyOptions::validate(Index n_atoms) const {
  const bool entrywise = kind == PenaltyKind::l1 || kind == PenaltyKind::elastic_net;
  require(entrywise || !positive, "positive is for the penalties 'l1' and 'elastic-net', not for '{}'", to_string(kind));
  require(entrywise || weights.empty(), "weights are for the penalties 'l1' and 'elastic-net', not for '{}'", to_string(kind));
  require(kind == PenaltyKind::elastic_net || !l1_ratio, "l1_ratio is for the penalty 'elastic-net', not for '{}'",
          to_string(kind));
  require(!l1_ratio || (*l1_ratio > 0 && *l1_ratio <= 1), "l1_ratio = {}, must be > 0 and <= 1", l1_ratio.value_or(1));
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
