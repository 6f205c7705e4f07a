#include "riata/core/option.hpp"

#include <algorithm>
#include <string>

#include "riata/core/check.hpp"
#include "riata/core/names.hpp"

namespace riata {

void refuse_name(std::string_view option, std::string_view got, std::span<const char* const> all) {
  std::string renamed(got);
  std::ranges::replace(renamed, '-', '_');
  require(std::ranges::find(all, renamed) == all.end(), "{} = '{}' is '{}' since riata 0.2", option, shown(got), renamed);
  std::string list;
  for (std::size_t k = 0; k < all.size(); ++k)
    list += formatted("{}'{}'", k == 0 ? "" : k + 1 < all.size() ? ", " : " or ", all[k]);
  refuse(formatted("{} = '{}', must be {}", option, shown(got), list));
}

void check_rule(const char* name, double value, bool is_integer, const Rule& rule) {
  if (rule.holds(value)) return;
  if (is_integer) refuse(formatted("{} = {}, {}", name, static_cast<long long>(value), rule.says));
  refuse(formatted("{} = {}, {}", name, value, rule.says));
}

}  // namespace riata
