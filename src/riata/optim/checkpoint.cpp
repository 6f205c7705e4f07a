#include "riata/optim/checkpoint.hpp"

#include <nlohmann/json.hpp>

#include "riata/core/check.hpp"
#include "riata/core/stopping.hpp"
#include "riata/io/file.hpp"

namespace riata {
namespace {

constexpr const char* checkpoint_format = "riata-checkpoint-1";

/// The first key whose value differs, as a sentence; empty if the runs agree.
std::string difference(const std::string& stored, const std::string& wanted) {
  const auto a = nlohmann::json::parse(stored, nullptr, false), b = nlohmann::json::parse(wanted, nullptr, false);
  if (!a.is_object() || !b.is_object()) return stored == wanted ? "" : "its fingerprint is unreadable";
  const auto text = [](const nlohmann::json& run, const std::string& key) {
    return run.contains(key) ? run[key].dump() : "nothing";
  };
  for (const bool is_hash : {false, true})  // what a person can read first
    for (const auto* run : {&b, &a})
      for (const auto& [key, value] : run->items())
        if (key.ends_with("_hash") == is_hash && text(a, key) != text(b, key))
          return fmt::format("it was made with {} = {}, this run has {}", key, text(a, key), text(b, key));
  return "";
}

}  // namespace

NamedTensors open_checkpoint(const Checkpoint& checkpoint) {
  require_path(checkpoint.path);
  if (checkpoint.path.empty() || !std::filesystem::exists(checkpoint.path)) return {};
  TensorFile file = read_safetensors(checkpoint.path);
  const auto format = file.metadata.find("format");
  require(format != file.metadata.end() && format->second == checkpoint_format, "checkpoint {}: not a riata checkpoint",
          checkpoint.path);
  if (!checkpoint.resume) return {};
  const auto stored = file.metadata.find("fingerprint");
  const std::string reason = difference(stored == file.metadata.end() ? "" : stored->second, checkpoint.fingerprint);
  require(reason.empty(), "checkpoint {} belongs to another run: {}", checkpoint.path, reason);
  return std::move(file.tensors);
}

void write_checkpoint(const Checkpoint& checkpoint, NamedTensors tensors) {
  write_safetensors(checkpoint.path,
                    {std::move(tensors), {{"format", checkpoint_format}, {"fingerprint", checkpoint.fingerprint}}});
}

template <Scalar T>
std::uint64_t hash_of(const NonDeduced<ConstMatrixRef<T>>& X) {
  std::uint64_t hash = 14695981039346656037ull;
  for (Index i = 0; i < X.cols(); ++i) {
    leave_if_stopped();
    const auto* bytes = reinterpret_cast<const unsigned char*>(X.col(i).data());
    for (std::size_t k = 0; k < sizeof(T) * static_cast<std::size_t>(X.rows()); ++k) hash = (hash ^ bytes[k]) * 1099511628211ull;
  }
  return hash;
}

template std::uint64_t hash_of<float>(const ConstMatrixRef<float>&);
template std::uint64_t hash_of<double>(const ConstMatrixRef<double>&);

}  // namespace riata
