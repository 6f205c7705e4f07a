#include "options.hpp"

#include <algorithm>
#include <charconv>
#include <concepts>
#include <limits>

#include "riata/core/check.hpp"

namespace riata::cli {

namespace {

template <class Number>
bool is_number(std::string_view text) {
  if (text.size() > 1 && text.front() == '+' && text[1] != '-') text.remove_prefix(1);
  if (std::integral<Number> && text.size() > 1 && text.front() == '0') return false;  // octal to CLI11
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size();
}

}  // namespace

void make_strict(CLI::App& command) {
  for (CLI::Option* option : command.get_options()) {
    if (option->get_items_expected_max() == 0) {
      option->disable_flag_override();
      continue;
    }
    const std::string type = option->get_type_name(), name = option->get_name();
    const bool is_integer = type == "INT" || type == "UINT", is_real = type == "FLOAT" || type == "P P_MAX";
    option->check([=](const std::string& text) -> std::string {
      if (text.empty()) return "the value is empty";
      if ((is_integer && !is_number<std::int64_t>(text)) || (is_real && !is_number<double>(text)))
        throw CLI::ConversionError(name, std::vector{text});
      return {};
    });
  }
}

std::string flag_of(std::string_view name) {
  std::string flag = "--" + std::string(name);
  std::ranges::replace(flag, '_', '-');
  return flag;
}

std::uint64_t parse_seed(std::string_view text) {
  std::uint64_t seed = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seed);
  require(error == std::errc() && end == text.data() + text.size(), "seed = '{}', must be an integer from 0 to {}", text,
          std::numeric_limits<std::uint64_t>::max());
  return seed;
}

}  // namespace riata::cli
