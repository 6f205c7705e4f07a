// What all model files have in common: safetensors whose metadata say `format` = "riata", `format_version` and `kind`.
#pragma once

#include <map>
#include <string>

#include "riata/io/safetensors.hpp"

namespace riata {

/// @throws std::invalid_argument if the file is damaged, no model of riata's, or of a future version; riata::Error if it cannot
/// be read
TensorFile read_model_file(const std::string& path);

/// What the metadata say of `key`; "" where they are silent.
std::string text_of(const std::map<std::string, std::string>& metadata, const std::string& key);

/// Adds the metadata and writes atomically. @throws as write_safetensors()
void write_model_file(const std::string& path, const std::string& kind, TensorFile file);

}  // namespace riata
