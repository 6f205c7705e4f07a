#include <png.h>

#include "riata/core/check.hpp"
#include "riata/io/images_codec.hpp"

namespace riata {
namespace {

void on_error(png_structp png, png_const_charp text) { jump_back(*static_cast<ErrorTrap*>(png_get_error_ptr(png)), text); }
void on_warning(png_structp, png_const_charp) {}  // the library never prints

struct PngReader {
  ErrorTrap trap;
  png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &trap, on_error, on_warning);
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

/// Reads the header and asks for grey or colour, 8 or 16 bits, alpha where there is transparency. @returns
/// passes
int prepare(PngReader& reader, std::FILE* file, Image& image) {
  png_init_io(reader.png, file);
  png_read_info(reader.png, reader.info);
  png_set_expand(reader.png);
  png_set_swap(reader.png);  // 16-bit samples are big-endian in the file
  const int n_passes = png_set_interlace_handling(reader.png);
  png_read_update_info(reader.png, reader.info);
  image.height = png_get_image_height(reader.png, reader.info);
  image.width = png_get_image_width(reader.png, reader.info);
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

}  // namespace

Image read_png(std::FILE* file, const std::string& name) {
  Image image;
  PngReader reader;
  require(reader.info != nullptr, "{} cannot be read: libpng does not start", name);
  const auto run = [&](auto&& calls) {
    if (!run_trapped(reader.trap, calls)) throw_unreadable(name, "PNG", file, reader.trap);
  };

  int n_passes = 0;
  run([&] { n_passes = prepare(reader, file, image); });
  reserve_samples(image, name);
  if (n_passes > 1) {
    image.samples.resize(static_cast<std::size_t>(image.height * row_samples(image)));
    run([&] { read_interlaced(reader, n_passes, image); });
  } else {
    for (Index y = 0; y < image.height; ++y) {
      std::uint16_t* row = append_row(image);
      run([&] { png_read_row(reader.png, bytes(row), nullptr); });
    }
  }
  run([&] { png_read_end(reader.png, nullptr); });
  if (image.bit_depth == 8)
    for (Index y = 0; y < image.height; ++y) widen_in_place(image.samples.data() + y * row_samples(image), row_samples(image));
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
