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
  jpeg_progress_mgr progress{};
  std::array<unsigned char, 0xFFFF> exif;  // the first EXIF record
  std::size_t n_exif = 0;
  JpegReader() { codec.err = start(errors); }
  JpegReader(const JpegReader&) = delete;
  JpegReader& operator=(const JpegReader&) = delete;
  ~JpegReader() { jpeg_destroy_decompress(&codec); }  // also right before jpeg_create_decompress
};

/// A scan of a few bytes may go over the whole picture; a picture needs some ten of them.
void on_progress(j_common_ptr codec) {
  constexpr int max_scans = 500;
  if (reinterpret_cast<j_decompress_ptr>(codec)->input_scan_number > max_scans)
    jump_back(reinterpret_cast<JpegErrors*>(codec->err)->trap, "it has more than 500 scans");
}

struct JpegWriter {
  JpegErrors errors;
  jpeg_compress_struct codec{};
  JpegWriter() { codec.err = start(errors); }
  JpegWriter(const JpegWriter&) = delete;
  JpegWriter& operator=(const JpegWriter&) = delete;
  ~JpegWriter() { jpeg_destroy_compress(&codec); }
};

constexpr std::string_view exif_prefix("Exif\0\0", 6);

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

/// The EXIF record behind its prefix.
std::span<const unsigned char> record_of(const JpegReader& reader) {
  const std::size_t n_prefix = std::min(reader.n_exif, exif_prefix.size());
  return {reader.exif.data() + n_prefix, reader.n_exif - n_prefix};
}

/// A block of 8 x 8 samples takes a bit at least: the Huffman code of its first coefficient. Arithmetic codes know no bound.
std::uint64_t least_bytes(const jpeg_decompress_struct& codec) {
  std::uint64_t n_blocks = 0;
  for (int c = 0; c < codec.num_components; ++c)
    n_blocks += std::uint64_t{codec.comp_info[c].width_in_blocks} * codec.comp_info[c].height_in_blocks;
  return codec.arith_code ? 0 : n_blocks / 8;
}

/// A component that no scan brought would be grey. libjpeg notes a component's table when its first scan starts.
void require_all_components(const jpeg_decompress_struct& codec, const std::string& name) {
  for (int c = 0; c < codec.num_components; ++c)
    require(codec.comp_info[c].quant_table != nullptr, "{} is not a readable JPEG: it holds no data of component {}", name,
            c + 1);
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

Image read_jpeg(const ImageSource& source) {
  Image image;
  JpegReader reader;
  jpeg_decompress_struct& codec = reader.codec;
  const auto run = [&](auto&& calls) {
    if (!run_trapped(reader.errors.trap, calls)) throw_unreadable(source.name, "JPEG", source.file, reader.errors.trap);
  };

  run([&] {
    jpeg_create_decompress(&codec);
    jpeg_stdio_src(&codec, source.file);
    reader.progress.progress_monitor = on_progress;
    codec.progress = &reader.progress;
    codec.client_data = &reader;
    jpeg_set_marker_processor(&codec, JPEG_APP0 + 1, read_app1);
    jpeg_read_header(&codec, TRUE);
  });
  require(codec.num_components == 1 || codec.num_components == 3 || codec.num_components == 4,
          "{} is a JPEG of {} components; expected 1, 3 or 4", source.name, codec.num_components);
  image.height = codec.image_height;
  image.width = codec.image_width;
  image.channels = codec.num_components;
  require_possible(image, source, static_cast<double>(least_bytes(codec)), 1);
  run([&] {
    constexpr J_COLOR_SPACE colours[] = {JCS_UNKNOWN, JCS_GRAYSCALE, JCS_UNKNOWN, JCS_RGB, JCS_CMYK};
    codec.out_color_space = colours[image.channels];
    codec.dct_method = JDCT_ISLOW;
    jpeg_start_decompress(&codec);
  });
  for (Index y = 0; y < image.height; ++y) {
    std::uint16_t* row = append_row(image);
    auto* row_bytes = reinterpret_cast<JSAMPROW>(row);
    run([&] { jpeg_read_scanlines(&codec, &row_bytes, 1); });
    widen_in_place(row, row_samples(image));
  }
  require_all_components(codec, source.name);
  run([&] { jpeg_finish_decompress(&codec); });
  if (image.channels == 4)
    multiply_inks(image);  // stored as what each ink leaves (Adobe), whatever the marker says, as in Pillow
  turn_upright(image, exif_orientation(record_of(reader)));
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
