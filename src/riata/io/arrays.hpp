// NumPy's array files.
//
// Format: "NEP 1: a simple file format for NumPy arrays", versions 1.0 to 3.0; .npz is a zip archive of them.
#pragma once

#include <filesystem>

#include "riata/core/tensors.hpp"

namespace riata {

/// Reads one array. float32 and float64 stay; integers of any width and booleans become float64 (rounded to
/// nearest beyond 2^53). Fortran order is transposed into C order, big-endian values are swapped.
/// @throws std::invalid_argument for other types and damaged files, riata::Error for unreadable ones
Tensor read_npy(const std::filesystem::path& path);

/// Reads every array of an archive, stored or deflated, under its name without ".npy". Types as read_npy().
/// @throws std::invalid_argument, riata::Error
NamedTensors read_npz(const std::filesystem::path& path);

/// Writes atomically, as numpy.save would. An int64 tensor stays int64 on disk.
/// @throws std::invalid_argument if shape and values disagree, riata::Error if the file cannot be written
void write_npy(const std::filesystem::path& path, const Tensor& tensor);

/// Writes atomically, uncompressed, in the order of the names and with a fixed date: the same tensors give
/// the same bytes; zip64 beyond 4 GiB. @throws as write_npy()
void write_npz(const std::filesystem::path& path, const NamedTensors& tensors);

}  // namespace riata
