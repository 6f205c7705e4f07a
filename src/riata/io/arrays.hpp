// NumPy's array files.
//
// Format: "NEP 1: a simple file format for NumPy arrays", versions 1.0 to 3.0; .npz is a zip archive of them.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "riata/core/tensors.hpp"

namespace riata {

/// Reads one array. float32 and float64 stay; float16 and bfloat16 (which NumPy saves as two bytes of type V2) become float32;
/// integers of any width and booleans become float64 (rounded to nearest beyond 2^53). Fortran order is transposed into C order,
/// big-endian values are swapped. Memory beyond 256 MiB is taken for at most 100 times the bytes on the disk.
/// @throws std::invalid_argument for other types and damaged files, riata::Error for unreadable ones
Tensor read_npy(const std::filesystem::path& path);

struct NpyOptions {
  bool convert = false;  ///< to the precision asked for, from the other one
};

/// The columns are the file's rows: of signals (n_signals, n_features) X, n_features x n_signals.
/// @throws std::invalid_argument also for another number of dimensions, and for the other precision unless `convert`
template <Scalar T>
Matrix<T> read_npy(const std::filesystem::path& path, const NpyOptions& options = {});

/// Reads every array of an archive, stored or deflated, under its name without ".npy". Types as read_npy().
/// @throws std::invalid_argument, riata::Error
NamedTensors read_npz(const std::filesystem::path& path);

/// The names of an archive's arrays, in its order; members that are no .npy files are left out.
/// @throws std::invalid_argument, riata::Error
std::vector<std::string> npz_names(const std::filesystem::path& path);

/// Reads one array of an archive; what else it holds does not matter. @throws std::invalid_argument, riata::Error
Tensor read_npz_array(const std::filesystem::path& path, const std::string& name);

struct ArrayHeader {
  std::vector<Index> shape;
  std::string type;          ///< "float32", "strings"
  bool is_readable = false;  ///< as a Tensor
};

/// What an array of an archive is, of any type. @throws std::invalid_argument, riata::Error
ArrayHeader read_npz_header(const std::filesystem::path& path, const std::string& name);

/// Writes atomically, as numpy.save would. An int64 tensor stays int64 on disk.
/// @throws std::invalid_argument if shape and values disagree, riata::Error if the file cannot be written
void write_npy(const std::filesystem::path& path, const Tensor& tensor);

/// Writes atomically, uncompressed, in the order of the names and with a fixed date: the same tensors give
/// the same bytes; zip64 beyond 4 GiB. @throws as write_npy()
void write_npz(const std::filesystem::path& path, const NamedTensors& tensors);

}  // namespace riata
