// What a killed run continues from, bit for bit: one safetensors file that says which run it belongs to.
#pragma once

#include <string>

#include "riata/core/types.hpp"
#include "riata/io/safetensors.hpp"

namespace riata {

/// Where to keep it.
struct Checkpoint {
  std::string path = {};         ///< empty: none
  int every = 10;                ///< accepted iterations
  bool resume = false;           ///< start from `path` if it exists
  std::string fingerprint = {};  ///< JSON object of what must be equal for a resume to make sense
};

/// The stored tensors, or none at all if there is no file. Without `resume` the file is only looked at: what is no checkpoint
/// is not overwritten. @throws std::invalid_argument if it is no checkpoint, or that of another run
NamedTensors open_checkpoint(const Checkpoint& checkpoint);
/// @throws riata::Error if the file cannot be written
void write_checkpoint(const Checkpoint& checkpoint, NamedTensors tensors);

/// 64-bit FNV-1a of the bytes: enough to notice that a checkpoint belongs to other data.
template <Scalar T>
std::uint64_t hash_of(const NonDeduced<ConstMatrixRef<T>>& X);

}  // namespace riata
