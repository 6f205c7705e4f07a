// Structs of options from Python's keywords, by the rows that describe them (riata/core/option.hpp); `as_options` of
// python/riata/_arguments.py makes the dict and has checked the types.
#pragma once

#include <nanobind/stl/vector.h>

#include <string>
#include <vector>

#include "arrays.hpp"
#include "execution.hpp"
#include "paths.hpp"
#include "riata/core/names.hpp"
#include "riata/core/option.hpp"

namespace riata::python {

template <class V>
inline constexpr bool is_list = false;
template <class V>
inline constexpr bool is_list<std::vector<V>> = true;

/// What `as_options` makes of an option's value.
template <class V>
constexpr const char* kind_of_option() {
  if constexpr (is_optional<V>)
    return kind_of_option<typename V::value_type>();
  else if constexpr (std::same_as<V, bool>)
    return "bool";
  else if constexpr (std::same_as<V, int>)
    return "int";
  else if constexpr (std::same_as<V, Index>)
    return "size";
  else if constexpr (std::same_as<V, double>)
    return "float";
  else if constexpr (std::same_as<V, std::uint64_t>)
    return "seed";
  else if constexpr (std::same_as<V, std::string>)
    return "path";
  else if constexpr (std::same_as<V, std::vector<double>>)
    return "vector";
  else if constexpr (std::same_as<V, std::vector<std::int64_t>>)
    return "labels";
  else if constexpr (std::same_as<V, std::vector<std::string>>)
    return "texts";
  else
    return "text";
}

template <class V>
V option_from_python(const nb::handle& given, const char* name) {
  if constexpr (is_optional<V>) {
    if (given.is_none()) return {};
    return option_from_python<typename V::value_type>(given, name);
  } else if constexpr (std::same_as<V, std::string>) {
    return nb::cast<Path>(given).name;
  } else if constexpr (Named<V>) {
    return parse<V>(nb::cast<std::string>(given), name);
  } else if constexpr (is_list<V> && !std::same_as<V, std::vector<std::string>>) {
    return given.is_none() ? V() : to_vector<typename V::value_type>(nb::cast<Array1<typename V::value_type>>(given));
  } else {
    return nb::cast<V>(given);
  }
}

template <class V>
nb::object option_to_python(const V& value) {
  if constexpr (Named<V>)
    return nb::cast(to_string(value));
  else if constexpr (is_list<V> || std::same_as<V, std::string>)
    return nb::none();
  else if constexpr (is_optional<V>)
    return value ? option_to_python(*value) : nb::none();
  else
    return nb::cast(value);
}

/// The options in `given`, defaults for the others; the execution that n_threads asks for, where the struct has one.
template <Described Options>
Options to_options(const nb::dict& given, OnInterrupt on_interrupt = OnInterrupt::raise) {
  Options options;
  for_each_option(options, [&]<class V>(const auto& row, V& value) {
    if (given.contains(row.name)) value = option_from_python<V>(given[row.name], row.name);
  });
  std::optional<int> n_threads;
  if (given.contains("n_threads")) n_threads = nb::cast<std::optional<int>>(given["n_threads"]);
  const Execution execution = to_execution(n_threads, on_interrupt);
  if constexpr (requires { options.execution; }) options.execution = execution;
  if constexpr (requires { options.encode.execution; }) options.encode.execution = execution;
  if constexpr (requires { options.network.execution; }) options.network.execution = execution;
  if constexpr (requires { options.learn.execution; }) options.learn.execution = execution;
  return options;
}

/// Tells Python of a struct's options: _riata.options[function][name] = (kind, may it be None?, default).
template <Described Options>
void describe_options(nb::module_& m, const char* function, const Options& defaults = {}) {
  nb::dict rows;
  for_each_option(defaults, [&]<class V>(const auto& row, const V& value) {
    rows[row.name] = nb::make_tuple(kind_of_option<V>(), is_optional<V>, option_to_python(value));
  });
  m.attr("options")[function] = rows;
}

}  // namespace riata::python
