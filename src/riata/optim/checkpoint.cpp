#include "riata/optim/checkpoint.hpp"

#include <cmath>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "riata/core/check.hpp"
#include "riata/core/sentence.hpp"
#include "riata/core/stopping.hpp"
#include "riata/io/atomic_file.hpp"
#include "riata/io/file.hpp"
#include "riata/io/file_lock.hpp"
#include "riata/io/model_file.hpp"
#include "riata/io/safetensors_header.hpp"
#include "riata/io/tensor_bytes.hpp"
#include "riata/linalg/blas_kernels.hpp"

namespace riata {
namespace {

using Json = nlohmann::json;
namespace fs = std::filesystem;

constexpr const char* checkpoint_format = "riata-checkpoint-1";
constexpr const char *simd_key = "simd", *blas_key = "blas";
constexpr std::size_t longest_fingerprint = 1 << 24, deepest_fingerprint = 8, longest_shown = 60;

/// Of the lists and objects in a JSON text.
std::size_t depth_of(const std::string& text) {
  std::size_t depth = 0, deepest = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (in_string && text[i] == '\\')
      ++i;
    else if (text[i] == '"')
      in_string = !in_string;
    else if (!in_string && (text[i] == '[' || text[i] == '{'))
      deepest = std::max(deepest, ++depth);
    else if (!in_string && (text[i] == ']' || text[i] == '}') && depth > 0)
      --depth;
  }
  return deepest;
}

/// An object, or null. What is nested deeply would overflow the stack that prints it.
Json parse_fingerprint(const std::string& text) {
  if (text.empty()) return Json::object();
  if (text.size() > longest_fingerprint || depth_of(text) > deepest_fingerprint) return nullptr;
  Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  return json.is_object() ? json : Json(nullptr);
}

std::string value_of(const Json& run, const std::string& key) {
  return run.contains(key) ? one_line(run[key].dump(), longest_shown) : "nothing";
}

Json entry(const Json& run, const std::string& key) { return run.contains(key) ? run[key] : Json(nullptr); }

/// Can the rounding of other kernels make the difference? Not where what the caller gave differs.
bool is_near(const std::string& key, const Json& stored, const Json& wanted) {
  if (key == "targets_hash") return entry(wanted, "loss") == "semi";
  if (key == "parameters_hash") return stored.contains(given_key) && stored[given_key] == entry(wanted, given_key);
  if (key != "reg" && key != "lipschitz") return false;
  const Json a = entry(stored, key), b = entry(wanted, key);
  const double rounding = entry(wanted, "dtype") == "float32" ? 1e-5 : 1e-12;
  return a.is_number() && b.is_number() && std::abs(a.get<double>() - b.get<double>()) <= rounding * std::abs(b.get<double>());
}

/// The first key whose value differs, as a sentence; empty if the runs agree.
std::string difference(const Json& stored, const Json& wanted, bool nearly) {
  const auto rank_of = [](const std::string& key) {
    return key.ends_with("_hash") ? 2 : key == "reg" || key == "lipschitz" ? 1 : 0;
  };
  for (const int rank : {0, 1, 2})  // options, what follows from them, what nobody can read
    for (const auto* run : {&wanted, &stored})
      for (const auto& [key, unused] : run->items()) {
        if (rank_of(key) != rank || key == simd_key || key == blas_key || key == given_key) continue;
        if (entry(stored, key).dump() == entry(wanted, key).dump() && stored.contains(key) == wanted.contains(key)) continue;
        if (nearly && is_near(key, stored, wanted)) continue;
        return formatted("it was made with {} = {}, this run has {}", shown(key), value_of(stored, key), value_of(wanted, key));
      }
  return "";
}

/// Is there a file to look at?
bool holds_something(const std::string& path) {
  std::error_code ignored;
  if (path.empty() || !fs::exists(path, ignored) || fs::is_directory(path, ignored)) return false;
  require(fs::is_regular_file(path, ignored), "checkpoint {}: not a regular file", path);
  return fs::file_size(path, ignored) != 0;
}

using Metadata = std::map<std::string, std::string>;

bool is_checkpoint(const Metadata& metadata) { return text_of(metadata, "format") == checkpoint_format; }

std::optional<Kernels> kernels_of(const Json& fingerprint) {
  const bool says = fingerprint.is_object() && fingerprint.contains(simd_key) && fingerprint[simd_key].is_string() &&
                    fingerprint.contains(blas_key) && fingerprint[blas_key].is_string();
  if (!says) return {};
  return Kernels{fingerprint[simd_key], fingerprint[blas_key]};
}

std::optional<InstructionSet> find_instruction_set(const std::string& name) {
  for (const auto set : {InstructionSet::baseline, InstructionSet::avx2, InstructionSet::avx512})
    if (name == to_string(set)) return set;
  return {};
}

/// Of 64-bit words: no change of one word gives the same.
void add_to_digest(std::string_view bytes, std::uint64_t& digest) {
  constexpr std::uint64_t odd = 0x9e3779b97f4a7c15ull;
  const auto add = [&](std::uint64_t word) {
    digest = (digest ^ word) * odd;
    digest ^= digest >> 32;
  };
  add(bytes.size());
  for (std::size_t i = 0; i < bytes.size(); i += sizeof(std::uint64_t)) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data() + i, std::min(sizeof(word), bytes.size() - i));
    add(word);
  }
}

