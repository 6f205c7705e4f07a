#include "riata/io/arrays.hpp"

#include "riata/core/check.hpp"
#include "riata/io/atomic_file.hpp"
#include "riata/io/file.hpp"
#include "riata/io/npy_stream.hpp"
#include "riata/io/tensor_bytes.hpp"
#include "riata/io/zip_archive.hpp"

namespace riata {
namespace {

namespace fs = std::filesystem;
constexpr std::string_view suffix = ".npy";

}  // namespace

Tensor read_npy(const fs::path& path) {
  const File file = open_to_read(path);
  return parse_npy({path.string(), size_of(file.get(), path),
                    [&](void* out, std::size_t n_bytes) { return read_up_to(file.get(), path, out, n_bytes); }});
}

NamedTensors read_npz(const fs::path& path) {
  const ZipReader archive(path);
  NamedTensors tensors;
  for (const auto& member : archive.members()) {
    require(member.name.ends_with(suffix), "{} holds '{}', which is not an .npy array", path.string(), member.name);
    const std::string name = member.name.substr(0, member.name.size() - suffix.size());
    const std::string where = fmt::format("{} (array '{}')", path.string(), name);
    require(!tensors.contains(name), "{} holds the array '{}' twice", path.string(), name);
    archive.read(member, [&](const ZipReader::Read& read) { tensors[name] = parse_npy({where, member.n_bytes, read}); });
  }
  return tensors;
}

void write_npy(const fs::path& path, const Tensor& tensor) {
  const std::string header = npy_header(tensor, "write_npy");
  write_atomically(path, [&](std::FILE* file) {
    write_bytes(file, header);
    write_bytes(file, bytes_of(tensor));
  });
}

void write_npz(const fs::path& path, const NamedTensors& tensors) {
  write_atomically(path, [&](std::FILE* file) {
    ZipWriter archive(file);
    for (const auto& [name, tensor] : tensors)
      archive.add(name + std::string(suffix), npy_header(tensor, fmt::format("write_npz: '{}'", name)), bytes_of(tensor));
    archive.finish();
  });
}

}  // namespace riata
