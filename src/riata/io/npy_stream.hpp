// One .npy array from any source of bytes: a file, or a member of a zip archive. Internal: not installed.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "riata/core/tensors.hpp"

namespace riata {

struct ByteSource {
  std::string name;       ///< in messages: "atoms.npy" or "data.npz (array 'atoms')"
  std::uint64_t n_bytes;  ///< the whole array file
  std::function<std::size_t(void* out, std::size_t n_bytes)> read;  ///< the number of bytes delivered
};

/// @throws std::invalid_argument naming the source
Tensor parse_npy(const ByteSource& source);

/// The bytes before the values of `tensor`. @throws std::invalid_argument if shape and values disagree
std::string npy_header(const Tensor& tensor, const std::string& where);

}  // namespace riata
