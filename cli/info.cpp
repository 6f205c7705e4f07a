// riata info: what a file holds, and what riata this is.
#include <cmath>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>

#include "commands.hpp"
#include "inputs.hpp"
#include "outputs.hpp"
#include "riata/core/check.hpp"
#include "riata/core/sentence.hpp"
#include "riata/core/threads.hpp"
#include "riata/io/arrays.hpp"
#include "riata/io/edf.hpp"
#include "riata/io/images.hpp"
#include "riata/io/safetensors.hpp"
#include "riata/learning/recording_files.hpp"
#include "riata/version.hpp"

namespace riata::cli {
namespace {

using Json = nlohmann::ordered_json;

struct Info {
  std::vector<std::string> files;
  ReadImageOptions image;
  Talk talk;
  int run() const;
};

/// Smallest and largest finite value; null where there is none.
template <class Values>
void add_range(Json& json, const Values& values) {
  double low = std::numeric_limits<double>::infinity(), high = -low;
  std::size_t n_not_finite = 0;
  for (const auto value : values) {
    const auto v = static_cast<double>(value);
    if (!std::isfinite(v)) {
      ++n_not_finite;
      continue;
    }
    low = std::min(low, v);
    high = std::max(high, v);
  }
  json["min"] = low <= high ? Json(low) : Json(nullptr);
  json["max"] = low <= high ? Json(high) : Json(nullptr);
  if (n_not_finite > 0) json["n_not_finite"] = n_not_finite;
}

Json describe(const Tensor& tensor) {
  constexpr const char* dtypes[] = {"float32", "float64", "int64"};
  Json json{{"shape", tensor.shape}, {"dtype", dtypes[tensor.data.index()]}};
  std::visit([&](const auto& values) { add_range(json, values); }, tensor.data);
  return json;
}

Json describe(const NamedTensors& tensors) {
  Json json = Json::object();
  for (const auto& [name, tensor] : tensors) json[name] = describe(tensor);
  return json;
}

Json describe(const Image& image) {
  Json json{{"height", image.height},
            {"width", image.width},
            {"channels", image.channels},
            {"alpha", image.has_alpha},
            {"bits", image.bit_depth}};
  if (image.is_float())
    add_range(json, image.values);
  else
    add_range(json, image.samples);
  return json;
}

/// Of several pages, or of the one that there is or was chosen.
Json describe_image(const std::string& name, const ReadImageOptions& options) {
  Json json{{"file", name}, {"kind", "image"}};
  const std::vector<Image> pages = read_images(name, options);
  if (pages.size() == 1)
    json.update(describe(pages.front()));
  else
    for (const Image& page : pages) json["pages"].push_back(describe(page));
  return json;
}

/// Each array by itself: one of another type is named, and the others are described.
Json describe_archive(const std::string& name) {
  Json json = Json::object();
  for (const std::string& key : npz_names(name)) {
    const ArrayHeader header = read_npz_header(name, key);
    json[key] = header.is_readable ? describe(read_npz_array(name, key)) : Json{{"shape", header.shape}, {"dtype", header.type}};
  }
  return json;
}

/// Of all channels but annotations; its samples are not read.
Json describe_recording(const std::string& name) {
  const EdfRecording recording(name);
  Json channels = Json::array();
  double seconds = 0;
  for (const EdfChannel& channel : recording.channels()) {
    channels.push_back({{"name", channel.label}, {"rate", channel.rate}, {"unit", channel.unit}, {"n_times", channel.n_times}});
    seconds = std::max(seconds, static_cast<double>(channel.n_times) / channel.rate);
  }
  return {{"file", name},
          {"kind", "recording"},
          {"start", recording.start()},
          {"seconds", seconds},
          {"n_annotations", recording.read_annotations().size()},
          {"channels", channels}};
}

Json describe_file(const std::string& name, const ReadImageOptions& options) {
  if (is_edf_name(name)) return describe_recording(name);
  if (name.ends_with(".npz")) return {{"file", name}, {"kind", "arrays"}, {"tensors", describe_archive(name)}};
  if (is_array_name(name)) {
    Json json{{"file", name}, {"kind", "array"}};
    json.update(describe(read_array(name)));
    return json;
  }
  if (!name.ends_with(".safetensors")) return describe_image(name, options);
  const TensorFile file = read_safetensors(name);
  const auto says = [&](const char* key, const char* value) {
    const auto found = file.metadata.find(key);
    return found != file.metadata.end() && found->second == value;
  };
  const bool is_model = says("format", "riata");
  return {{"file", name},
          {"kind", !is_model                  ? "tensors"
                   : says("kind", "network")  ? "network"
                   : says("kind", "patterns") ? "patterns"
                                              : "model"},
          {"tensors", describe(file.tensors)},
          {"metadata", file.metadata}};
}

std::string range_text(const Json& json) {
  if (!json.contains("min")) return "not read";
  std::string text = json["min"].is_null()
                         ? "no finite values"
                         : formatted("from {:.6g} to {:.6g}", json["min"].get<double>(), json["max"].get<double>());
  if (json.contains("n_not_finite")) text += formatted(", {} not finite", json["n_not_finite"].get<std::size_t>());
  return text;
}

std::string array_text(const Json& json) {
  std::string shape;
  for (const Json& n : json["shape"]) shape += (shape.empty() ? "" : ", ") + n.dump();
  return formatted("({}) {}, {}", shape, json["dtype"].get<std::string>(), range_text(json));
}

/// ", step, 20 layers, trained at reg = 0.1"; over patterns ", step, 20 layers, 40 patterns of 256 samples in 19 channels".
std::string network_text(const Json& tensors, const Json& metadata) {
  const auto value = [&](const char* key) { return metadata.contains(key) ? shown(metadata[key].get<std::string>()) : "?"; };
  std::string text = formatted(", {}, {} layers", value("network"), value("n_layers"));
  for (const char* name : {"dictionary.v", "dictionary.kernels"}) {
    const Index n_channels = std::strtoll(value("n_channels").c_str(), nullptr, 10);
    if (!tensors.contains(name) || n_channels < 1 || tensors[name]["shape"].size() != 2) continue;
    const auto shape = tensors[name]["shape"].get<std::vector<Index>>();
    text += formatted(", {} patterns of {} samples in {} channels", shape[0],
                      shape[1] / (name == std::string("dictionary.v") ? 1 : n_channels), n_channels);
  }
  return text + (metadata.contains("reg") ? ", trained at reg = " + value("reg") : "");
}

/// ", 40 of rank one of 256 samples (1 s at 256 Hz), 19 channels, in V, learned at reg = 0.1"; of a file that is damaged no more
/// than its tensors.
std::string patterns_text(const Json& tensors, const Json& metadata) {
  const bool is_rank_one = tensors.contains("u") && tensors.contains("v");
  const auto shape_of = [&](const char* name) { return tensors[name]["shape"].get<std::vector<Index>>(); };
  const std::size_t rank = is_rank_one ? 2 : 3;
  for (const char* name : is_rank_one ? std::vector{"u", "v"} : std::vector{"kernels"})
    if (!tensors.contains(name) || shape_of(name).size() != rank) return "";
  const Index n_atoms = shape_of(is_rank_one ? "u" : "kernels")[0], n_channels = shape_of(is_rank_one ? "u" : "kernels")[1],
              n_times_atom = shape_of(is_rank_one ? "v" : "kernels").back();
  const auto said = [&](const char* key) { return metadata.contains(key) ? metadata[key].get<std::string>() : ""; };
  std::string text =
      formatted(", {}{} of {} sample{}", n_atoms, is_rank_one ? " of rank one" : "", n_times_atom, n_times_atom == 1 ? "" : "s");
  if (const double rate = std::strtod(said("rate").c_str(), nullptr); rate > 0)
    text += formatted(" ({:.6g} s at {} Hz)", static_cast<double>(n_times_atom) / rate, rate);
  text += formatted(", {} channel{}", n_channels, n_channels == 1 ? "" : "s");
  if (!said("unit").empty()) text += ", in " + shown(said("unit"));
  if (!said("reg").empty()) text += ", learned at reg = " + shown(said("reg"));
  return text;
}

/// "2002-03-02T13:36:05, 32 channels, 238 s, 3 annotations", and a line for each channel.
std::string recording_text(const Json& json) {
  const auto counted_in = [](std::size_t n, const char* noun) { return formatted("{} {}{}", n, noun, n == 1 ? "" : "s"); };
  std::string text;
  if (const auto start = json["start"].get<std::string>(); !start.empty()) text += ", " + start;
  text += formatted(", {}, {:.10g} s, {}", counted_in(json["channels"].size(), "channel"), json["seconds"].get<double>(),
                    counted_in(json["n_annotations"].get<std::size_t>(), "annotation"));
  for (const Json& channel : json["channels"]) {
    const auto unit = channel["unit"].get<std::string>();
    text += formatted("\n  {} {} Hz, {} samples{}", shown(channel["name"].get<std::string>()), channel["rate"].get<double>(),
                      channel["n_times"].get<Index>(), unit.empty() ? "" : ", in " + shown(unit));
  }
  return text;
}

std::string image_text(const Json& json) {
  return formatted("{} x {} pixels, {} channel{}{} of {} bits, {}", json["height"].get<Index>(), json["width"].get<Index>(),
                   json["channels"].get<Index>(), json["channels"] == 1 ? "" : "s",
                   json["alpha"].get<bool>() ? " with alpha" : "", json["bits"].get<int>(), range_text(json));
}

std::string text_of(const Json& json) {
  const auto kind = json["kind"].get<std::string>();
  std::string text = json["file"].get<std::string>() + ": " + kind;
  if (kind == "image" && !json.contains("pages")) text += ", " + image_text(json);
  if (json.contains("pages")) text += formatted(", {} pages", json["pages"].size());
  if (json.contains("pages"))
    for (std::size_t i = 0; i < json["pages"].size(); ++i)
      text += formatted("\n  page {}: {}", i + 1, image_text(json["pages"][i]));
  if (kind == "network") text += network_text(json["tensors"], json["metadata"]);
  if (kind == "patterns") text += patterns_text(json["tensors"], json["metadata"]);
  if (kind == "recording") text += recording_text(json);
  if (kind == "array") text += ' ' + array_text(json);
  if (json.contains("tensors"))
    for (const auto& [name, tensor] : json["tensors"].items()) text += formatted("\n  {} {}", shown(name), array_text(tensor));
  if (json.contains("metadata"))
    for (const auto& [key, value] : json["metadata"].items())
      text += formatted("\n  {} = {}", shown(key), one_line(value.get<std::string>()));
  return text;
}

int Info::run() const {
  Json json{{"version", version}, {"threads", resolve_threads(0)}};
  std::string text = files.empty() ? formatted("riata {}, {} threads", version, resolve_threads(0)) : "";
  json["files"] = Json::array();
  for (const std::string& file : files) {
    json["files"].push_back(describe_file(file, image));
    text += (text.empty() ? "" : "\n") + text_of(json["files"].back());
  }
  tell(talk, json, text);
  return ok;
}

}  // namespace

Task add_info(CLI::App& app) {
  const auto command = std::make_shared<Info>();
  app.add_option("FILE", command->files, "Models, networks, patterns, recordings, arrays and pictures; none: riata itself")
      ->type_name("FILE");
  add_image(app, command->image, "all pages");
  app.add_flag("--json", command->talk.json, "Print one JSON object on one line");
  app.footer("Example: riata info model.safetensors --json");
  return [command] { return command->run(); };
}

}  // namespace riata::cli
