#include <png.h>

#include <string_view>

#include "riata/core/check.hpp"
#include "riata/io/images_codec.hpp"

namespace riata {
namespace {

void on_error(png_structp png, png_const_charp text) { jump_back(*static_cast<ErrorTrap*>(png_get_error_ptr(png)), text); }

/// Refuses what leaves pixels or their transparency made up; what is said of metadata, or of bytes too many, is harmless.
/// The library never prints.
void on_read_warning(png_structp png, png_const_charp text) {
  const std::string_view warning(text);
  const bool is_of_pixels =
      warning.starts_with("IDAT: ") && warning != "IDAT: Extra compressed data" && warning != "IDAT: Too much image data";
  const bool is_of_alpha = warning.starts_with("tRNS: ") && warning != "tRNS: invalid with alpha channel";
  if (is_of_pixels || is_of_alpha) on_error(png, text);
}
void on_warning(png_structp, png_const_charp) {}

struct PngReader {
  ErrorTrap trap;
  png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &trap, on_error, on_read_warning);
  png_infop info = png ? png_create_info_struct(png) : nullptr;
  PngReader() = default;
  PngReader(const PngReader&) = delete;
  PngReader& operator=(const PngReader&) = delete;
  ~PngReader() { png_destroy_read_struct(&png, &info, nullptr); }
};

struct PngWriter {
  ErrorTrap trap;
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &trap, on_error, on_warning);
  png_infop info = png ? png_create_info_struct(png) : nullptr;
  PngWriter() = default;
  PngWriter(const PngWriter&) = delete;
  PngWriter& operator=(const PngWriter&) = delete;
  ~PngWriter() { png_destroy_write_struct(&png, &info); }
};

constexpr double max_deflate_ratio = 1032;  // 258 bytes from two bits

/// Reads the header. Of the chunks beside pixels, palette and transparency EXIF alone is kept: others may unpack to gigabytes.
void read_header(PngReader& reader, std::FILE* file, Image& image) {
  png_init_io(reader.png, file);
  png_set_keep_unknown_chunks(reader.png, PNG_HANDLE_CHUNK_NEVER, nullptr, -1);
  png_set_keep_unknown_chunks(reader.png, PNG_HANDLE_CHUNK_AS_DEFAULT, reinterpret_cast<png_const_bytep>("eXIf"), 1);
  png_read_info(reader.png, reader.info);
  image.height = png_get_image_height(reader.png, reader.info);
  image.width = png_get_image_width(reader.png, reader.info);
}

/// Asks for 8 or 16 bits: grey or colour, alpha where there is transparency, or the indices of a palette. @returns passes
int prepare(PngReader& reader, bool has_palette, Image& image) {
  if (has_palette)
    png_set_packing(reader.png);
  else
    png_set_expand(reader.png);
  png_set_swap(reader.png);  // 16-bit samples are big-endian in the file
  const int n_passes = png_set_interlace_handling(reader.png);
  png_read_update_info(reader.png, reader.info);
  image.channels = png_get_channels(reader.png, reader.info);
  image.bit_depth = png_get_bit_depth(reader.png, reader.info);
  image.has_alpha = image.channels % 2 == 0;
  return n_passes;
}

png_bytep bytes(std::uint16_t* row) { return reinterpret_cast<png_bytep>(row); }

/// Interlaced images come in seven passes over all rows, so all rows are there from the start.
void read_interlaced(PngReader& reader, int n_passes, Image& image) {
  const Index n = row_samples(image);
  for (int pass = 0; pass < n_passes; ++pass)
    for (Index y = 0; y < image.height; ++y) png_read_row(reader.png, bytes(image.samples.data() + y * n), nullptr);
}

