#include "riata/operators/dictionary_tensors.hpp"

#include "riata/core/check.hpp"
#include "riata/core/sentence.hpp"

namespace riata {
namespace {

const std::string prefix = "dictionary.";

std::string tensor_name(const std::string& parameter) { return parameter == "dictionary" ? parameter : prefix + parameter; }

}  // namespace

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

#define RIATA_INSTANTIATE(T)                                              \
  template void store_parameters<T>(const Parameters<T>&, NamedTensors&); \
  template std::unique_ptr<Dictionary<T>> stored_dictionary<T>(const NamedTensors&, const Dictionary<T>&, const std::string&);
RIATA_INSTANTIATE(float)
RIATA_INSTANTIATE(double)
#undef RIATA_INSTANTIATE

}  // namespace riata
