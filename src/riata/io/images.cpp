#include "riata/io/images.hpp"

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <system_error>

#include "riata/core/check.hpp"
#include "riata/core/error.hpp"
#include "riata/core/sentence.hpp"
#include "riata/io/atomic_file.hpp"
#include "riata/io/file.hpp"
#include "riata/io/images_codec.hpp"

namespace riata {
namespace {

namespace fs = std::filesystem;
using namespace std::string_view_literals;

enum class Format { png, jpeg, tiff };

struct Magic {
  std::string_view bytes;
  Format format;
};
constexpr Magic magics[] = {
    {"\x89PNG\r\n\x1a\n"sv, Format::png},
    {"\xff\xd8\xff"sv, Format::jpeg},
    {"II*\0"sv, Format::tiff},
    {"MM\0*"sv, Format::tiff},
    {"II+\0"sv, Format::tiff},
    {"MM\0+"sv, Format::tiff},  // 43 instead of 42: BigTIFF
};

Format format_of(std::FILE* file, const fs::path& path) {
  char start[8];
  const std::string_view head(start, read_up_to(file, path, start, sizeof(start)));
  for (const Magic& magic : magics)
    if (head.starts_with(magic.bytes)) return magic.format;
  refuse(formatted("{} is not a PNG, JPEG or TIFF image", path.string()));
}

Format format_for(const fs::path& path) {
  std::string extension = path.extension().string();
  std::transform(extension.begin(), extension.end(), extension.begin(), [](unsigned char c) { return std::tolower(c); });
  if (extension == ".png") return Format::png;
  if (extension == ".jpg" || extension == ".jpeg") return Format::jpeg;
  if (extension == ".tif" || extension == ".tiff") return Format::tiff;
  refuse(
      formatted("{} has the extension '{}'; images are written as .png, .jpg, .jpeg, .tif or .tiff", path.string(), extension));
}

void require_well_formed(const Image& image) {
  require(image.height > 0 && image.width > 0, "write_image: image is {} x {}; expected at least one pixel", image.height,
          image.width);
  const bool is_known = image.bit_depth == 8 || image.bit_depth == 16 || image.bit_depth == 32 || image.bit_depth == 64;
  require(is_known, "write_image: bit_depth = {}, must be 8 or 16{}", image.bit_depth,
          image.values.empty() ? "" : ", or 32 or 64 for floating point");
  const Index n_colours = image.channels - (image.has_alpha ? 1 : 0);
  require(n_colours == 1 || n_colours == 3, "write_image: image has {} channels {} alpha; expected 1 or 3 colours",
          image.channels, image.has_alpha ? "with" : "without");
  const auto n_samples = static_cast<Index>(image.is_float() ? image.values.size() : image.samples.size());
  const bool fits = n_samples % row_samples(image) == 0 && n_samples / row_samples(image) == image.height;
  require(fits, "write_image: image of {} x {} x {} holds {} samples", image.height, image.width, image.channels, n_samples);
  if (image.bit_depth != 8) return;
  const auto too_large = std::find_if(image.samples.begin(), image.samples.end(), [](std::uint16_t v) { return v > 255; });
  require(too_large == image.samples.end(), "write_image: an 8-bit image holds the sample {}",
          too_large == image.samples.end() ? 0 : *too_large);
}

std::vector<Image> read_pages(const fs::path& path, const ReadImageOptions& options, bool only_one) {
  options.validate();
  const File file = open_to_read(path);
  const Format format = format_of(file.get(), path);
  seek(file.get(), path, 0);
  const ImageSource source{file.get(), path.string(), size_of(file.get(), path), options};
  if (format == Format::tiff) return read_tiff(source, only_one);
  require(options.page.value_or(1) == 1, "{} has one page; there is no page {}", path.string(), options.page.value_or(1));
  std::vector<Image> pages;
  pages.push_back(format == Format::png ? read_png(source) : read_jpeg(source));
  return pages;
}

/// Calls `use` with the vector that holds the image's numbers.
template <class AnyImage, class Use>
auto with_numbers(AnyImage& image, const Use& use) {
  return image.is_float() ? use(image.values) : use(image.samples);
}

}  // namespace

void ReadImageOptions::validate() const {
  require(max_pixels >= 1, "max_pixels = {}, must be >= 1", max_pixels);
  require(page.value_or(1) >= 1, "page = {}, must be >= 1", page.value_or(1));
}

Image read_image(const fs::path& path, const ReadImageOptions& options) {
  return std::move(read_pages(path, options, /*only_one=*/true).front());
}

std::vector<Image> read_images(const fs::path& path, const ReadImageOptions& options) {
  return read_pages(path, options, /*only_one=*/false);
}

void require_writable_as(const fs::path& path, const Image& like) {
  const Format format = format_for(path);
  require(format == Format::tiff || !like.is_float(), "{}: only a TIFF holds floating-point samples; write .tif", path.string());
  require(format != Format::jpeg || (like.bit_depth == 8 && !like.has_alpha),
          "{}: a JPEG holds neither 16 bits nor alpha; write .png or .tif", path.string());
}

void require_writable_as(const fs::path& path, const std::vector<Image>& like) {
  require(!like.empty(), "write_images: there are no pages");
  for (const Image& page : like) require_writable_as(path, page);
  require(like.size() == 1 || format_for(path) == Format::tiff,
          "{}: only a TIFF holds several pages ({}); write .tif, or choose one page", path.string(), like.size());
}

void write_image(const fs::path& path, const Image& image) {
  const Format format = format_for(path);
  require_well_formed(image);
  require_writable_as(path, image);
  write_atomically(path, [&](std::FILE* file) {
    if (format == Format::png) return write_png(file, path.string(), image);
    if (format == Format::jpeg) return write_jpeg(file, path.string(), image);
    write_tiff(file, path.string(), {&image, 1});
  });
}

void write_images(const fs::path& path, const std::vector<Image>& pages) {
  require_writable_as(path, pages);
  if (pages.size() == 1) return write_image(path, pages.front());
  for (const Image& page : pages) require_well_formed(page);
  write_atomically(path, [&](std::FILE* file) { write_tiff(file, path.string(), pages); });
}

void jump_back(ErrorTrap& trap, const char* text) {
  trap.system_code = errno;
  std::snprintf(trap.text, sizeof(trap.text), "%s", text);
  std::longjmp(trap.back, 1);
}

void throw_unreadable(const std::string& name, const char* format, std::FILE* file, const ErrorTrap& trap) {
  if (std::ferror(file)) throw Error(formatted("cannot read {}: {}", name, std::generic_category().message(trap.system_code)));
  const bool is_end = trap.text == "Read Error"sv;  // what libpng says at the end of the file
  refuse(formatted("{} is not a readable {}: {}{}", name, format, shown(trap.text), is_end ? " (truncated?)" : ""));
}

void throw_unwritable(const std::string& name, const char* format, std::FILE* file, const ErrorTrap& trap) {
  if (std::ferror(file)) throw std::system_error(trap.system_code, std::generic_category());
  refuse(formatted("{} cannot be written as {}: {}", name, format, trap.text));
}

void require_possible(const Image& image, const ImageSource& source, double n_raw_bytes, double max_ratio) {
  require(image.height > 0 && image.width > 0, "{} claims {} x {} pixels; expected at least one", source.name, image.height,
          image.width);
  require(image.height <= (source.options.max_pixels - source.n_read) / image.width,
          "{} claims {} x {} pixels{}; at most {} are read (max_pixels; raise it if you trust the file)", source.name,
          image.height, image.width, source.n_read == 0 ? "" : formatted(", after {} of other pages", source.n_read),
          source.options.max_pixels);
  require(max_ratio == 0 || n_raw_bytes <= max_ratio * static_cast<double>(source.n_bytes),
          "{} claims {} x {} pixels, more than its {} bytes can hold", source.name, image.height, image.width, source.n_bytes);
}

Index row_samples(const Image& image) { return image.width * image.channels; }

void grow_to(Image& image, Index n) {
  with_numbers(image, [&](auto& numbers) {
    numbers.reserve(static_cast<std::size_t>(image.height * row_samples(image)));  // memory that is not touched yet
    numbers.resize(static_cast<std::size_t>(n));
  });
}

std::uint16_t* append_row(Image& image) {
  const auto end = static_cast<Index>(image.samples.size());
  grow_to(image, end + row_samples(image));
  return image.samples.data() + end;
}

void widen_in_place(std::uint16_t* row, Index n) {
  const auto* bytes = reinterpret_cast<const unsigned char*>(row);
  for (Index i = n; i-- > 0;) row[i] = bytes[i];  // from the end: sample i covers bytes 2i and 2i + 1, never one still needed
}

void apply_palette(Image& indices, const std::vector<std::uint16_t>& palette, Index channels, const std::string& name) {
  const std::vector<std::uint16_t> entries = std::move(indices.samples);
  const Index n_entries = static_cast<Index>(palette.size()) / channels;
  indices.channels = channels;
  indices.has_alpha = channels == 4;
  indices.bit_depth = 8;
  indices.samples.clear();
  indices.samples.reserve(entries.size() * static_cast<std::size_t>(channels));
  for (const std::uint16_t entry : entries) {
    require(entry < n_entries, "{} holds the colour {}, but its palette has {}", name, entry, n_entries);
    const auto colour = palette.begin() + entry * channels;
    indices.samples.insert(indices.samples.end(), colour, colour + channels);
  }
}

void multiply_inks(Image& inks) {
  const std::uint32_t white = inks.bit_depth == 8 ? 255 : 65535;
  std::size_t n = 0;
  for (std::size_t pixel = 0; pixel < inks.samples.size(); pixel += 4)
    for (std::size_t c = 0; c < 3; ++c)  // in place: three are written where four were read
      inks.samples[n++] =
          static_cast<std::uint16_t>((std::uint32_t{inks.samples[pixel + c]} * inks.samples[pixel + 3] + white / 2) / white);
  inks.samples.resize(n);
  inks.channels = 3;
}

int exif_orientation(std::span<const unsigned char> tiff) {
  constexpr std::size_t header = 8, entry = 12;
  if (tiff.size() < header) return 1;
  const bool is_big_endian = tiff[0] == 'M';
  if (std::memcmp(tiff.data(), is_big_endian ? "MM\0*" : "II*\0", 4) != 0) return 1;
  const auto read = [&](std::size_t at, std::size_t n_bytes) {
    std::size_t value = 0;
    for (std::size_t i = 0; i < n_bytes; ++i) value = value << 8 | tiff[at + (is_big_endian ? i : n_bytes - 1 - i)];
    return value;
  };
  const std::size_t directory = read(4, 4);
  if (directory > tiff.size() - 2) return 1;
  const std::size_t n_entries = read(directory, 2);
  for (std::size_t i = 0; i < n_entries; ++i) {
    const std::size_t at = directory + 2 + i * entry;
    if (at + entry > tiff.size()) return 1;
    constexpr std::size_t orientation = 0x0112, short_type = 3;
    if (read(at, 2) != orientation) continue;
    const bool is_one_short = read(at + 2, 2) == short_type && read(at + 4, 4) == 1;
    return is_one_short ? static_cast<int>(read(at + 8, 2)) : 1;
  }
  return 1;
}

void turn_upright(Image& image, int orientation) {
  if (orientation < 2 || orientation > 8) return;
  const bool is_transposed = orientation >= 5;
  // Where the upright picture's first sample lies in the file, then the way to its right and down.
  const bool from_right = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
  const bool from_bottom = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
  const Index along_row = from_right ? -image.channels : image.channels;
  const Index along_column = from_bottom ? -row_samples(image) : row_samples(image);
  const Index corner =
      (from_right ? (image.width - 1) * image.channels : 0) + (from_bottom ? (image.height - 1) * row_samples(image) : 0);
  const Index height = is_transposed ? image.width : image.height, width = is_transposed ? image.height : image.width;
  const Index right = is_transposed ? along_column : along_row, down = is_transposed ? along_row : along_column;
  with_numbers(image, [&](auto& numbers) {
    std::decay_t<decltype(numbers)> upright;
    upright.reserve(numbers.size());
    for (Index y = 0; y < height; ++y)
      for (Index x = 0; x < width; ++x) {
        const auto* pixel = numbers.data() + corner + y * down + x * right;
        upright.insert(upright.end(), pixel, pixel + image.channels);
      }
    numbers = std::move(upright);
  });
  image.height = height;
  image.width = width;
}

void narrow(const std::uint16_t* row, Index n, unsigned char* out) {
  std::transform(row, row + n, out, [](std::uint16_t sample) { return static_cast<unsigned char>(sample); });
}

}  // namespace riata
