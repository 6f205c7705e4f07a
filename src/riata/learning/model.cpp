#include "riata/learning/model.hpp"

#include <cmath>

#include "riata/core/check.hpp"
#include "riata/io/model_file.hpp"

namespace riata {
namespace {

TensorFile read_model(const std::string& path) {
  TensorFile file = read_model_file(path);
  require(file.tensors.contains("dictionary"), "{}: tensor 'dictionary' is missing", path);
  return file;
}

void require_steps(const std::string& where, const std::vector<double>& steps) {
  for (std::size_t i = 0; i < steps.size(); ++i)
    require(std::isfinite(steps[i]), "{}: steps holds {} at entry {}; expected finite numbers", where, steps[i], i);
}

}  // namespace

template <Scalar T>
void save_model(const std::string& path, const Model<T>& model) {
  require(model.dictionary.size() > 0, "save_model: the dictionary is empty");
  require_finite("save_model", "dictionary", model.dictionary);
  require_steps("save_model", model.steps);
  TensorFile file;
  file.metadata = model.metadata;
  file.metadata["conventions"] = "1/2 ||x - D z||^2 + reg ||z||_1 per signal; rows of `dictionary` are atoms";
  file.tensors["dictionary"] = to_tensor<T>(model.dictionary);
  if (!model.steps.empty()) file.tensors["steps"] = to_tensor(model.steps);
  write_model_file(path, "dictionary", std::move(file));
}

template <Scalar T>
Model<T> load_model(const std::string& path) {
  const TensorFile file = read_model(path);
  Model<T> model;
  model.dictionary = get_matrix<T>(file.tensors, "dictionary", path);
  require(model.dictionary.size() > 0, "{}: the dictionary is empty", path);
  require_finite(path.c_str(), "dictionary", model.dictionary);
  if (file.tensors.contains("steps")) model.steps = get_vector<double>(file.tensors, "steps", path);
  require_steps(path, model.steps);
  model.metadata = file.metadata;
  return model;
}

bool model_is_float32(const std::string& path) {
  return std::holds_alternative<std::vector<float>>(read_model(path).tensors.at("dictionary").data);
}

template void save_model<float>(const std::string&, const Model<float>&);
template void save_model<double>(const std::string&, const Model<double>&);
template Model<float> load_model<float>(const std::string&);
template Model<double> load_model<double>(const std::string&);

}  // namespace riata
