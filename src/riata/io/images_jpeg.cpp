#include <cstdio>  // jpeglib.h needs FILE

#include <jpeglib.h>

#include <jerror.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <span>
#include <string_view>

#include "riata/core/check.hpp"
#include "riata/io/images_codec.hpp"

namespace riata {
namespace {

/// libjpeg finds the trap through its error manager, which therefore comes first.
struct JpegErrors {
  jpeg_error_mgr manager;
  ErrorTrap trap;
};

void on_error(j_common_ptr codec) {
  auto* errors = reinterpret_cast<JpegErrors*>(codec->err);
  char text[JMSG_LENGTH_MAX];
  const int system_code = errno;
  codec->err->format_message(codec, text);
  errno = system_code;
  jump_back(errors->trap, text);
}

/// Warnings mean that pixels were invented, except for these three.
void on_message(j_common_ptr codec, int level) {
  const int code = codec->err->msg_code;
  const bool is_harmless = code == JWRN_EXTRANEOUS_DATA || code == JWRN_JFIF_MAJOR || code == JWRN_ADOBE_XFORM;
  if (level < 0 && !is_harmless) on_error(codec);
}

jpeg_error_mgr* start(JpegErrors& errors) {
  jpeg_std_error(&errors.manager);
  errors.manager.error_exit = on_error;
  errors.manager.emit_message = on_message;
  return &errors.manager;
}

struct JpegReader {
  JpegErrors errors;
  jpeg_decompress_struct codec{};
  std::array<unsigned char, 0xFFFF> exif;  // the first EXIF record
  std::size_t n_exif = 0;
  JpegReader() { codec.err = start(errors); }
  JpegReader(const JpegReader&) = delete;
  JpegReader& operator=(const JpegReader&) = delete;
  ~JpegReader() { jpeg_destroy_decompress(&codec); }  // also right before jpeg_create_decompress
};

struct JpegWriter {
  JpegErrors errors;
  jpeg_compress_struct codec{};
  JpegWriter() { codec.err = start(errors); }
  JpegWriter(const JpegWriter&) = delete;
  JpegWriter& operator=(const JpegWriter&) = delete;
  ~JpegWriter() { jpeg_destroy_compress(&codec); }
};

constexpr std::string_view exif_prefix("Exif\0\0", 6);

/// The orientation that an EXIF record gives, 1 if it gives none. A damaged record counts as none: it says nothing about the
/// pixels.
/// EXIF 2.3, section 4.6: "Exif\0\0", then a TIFF header and directory in the byte order that it names.
int exif_orientation(std::span<const unsigned char> record) {
  constexpr std::size_t header = 8, entry = 12;
  if (record.size() < exif_prefix.size() + header) return 1;
  const auto tiff = record.subspan(exif_prefix.size());
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

unsigned char next_byte(jpeg_decompress_struct& codec) {
  jpeg_source_mgr& source = *codec.src;
  if (source.bytes_in_buffer == 0) source.fill_input_buffer(&codec);
  --source.bytes_in_buffer;
  return *source.next_input_byte++;
}

/// Called at each APP1 marker. Keeps the first EXIF record alone: libjpeg would keep thousands of others too.
boolean read_app1(j_decompress_ptr codec) {
  JpegReader& reader = *static_cast<JpegReader*>(codec->client_data);
  const std::size_t high = next_byte(*codec), length = high << 8 | next_byte(*codec);
  std::size_t left = length < 2 ? 0 : length - 2;
  if (reader.n_exif == 0) {
    std::size_t n = 0;
    const auto take = [&](std::size_t wanted) {
      for (; n < wanted && left > 0; --left) reader.exif[n++] = next_byte(*codec);
    };
    take(exif_prefix.size());
    if (std::string_view(reinterpret_cast<const char*>(reader.exif.data()), n) == exif_prefix) {
      take(reader.exif.size());
      reader.n_exif = n;
    }
  }
  if (left > 0) codec->src->skip_input_data(codec, static_cast<long>(left));
  return TRUE;
}

void start_compression(jpeg_compress_struct& codec, std::FILE* file, const Image& image) {
  constexpr int quality = 95;
  jpeg_create_compress(&codec);
  jpeg_stdio_dest(&codec, file);
  codec.image_width = static_cast<JDIMENSION>(image.width);
  codec.image_height = static_cast<JDIMENSION>(image.height);
  codec.input_components = static_cast<int>(image.channels);
  codec.in_color_space = image.channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
  jpeg_set_defaults(&codec);
  jpeg_set_quality(&codec, quality, TRUE);
  codec.comp_info[0].h_samp_factor = codec.comp_info[0].v_samp_factor = 1;  // as the other components: full resolution
  jpeg_start_compress(&codec, TRUE);
}

}  // namespace

Image read_jpeg(std::FILE* file, const std::string& name) {
  Image image;
  JpegReader reader;
  jpeg_decompress_struct& codec = reader.codec;
  const auto run = [&](auto&& calls) {
    if (!run_trapped(reader.errors.trap, calls)) throw_unreadable(name, "JPEG", file, reader.errors.trap);
  };

  run([&] {
    jpeg_create_decompress(&codec);
    jpeg_stdio_src(&codec, file);
    codec.client_data = &reader;
    jpeg_set_marker_processor(&codec, JPEG_APP0 + 1, read_app1);
    jpeg_read_header(&codec, TRUE);
  });
  const bool is_cmyk = codec.jpeg_color_space == JCS_CMYK || codec.jpeg_color_space == JCS_YCCK;
  require(!is_cmyk, "{} is a CMYK JPEG; expected grey or RGB (convert it first)", name);
  require(codec.num_components == 1 || codec.num_components == 3, "{} is a JPEG of {} components; expected 1 or 3", name,
          codec.num_components);
  image.height = codec.image_height;
  image.width = codec.image_width;
  image.channels = codec.num_components;
  reserve_samples(image, name);
  run([&] {
    codec.out_color_space = image.channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
    codec.dct_method = JDCT_ISLOW;
    jpeg_start_decompress(&codec);
  });
  for (Index y = 0; y < image.height; ++y) {
    std::uint16_t* row = append_row(image);
    auto* row_bytes = reinterpret_cast<JSAMPROW>(row);
    run([&] { jpeg_read_scanlines(&codec, &row_bytes, 1); });
    widen_in_place(row, row_samples(image));
  }
  run([&] { jpeg_finish_decompress(&codec); });
  turn_upright(image, exif_orientation({reader.exif.data(), reader.n_exif}));
  return image;
}

void write_jpeg(std::FILE* file, const std::string& name, const Image& image) {
  JpegWriter writer;
  std::vector<unsigned char> row_bytes(static_cast<std::size_t>(row_samples(image)));
  const bool done = run_trapped(writer.errors.trap, [&] {
    start_compression(writer.codec, file, image);
    for (Index y = 0; y < image.height; ++y) {
      narrow(image.samples.data() + y * row_samples(image), row_samples(image), row_bytes.data());
      JSAMPROW row = row_bytes.data();
      jpeg_write_scanlines(&writer.codec, &row, 1);
    }
    jpeg_finish_compress(&writer.codec);
  });
  if (!done) throw_unwritable(name, "JPEG", file, writer.errors.trap);
}

}  // namespace riata
