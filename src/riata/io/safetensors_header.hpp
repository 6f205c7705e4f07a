// The JSON header of a safetensors file.
#pragma once

#include <cstdint>
#include <cstdio>
#include <map>
#include <string>
#include <vector>

#include "riata/io/safetensors.hpp"

namespace riata {

/// Where a tensor's values lie, counted from the first byte after the header.
struct TensorPlace {
  std::string name;
  std::string dtype;  ///< F16, BF16, F32, F64 or I64
  std::vector<Index> shape;
  std::uint64_t begin = 0, end = 0;
};

struct SafetensorsHeader {
  std::vector<TensorPlace> places;  ///< by position, covering the values without gap or overlap
  std::map<std::string, std::string> metadata;
};

/// Parses and verifies; n_value_bytes is what the file holds after the header.
/// @throws std::invalid_argument "model.safetensors ..." with `name` in front
SafetensorsHeader parse_safetensors_header(const std::string& text, std::uint64_t n_value_bytes, const std::string& name);

/// Lays out the tensors, widest values first, then by name. @throws std::invalid_argument
SafetensorsHeader lay_out(const TensorFile& file);

/// write_safetensors() into a stream of write_atomically(). @throws as that, and std::system_error
void write_safetensors_to(std::FILE* stream, const TensorFile& file);

/// The JSON text, padded. @throws std::invalid_argument for text that is not UTF-8
std::string format_safetensors_header(const SafetensorsHeader& header);

}  // namespace riata
