// What of a run's options its bits depend on: the part of a checkpoint's fingerprint that options are.
#pragma once

#include <nlohmann/json.hpp>

#include "riata/core/names.hpp"
#include "riata/core/option.hpp"
#include "riata/datasets/generators.hpp"
#include "riata/operators/dictionary.hpp"
#include "riata/optim/checkpoint.hpp"

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

/// Of what D makes of a fixed code: dictionaries with equal parameters may be other maps.
template <Scalar T>
std::uint64_t hash_of_map(const Dictionary<T>& D) {
  Matrix<T> image(D.signal_size(), 1);
  D.apply(datasets::gaussian_dictionary<T>(D.code_size(), 1, 0), image);
  return hash_of<T>(image);
}

}  // namespace riata
