// What commands read: signals from arrays and pictures, dictionaries from models and arrays.
//
// A name ending in .npy, .npz, .npz:KEY or .h5:DATASET is an array (n_signals, n_features); anything else must be a
// picture, whose overlapping square patches, channel after channel, are the signals, in 8-bit grey levels; those of a
// floating-point TIFF in its own unit.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "riata/core/axes.hpp"
#include "riata/core/tensors.hpp"
#include "riata/core/types.hpp"
#include "riata/io/images.hpp"
#include "riata/terms/penalty_options.hpp"

namespace riata::cli {

/// n_features x n, in the precision of the file.
using AnyMatrix = std::variant<Matrix<float>, Matrix<double>>;

enum class Precision { float32, float64 };
Precision parse_precision(std::string_view name);
Precision precision_of(const AnyMatrix& matrix);
template <Scalar T>
constexpr Precision precision_of() {
  return std::is_same_v<T, float> ? Precision::float32 : Precision::float64;
}
const char* to_string(Precision precision);
AnyMatrix converted(AnyMatrix matrix, Precision precision);

bool is_array_name(const std::string& name);
/// The file of an array's name: "data.npz" for "data.npz:train".
std::string file_of(const std::string& name);

/// The array of a .npy file, or of a .npz archive under its key or alone. @throws std::invalid_argument,
/// riata::Error
Tensor read_array(const std::string& name);

enum class Entries { finite, any };  ///< any: where a mask may hide what is no number

/// Checks rank and size, and refuses NaN and infinity unless any entries will do.
AnyMatrix read_matrix(const std::string& name, const Axes& axes, Entries entries = Entries::finite);

/// Of signals in precision T, whatever its own. @throws std::invalid_argument, riata::Error
template <Scalar T>
Matrix<T> read_mask(const std::string& name) {
  return std::visit([](const auto& M) -> Matrix<T> { return M.template cast<T>(); }, read_matrix(name, of_signals));
}

/// Integers, one dimension. @throws std::invalid_argument, riata::Error
std::vector<std::int64_t> read_labels(const std::string& name);

/// PenaltyOptions::weights of shape (n_atoms,), one per group, or (n_signals, n_atoms), row after row: then n_rows is n_signals, else
/// 0. @throws std::invalid_argument, riata::Error
std::vector<double> read_weights(const std::string& name, Index n_atoms, Index& n_rows);

struct PatchOptions {
  Index patch = 8;                        ///< side of a picture's patches
  std::optional<Index> max_patches = {};  ///< of all pictures together, drawn at random; absent: all, in raster order
  std::uint64_t seed = 0;
  ReadImageOptions image = {};        ///< without a page: all pages of a TIFF
  Entries entries = Entries::finite;  ///< of arrays
};

/// All inputs, one after the other; arrays of one precision, or pictures (float32), not both.
AnyMatrix read_signals(const std::vector<std::string>& names, const PatchOptions& options);

/// The same for a dictionary that is there already: a picture's patches are as large as its atoms and of its precision.
/// options.patch does not matter. @throws std::invalid_argument if the atoms are no square patches
AnyMatrix read_signals_for(Index n_features, Precision precision, const std::string& atoms_name,
                           const std::vector<std::string>& names, PatchOptions options = {});

/// Subtracts from each signal its mean.
void centre(AnyMatrix& signals);

struct LoadedDictionary {
  AnyMatrix atoms;
  std::vector<double> steps = {};
  std::map<std::string, std::string> metadata = {};
  PenaltyOptions penalty = {};
};

/// A model (.safetensors) or a plain array (.npy, .npz).
LoadedDictionary read_dictionary(const std::string& name);

/// The matrix in the precision of the signals. @throws std::invalid_argument if it has the other one
template <Scalar T>
const Matrix<T>& in_precision_of_signals(const AnyMatrix& matrix, const std::string& name);

/// The reverse: signals for a dictionary, of which both precision and width must be. @throws std::invalid_argument
template <Scalar T>
const Matrix<T>& signals_that_fit(const AnyMatrix& signals, const std::string& signals_name, Index n_features,
                                  const std::string& atoms_name);

}  // namespace riata::cli
