// A network as one safetensors file, the same for C++, Python and the command line; and its arrays as .npz.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "riata/core/tensors.hpp"
#include "riata/networks/network.hpp"

namespace riata {

/// Tensors: `dictionary` (n_atoms, n_features), or what a convolution is (operators/dictionary_tensors.hpp), or dictionary.<name>
/// for each parameter of another; every parameter
/// under its name (an array of riata's n x m is (m, n) here, and one of n x 1 is (n)), and `groups` where there are any.
/// Metadata: as every model file, `kind` = "network", the `network`'s kind, `n_layers`, the options, `reg` of training if there
/// was one, and the training record as given.
template <Scalar T>
struct StoredNetwork {
  Network<T> network;
  std::optional<double> reg = {};                    ///< the weight of training
  std::map<std::string, std::string> metadata = {};  ///< free text; keys that the file itself uses are passed over
};

/// Written atomically. @throws riata::Error if the file cannot be written
template <Scalar T>
void save_network(const std::string& path, const StoredNetwork<T>& stored);

/// A model whose steps were learned with l1 (learning/model.hpp) is one, too: of kind `step`, or `fista` where its layers
/// were.
/// @throws riata::Error if the file cannot be read; std::invalid_argument if it is corrupt, no network, of a future format
/// version, or of the other precision
template <Scalar T>
StoredNetwork<T> load_network(const std::string& path);

/// The same for a network over a dictionary that is neither matrix nor convolution: `like` with the parameters stored.
template <Scalar T>
StoredNetwork<T> load_network(const std::string& path, const Dictionary<T>& like);

/// Is the stored network float32 (else float64)?
bool network_is_float32(const std::string& path);

/// The parameters alone, named and shaped as in the file, with '.' between the words of a name.
template <Scalar T>
void export_parameters(const std::string& path, const Network<T>& network);

/// Arrays of a network trained elsewhere, of either precision; parameters that have no array stay as they are.
/// @throws std::invalid_argument if an array belongs to no parameter or does not fit
template <Scalar T>
void import_parameters(const std::string& path, Network<T>& network);

/// The tensor of a parameter, and the reverse. @throws std::invalid_argument if sizes differ from those of `like`
template <Scalar T>
Tensor parameter_to_tensor(const Matrix<T>& parameter);
template <Scalar T>
Matrix<T> tensor_to_parameter(const Tensor& tensor, const Matrix<T>& like, const std::string& name, const std::string& where);

}  // namespace riata