/// Of all that a checkpoint holds.
std::string digest_of(const std::string& fingerprint, const NamedTensors& tensors) {
  std::uint64_t digest = 0;
  add_to_digest(fingerprint, digest);
  for (const auto& [name, tensor] : tensors) {
    add_to_digest(name, digest);
    add_to_digest(formatted("{}{}", tensor.data.index(), to_text(tensor.shape)), digest);
    add_to_digest(bytes_of(tensor), digest);
  }
  return formatted("{:016x}", digest);
}

}  // namespace

void Checkpoint::validate() const {
  require(every >= 1, "checkpoint_every = {}, must be >= 1", every);
  require(!resume || !path.empty(), "resume needs the path of a checkpoint");
  require(!overwrite || !path.empty(), "overwrite_checkpoint needs the path of a checkpoint");
  require(!overwrite || !resume, "overwrite_checkpoint begins anew where resume goes on; leave out one of them");
}

Kernels present_kernels() { return {to_string(instruction_set()), blas_kernels()}; }

std::optional<Kernels> kernels_of_checkpoint(const std::string& path) {
  if (!holds_something(path)) return {};
  const Metadata metadata = read_safetensors_metadata(path);
  if (!is_checkpoint(metadata)) return {};
  return kernels_of(parse_fingerprint(text_of(metadata, "fingerprint")));
}

ResumedKernels::ResumedKernels(const Checkpoint& checkpoint) {
  if (!checkpoint.resume) return;
  const std::optional<Kernels> stored = kernels_of_checkpoint(checkpoint.path);
  if (!stored) return;
  const auto set = find_instruction_set(stored->simd);
  const bool has_set = set && *set <= best_instruction_set();
  require(has_set || checkpoint.inexact,
          "checkpoint {} has the bits of the instruction set '{}', which this processor does not offer; resume_inexact goes on "
          "with other rounding",
          checkpoint.path, shown(stored->simd));
  if (has_set) set_ = std::make_unique<UseInstructionSet>(*set);
  require(
      stored->blas == blas_kernels() || checkpoint.inexact,
      "checkpoint {} has the bits of the BLAS kernels '{}', this process those of '{}'; start it with OPENBLAS_CORETYPE={}{}, "
      "or resume_inexact goes on with other rounding",
      checkpoint.path, shown(stored->blas), blas_kernels(), shown(stored->blas),
      can_run_blas_kernels(stored->blas) ? "" : " on a processor that offers them");
}

struct CheckpointFile::Locked {
  Locked(const Checkpoint& checkpoint, Json run) : lock(checkpoint.path), own_run(std::move(run)) {}

  FileLock lock;
  std::optional<TensorFile> stored;
  Json own_run;
};

CheckpointFile::~CheckpointFile() = default;
CheckpointFile::CheckpointFile(CheckpointFile&&) noexcept = default;
CheckpointFile& CheckpointFile::operator=(CheckpointFile&&) noexcept = default;

CheckpointFile::CheckpointFile(Checkpoint checkpoint) : checkpoint_(std::move(checkpoint)) {
  checkpoint_.validate();
  const std::string& path = checkpoint_.path;
  require_path(path);
  if (path.empty()) return;
  require(!checkpoint_.fingerprint.empty(),
          "checkpoint {}: it has no fingerprint; expected a JSON object of what must be equal for a resume", path);
  holds_something(path);  // what is no regular file is refused before it is opened
  const Json wanted = parse_fingerprint(checkpoint_.fingerprint);
  require(wanted.is_object(), "checkpoint {}: the run's fingerprint is no JSON object", path);
  locked_ = std::make_unique<Locked>(checkpoint_, wanted);
  const Kernels kernels = present_kernels();
  locked_->own_run[simd_key] = kernels.simd;
  locked_->own_run[blas_key] = kernels.blas;
  if (!holds_something(path)) return;
  TensorFile file = read_safetensors(path);
  require(is_checkpoint(file.metadata), "checkpoint {}: not a riata checkpoint", path);
  if (checkpoint_.overwrite) return;
  const Json stored = parse_fingerprint(text_of(file.metadata, "fingerprint"));
  const bool has_other_kernels = kernels_of(stored).value_or(kernels) != kernels;
  const std::string reason = stored.is_object() ? difference(stored, wanted, has_other_kernels && !is_exact())
                                                : std::string("its fingerprint is unreadable");
  const char* way_out = checkpoint_.resume ? "" : "; overwrite_checkpoint puts this one in its place";
  require(reason.empty(), "checkpoint {} belongs to another run: {}{}", path, reason, way_out);
  if (!checkpoint_.resume) return;
  require(!has_other_kernels || !is_exact(), "checkpoint {} has the bits of other kernels than this thread", path);
  locked_->stored = std::move(file);
}

