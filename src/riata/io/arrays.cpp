#include "riata/io/arrays.hpp"

#include <algorithm>

#include "riata/core/check.hpp"
#include "riata/core/sentence.hpp"
#include "riata/io/atomic_file.hpp"
#include "riata/io/file.hpp"
#include "riata/io/npy_stream.hpp"
#include "riata/io/tensor_bytes.hpp"
#include "riata/io/zip_archive.hpp"

namespace riata {
namespace {

namespace fs = std::filesystem;
constexpr std::string_view suffix = ".npy";

/// Calls `use` with the bytes of a member, "X.npy".
template <class Use>
void read_member(const ZipReader& archive, const ZipReader::Member& member, const fs::path& path, const Use& use) {
  const std::string name = member.name.substr(0, member.name.size() - suffix.size());
  const std::string where = formatted("{} (array '{}')", path.string(), shown(name));
  archive.read(member, [&](const ZipReader::Read& read) { use(ByteSource{where, member.n_bytes, member.n_packed, read}); });
}

template <class Use>
void read_member(const fs::path& path, const std::string& name, const Use& use) {
  const ZipReader archive(path);
  const auto has_name = [&](const ZipReader::Member& member) { return member.name == name + std::string(suffix); };
  const auto found = std::find_if(archive.members().begin(), archive.members().end(), has_name);
  require(found != archive.members().end(), "{} has no array '{}'", path.string(), shown(name));
  require(std::count_if(found, archive.members().end(), has_name) == 1, "{} holds the array '{}' twice", path.string(),
          shown(name));
  read_member(archive, *found, path, use);
}

}  // namespace

Tensor read_npy(const fs::path& path) {
  const File file = open_to_read(path);
  const std::uint64_t n_bytes = size_of(file.get(), path);
  return parse_npy(
      {path.string(), n_bytes, n_bytes, [&](void* out, std::size_t n) { return read_up_to(file.get(), path, out, n); }});
}

template <Scalar T>
Matrix<T> read_npy(const fs::path& path, const NpyOptions& options) {
  const Tensor tensor = read_npy(path);
  require(tensor.shape.size() == 2, "{} has {} dimensions, expected 2", path.string(), tensor.shape.size());
  return std::visit(
      [&]<class Stored>(const std::vector<Stored>& values) -> Matrix<T> {
        constexpr bool is_float = sizeof(Stored) == sizeof(float);
        require(options.convert || std::same_as<Stored, T>,
                "{} holds {}, expected {}: read_npy<{}>() takes it as it is, read_npy<{}>(path, {{.convert = true}}) converts it",
                path.string(), is_float ? "float32" : "float64", is_float ? "float64" : "float32", is_float ? "float" : "double",
                is_float ? "double" : "float");
        return Eigen::Map<const Eigen::Matrix<Stored, -1, -1>>(values.data(), tensor.shape[1], tensor.shape[0])
            .template cast<T>();
      },
      tensor.data);
}
template Matrix<float> read_npy(const fs::path&, const NpyOptions&);
template Matrix<double> read_npy(const fs::path&, const NpyOptions&);

NamedTensors read_npz(const fs::path& path) {
  const ZipReader archive(path);
  NamedTensors tensors;
  for (const auto& member : archive.members()) {
    require(member.name.ends_with(suffix), "{} holds '{}', which is not an .npy array", path.string(), shown(member.name));
    const std::string name = member.name.substr(0, member.name.size() - suffix.size());
    require(!tensors.contains(name), "{} holds the array '{}' twice", path.string(), shown(name));
    read_member(archive, member, path, [&](const ByteSource& source) { tensors[name] = parse_npy(source); });
  }
  return tensors;
}

std::vector<std::string> npz_names(const fs::path& path) {
  const ZipReader archive(path);
  std::vector<std::string> names;
  for (const auto& member : archive.members())
    if (member.name.ends_with(suffix)) names.push_back(member.name.substr(0, member.name.size() - suffix.size()));
  return names;
}

Tensor read_npz_array(const fs::path& path, const std::string& name) {
  Tensor tensor;
  read_member(path, name, [&](const ByteSource& source) { tensor = parse_npy(source); });
  return tensor;
}

ArrayHeader read_npz_header(const fs::path& path, const std::string& name) {
  ArrayHeader header;
  read_member(path, name, [&](const ByteSource& source) { header = parse_npy_type(source); });
  return header;
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
      archive.add(name + std::string(suffix), npy_header(tensor, formatted("write_npz: '{}'", name)), bytes_of(tensor));
    archive.finish();
  });
}

}  // namespace riata
