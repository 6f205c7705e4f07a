#include "riata/operators/dictionary_tensors.hpp"

#include <charconv>

#include "riata/core/check.hpp"
#include "riata/core/sentence.hpp"
#include "riata/operators/convolutional_dictionary.hpp"
#include "riata/operators/dense_dictionary.hpp"

namespace riata {
namespace {

const std::string prefix = "dictionary.";

std::string tensor_name(const std::string& parameter) { return parameter == "dictionary" ? parameter : prefix + parameter; }

using DictionaryText = std::map<std::string, std::string>;

bool is_convolution(const DictionaryText& metadata) {
  const auto found = metadata.find("dictionary");
  return found != metadata.end() && found->second == "convolution";
}

const std::string& text_of_shape(const DictionaryText& metadata, const char* key, const std::string& where) {
  const auto found = metadata.find(key);
  require(found != metadata.end(), "{}: metadata '{}' is missing", where, key);
  return found->second;
}

Index size_of_shape(const DictionaryText& metadata, const char* key, const std::string& where) {
  const std::string& text = text_of_shape(metadata, key, where);
  constexpr Index most = Index{1} << 40;
  Index size = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), size);
  require(parsed.ec == std::errc() && parsed.ptr == text.data() + text.size() && size >= 1 && size <= most,
          "{}: metadata '{}' is '{}', expected a whole number between 1 and 2^40", where, key, shown(text));
  return size;
}

/// A parameter or the window of a convolution.
template <Scalar T>
Matrix<T> stored_part(const NamedTensors& tensors, const char* name, const std::string& where) {
  const std::string tensor = prefix + name;
  require(tensors.contains(tensor), "{}: tensor '{}' is missing", where, tensor);
  Matrix<T> part = get_matrix<T>(tensors, tensor, where);
  require_finite(where.c_str(), tensor.c_str(), part, of_file);
  return part;
}

template <Scalar T>
std::unique_ptr<Dictionary<T>> stored_convolution(const NamedTensors& tensors, const DictionaryText& metadata,
                                                  const std::string& where) {
  RecordingShape shape{.n_channels = size_of_shape(metadata, "n_channels", where),
                       .n_times = size_of_shape(metadata, "n_times", where)};
  try {
    shape.boundary = parse<Boundary>(text_of_shape(metadata, "boundary", where), "boundary");
    if (tensors.contains(prefix + "kernels"))
      return std::make_unique<ConvolutionalDictionary<T>>(stored_part<T>(tensors, "kernels", where), shape);
    Vector<T> window;
    if (tensors.contains(prefix + "window")) window = stored_part<T>(tensors, "window", where).reshaped();
    Matrix<T> u = stored_part<T>(tensors, "u", where), v = stored_part<T>(tensors, "v", where);
    return std::make_unique<ConvolutionalDictionary<T>>(
        ConvolutionalDictionary<T>::rank_one(std::move(u), std::move(v), shape, std::move(window)));
  } catch (const std::invalid_argument& refused) {
    const std::string sentence = refused.what();
    refuse(sentence.starts_with(where) ? sentence : where + ": " + sentence);
  }
}

}  // namespace

template <Scalar T>
void store_dictionary(const Dictionary<T>& D, NamedTensors& tensors, DictionaryText& metadata) {
  store_parameters(D.parameters(), tensors);
  const auto* convolution = dynamic_cast<const ConvolutionalDictionary<T>*>(&D);
  if (convolution == nullptr) return;
  const RecordingShape& shape = convolution->shape();
  metadata["dictionary"] = "convolution";
  metadata["n_channels"] = std::to_string(shape.n_channels);
  metadata["n_times"] = std::to_string(shape.n_times);
  metadata["boundary"] = to_string(shape.boundary);
  if (convolution->window().size() > 0) tensors[prefix + "window"] = to_tensor<T>(Matrix<T>(convolution->window()));
}

template <Scalar T>
std::unique_ptr<Dictionary<T>> stored_dictionary(const NamedTensors& tensors, const DictionaryText& metadata,
                                                 const std::string& where) {
  if (is_convolution(metadata)) return stored_convolution<T>(tensors, metadata, where);
  require_stored_matrix(tensors, where);
  try {
    return std::make_unique<DenseDictionary<T>>(get_matrix<T>(tensors, "dictionary", where));
  } catch (const std::invalid_argument& refused) {
    const std::string sentence = refused.what();
    refuse(sentence.starts_with(where) ? sentence : where + ": " + sentence);
  }
}

bool stored_in_float32(const NamedTensors& tensors, const DictionaryText& metadata, const std::string& where) {
  if (!is_convolution(metadata)) require_stored_matrix(tensors, where);
  for (const char* name : {"dictionary", "dictionary.kernels", "dictionary.v"})
    if (const auto found = tensors.find(name); found != tensors.end())
      return std::holds_alternative<std::vector<float>>(found->second.data);
  refuse(where + ": it holds neither 'dictionary.kernels' nor 'dictionary.v'");
}

template <Scalar T>
void store_parameters(const Parameters<T>& parameters, NamedTensors& tensors) {
  for (const auto& [name, values] : parameters) tensors[tensor_name(name)] = to_tensor<T>(values);
}

template <Scalar T>
std::unique_ptr<Dictionary<T>> stored_dictionary(const NamedTensors& tensors, const Dictionary<T>& like,
                                                 const std::string& where) {
  Parameters<T> parameters = like.parameters();
  for (auto& [name, values] : parameters) {
    const std::string tensor = tensor_name(name);
    require(tensors.contains(tensor), "{}: tensor '{}' is missing", where, tensor);
    Matrix<T> stored = get_matrix<T>(tensors, tensor, where);
    require(stored.rows() == values.rows() && stored.cols() == values.cols(), "{}: '{}' has shape ({}, {}), expected ({}, {})",
            where, tensor, stored.cols(), stored.rows(), values.cols(), values.rows());
    require_finite(where.c_str(), tensor.c_str(), stored, name == "dictionary" ? of_atoms : of_file);
    values = std::move(stored);
  }
  return like.at(parameters);
}

void require_stored_matrix(const NamedTensors& tensors, const std::string& where) {
  if (tensors.contains("dictionary")) return;
  for (const auto& [name, tensor] : tensors)
    if (name.starts_with(prefix))
      refuse(formatted("{}: its dictionary is no matrix but has '{}'; C++ loads it, given a dictionary like it", where,
                       shown(name.substr(prefix.size()))));
  refuse(where + ": tensor 'dictionary' is missing");
}

#define RIATA_INSTANTIATE(T)                                                                                                    \
  template void store_parameters<T>(const Parameters<T>&, NamedTensors&);                                                       \
  template void store_dictionary<T>(const Dictionary<T>&, NamedTensors&, DictionaryText&);                                      \
  template std::unique_ptr<Dictionary<T>> stored_dictionary<T>(const NamedTensors&, const DictionaryText&, const std::string&); \
  template std::unique_ptr<Dictionary<T>> stored_dictionary<T>(const NamedTensors&, const Dictionary<T>&, const std::string&);
RIATA_INSTANTIATE(float)
RIATA_INSTANTIATE(double)
#undef RIATA_INSTANTIATE

}  // namespace riata
