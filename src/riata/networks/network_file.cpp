#include "riata/networks/network_file.hpp"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "riata/core/check.hpp"
#include "riata/core/sentence.hpp"
#include "riata/datasets/generators.hpp"
#include "riata/io/arrays.hpp"
#include "riata/io/model_file.hpp"
#include "riata/linalg/norms.hpp"
#include "riata/operators/dictionary_tensors.hpp"
#include "riata/terms/penalty_file.hpp"
#include "riata/unrolled/unrolled.hpp"

namespace riata {
namespace {

bool has_learned_steps(const TensorFile& file) {
  return text_of(file.metadata, "kind") == "dictionary" && file.tensors.contains("steps");
}

TensorFile read_network(const std::string& path) {
  TensorFile file = read_model_file(path);
  const std::string kind = text_of(file.metadata, "kind");
  require(kind == "network" || has_learned_steps(file), "{} holds a {}, expected a network", path,
          kind.empty() ? "model of no kind" : shown(kind));
  return file;
}

/// Puts the file's name before what is refused.
template <class Make>
auto naming(const std::string& path, const Make& make) {
  try {
    return make();
  } catch (const std::invalid_argument& refused) {
    refuse(path + ": " + refused.what());
  }
}

using Metadata = std::map<std::string, std::string>;

/// Without what the file itself says, which is not the caller's to give, nor among the text that he gets back.
Metadata free_text(Metadata metadata) {
  for (const char* key :
       {"format", "format_version", "kind", "network", "n_layers", "threshold", "lipschitz", "reg", "positive",
        "support_selection_p", "support_selection_p_max", "conventions", "dictionary", "n_channels", "n_times", "boundary"})
    metadata.erase(key);
  return metadata;
}

std::string shape_of(const std::vector<Index>& shape) { return formatted("({})", fmt::join(shape, ", ")); }

/// Of the tensor of a rows x cols parameter.
std::vector<Index> parameter_shape(Index rows, Index cols) {
  return cols == 1 ? std::vector<Index>{rows} : std::vector<Index>{cols, rows};
}

void require_parameter_shape(const Tensor& tensor, Index rows, Index cols, const std::string& name, const std::string& where) {
  const std::vector<Index> expected = parameter_shape(rows, cols);
  const bool is_number = tensor.shape.empty() && rows * cols == 1;  // where one is expected, () is (1)
  require(tensor.shape == expected || is_number, "{}: '{}' has shape {}, expected {}", where, name, shape_of(tensor.shape),
          shape_of(expected));
}

/// A dictionary learned with its steps s is Step-LISTA, or FISTA with such steps: alpha_k = s_k / L in layer k. Takes the form of
/// one.
template <Scalar T>
void become_network(const Dictionary<T>& D, const std::string& path, TensorFile& file) {
  const PenaltyOptions penalty = stored_penalty(file, path, D.code_size());
  const char* other = penalty.kind != PenaltyKind::l1                           ? to_string(penalty.kind)
                      : !penalty.weights.empty()                                ? "weights"
                      : text_of(file.metadata, "return_extrapolated") == "true" ? "return_extrapolated"
                                                                                : nullptr;
  require(other == nullptr,
          "{}: it was learned with {}, which networks of learned steps do not have; encode by its n_layers instead", path,
          other ? other : "");
  const std::vector<double> s = get_vector<double>(file.tensors, "steps", path);
  const auto n_layers = static_cast<int>(std::min<std::size_t>(s.size(), most_layers + 1));  // too many: the network says so
  require(text_of(file.metadata, "n_layers").empty() || number_of<std::size_t>(file.metadata, "n_layers", path) == s.size(),
          "{}: metadata 'n_layers' is {}, but there are {} steps", path, shown(text_of(file.metadata, "n_layers")), s.size());
  const std::string algorithm = text_of(file.metadata, "algorithm");
  const bool is_ista = !algorithm.empty() && naming(path, [&] { return parse<Layers>(algorithm, "algorithm"); }) == Layers::ista;
  const auto atoms = D.matrix();
  const double L =
      atoms && text_of(file.metadata, "lipschitz_bound") == "frobenius" ? frobenius_norm_of_gram(*atoms) : D.squared_norm();
  for (int k = 0; k < n_layers; ++k)
    file.tensors[parameter_name(k, "step")] = {{1}, std::vector<T>{static_cast<T>(s[static_cast<std::size_t>(k)] / L)}};
  for (const char* key : {"support_selection_p", "support_selection_p_max"}) file.metadata.erase(key);
  file.metadata["network"] = is_ista ? "step" : "fista";
  if (penalty.positive) file.metadata["positive"] = "true";
  file.metadata["n_layers"] = std::to_string(n_layers);
  file.metadata["threshold"] = to_string(ThresholdShape::scalar);
  file.metadata["lipschitz"] = formatted("{}", L);
}

/// Refuses a file without the arrays of such a network before memory is taken for one: it holds what it says then. Which arrays
/// those are is read from a small network of that kind; sizes that are neither 1 nor the dictionary's are not looked at.
template <Scalar T>
void require_tensors(const TensorFile& file, const std::string& kind, const MatrixView<T>& dictionary, int n_layers,
                     NetworkOptions options, const std::string& path) {
  constexpr Index n_features = 11, n_atoms = 13;  // that no kind has on its own account
  if (!options.groups.empty()) options.groups.assign(n_atoms, 0);
  std::optional<Network<T>> small;
  try {
    small.emplace(kind, datasets::gaussian_dictionary<T>(n_features, n_atoms, 0), n_layers, options);
  } catch (const std::invalid_argument&) {  // of the options, which the network itself refuses; or the kind needs other sizes
    return;
  }
  const auto size = [&](Index n) {
    return n == n_features ? dictionary.rows() : n == n_atoms ? dictionary.cols() : n == 1 ? 1 : Index{-1};
  };
  for (const auto& [name, values] : small->parameters()) {
    const auto tensor = file.tensors.find(name);
    require(tensor != file.tensors.end(), "{}: tensor '{}' is missing", path, name);
    const Index rows = size(values.rows()), cols = size(values.cols());
    if (rows > 0 && cols > 0) require_parameter_shape(tensor->second, rows, cols, name, path);
  }
  for (const auto& [name, tensor] : file.tensors)
    require(!layer_of(name) || small->parameters().contains(name), "{}: a network of kind '{}' with {} layers has no '{}'", path,
            kind, n_layers, shown(name));
}

/// The same, given the parameters of a network of one layer or two, for kinds whose layers after the first are alike.
template <Scalar T>
void require_layers(const TensorFile& file, const Parameters<T>& first, int n_layers, const std::string& path) {
  for (const auto& [name, values] : first)
    for (int t = layer_of(name).value_or(n_layers); t < (layer_of(name) == 0 ? 1 : n_layers); ++t) {
      const std::string needed = parameter_name(t, std::string_view(name).substr(parameter_name(0, "").size()));
      const auto tensor = file.tensors.find(needed);
      require(tensor != file.tensors.end(), "{}: tensor '{}' is missing", path, needed);
      require_parameter_shape(tensor->second, values.rows(), values.cols(), needed, path);
    }
  for (const auto& [name, tensor] : file.tensors)
    require(layer_of(name).value_or(0) < n_layers, "{}: a network with {} layers has no '{}'", path, n_layers, shown(name));
}

}  // namespace

template <Scalar T>
Tensor parameter_to_tensor(const Matrix<T>& parameter) {
  Tensor tensor = to_tensor<T>(parameter);
  tensor.shape = parameter_shape(parameter.rows(), parameter.cols());
  return tensor;
}

template <Scalar T>
Matrix<T> tensor_to_parameter(const Tensor& tensor, const Matrix<T>& like, const std::string& name, const std::string& where) {
  require_parameter_shape(tensor, like.rows(), like.cols(), name, where);
  return std::visit(
      [&](const auto& values) {
        using S = typename std::decay_t<decltype(values)>::value_type;
        return Matrix<T>(Eigen::Map<const Matrix<S>>(values.data(), like.rows(), like.cols()).template cast<T>());
      },
      tensor.data);
}

template <Scalar T>
void save_network(const std::string& path, const StoredNetwork<T>& stored) {
  const Network<T>& net = stored.network;
  TensorFile file;
  file.metadata = free_text(stored.metadata);
  file.metadata["network"] = net.kind();
  file.metadata["n_layers"] = std::to_string(net.n_layers());
  file.metadata["threshold"] = to_string(net.options().threshold);
  file.metadata["lipschitz"] = formatted("{}", net.lipschitz());
  if (net.options().positive) file.metadata["positive"] = "true";
  file.metadata["conventions"] =
      "rows of `dictionary` are atoms; codes and signals are rows, which weights multiply "
      "from the right";
  if (const auto& selection = net.options().support_selection) {
    file.metadata["support_selection_p"] = formatted("{}", selection->p);
    file.metadata["support_selection_p_max"] = formatted("{}", selection->p_max);
  }
  if (stored.reg)
    require(std::isfinite(*stored.reg) && *stored.reg > 0, "save_network: reg = {}, must be > 0 and finite", *stored.reg);
  if (stored.reg) file.metadata["reg"] = formatted("{}", *stored.reg);
  const Parameters<T> dictionary = net.dictionary().parameters();
  require(net.dictionary().matrix() || !dictionary.contains("dictionary"),
          "save_network: the parameter 'dictionary' names the atoms of a matrix, which this one is not; name it otherwise");
  store_dictionary(net.dictionary(), file.tensors, file.metadata);
  if (const auto& groups = net.options().groups; !groups.empty()) file.tensors["groups"] = {{std::ssize(groups)}, groups};
  for (const auto& [name, values] : net.parameters()) file.tensors[name] = parameter_to_tensor(values);
  write_model_file(path, "network", std::move(file));
}

template <Scalar T>
StoredNetwork<T> load_over(const Dictionary<T>& D, const TensorFile& file, const std::string& path) {
  NetworkOptions options{.lipschitz = number_of<double>(file.metadata, "lipschitz", path)};
  const auto text = [&](const std::string& key) {
    const auto found = file.metadata.find(key);
    require(found != file.metadata.end(), "{}: metadata '{}' is missing", path, key);
    return found->second;
  };
  const std::string kind = text("network"), threshold = text("threshold");
  naming(path, [&] { options.threshold = parse<ThresholdShape>(threshold, "threshold"); });
  const std::string sign = text_of(file.metadata, "positive");
  require(sign.empty() || sign == "true" || sign == "false", "{}: metadata 'positive' is '{}', expected 'true' or 'false'", path,
          shown(sign));
  options.positive = sign == "true";
  if (file.metadata.contains("support_selection_p"))
    options.support_selection = SupportSelection{.p = number_of<double>(file.metadata, "support_selection_p", path),
                                                 .p_max = number_of<double>(file.metadata, "support_selection_p_max", path)};
  if (const auto groups = file.tensors.find("groups"); groups != file.tensors.end()) {
    const auto* labels = std::get_if<std::vector<std::int64_t>>(&groups->second.data);
    require(labels != nullptr && groups->second.shape.size() == 1, "{}: tensor 'groups' is no list of int64", path);
    options.groups = *labels;
  }
  const int n_layers = number_of<int>(file.metadata, "n_layers", path);
  if (const auto atoms = D.matrix())
    require_tensors<T>(file, kind, *atoms, n_layers, options, path);
  else
    require_layers(file, naming(path, [&] { return Network<T>::shapes(kind, D, std::min(n_layers, 2), options); }), n_layers,
                   path);
  Parameters<T> parameters = naming(path, [&] { return Network<T>::shapes(kind, D, n_layers, options); });
  for (auto& [name, values] : parameters) {
    const auto tensor = file.tensors.find(name);
    require(tensor != file.tensors.end(), "{}: tensor '{}' is missing", path, name);
    require(std::holds_alternative<std::vector<T>>(tensor->second.data), "{}: tensor '{}' is not of the dictionary's precision",
            path, name);
    values = tensor_to_parameter(tensor->second, values, name, path);
  }
  StoredNetwork<T> stored{
      .network = naming(path, [&] { return Network<T>::with_parameters(kind, D, n_layers, options, std::move(parameters)); })};
  if (file.metadata.contains("reg")) {
    stored.reg = number_of<double>(file.metadata, "reg", path);
    require(std::isfinite(*stored.reg) && *stored.reg > 0, "{}: metadata 'reg' is {}, must be > 0 and finite", path, *stored.reg);
  }
  stored.metadata = free_text(file.metadata);
  return stored;
}

template <Scalar T>
StoredNetwork<T> load_network(const std::string& path) {
  TensorFile file = read_network(path);
  const auto dictionary = stored_dictionary<T>(file.tensors, file.metadata, path);
  if (has_learned_steps(file)) become_network<T>(*dictionary, path, file);
  if (!dictionary->matrix()) {
    const std::string kind = text_of(file.metadata, "network");
    require(
        naming(path, [&] { return find_network_kind<T>(kind); }).traits.any_length,
        "{}: the parameters of the kind '{}' are those of one length of signals; give load_network() a dictionary like its own",
        path, kind);
  }
  return load_over<T>(*dictionary, file, path);
}

template <Scalar T>
StoredNetwork<T> load_network(const std::string& path, const Dictionary<T>& like) {
  TensorFile file = read_network(path);
  const auto dictionary = stored_dictionary(file.tensors, like, path);
  if (has_learned_steps(file)) become_network<T>(*dictionary, path, file);
  return load_over<T>(*dictionary, file, path);
}

bool network_is_float32(const std::string& path) {
  const TensorFile file = read_network(path);
  return stored_in_float32(file.tensors, file.metadata, path);
}

template <Scalar T>
void export_parameters(const std::string& path, const Network<T>& network) {
  NamedTensors tensors;
  const auto parameters = network.shared_parameters();
  for (const auto& [name, values] : *parameters) tensors[name] = parameter_to_tensor(values);
  write_npz(path, tensors);
}

template <Scalar T>
void import_parameters(const std::string& path, Network<T>& network) {
  Parameters<T> parameters = *network.shared_parameters();
  for (const auto& [name, tensor] : read_npz(path)) {
    const auto found = parameters.find(name);
    require(found != parameters.end(), "{}: a network of kind '{}' with {} layers has no '{}'", path, network.kind(),
            network.n_layers(), name);
    found->second = tensor_to_parameter(tensor, found->second, name, path);
  }
  naming(path, [&] { network.set_parameters(std::move(parameters)); });
}

#define RIATA_INSTANTIATE(T)                                                           \
  template void save_network<T>(const std::string&, const StoredNetwork<T>&);          \
  template StoredNetwork<T> load_network<T>(const std::string&);                       \
  template StoredNetwork<T> load_network<T>(const std::string&, const Dictionary<T>&); \
  template void export_parameters<T>(const std::string&, const Network<T>&);           \
  template void import_parameters<T>(const std::string&, Network<T>&);                 \
  template Tensor parameter_to_tensor<T>(const Matrix<T>&);                            \
  template Matrix<T> tensor_to_parameter<T>(const Tensor&, const Matrix<T>&, const std::string&, const std::string&);
RIATA_INSTANTIATE(float)
RIATA_INSTANTIATE(double)
#undef RIATA_INSTANTIATE

}  // namespace riata
