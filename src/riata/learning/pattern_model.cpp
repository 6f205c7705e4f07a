#include "riata/learning/pattern_model.hpp"

#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>

#include "riata/core/check.hpp"
#include "riata/core/sentence.hpp"
#include "riata/io/model_file.hpp"

namespace riata {
namespace {

using PatternText = std::map<std::string, std::string>;

/// What the file itself says, which is not the caller's to give.
void drop_own_text(PatternText& text) {
  for (const char* key : {"format", "format_version", "kind", "conventions"}) text.erase(key);
}

/// The value of a key, which leaves the text. "" where it is silent.
std::string taken(PatternText& text, const char* key) {
  const auto node = text.extract(key);
  return node.empty() ? "" : node.mapped();
}

std::optional<double> taken_number(PatternText& text, const char* key, const std::string& where) {
  const std::string word = taken(text, key);
  if (word.empty()) return {};
  double value = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  require(error == std::errc() && end == word.data() + word.size(), "{}: metadata '{}' is '{}', expected a number", where, key,
          shown(word));
  return value;
}

std::vector<std::string> names_of_json(const std::string& text, const std::string& where) {
  if (text.empty()) return {};
  const auto list = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  const bool is_list =
      list.is_array() && std::all_of(list.begin(), list.end(), [](const auto& name) { return name.is_string(); });
  require(is_list, "{}: metadata 'channel_names' is '{}', expected a JSON array of texts", where, shown(text));
  return list.get<std::vector<std::string>>();
}

/// Of all columns in double.
template <Scalar T>
void require_on_sphere(const std::string& where, const char* name, const Matrix<T>& patterns) {
  require_finite(where.c_str(), name, patterns, of_file);
  constexpr double most_off = 1e-5;  // float32 rounds to less
  for (Index k = 0; k < patterns.cols(); ++k) {
    const double norm = patterns.col(k).template cast<double>().norm();
    require(std::abs(norm - 1) <= most_off, "{}: row {} of '{}' has the norm {:.9g}, expected 1", where, k, name, norm);
  }
}

TensorFile read_pattern_file(const std::string& path) {
  TensorFile file = read_model_file(path);
  const std::string kind = text_of(file.metadata, "kind");
  require(kind == "patterns", "{} holds a {}, expected patterns", path, kind.empty() ? "model of no kind" : shown(kind));
  return file;
}

/// 'kernels' as the matrix (n_atoms, n_channels n_times_atom), and the channels that its shape tells.
template <Scalar T>
Matrix<T> stored_kernels(NamedTensors& tensors, const std::string& path, Index& n_channels) {
  Tensor& tensor = tensors.at("kernels");
  require(tensor.shape.size() == 3 && tensor.shape[1] > 0,
          "{}: 'kernels' has {} dimensions, expected 3: (n_atoms, n_channels, n_times_atom)", path, tensor.shape.size());
  n_channels = tensor.shape[1];
  tensor.shape = {tensor.shape[0], tensor.shape[1] * tensor.shape[2]};
  return get_matrix<T>(tensors, "kernels", path);
}

}  // namespace

template <Scalar T>
ConvolutionalDictionary<T> PatternModel<T>::dictionary(Index n_times, Boundary boundary) const {
  const RecordingShape shape{n_channels, n_times, boundary};
  if (is_rank_one()) return ConvolutionalDictionary<T>::rank_one(u, v, shape, window);
  return {kernels, shape};
}

template <Scalar T>
PatternText PatternModel<T>::to_text() const {
  PatternText text = metadata;
  drop_own_text(text);
  for (const char* key : {"rate", "channel_names", "unit", "reg"}) text.erase(key);
  if (rate) text["rate"] = formatted("{}", *rate);
  if (!channel_names.empty())
    text["channel_names"] = nlohmann::json(channel_names).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  if (!unit.empty()) text["unit"] = unit;
  if (reg) text["reg"] = formatted("{}", *reg);
  text["positive"] = positive ? "true" : "false";
  return text;
}

template <Scalar T>
void PatternModel<T>::take_text(PatternText text, const std::string& where) {
  drop_own_text(text);
  rate = taken_number(text, "rate", where);
  channel_names = names_of_json(taken(text, "channel_names"), where);
  unit = taken(text, "unit");
  reg = taken_number(text, "reg", where);
  const std::string sign = taken(text, "positive");
  require(sign.empty() || sign == "true" || sign == "false", "{}: metadata 'positive' is '{}', expected 'true' or 'false'", where,
          shown(sign));
  positive = sign != "false";
  metadata = std::move(text);
}

template <Scalar T>
void PatternModel<T>::validate(const std::string& where) const {
  require(is_rank_one() ? v.size() > 0 && kernels.size() == 0 : kernels.size() > 0 && v.size() == 0,
          "{}: there must be u and v, or kernels", where);
  if (is_rank_one()) {
    require(u.cols() == v.cols(), "{}: 'u' has {} patterns but 'v' has {}; they must be equal", where, u.cols(), v.cols());
    require(u.rows() == n_channels, "{}: 'u' has {} channels, expected {}", where, u.rows(), n_channels);
    require_on_sphere<T>(where, "u", u);
    require_on_sphere<T>(where, "v", v);
  } else {
    require(n_channels >= 1 && kernels.rows() % n_channels == 0,
            "{}: 'kernels' has {} columns, expected a multiple of the {} channels", where, kernels.rows(), n_channels);
    require_on_sphere<T>(where, "kernels", kernels);
  }
  require(window.size() == 0 || is_rank_one(), "{}: a window is for patterns of rank one", where);
  require(window.size() == 0 || window.size() == v.rows(), "{}: the window has {} entries, expected {}, as patterns have", where,
          window.size(), v.rows());
  require_finite(where.c_str(), "window", window, of_vector);
  require(!rate || (*rate > 0 && std::isfinite(*rate)), "{}: rate = {}, must be > 0 Hz and finite", where, rate.value_or(0));
  require(!reg || (*reg > 0 && std::isfinite(*reg)), "{}: reg = {}, must be > 0 and finite", where, reg.value_or(0));
  require(channel_names.empty() || std::ssize(channel_names) == n_channels, "{}: there are {} channel names for {} channels",
          where, channel_names.size(), n_channels);
}

template <Scalar T>
void save_patterns(const std::string& path, const PatternModel<T>& model) {
  model.validate("save_patterns");
  TensorFile file;
  if (model.is_rank_one()) {
    file.tensors["u"] = to_tensor<T>(model.u);
    file.tensors["v"] = to_tensor<T>(model.v);
    if (model.window.size() > 0) file.tensors["window"] = to_tensor(std::vector<T>(model.window.begin(), model.window.end()));
  } else {
    Tensor kernels = to_tensor<T>(model.kernels);
    kernels.shape = {model.n_atoms(), model.n_channels, model.n_times_atom()};
    file.tensors["kernels"] = std::move(kernels);
  }
  file.metadata = model.to_text();
  file.metadata["conventions"] = "1/2 ||x - sum_k d_k * z_k||^2 + reg ||z||_1 per recording, d_k = u_k (window v_k)^T or kernels";
  write_model_file(path, "patterns", std::move(file));
}

template <Scalar T>
PatternModel<T> load_patterns(const std::string& path) {
  TensorFile file = read_pattern_file(path);
  PatternModel<T> model;
  if (file.tensors.contains("kernels")) {
    for (const char* other : {"u", "v", "window"})
      require(!file.tensors.contains(other), "{}: it holds both 'kernels' and '{}'", path, other);
    model.kernels = stored_kernels<T>(file.tensors, path, model.n_channels);
    require(model.kernels.size() > 0, "{}: it holds no patterns", path);
  } else {
    model.u = get_matrix<T>(file.tensors, "u", path);
    model.v = get_matrix<T>(file.tensors, "v", path);
    require(model.u.size() > 0 && model.v.size() > 0, "{}: it holds no patterns", path);
    model.n_channels = model.u.rows();
    if (file.tensors.contains("window")) {
      const std::vector<T> window = get_vector<T>(file.tensors, "window", path);
      require(!window.empty(), "{}: the window is empty", path);
      model.window = Eigen::Map<const Vector<T>>(window.data(), std::ssize(window));
    }
  }
  model.take_text(std::move(file.metadata), path);
  model.validate(path);
  return model;
}

bool holds_patterns(const std::string& path) {
  const PatternText metadata = read_safetensors_metadata(path);
  return text_of(metadata, "format") == "riata" && text_of(metadata, "kind") == "patterns";
}

bool patterns_are_float32(const std::string& path) {
  const TensorFile file = read_pattern_file(path);
  const auto found = file.tensors.find(file.tensors.contains("kernels") ? "kernels" : "v");
  require(found != file.tensors.end(), "{}: it holds neither 'kernels' nor 'v'", path);
  return std::holds_alternative<std::vector<float>>(found->second.data);
}

template struct PatternModel<float>;
template struct PatternModel<double>;
template void save_patterns<float>(const std::string&, const PatternModel<float>&);
template void save_patterns<double>(const std::string&, const PatternModel<double>&);
template PatternModel<float> load_patterns<float>(const std::string&);
template PatternModel<double> load_patterns<double>(const std::string&);

}  // namespace riata
