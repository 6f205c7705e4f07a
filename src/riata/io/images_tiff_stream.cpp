#include "riata/io/images_tiff_stream.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdarg>
#include <string_view>

namespace riata {
namespace {

constexpr const char* label = "TIFF";  // what libtiff puts before some of its messages

TiffStream& stream_of(thandle_t handle) { return *static_cast<TiffStream*>(handle); }

tmsize_t on_read(thandle_t handle, void* out, tmsize_t n) {
  const std::size_t n_read = std::fread(out, 1, static_cast<std::size_t>(n), stream_of(handle).file);
  stream_of(handle).trap.system_code = errno;
  return static_cast<tmsize_t>(n_read);
}

tmsize_t on_write(thandle_t handle, void* bytes, tmsize_t n) {
  const std::size_t n_written = std::fwrite(bytes, 1, static_cast<std::size_t>(n), stream_of(handle).file);
  stream_of(handle).trap.system_code = errno;
  return static_cast<tmsize_t>(n_written);
}

toff_t on_seek(thandle_t handle, toff_t offset, int whence) {
  std::FILE* file = stream_of(handle).file;
  if (::fseeko(file, static_cast<off_t>(offset), whence) != 0) {  // seeking writes what was buffered: the disk may be full
    stream_of(handle).trap.system_code = errno;
    return static_cast<toff_t>(-1);
  }
  return static_cast<toff_t>(::ftello(file));
}

int on_close(thandle_t) { return 0; }  // the stream belongs to the caller

toff_t on_size(thandle_t handle) {
  struct stat info {};
  return ::fstat(::fileno(stream_of(handle).file), &info) == 0 ? static_cast<toff_t>(info.st_size) : 0;
}

/// The first message is the cause; what follows are its consequences.
void keep(TiffStream& stream, const char* format, va_list arguments) {
  if (stream.has_complained()) return;
  char* text = stream.trap.text;
  std::vsnprintf(text, sizeof(stream.trap.text), format, arguments);
  const std::string prefix = std::string(label) + ": ";
  if (std::string_view(text).starts_with(prefix))
    std::copy_n(text + prefix.size(), std::string_view(text).size() - prefix.size() + 1, text);
}

int on_error(TIFF*, void* user, const char*, const char* format, va_list arguments) {
  keep(*static_cast<TiffStream*>(user), format, arguments);
  return 1;
}

/// Whether libtiff repaired a tag without which, or with another value of which, the pixels would be others.
bool shapes_pixels(std::string_view warning) {
  constexpr std::string_view tags[] = {
      "ImageWidth",   "ImageLength",     "BitsPerSample",    "Compression",       "Photometric",         "FillOrder",
      "StripOffsets", "SamplesPerPixel", "RowsPerStrip",     "StripByteCounts",   "PlanarConfig",        "Predictor",
      "ColorMap",     "TileWidth",       "TileLength",       "TileOffsets",       "TileByteCounts",      "InkSet",
      "SampleFormat", "JPEGTables",      "YCbCrSubsampling", "YCbCrCoefficients", "ReferenceBlackWhite", "Orientation",
      "T4Options",    "Group3Options",   "ImageDepth",       "TileDepth"};
  // It only gives a name to the channels beside the colours.
  if (warning.starts_with("Sum of Photometric type-related color channels and ExtraSamples")) return false;
  return std::any_of(std::begin(tags), std::end(tags),
                     [&](std::string_view tag) { return warning.find(tag) != std::string_view::npos; });
}

int on_warning(TIFF*, void* user, const char*, const char* format, va_list arguments) {
  TiffStream& stream = *static_cast<TiffStream*>(user);
  TiffStream heard{stream.file};
  keep(heard, format, arguments);
  if (!stream.has_complained() && (stream.reads_pixels || shapes_pixels(heard.trap.text)))
    std::copy(std::begin(heard.trap.text), std::end(heard.trap.text), stream.trap.text);
  return 1;
}

}  // namespace

TiffHandle open_tiff(TiffStream& stream, const char* mode, std::uint64_t max_bytes) {
  const std::unique_ptr<TIFFOpenOptions, void (*)(TIFFOpenOptions*)> options(TIFFOpenOptionsAlloc(), TIFFOpenOptionsFree);
  TIFFOpenOptionsSetErrorHandlerExtR(options.get(), on_error, &stream);
  TIFFOpenOptionsSetWarningHandlerExtR(options.get(), on_warning, &stream);
  TIFFOpenOptionsSetMaxSingleMemAlloc(options.get(), static_cast<tmsize_t>(max_bytes));
  return TiffHandle(
      TIFFClientOpenExt(label, mode, &stream, on_read, on_write, on_seek, on_close, on_size, nullptr, nullptr, options.get()));
}

}  // namespace riata
