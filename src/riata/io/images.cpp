#include "riata/io/images.hpp"

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <string_view>
#include <system_error>

#include "riata/core/check.hpp"
#include "riata/core/error.hpp"
#include "riata/io/atomic_file.hpp"
#include "riata/io/file.hpp"
#include "riata/io/images_codec.hpp"

namespace riata {
namespace {

namespace fs = std::filesystem;
using namespace std::string_view_literals;

using Reader = Image (*)(std::FILE*, const std::string&);
using Writer = void (*)(std::FILE*, const std::string&, const Image&);

struct Magic {
  std::string_view bytes;
  Reader read;
};
constexpr Magic magics[] = {
    {"\x89PNG\r\n\x1a\n"sv, read_png},
    {"\xff\xd8\xff"sv, read_jpeg},
    {"II*\0"sv, read_tiff},
    {"MM\0*"sv, read_tiff},
    {"II+\0"sv, read_tiff},
    {"MM\0+"sv, read_tiff},  // 43 instead of 42: BigTIFF
};

Writer writer_for(const fs::path& path) {
  std::string extension = path.extension().string();
  std::transform(extension.begin(), extension.end(), extension.begin(), [](unsigned char c) { return std::tolower(c); });
  if (extension == ".png") return write_png;
  if (extension == ".jpg" || extension == ".jpeg") return write_jpeg;
  if (extension == ".tif" || extension == ".tiff") return write_tiff;
  throw std::invalid_argument(
      fmt::format("{} has the extension '{}'; images are written as .png, .jpg, .jpeg, .tif or .tiff", path.string(), extension));
}

void require_well_formed(const Image& image) {
  require(image.height > 0 && image.width > 0, "write_image: image is {} x {}; expected at least one pixel", image.height,
          image.width);
  require(image.bit_depth == 8 || image.bit_depth == 16, "write_image: bit_depth = {}, must be 8 or 16", image.bit_depth);
  const Index n_colours = image.channels - (image.has_alpha ? 1 : 0);
  require(n_colours == 1 || n_colours == 3, "write_image: image has {} channels {} alpha; expected 1 or 3 colours",
          image.channels, image.has_alpha ? "with" : "without");
  const auto n_samples = static_cast<Index>(image.samples.size());
  const bool fits = n_samples % row_samples(image) == 0 && n_samples / row_samples(image) == image.height;
  require(fits, "write_image: image of {} x {} x {} holds {} samples", image.height, image.width, image.channels, n_samples);
  if (image.bit_depth == 16) return;
  const auto too_large = std::find_if(image.samples.begin(), image.samples.end(), [](std::uint16_t v) { return v > 255; });
  require(too_large == image.samples.end(), "write_image: an 8-bit image holds the sample {}",
          too_large == image.samples.end() ? 0 : *too_large);
}

}  // namespace

Image read_image(const fs::path& path) {
  const File file = open_to_read(path);
  char start[8];
  const std::string_view head(start, read_up_to(file.get(), path, start, sizeof(start)));
  for (const Magic& magic : magics) {
    if (!head.starts_with(magic.bytes)) continue;
    seek(file.get(), path, 0);
    return magic.read(file.get(), path.string());
  }
  throw std::invalid_argument(fmt::format("{} is not a PNG, JPEG or TIFF image", path.string()));
}

void require_writable_as(const fs::path& path, const Image& like) {
  if (writer_for(path) == write_jpeg)
    require(like.bit_depth == 8 && !like.has_alpha, "{}: a JPEG holds neither 16 bits nor alpha; write .png or .tif",
            path.string());
}

void write_image(const fs::path& path, const Image& image) {
  const Writer write = writer_for(path);
  require_well_formed(image);
  require_writable_as(path, image);
  write_atomically(path, [&](std::FILE* file) { write(file, path.string(), image); });
}

void jump_back(ErrorTrap& trap, const char* text) {
  trap.system_code = errno;
  std::snprintf(trap.text, sizeof(trap.text), "%s", text);
  std::longjmp(trap.back, 1);
}

void throw_unreadable(const std::string& name, const char* format, std::FILE* file, const ErrorTrap& trap) {
  if (std::ferror(file)) throw Error(fmt::format("cannot read {}: {}", name, std::generic_category().message(trap.system_code)));
  const bool is_end = trap.text == "Read Error"sv;  // what libpng says at the end of the file
  throw std::invalid_argument(
      fmt::format("{} is not a readable {}: {}{}", name, format, trap.text, is_end ? " (truncated?)" : ""));
}

void throw_unwritable(const std::string& name, const char* format, std::FILE* file, const ErrorTrap& trap) {
  if (std::ferror(file)) throw std::system_error(trap.system_code, std::generic_category());
  throw std::invalid_argument(fmt::format("{} cannot be written as {}: {}", name, format, trap.text));
}

void reserve_samples(Image& image, const std::string& name) {
  constexpr Index max_samples = Index{1} << 32;  // 8 GiB of memory
  require(image.height > 0 && image.width > 0 && image.height <= max_samples / image.width / image.channels,
          "{} claims {} x {} pixels with {} channels; riata reads 1 to {} samples", name, image.height, image.width,
          image.channels, max_samples);
  image.samples.reserve(static_cast<std::size_t>(image.height * row_samples(image)));
}

Index row_samples(const Image& image) { return image.width * image.channels; }

std::uint16_t* append_row(Image& image) {
  const std::size_t end = image.samples.size();
  image.samples.resize(end + static_cast<std::size_t>(row_samples(image)));
  return image.samples.data() + end;
}

void widen_in_place(std::uint16_t* row, Index n) {
  const auto* bytes = reinterpret_cast<const unsigned char*>(row);
  for (Index i = n; i-- > 0;) row[i] = bytes[i];  // from the end: sample i covers bytes 2i and 2i + 1, never one still needed
}

void turn_upright(Image& image, int orientation) {
  if (orientation < 2 || orientation > 8) return;
  const bool is_transposed = orientation >= 5;
  // Where the upright picture's first sample lies in the file, then the way to its right and down.
  const bool from_right = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
  const bool from_bottom = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
  const Index along_row = from_right ? -image.channels : image.channels;
  const Index along_column = from_bottom ? -row_samples(image) : row_samples(image);
  const std::uint16_t* corner = image.samples.data() + (from_right ? (image.width - 1) * image.channels : 0) +
                                (from_bottom ? (image.height - 1) * row_samples(image) : 0);
  Image upright = {.height = is_transposed ? image.width : image.height,
                   .width = is_transposed ? image.height : image.width,
                   .channels = image.channels,
                   .bit_depth = image.bit_depth,
                   .has_alpha = image.has_alpha,
                   .samples = {}};
  const Index right = is_transposed ? along_column : along_row, down = is_transposed ? along_row : along_column;
  upright.samples.reserve(image.samples.size());
  for (Index y = 0; y < upright.height; ++y)
    for (Index x = 0; x < upright.width; ++x) {
      const std::uint16_t* pixel = corner + y * down + x * right;
      upright.samples.insert(upright.samples.end(), pixel, pixel + image.channels);
    }
  image = std::move(upright);
}

void narrow(const std::uint16_t* row, Index n, unsigned char* out) {
  std::transform(row, row + n, out, [](std::uint16_t sample) { return static_cast<unsigned char>(sample); });
}

}  // namespace riata
