// What all model files have in common: safetensors whose metadata say `format` = "riata", `format_version` and `kind`.
#pragma once

#include <charconv>
#include <map>
#include <string>

#include "riata/core/check.hpp"
#include "riata/core/sentence.hpp"
#include "riata/io/safetensors.hpp"

namespace riata {

/// @throws std::invalid_argument if the file is damaged, no model of riata's, or of a future version; riata::Error if it cannot
/// be read
TensorFile read_model_file(const std::string& path);

/// What the metadata say of `key`; "" where they are silent.
std::string text_of(const std::map<std::string, std::string>& metadata, const std::string& key);

/// The number that they hold there. @throws std::invalid_argument, after `where`, if there is none
template <class N>
N number_of(const std::map<std::string, std::string>& metadata, const std::string& key, const std::string& where) {
  const auto found = metadata.find(key);
  require(found != metadata.end(), "{}: metadata '{}' is missing", where, key);
  const std::string& text = found->second;
  N value{};
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
  require(parsed.ec == std::errc() && parsed.ptr == text.data() + text.size(), "{}: metadata '{}' is '{}', expected a number",
          where, key, shown(text));
  return value;
}

/// Adds the metadata and writes atomically. @throws as write_safetensors()
void write_model_file(const std::string& path, const std::string& kind, TensorFile file);

}  // namespace riata
