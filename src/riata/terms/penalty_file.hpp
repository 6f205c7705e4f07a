// The penalty with which a dictionary was learned, in its model file: metadata `penalty`, `positive`, `l1_ratio`, tensors
// `weights` and `groups`, none of them for plain l1.
#pragma once

#include <string>

#include "riata/io/safetensors.hpp"
#include "riata/terms/penalty_options.hpp"

namespace riata {

/// @throws std::invalid_argument for a penalty of the caller's own
void store_penalty(const PenaltyOptions& penalty, TensorFile& file);

/// @throws std::invalid_argument, after the file's name
PenaltyOptions stored_penalty(const TensorFile& file, const std::string& path, Index n_atoms);

}  // namespace riata
