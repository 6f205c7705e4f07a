// Safetensors: named tensors and text metadata in one file that any language reads without executing
// anything.
//
// Format: https://github.com/huggingface/safetensors#format. Eight bytes give the length of a JSON header,
// then come the header (padded with spaces to a multiple of eight) and the values, little-endian, without
// gaps.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "riata/core/tensors.hpp"

namespace riata {

struct TensorFile {
  NamedTensors tensors;
  std::map<std::string, std::string> metadata;
  bool operator==(const TensorFile&) const = default;
};

/// Reads F32, F64 and I64, and F16 and BF16 as float32. Every size is checked against the file before memory is taken.
/// @throws std::invalid_argument if the file is damaged or holds other types, riata::Error if it cannot be
/// read
TensorFile read_safetensors(const std::filesystem::path& path);
/// Its metadata alone; the tensors' places are checked, their values not read.
std::map<std::string, std::string> read_safetensors_metadata(const std::filesystem::path& path);

/// Writes atomically; equal contents give equal bytes. Tensors of eight-byte values come first, so that each
/// is aligned.
/// @throws std::invalid_argument for text that is not UTF-8, or a tensor named "__metadata__" or of
/// inconsistent shape; riata::Error if the file cannot be written
void write_safetensors(const std::filesystem::path& path, const TensorFile& file);

}  // namespace riata
