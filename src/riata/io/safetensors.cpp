#include "riata/io/safetensors.hpp"

#include <algorithm>
#include <cstring>
#include <variant>

#include "riata/core/check.hpp"
#include "riata/io/atomic_file.hpp"
#include "riata/io/file.hpp"
#include "riata/io/safetensors_header.hpp"
#include "riata/io/small_floats.hpp"
#include "riata/io/tensor_bytes.hpp"

namespace riata {
namespace {

namespace fs = std::filesystem;
constexpr std::uint64_t max_header_bytes = 100'000'000;  // as the reference implementation

template <class T>
std::vector<T> read_values(std::FILE* file, const fs::path& path, const TensorPlace& place) {
  std::vector<T> values((place.end - place.begin) / sizeof(T));
  const std::size_t n_bytes = values.size() * sizeof(T);
  require(read_up_to(file, path, values.data(), n_bytes) == n_bytes, "{} is truncated", path.string());
  return values;
}

std::vector<float> read_halves(std::FILE* file, const fs::path& path, const TensorPlace& place, float (*widen)(std::uint16_t)) {
  const auto bits = read_values<std::uint16_t>(file, path, place);
  std::vector<float> values(bits.size());
  std::ranges::transform(bits, values.begin(), widen);
  return values;
}

std::variant<std::vector<float>, std::vector<double>, std::vector<std::int64_t>> read_any(std::FILE* file, const fs::path& path,
                                                                                          const TensorPlace& place) {
  if (place.dtype == "F16") return read_halves(file, path, place, float_of_half);
  if (place.dtype == "BF16") return read_halves(file, path, place, float_of_bfloat16);
  if (place.dtype == "F32") return read_values<float>(file, path, place);
  if (place.dtype == "F64") return read_values<double>(file, path, place);
  return read_values<std::int64_t>(file, path, place);
}

/// The file stands at its first value then.
SafetensorsHeader read_header(std::FILE* file, const fs::path& path) {
  const std::string name = path.string();
  const std::uint64_t file_bytes = size_of(file, path);
  struct {
    std::uint64_t header_bytes = 0;
    char first_byte = '{';  // where there is one
  } start;
  constexpr std::uint64_t length_bytes = sizeof(start.header_bytes);
  const std::size_t n_read = read_up_to(file, path, &start, length_bytes + 1);
  const std::uint64_t header_bytes = start.header_bytes;
  require(n_read >= length_bytes, "{} is not a safetensors file: it holds {} bytes", name, file_bytes);
  const bool is_zip = std::memcmp(&start, "PK\3\4", 4) == 0 && start.first_byte != '{';
  require(!is_zip, "{} is not a safetensors file but a zip archive, as PyTorch writes", name);
  require(header_bytes <= max_header_bytes, "{} is not a safetensors file: its header claims {} bytes, at most {} are allowed",
          name, header_bytes, max_header_bytes);
  require(header_bytes <= file_bytes - length_bytes || start.first_byte == '{',
          "{} is not a safetensors file: its header does not begin with a brace", name);
  require(header_bytes <= file_bytes - length_bytes, "{} is truncated: its header claims {} bytes, the file holds {}", name,
          header_bytes, file_bytes);
  std::string text(header_bytes, '\0');
  seek(file, path, length_bytes);
  require(read_up_to(file, path, text.data(), text.size()) == text.size(), "{} is truncated", name);
  return parse_safetensors_header(text, file_bytes - length_bytes - header_bytes, name);
}

}  // namespace

TensorFile read_safetensors(const fs::path& path) {
  const File file = open_to_read(path);
  SafetensorsHeader header = read_header(file.get(), path);
  TensorFile contents{{}, std::move(header.metadata)};
  for (const TensorPlace& place : header.places) contents.tensors[place.name] = {place.shape, read_any(file.get(), path, place)};
  return contents;
}

std::map<std::string, std::string> read_safetensors_metadata(const fs::path& path) {
  return read_header(open_to_read(path).get(), path).metadata;
}

void write_safetensors_to(std::FILE* stream, const TensorFile& contents) {
  const SafetensorsHeader header = lay_out(contents);
  const std::string text = format_safetensors_header(header);
  const std::uint64_t header_bytes = text.size();
  char length[sizeof(header_bytes)];
  std::memcpy(length, &header_bytes, sizeof(header_bytes));
  write_bytes(stream, {length, sizeof(length)});
  write_bytes(stream, text);
  for (const TensorPlace& place : header.places) write_bytes(stream, bytes_of(contents.tensors.at(place.name)));
}

void write_safetensors(const fs::path& path, const TensorFile& contents) {
  write_atomically(path, [&](std::FILE* stream) { write_safetensors_to(stream, contents); });
}

}  // namespace riata
