// What of a run's options its bits depend on: the part of a checkpoint's fingerprint that options are.
#pragma once

#include <nlohmann/json.hpp>

#include "riata/core/names.hpp"
#include "riata/core/option.hpp"

namespace riata {

/// Name and value of each option that decides, enumerations by name, absent ones as null.
template <Described Options>
nlohmann::json decided_by(const Options& options) {
  nlohmann::json all;
  for_each_option(options, [&]<class V>(const auto& row, const V& value) {
    if (row.role != Role::decides) return;
    if constexpr (Named<V>)
      all[row.name] = to_string(value);
    else if constexpr (is_optional<V>)
      all[row.name] = value ? nlohmann::json(*value) : nlohmann::json();
    else
      all[row.name] = value;
  });
  return all;
}

}  // namespace riata