bool CheckpointFile::is_due(std::size_t n_iterations) const {
  return locked_ && n_iterations % static_cast<std::size_t>(checkpoint_.every) == 0;
}

bool CheckpointFile::resume(const std::function<void(const NamedTensors&, const std::string&)>& load) {
  if (!locked_ || !locked_->stored) return false;
  const TensorFile file = *std::exchange(locked_->stored, std::nullopt);
  const std::string where = formatted("checkpoint {}", checkpoint_.path);
  load(file.tensors, where);
  const auto digest = file.metadata.find("digest");  // those of old have none
  require(digest == file.metadata.end() || digest->second == digest_of(text_of(file.metadata, "fingerprint"), file.tensors),
          "{} is damaged: it does not hold what was written", where);
  return true;
}

void CheckpointFile::write(NamedTensors tensors) {
  if (!locked_) return;
  std::string fingerprint = locked_->own_run.dump();
  std::string digest = digest_of(fingerprint, tensors);
  const TensorFile file{std::move(tensors),
                        {{"format", checkpoint_format}, {"fingerprint", std::move(fingerprint)}, {"digest", std::move(digest)}}};
  write_atomically(checkpoint_.path, [&](std::FILE* stream) {
    locked_->lock.lock_successor(stream);
    write_safetensors_to(stream, file);
  });
  locked_->lock.succeed();
}

template <Scalar T>
Matrix<T> stored_matrix(const NamedTensors& tensors, const std::string& name, Index rows, Index cols, const std::string& where) {
  Matrix<T> values = get_matrix<T>(tensors, name, where);
  require(values.rows() == rows && values.cols() == cols, "{}: tensor '{}' has shape ({}, {}), expected ({}, {})", where, name,
          values.cols(), values.rows(), cols, rows);
  require_finite(where.c_str(), formatted("tensor '{}'", name).c_str(), values, of_file);
  return values;
}

std::vector<double> stored_numbers(const NamedTensors& tensors, const std::string& name, std::size_t count,
                                   const std::string& where) {
  std::vector<double> values = get_vector<double>(tensors, name, where);
  require(values.size() == count, "{}: tensor '{}' is damaged", where, name);
  return values;
}

std::int64_t stored_integer(const NamedTensors& tensors, const std::string& name, std::int64_t low, std::int64_t high,
                            const std::string& where) {
  const std::int64_t value = get_integer(tensors, name, where);
  require(value >= low && value <= high, "{}: tensor '{}' holds {}, must be between {} and {}", where, name, value, low, high);
  return value;
}

void store_history(const History& history, NamedTensors& tensors) {
  tensors["history.value"] = to_tensor(history.value);
  tensors["history.step"] = to_tensor(history.step);
  tensors["history.seconds"] = to_tensor(history.seconds);
  tensors["history.phase"] = {{std::ssize(history.phase)}, history.phase};
}

History stored_history(const NamedTensors& tensors, std::int64_t last_phase, const std::string& where) {
  History history{.value = get_vector<double>(tensors, "history.value", where),
                  .step = get_vector<double>(tensors, "history.step", where),
                  .seconds = get_vector<double>(tensors, "history.seconds", where),
                  .phase = {}};
  const auto phases = tensors.find("history.phase");
  const auto* values = phases == tensors.end() || phases->second.shape.size() != 1
                           ? nullptr
                           : std::get_if<std::vector<std::int64_t>>(&phases->second.data);
  const std::size_t n = history.value.size();
  bool is_sound = values != nullptr && values->size() == n && history.step.size() == n && history.seconds.size() == n;
  for (std::size_t i = 0; is_sound && i < n; ++i) {
    const double seconds_before = i == 0 ? 0 : history.seconds[i - 1];
    const std::int64_t phase_before = i == 0 ? 0 : (*values)[i - 1];
    is_sound = std::isfinite(history.value[i]) && std::isfinite(history.step[i]) && history.step[i] > 0 &&
               std::isfinite(history.seconds[i]) && history.seconds[i] >= seconds_before && (*values)[i] >= phase_before &&
               (*values)[i] <= last_phase;
  }
  require(is_sound, "{}: the history is damaged", where);
  history.phase = *values;
  return history;
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

#define RIATA_INSTANTIATE(T)                                   \
  template std::uint64_t hash_of<T>(const ConstMatrixRef<T>&); \
  template Matrix<T> stored_matrix<T>(const NamedTensors&, const std::string&, Index, Index, const std::string&);
RIATA_INSTANTIATE(float)
RIATA_INSTANTIATE(double)
#undef RIATA_INSTANTIATE

}  // namespace riata
