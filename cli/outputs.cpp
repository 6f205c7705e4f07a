#include "outputs.hpp"

#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <system_error>

#include "riata/core/check.hpp"
#include "riata/core/error.hpp"
#include "riata/io/arrays.hpp"
#include "riata/io/atomic_file.hpp"

namespace riata::cli {
namespace {

namespace fs = std::filesystem;

void require_writable(const fs::path& path) {
  const auto fail = [&](int code) {
    throw Error(formatted("cannot write {}: {}", path.string(), std::generic_category().message(code)));
  };
  std::error_code failure;
  const fs::path target = resolved(path);
  if (fs::is_directory(target, failure)) fail(EISDIR);
  const fs::path folder = target.has_parent_path() ? target.parent_path() : fs::path(".");
  if (fs::exists(folder, failure) && !fs::is_directory(folder, failure)) fail(ENOTDIR);
  if (::access(fs::exists(target, failure) ? target.c_str() : folder.c_str(), W_OK) != 0) fail(errno);
}

}  // namespace

void require_good_outputs(const std::vector<std::string>& inputs, const std::vector<std::string>& outputs) {
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    if (outputs[i].empty()) continue;
    for (const std::string& input : inputs)
      if (!input.empty()) require_distinct_output(input, outputs[i]);
    for (std::size_t k = 0; k < i; ++k)
      require(outputs[k].empty() || !is_same_file(outputs[k], outputs[i]),
              "{} and {} are one file; choose another name for one of them", outputs[k], outputs[i]);
    require_writable(outputs[i]);
  }
}

void require_extension(const std::string& path, std::initializer_list<std::string_view> extensions, const char* what) {
  std::string all;
  for (const std::string_view extension : extensions) {
    if (path.ends_with(extension)) return;
    all += (all.empty() ? "" : " or ") + std::string(extension);
  }
  throw std::invalid_argument(
      formatted("{} has the extension '{}'; {} are written as {}", path, fs::path(path).extension().string(), what, all));
}

std::string counted(std::size_t n, const char* noun) { return formatted("{} {}{}", n, noun, n == 1 ? "" : "s"); }

void write_trace(const std::string& path, const History& history) {
  std::string text = "iteration,phase,value,step,seconds\n";
  for (std::size_t i = 0; i < history.value.size(); ++i)
    text += formatted("{},{},{},{},{:.6f}\n", i + 1, history.phase[i], history.value[i], history.step[i], history.seconds[i]);
  write_atomically(path, text);
}

namespace {
std::vector<double> per_signal(const Vector<double>& values) { return {values.begin(), values.end()}; }
}  // namespace

template <Scalar T>
void write_codes(const std::string& path, const EncodeResult<T>& result) {
  if (path.ends_with(".npy")) return write_npy(path, to_tensor<T>(result.codes));
  const std::vector<std::int64_t> n_iter(result.n_iter.begin(), result.n_iter.end());
  write_npz(path, {{"codes", to_tensor<T>(result.codes)},
                   {"objective", to_tensor(per_signal(result.objective))},
                   {"gap", to_tensor(per_signal(result.gap))},
                   {"n_iter", Tensor{{std::ssize(n_iter)}, n_iter}}});
}

template <Scalar T>
void write_codes(const std::string& path, const OmpResult<T>& result) {
  if (path.ends_with(".npy")) return write_npy(path, to_tensor<T>(result.codes));
  write_npz(path, {{"codes", to_tensor<T>(result.codes)}, {"error", to_tensor(per_signal(result.error))}});
}

template void write_codes<float>(const std::string&, const OmpResult<float>&);
template void write_codes<double>(const std::string&, const OmpResult<double>&);
template void write_codes<float>(const std::string&, const EncodeResult<float>&);
template void write_codes<double>(const std::string&, const EncodeResult<double>&);

void say(const std::string& line) { std::fputs((line + '\n').c_str(), stderr); }

void tell(const Talk& talk, const nlohmann::ordered_json& json, const std::string& summary) {
  if (talk.json)
    std::puts(json.dump(-1, ' ', /*ensure_ascii=*/true, nlohmann::ordered_json::error_handler_t::replace).c_str());
  else if (!talk.quiet)
    std::puts(summary.c_str());
}

}  // namespace riata::cli