/// libpng would expand an index without entry to black, and say nothing.
void expand_palette(PngReader& reader, Image& image, const std::string& name) {
  png_colorp colours = nullptr;
  png_bytep alphas = nullptr;
  int n_colours = 0, n_alphas = 0;
  png_get_PLTE(reader.png, reader.info, &colours, &n_colours);
  if (png_get_valid(reader.png, reader.info, PNG_INFO_tRNS) != 0)
    png_get_tRNS(reader.png, reader.info, &alphas, &n_alphas, nullptr);
  std::vector<std::uint16_t> palette;
  for (int i = 0; i < n_colours; ++i) {
    palette.insert(palette.end(), {colours[i].red, colours[i].green, colours[i].blue});
    if (n_alphas > 0) palette.push_back(i < n_alphas ? alphas[i] : 255);
  }
  apply_palette(image, palette, n_alphas > 0 ? 4 : 3, name);
}

int orientation_of(PngReader& reader) {
  png_bytep exif = nullptr;
  png_uint_32 n_bytes = 0;
  if (png_get_eXIf_1(reader.png, reader.info, &n_bytes, &exif) == 0) return 1;
  return exif_orientation({exif, n_bytes});
}

}  // namespace

Image read_png(const ImageSource& source) {
  Image image;
  PngReader reader;
  require(reader.info != nullptr, "{} cannot be read: libpng does not start", source.name);
  const auto run = [&](auto&& calls) {
    if (!run_trapped(reader.trap, calls)) throw_unreadable(source.name, "PNG", source.file, reader.trap);
  };

  run([&] { read_header(reader, source.file, image); });
  const auto row_bytes = static_cast<double>(png_get_rowbytes(reader.png, reader.info));
  require_possible(image, source, row_bytes * static_cast<double>(image.height), max_deflate_ratio);
  const bool has_palette = png_get_color_type(reader.png, reader.info) == PNG_COLOR_TYPE_PALETTE;
  int n_passes = 0;
  run([&] { n_passes = prepare(reader, has_palette, image); });
  if (n_passes > 1) {
    grow_to(image, image.height * row_samples(image));
    run([&] { read_interlaced(reader, n_passes, image); });
  } else {
    for (Index y = 0; y < image.height; ++y) {
      std::uint16_t* row = append_row(image);
      run([&] { png_read_row(reader.png, bytes(row), nullptr); });
    }
  }
  run([&] { png_read_end(reader.png, reader.info); });
  if (image.bit_depth == 8)
    for (Index y = 0; y < image.height; ++y) widen_in_place(image.samples.data() + y * row_samples(image), row_samples(image));
  if (has_palette) expand_palette(reader, image, source.name);
  turn_upright(image, orientation_of(reader));
  return image;
}

void write_png(std::FILE* file, const std::string& name, const Image& image) {
  PngWriter writer;
  require(writer.info != nullptr, "{} cannot be written: libpng does not start", name);
  std::vector<unsigned char> row_bytes(static_cast<std::size_t>(row_samples(image)));
  constexpr int colour_types[] = {PNG_COLOR_TYPE_GRAY, PNG_COLOR_TYPE_GRAY_ALPHA, PNG_COLOR_TYPE_RGB, PNG_COLOR_TYPE_RGB_ALPHA};
  const bool done = run_trapped(writer.trap, [&] {
    png_init_io(writer.png, file);
    png_set_IHDR(writer.png, writer.info, static_cast<png_uint_32>(image.width), static_cast<png_uint_32>(image.height),
                 image.bit_depth, colour_types[image.channels - 1], PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
                 PNG_FILTER_TYPE_DEFAULT);
    png_write_info(writer.png, writer.info);
    png_set_swap(writer.png);
    for (Index y = 0; y < image.height; ++y) {
      const std::uint16_t* row = image.samples.data() + y * row_samples(image);
      if (image.bit_depth == 8) narrow(row, row_samples(image), row_bytes.data());
      png_write_row(writer.png, image.bit_depth == 8 ? row_bytes.data() : reinterpret_cast<const unsigned char*>(row));
    }
    png_write_end(writer.png, nullptr);
  });
  if (!done) throw_unwritable(name, "PNG", file, writer.trap);
}

}  // namespace riata
