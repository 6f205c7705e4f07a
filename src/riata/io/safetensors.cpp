#include "riata/io/safetensors.hpp"

#include <cstring>

#include "riata/core/check.hpp"
#include "riata/io/atomic_file.hpp"
#include "riata/io/file.hpp"
#include "riata/io/safetensors_header.hpp"
#include "riata/io/tensor_bytes.hpp"

namespace riata {
namespace {

namespace fs = std::filesystem;
constexpr std::uint64_t max_header_bytes = 100'000'000;  // as the reference implementation

template <class T>
Tensor read_values(std::FILE* file, const fs::path& path, const TensorPlace& place) {
  std::vector<T> values((place.end - place.begin) / sizeof(T));
  const std::size_t n_bytes = values.size() * sizeof(T);
  require(read_up_to(file, path, values.data(), n_bytes) == n_bytes, "{} is truncated", path.string());
  return {place.shape, std::move(values)};
}

Tensor read_tensor(std::FILE* file, const fs::path& path, const TensorPlace& place) {
  if (place.dtype == "F32") return read_values<float>(file, path, place);
  if (place.dtype == "F64") return read_values<double>(file, path, place);
  return read_values<std::int64_t>(file, path, place);
}

}  // namespace

TensorFile read_safetensors(const fs::path& path) {
  const File file = open_to_read(path);
  const std::string name = path.string();
  const std::uint64_t file_bytes = size_of(file.get(), path);
  std::uint64_t header_bytes = 0;
  const bool has_length = read_up_to(file.get(), path, &header_bytes, sizeof(header_bytes)) == sizeof(header_bytes);
  require(has_length, "{} is not a safetensors file: it holds {} bytes", name, file_bytes);
  require(header_bytes <= max_header_bytes, "{} is not a safetensors file: its header claims {} bytes, at most {} are allowed",
          name, header_bytes, max_header_bytes);
  require(header_bytes <= file_bytes - sizeof(header_bytes), "{} is truncated: its header claims {} bytes, the file holds {}",
          name, header_bytes, file_bytes);
  std::string text(header_bytes, '\0');
  require(read_up_to(file.get(), path, text.data(), text.size()) == text.size(), "{} is truncated", name);

  SafetensorsHeader header = parse_safetensors_header(text, file_bytes - sizeof(header_bytes) - header_bytes, name);
  TensorFile contents{{}, std::move(header.metadata)};
  for (const TensorPlace& place : header.places) contents.tensors[place.name] = read_tensor(file.get(), path, place);
  return contents;
}

void write_safetensors(const fs::path& path, const TensorFile& contents) {
  const SafetensorsHeader header = lay_out(contents);
  const std::string text = format_safetensors_header(header);
  const std::uint64_t header_bytes = text.size();
  char length[sizeof(header_bytes)];
  std::memcpy(length, &header_bytes, sizeof(header_bytes));
  write_atomically(path, [&](std::FILE* file) {
    write_bytes(file, {length, sizeof(length)});
    write_bytes(file, text);
    for (const TensorPlace& place : header.places) write_bytes(file, bytes_of(contents.tensors.at(place.name)));
  });
}

}  // namespace riata
