// A learned dictionary as one safetensors file, the same for C++, Python and the command line.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "riata/operators/dictionary.hpp"
#include "riata/terms/penalty_options.hpp"

namespace riata {

/// Tensors: `dictionary` (n_atoms, n_features), or dictionary.<name> for each parameter of a dictionary that is no matrix, and,
/// where there are any, `steps` (n_layers), `weights` and `groups` (n_atoms) of the penalty. Metadata: `format` = "riata",
/// `format_version`, `kind` = "dictionary", `conventions`, what the penalty has beside (`penalty`, `positive`,
/// `l1_ratio`), and the training record as given.
template <Scalar T>
struct Model {
  Matrix<T> dictionary = {};                         ///< n_features x n_atoms; 0 x 0 where `parameters` are given
  std::vector<double> steps = {};                    ///< step factors; may be empty
  std::map<std::string, std::string> metadata = {};  ///< free text, e.g. reg, layers, method, patch
  PenaltyOptions penalty = {};                       ///< with which it was learned; not one of the caller's own
  Parameters<T> parameters = {};                     ///< of a dictionary that is no matrix; from load_model(path, like) of any
};

/// Written atomically. @throws riata::Error if the file cannot be written
template <Scalar T>
void save_model(const std::string& path, const Model<T>& model);
/// save_model(path, {.dictionary = D}) is that of a Model<double>.
inline void save_model(const std::string& path, const Model<double>& model) { save_model<double>(path, model); }

/// @throws riata::Error if the file cannot be read; std::invalid_argument if it is corrupt, no riata model, of a future
/// format version, or of the other precision
template <Scalar T>
Model<T> load_model(const std::string& path);

/// The same for any dictionary: its parameters, which like.at() takes. @throws std::invalid_argument also if they are not those
/// of `like`
template <Scalar T>
Model<T> load_model(const std::string& path, const Dictionary<T>& like);

/// Is the stored dictionary float32 (else float64)?
bool model_is_float32(const std::string& path);

}  // namespace riata
