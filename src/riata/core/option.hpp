// Options, described once: each struct of options has a row per option (its name in all doors, its rule, its words), and from the
// rows come validation, the command's flags, Python's keywords and defaults, and the fingerprint of checkpoints.
//
//   template <>
//   inline constexpr auto described<JointOptions> = std::tuple{
//       Option{"tol", &JointOptions::tol, rule::not_negative, "Relative duality gap"},
//       Option{"max_iter", &JointOptions::max_iter, rule::at_least_one, "Sweeps, at most"}};
#pragma once

#include <concepts>
#include <cstddef>
#include <limits>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>

namespace riata {

/// What a number must be, and how a sentence says it.
struct Rule {
  bool (*holds)(double) = nullptr;  ///< null: it may be anything
  const char* says = "";
};

namespace rule {

inline constexpr Rule anything = {};
inline constexpr Rule at_least_one{[](double v) { return v >= 1; }, "must be >= 1"};
inline constexpr Rule positive{[](double v) { return v > 0 && v <= std::numeric_limits<double>::max(); },
                               "must be > 0 and finite"};
inline constexpr Rule not_negative{[](double v) { return v >= 0 && v <= std::numeric_limits<double>::max(); },
                                   "must be >= 0 and finite"};
inline constexpr Rule some_seconds{positive.holds, "must be > 0 seconds"};
inline constexpr Rule some_layers{[](double v) { return v >= 1 && v <= 1e6; }, "must be between 1 and 1000000"};

}  // namespace rule

/// May a run that resumes have another value than the run before?
enum class Role {
  decides,  ///< no: bits depend on it
  limits    ///< yes
};

template <class Options, class Value>
struct Option {
  const char* name;  ///< Python's keyword; the command's flag, with hyphens
  Value Options::*field;
  Rule rule = {};
  const char* words = "";  ///< of the command's help; where there are none the command has no such flag
  Role role = Role::decides;
};
template <class Options, class Value, class... Rest>
Option(const char*, Value Options::*, Rest...) -> Option<Options, Value>;

/// The rows of a struct of options, or none. A field that is such a struct itself stands for its rows.
template <class Options>
inline constexpr std::nullptr_t described = nullptr;

template <class Options>
concept Described = !std::same_as<std::remove_cvref_t<decltype(described<Options>)>, std::nullptr_t>;

/// Calls visit(row, value of the field) for each option, those of nested structs in their place.
template <class Options, class Visit>
void for_each_option(Options&& options, Visit&& visit) {
  const auto look = [&](const auto& row) {
    auto& value = options.*row.field;
    if constexpr (Described<std::remove_cvref_t<decltype(value)>>)
      for_each_option(value, visit);
    else
      visit(row, value);
  };
  std::apply([&](const auto&... rows) { (look(rows), ...); }, described<std::remove_cvref_t<Options>>);
}

template <class V>
inline constexpr bool is_optional = false;
template <class V>
inline constexpr bool is_optional<std::optional<V>> = true;

template <class V>
concept Number = std::is_arithmetic_v<V> && !std::same_as<V, bool>;

/// @throws std::invalid_argument: name, value, rule
void check_rule(const char* name, double value, bool is_integer, const Rule& rule);

/// Holds every number against its rule. @throws std::invalid_argument naming the option, its value and the rule
template <Described Options>
void check_options(const Options& options) {
  for_each_option(options, []<class V>(const auto& row, const V& value) {
    if (row.rule.holds == nullptr) return;
    if constexpr (Number<V>)
      check_rule(row.name, static_cast<double>(value), std::integral<V>, row.rule);
    else if constexpr (is_optional<V>)
      if constexpr (Number<typename V::value_type>)
        if (value) check_rule(row.name, static_cast<double>(*value), std::integral<typename V::value_type>, row.rule);
  });
}

}  // namespace riata
