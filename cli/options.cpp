#include "options.hpp"

#include <charconv>
#include <limits>

#include "riata/core/check.hpp"

namespace riata::cli {

std::uint64_t parse_seed(std::string_view text) {
  std::uint64_t seed = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seed);
  require(error == std::errc() && end == text.data() + text.size(), "seed = '{}', must be an integer from 0 to {}", text,
          std::numeric_limits<std::uint64_t>::max());
  return seed;
}

}  // namespace riata::cli
