#include "riata/io/model_file.hpp"

#include "riata/core/check.hpp"
#include "riata/core/sentence.hpp"

namespace riata {
namespace {

constexpr int format_version = 1;

}  // namespace

TensorFile read_model_file(const std::string& path) {
  TensorFile file = read_safetensors(path);
  const auto& metadata = file.metadata;
  const auto format = metadata.find("format");
  require(format != metadata.end() && format->second == "riata" && metadata.contains("format_version"), "{} is not a riata model",
          path);
  const std::string& version = metadata.at("format_version");
  require(version == std::to_string(format_version), "{} has model format version {}; this riata reads version {} (update riata)",
          path, shown(version), format_version);
  return file;
}

std::string text_of(const std::map<std::string, std::string>& metadata, const std::string& key) {
  const auto found = metadata.find(key);
  return found == metadata.end() ? "" : found->second;
}

void write_model_file(const std::string& path, const std::string& kind, TensorFile file) {
  file.metadata["format"] = "riata";
  file.metadata["format_version"] = std::to_string(format_version);
  file.metadata["kind"] = kind;
  write_safetensors(path, file);
}

}  // namespace riata
