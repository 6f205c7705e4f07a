// Learned patterns of recordings as one safetensors file, the same for C++, Python and the command line.
#pragma once

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "riata/operators/convolutional_dictionary.hpp"

namespace riata {

/// Tensors: `u` (n_atoms, n_channels) and `v` (n_atoms, n_times_atom) of patterns of rank one, with the `window` (n_times_atom)
/// where there is one, or `kernels` (n_atoms, n_channels, n_times_atom). Metadata: `format` = "riata", `format_version`, `kind` =
/// "patterns", `conventions`, the fields below that are known under their names, `channel_names` as a JSON array, and free text.
template <Scalar T>
struct PatternModel {
  Matrix<T> u = {},
            v = {};  ///< n_channels x n_atoms and n_times_atom x n_atoms, columns on the sphere; 0 x 0 where kernels are free
  Vector<T> window = {};   ///< by which v is multiplied when it is applied; or 0
  Matrix<T> kernels = {};  ///< free: (n_channels n_times_atom) x n_atoms, channel after channel, columns on the sphere; or 0 x 0
  Index n_channels = 0;

  std::optional<double> rate = {};                   ///< Hz, of the recordings
  std::vector<std::string> channel_names = {};       ///< in the order of the patterns; or none
  std::string unit = {};                             ///< of the recordings, "V"; or none
  std::optional<double> reg = {};                    ///< the weight that they were learned with
  bool positive = true;                              ///< activations >= 0
  std::map<std::string, std::string> metadata = {};  ///< free text, e.g. method, seed, n_times

  bool is_rank_one() const { return u.size() > 0; }
  Index n_atoms() const { return is_rank_one() ? v.cols() : kernels.cols(); }
  Index n_times_atom() const { return is_rank_one() ? v.rows() : kernels.rows() / std::max<Index>(n_channels, 1); }
  /// For signals of n_times samples.
  ConvolutionalDictionary<T> dictionary(Index n_times, Boundary boundary = Boundary::valid) const;

  /// Free text and the fields that are known, as the file has them.
  std::map<std::string, std::string> to_text() const;
  /// The reverse. @throws std::invalid_argument, after `where`, for text that is none of these
  void take_text(std::map<std::string, std::string> text, const std::string& where);
  /// @throws std::invalid_argument, after `where`, if sizes disagree, an entry is not finite, a pattern is off the sphere, or a
  /// field is none of what it should be
  void validate(const std::string& where) const;
};

/// Written atomically. @throws std::invalid_argument as validate(), riata::Error if the file cannot be written
template <Scalar T>
void save_patterns(const std::string& path, const PatternModel<T>& model);

/// @throws riata::Error if the file cannot be read; std::invalid_argument if it is corrupt, holds no patterns, is of a future
/// format version, or of the other precision
template <Scalar T>
PatternModel<T> load_patterns(const std::string& path);

/// Does the file hold patterns, by its metadata? False also for files of other programs. @throws as read_safetensors_metadata()
bool holds_patterns(const std::string& path);
/// Are the stored patterns float32 (else float64)? @throws as load_patterns()
bool patterns_are_float32(const std::string& path);

}  // namespace riata
