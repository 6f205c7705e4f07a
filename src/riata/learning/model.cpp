#include "riata/learning/model.hpp"

#include <cmath>

#include "riata/core/check.hpp"
#include "riata/io/model_file.hpp"
#include "riata/operators/dictionary_tensors.hpp"
#include "riata/terms/penalty_file.hpp"

namespace riata {
namespace {

TensorFile read_model(const std::string& path) {
  TensorFile file = read_model_file(path);
  require(text_of(file.metadata, "kind") != "patterns", "{} holds patterns of recordings, expected a dictionary", path);
  require_stored_matrix(file.tensors, path);
  return file;
}

void require_steps(const std::string& where, const std::vector<double>& steps) {
  for (std::size_t i = 0; i < steps.size(); ++i)
    require(std::isfinite(steps[i]), "{}: steps holds {} at entry {}; expected finite numbers", where, steps[i], i);
}

/// All but the dictionary.
template <Scalar T>
void take_rest(const TensorFile& file, const std::string& path, Index n_atoms, Model<T>& model) {
  if (file.tensors.contains("steps")) model.steps = get_vector<double>(file.tensors, "steps", path);
  require_steps(path, model.steps);
  model.metadata = file.metadata;
  model.penalty = stored_penalty(file, path, n_atoms);
}

}  // namespace

template <Scalar T>
void save_model(const std::string& path, const Model<T>& model) {
  Parameters<T> parameters = model.parameters;
  if (model.dictionary.size() > 0) parameters["dictionary"] = model.dictionary;
  require(!parameters.empty(), "save_model: the dictionary is empty");
  for (const auto& [name, values] : parameters)
    require_finite("save_model", name.c_str(), values, name == "dictionary" ? of_atoms : of_file);
  require_steps("save_model", model.steps);
  TensorFile file;
  file.metadata = model.metadata;
  file.metadata["conventions"] = "1/2 ||x - D z||^2 + reg ||z||_1 per signal; rows of `dictionary` are atoms";
  store_parameters(parameters, file.tensors);
  store_penalty(model.penalty, file);
  if (!model.steps.empty()) file.tensors["steps"] = to_tensor(model.steps);
  write_model_file(path, "dictionary", std::move(file));
}

template <Scalar T>
Model<T> load_model(const std::string& path) {
  const TensorFile file = read_model(path);
  Model<T> model;
  model.dictionary = get_matrix<T>(file.tensors, "dictionary", path);
  require(model.dictionary.size() > 0, "{}: the dictionary is empty", path);
  require_finite(path.c_str(), "dictionary", model.dictionary, of_atoms);
  take_rest(file, path, model.dictionary.cols(), model);
  return model;
}

template <Scalar T>
Model<T> load_model(const std::string& path, const Dictionary<T>& like) {
  const TensorFile file = read_model_file(path);
  Model<T> model{.parameters = stored_dictionary(file.tensors, like, path)->parameters()};
  take_rest(file, path, like.code_size(), model);
  return model;
}

bool model_is_float32(const std::string& path) {
  return std::holds_alternative<std::vector<float>>(read_model(path).tensors.at("dictionary").data);
}

template void save_model<float>(const std::string&, const Model<float>&);
template void save_model<double>(const std::string&, const Model<double>&);
template Model<float> load_model<float>(const std::string&);
template Model<double> load_model<double>(const std::string&);
template Model<float> load_model<float>(const std::string&, const Dictionary<float>&);
template Model<double> load_model<double>(const std::string&, const Dictionary<double>&);

}  // namespace riata
