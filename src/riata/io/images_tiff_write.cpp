#include <cstring>

#include "riata/io/images_tiff_stream.hpp"

namespace riata {
namespace {

void set_tags(TIFF* tiff, const Image& image) {
  TIFFSetField(tiff, TIFFTAG_IMAGEWIDTH, static_cast<std::uint32_t>(image.width));
  TIFFSetField(tiff, TIFFTAG_IMAGELENGTH, static_cast<std::uint32_t>(image.height));
  TIFFSetField(tiff, TIFFTAG_SAMPLESPERPIXEL, static_cast<int>(image.channels));
  TIFFSetField(tiff, TIFFTAG_BITSPERSAMPLE, image.bit_depth);
  TIFFSetField(tiff, TIFFTAG_SAMPLEFORMAT, image.is_float() ? SAMPLEFORMAT_IEEEFP : SAMPLEFORMAT_UINT);
  TIFFSetField(tiff, TIFFTAG_PHOTOMETRIC, image.channels < 3 ? PHOTOMETRIC_MINISBLACK : PHOTOMETRIC_RGB);
  TIFFSetField(tiff, TIFFTAG_PLANARCONFIG, PLANARCONFIG_CONTIG);
  TIFFSetField(tiff, TIFFTAG_COMPRESSION, COMPRESSION_ADOBE_DEFLATE);
  // Few programs know the predictor of floating-point numbers.
  if (!image.is_float()) TIFFSetField(tiff, TIFFTAG_PREDICTOR, PREDICTOR_HORIZONTAL);
  TIFFSetField(tiff, TIFFTAG_ROWSPERSTRIP, TIFFDefaultStripSize(tiff, 0));
  const std::uint16_t alpha = EXTRASAMPLE_UNASSALPHA;
  if (image.has_alpha) TIFFSetField(tiff, TIFFTAG_EXTRASAMPLES, 1, &alpha);
}

/// Row y as the file packs it.
void pack(const Image& image, Index y, unsigned char* out) {
  const auto n = static_cast<std::size_t>(row_samples(image)), at = static_cast<std::size_t>(y) * n;
  if (image.bit_depth == 8) return narrow(image.samples.data() + at, static_cast<Index>(n), out);
  if (image.bit_depth == 16)
    std::memcpy(out, image.samples.data() + at, n * sizeof(std::uint16_t));
  else if (image.bit_depth == 32)
    std::memcpy(out, image.values.data() + at, n * sizeof(float));
  else
    for (std::size_t i = 0; i < n; ++i) {
      const double value = image.values[at + i];
      std::memcpy(out + i * sizeof(value), &value, sizeof(value));
    }
}

}  // namespace

void write_tiff(std::FILE* file, const std::string& name, std::span<const Image> pages) {
  TiffStream stream{file};
  double n_bytes = 0;
  for (const Image& page : pages) n_bytes += static_cast<double>(page.height * row_samples(page) * (page.bit_depth / 8));
  constexpr double most_of_classic = 0xe0000000;  // BigTIFF beyond: offsets of 32 bits end at 4 GiB
  const TiffHandle tiff = open_tiff(stream, n_bytes < most_of_classic ? "w" : "w8", 0);
  const auto check = [&](bool is_good) {
    if (!is_good) throw_unwritable(name, "TIFF", file, stream.trap);
  };
  check(tiff != nullptr);
  for (const Image& page : pages) {
    set_tags(tiff.get(), page);
    std::vector<unsigned char> row(static_cast<std::size_t>(row_samples(page) * (page.bit_depth / 8)));
    for (Index y = 0; y < page.height; ++y) {
      pack(page, y, row.data());  // a copy: the predictor works in place
      check(TIFFWriteScanline(tiff.get(), row.data(), static_cast<std::uint32_t>(y), 0) == 1);
    }
    check(TIFFWriteDirectory(tiff.get()) == 1);
  }
}

}  // namespace riata
