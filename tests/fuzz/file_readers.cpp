#include "readers.hpp"

#include <algorithm>

#include "riata/io/arrays.hpp"
#include "riata/io/edf.hpp"
#include "riata/io/images.hpp"
#include "riata/io/npy_stream.hpp"
#include "riata/io/safetensors.hpp"

namespace riata::fuzz {
namespace {

namespace fs = std::filesystem;
using Files = std::vector<std::string>;

/// The tests' files with one of the extensions.
Files fixtures(std::initializer_list<const char*> extensions) {
  std::vector<fs::path> paths;
  for (const auto& entry : fs::directory_iterator(fs::path(RIATA_TEST_DIR) / "io" / "data"))
    for (const char* extension : extensions)
      if (entry.path().extension() == extension) paths.push_back(entry.path());
  std::sort(paths.begin(), paths.end());
  Files files;
  for (const fs::path& path : paths) files.push_back(bytes_of(path));
  return files;
}

std::string pages(const fs::path& folder) {
  Image grey{5, 7, 1, 16, false, std::vector<std::uint16_t>(35, 9)}, floats{4, 4, 3, 32, false, {}, std::vector<float>(48, 0.5f)};
  return written(folder / "x.tif", [&](const fs::path& path) { write_images(path, {grey, floats, grey}); });
}

void read_rows(const fs::path& path) {
  NpyRows rows(path);
  for (Index left = rows.n_rows(), n = 0; left > 0 && rows.n_columns() > 0; left -= n) rows.next(n = std::min<Index>(left, 64));
}

void read_recording(const fs::path& path) {
  const EdfRecording recording(path);
  for (Index c = 0; c < std::ssize(recording.channels()); ++c) {
    Matrix<float> last(1, std::min<Index>(recording.n_times({&c, 1}), 64));
    recording.read(recording.n_times({&c, 1}) - last.cols(), {&c, 1}, last);
  }
  recording.read_annotations();
}

}  // namespace

std::string bytes_of(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::vector<Reader> file_readers(const fs::path& folder) {
  const auto tiffs = [&] {
    Files files = fixtures({".tif"});
    files.push_back(pages(folder));
    return files;
  };
  const auto image = [](const fs::path& path) { read_images(path, {.max_pixels = 1 << 24}); };
  return {
      {"npy", Container::none, fixtures({".npy"}),
       [](const fs::path& path) {
         read_npy(path);
         read_rows(path);
       }},
      {"npz", Container::zip, fixtures({".npz"}),
       [](const fs::path& path) {
         for (const std::string& name : npz_names(path))
           if (read_npz_header(path, name).is_readable) read_npz_array(path, name);
         read_npz(path);
       }},
      {"safetensors", Container::safetensors, fixtures({".safetensors"}), [](const fs::path& path) { read_safetensors(path); }},
      {"edf", Container::none, fixtures({".edf", ".bdf"}), read_recording},
      {"png", Container::png, fixtures({".png"}), image},
      {"jpeg", Container::none, fixtures({".jpg"}), image},
      {"tiff", Container::none, tiffs(), image},
  };
}

}  // namespace riata::fuzz
