#include <sys/stat.h>
#include <tiffio.h>

#include <cerrno>
#include <cstdarg>
#include <cstring>
#include <memory>

#include "riata/core/check.hpp"
#include "riata/io/images_codec.hpp"

namespace riata {
namespace {

/// libtiff's view of a stream, and where its messages go. Its errors are return values: nothing jumps.
struct Stream {
  std::FILE* file;
  ErrorTrap trap{};
};

Stream& stream_of(thandle_t handle) { return *static_cast<Stream*>(handle); }

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

/// The first error is the cause; what follows are its consequences.
int on_error(TIFF*, void* user, const char*, const char* format, va_list arguments) {
  ErrorTrap& trap = static_cast<Stream*>(user)->trap;
  if (trap.text[0] == '\0') std::vsnprintf(trap.text, sizeof(trap.text), format, arguments);
  return 1;
}
int on_warning(TIFF*, void*, const char*, const char*, va_list) { return 1; }  // the library never prints

struct TiffCloser {
  void operator()(TIFF* tiff) const { TIFFClose(tiff); }
};
using TiffHandle = std::unique_ptr<TIFF, TiffCloser>;

TiffHandle open(Stream& stream, const std::string& name, const char* mode) {
  const std::unique_ptr<TIFFOpenOptions, void (*)(TIFFOpenOptions*)> options(TIFFOpenOptionsAlloc(), TIFFOpenOptionsFree);
  TIFFOpenOptionsSetErrorHandlerExtR(options.get(), on_error, &stream);
  TIFFOpenOptionsSetWarningHandlerExtR(options.get(), on_warning, nullptr);
  return TiffHandle(TIFFClientOpenExt(name.c_str(), mode, &stream, on_read, on_write, on_seek, on_close, on_size, nullptr,
                                      nullptr, options.get()));
}

template <class T>
T field(TIFF* tiff, ttag_t tag) {
  T value{};
  TIFFGetFieldDefaulted(tiff, tag, &value);
  return value;
}

void require_supported_colours(TIFF* tiff, const std::string& name) {
  const auto photometric = field<std::uint16_t>(tiff, TIFFTAG_PHOTOMETRIC);
  const bool is_jpeg = field<std::uint16_t>(tiff, TIFFTAG_COMPRESSION) == COMPRESSION_JPEG;
  if (photometric == PHOTOMETRIC_YCBCR && is_jpeg) TIFFSetField(tiff, TIFFTAG_JPEGCOLORMODE, JPEGCOLORMODE_RGB);
  require(photometric != PHOTOMETRIC_SEPARATED, "{} is a CMYK TIFF; expected grey or RGB (convert it first)", name);
  require(photometric != PHOTOMETRIC_PALETTE, "{} is a TIFF with a palette; expected grey or RGB (convert it first)", name);
  const bool is_known = photometric == PHOTOMETRIC_MINISBLACK || photometric == PHOTOMETRIC_MINISWHITE ||
                        photometric == PHOTOMETRIC_RGB || (photometric == PHOTOMETRIC_YCBCR && is_jpeg);
  require(is_known, "{} is a TIFF with colours of kind {}; expected grey or RGB", name, photometric);
}

void require_supported_samples(TIFF* tiff, const std::string& name) {
  const auto sample_format = field<std::uint16_t>(tiff, TIFFTAG_SAMPLEFORMAT);
  const auto n_bits = field<std::uint16_t>(tiff, TIFFTAG_BITSPERSAMPLE);
  require(sample_format != SAMPLEFORMAT_IEEEFP, "{} holds {}-bit floating-point samples; expected 8 or 16-bit unsigned integers",
          name, n_bits);
  require(sample_format == SAMPLEFORMAT_UINT || sample_format == SAMPLEFORMAT_VOID,
          "{} holds signed or complex samples; expected 8 or 16-bit unsigned integers", name);
  require(n_bits == 8 || n_bits == 16, "{} holds {}-bit samples; expected 8 or 16", name, n_bits);
}

bool reads_alpha(TIFF* tiff, const std::string& name) {
  std::uint16_t n_extra = 0;
  const std::uint16_t* kinds = nullptr;
  TIFFGetFieldDefaulted(tiff, TIFFTAG_EXTRASAMPLES, &n_extra, &kinds);
  require(n_extra <= 1, "{} holds {} channels beside its colours; expected at most one, alpha", name, n_extra);
  require(n_extra == 0 || kinds[0] != EXTRASAMPLE_ASSOCALPHA, "{} holds premultiplied alpha; expected plain alpha", name);
  return n_extra == 1;
}

Image read_tags(TIFF* tiff, const std::string& name) {
  const auto n_pages = TIFFNumberOfDirectories(tiff);
  require(n_pages == 1, "{} holds {} pages; expected one", name, n_pages);
  require(!TIFFIsTiled(tiff), "{} is a tiled TIFF; expected strips (convert with tiffcp -s)", name);
  require_supported_colours(tiff, name);
  require_supported_samples(tiff, name);
  Image image;
  image.height = field<std::uint32_t>(tiff, TIFFTAG_IMAGELENGTH);
  image.width = field<std::uint32_t>(tiff, TIFFTAG_IMAGEWIDTH);
  image.channels = field<std::uint16_t>(tiff, TIFFTAG_SAMPLESPERPIXEL);
  image.bit_depth = field<std::uint16_t>(tiff, TIFFTAG_BITSPERSAMPLE);
  image.has_alpha = reads_alpha(tiff, name);
  const auto photometric = field<std::uint16_t>(tiff, TIFFTAG_PHOTOMETRIC);
  const Index n_colours = photometric == PHOTOMETRIC_RGB || photometric == PHOTOMETRIC_YCBCR ? 3 : 1;
  require(image.channels == n_colours + image.has_alpha, "{} is a TIFF of {} channels; expected {}", name, image.channels,
          n_colours + image.has_alpha);
  return image;
}

void read_interleaved(TIFF* tiff, Image& image, auto&& check) {
  for (Index y = 0; y < image.height; ++y) {
    std::uint16_t* row = append_row(image);
    check(TIFFReadScanline(tiff, row, static_cast<std::uint32_t>(y), 0));
    if (image.bit_depth == 8) widen_in_place(row, row_samples(image));
  }
}

/// One whole plane after the other, each into its channel.
void read_planes(TIFF* tiff, Image& image, auto&& check) {
  image.samples.resize(static_cast<std::size_t>(image.height * row_samples(image)));
  std::vector<std::uint16_t> row(static_cast<std::size_t>(image.width));
  for (Index channel = 0; channel < image.channels; ++channel)
    for (Index y = 0; y < image.height; ++y) {
      check(TIFFReadScanline(tiff, row.data(), static_cast<std::uint32_t>(y), static_cast<std::uint16_t>(channel)));
      if (image.bit_depth == 8) widen_in_place(row.data(), image.width);
      std::uint16_t* out = image.samples.data() + y * row_samples(image) + channel;
      for (Index x = 0; x < image.width; ++x) out[x * image.channels] = row[static_cast<std::size_t>(x)];
    }
}

/// Files where 0 is white; alpha stays.
void invert_grey(Image& image) {
  const auto white = static_cast<std::uint16_t>(image.bit_depth == 8 ? 255 : 65535);
  for (std::size_t i = 0; i < image.samples.size(); i += static_cast<std::size_t>(image.channels))
    image.samples[i] = static_cast<std::uint16_t>(white - image.samples[i]);
}

void set_tags(TIFF* tiff, const Image& image) {
  TIFFSetField(tiff, TIFFTAG_IMAGEWIDTH, static_cast<std::uint32_t>(image.width));
  TIFFSetField(tiff, TIFFTAG_IMAGELENGTH, static_cast<std::uint32_t>(image.height));
  TIFFSetField(tiff, TIFFTAG_SAMPLESPERPIXEL, static_cast<int>(image.channels));
  TIFFSetField(tiff, TIFFTAG_BITSPERSAMPLE, image.bit_depth);
  TIFFSetField(tiff, TIFFTAG_PHOTOMETRIC, image.channels < 3 ? PHOTOMETRIC_MINISBLACK : PHOTOMETRIC_RGB);
  TIFFSetField(tiff, TIFFTAG_PLANARCONFIG, PLANARCONFIG_CONTIG);
  TIFFSetField(tiff, TIFFTAG_COMPRESSION, COMPRESSION_ADOBE_DEFLATE);
  TIFFSetField(tiff, TIFFTAG_PREDICTOR, PREDICTOR_HORIZONTAL);
  TIFFSetField(tiff, TIFFTAG_ROWSPERSTRIP, TIFFDefaultStripSize(tiff, 0));
  const std::uint16_t alpha = EXTRASAMPLE_UNASSALPHA;
  if (image.has_alpha) TIFFSetField(tiff, TIFFTAG_EXTRASAMPLES, 1, &alpha);
}

}  // namespace

Image read_tiff(std::FILE* file, const std::string& name) {
  Stream stream{file};
  const TiffHandle tiff = open(stream, name, "rm");  // m: never map the file into memory
  const auto check = [&](int status) {
    if (status < 0) throw_unreadable(name, "TIFF", file, stream.trap);
  };
  check(tiff ? 0 : -1);
  Image image = read_tags(tiff.get(), name);
  reserve_samples(image, name);
  const bool is_planar = image.channels > 1 && field<std::uint16_t>(tiff.get(), TIFFTAG_PLANARCONFIG) == PLANARCONFIG_SEPARATE;
  const Index row_bytes = (is_planar ? image.width : row_samples(image)) * image.bit_depth / 8;
  require(TIFFScanlineSize64(tiff.get()) == static_cast<std::uint64_t>(row_bytes), "{} is not a readable TIFF: {}", name,
          "its rows have an unexpected length");
  if (is_planar)
    read_planes(tiff.get(), image, check);
  else
    read_interleaved(tiff.get(), image, check);
  if (field<std::uint16_t>(tiff.get(), TIFFTAG_PHOTOMETRIC) == PHOTOMETRIC_MINISWHITE) invert_grey(image);
  turn_upright(image, field<std::uint16_t>(tiff.get(), TIFFTAG_ORIENTATION));
  return image;
}

void write_tiff(std::FILE* file, const std::string& name, const Image& image) {
  Stream stream{file};
  const TiffHandle tiff = open(stream, name, "w");
  const auto check = [&](bool is_good) {
    if (!is_good) throw_unwritable(name, "TIFF", file, stream.trap);
  };
  check(tiff != nullptr);
  set_tags(tiff.get(), image);
  const Index n = row_samples(image);
  std::vector<std::uint16_t> row(static_cast<std::size_t>(n));  // a copy: the predictor works in place
  for (Index y = 0; y < image.height; ++y) {
    const std::uint16_t* samples = image.samples.data() + y * n;
    if (image.bit_depth == 8)
      narrow(samples, n, reinterpret_cast<unsigned char*>(row.data()));
    else
      std::memcpy(row.data(), samples, row.size() * sizeof(row[0]));
    check(TIFFWriteScanline(tiff.get(), row.data(), static_cast<std::uint32_t>(y), 0) == 1);
  }
  check(TIFFWriteDirectory(tiff.get()) == 1);
}

}  // namespace riata
