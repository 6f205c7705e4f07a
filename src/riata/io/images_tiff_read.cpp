// TIFF 6.0, and its floating-point samples (Technical Note 3): strips and tiles, in one piece or channel after channel.
#include <cmath>
#include <cstring>

#include "riata/core/check.hpp"
#include "riata/io/images_tiff_stream.hpp"
#include "riata/io/small_floats.hpp"

namespace riata {
namespace {

/// How the samples of a page lie in the file.
struct Layout {
  std::uint16_t photometric, compression, n_bits;
  bool is_float, is_planar, is_tiled;
};

template <class T>
T field(TIFF* tiff, ttag_t tag) {
  T value{};
  TIFFGetFieldDefaulted(tiff, tag, &value);
  return value;
}

Layout layout_of(TIFF* tiff) {
  return {.photometric = field<std::uint16_t>(tiff, TIFFTAG_PHOTOMETRIC),
          .compression = field<std::uint16_t>(tiff, TIFFTAG_COMPRESSION),
          .n_bits = field<std::uint16_t>(tiff, TIFFTAG_BITSPERSAMPLE),
          .is_float = field<std::uint16_t>(tiff, TIFFTAG_SAMPLEFORMAT) == SAMPLEFORMAT_IEEEFP,
          .is_planar = field<std::uint16_t>(tiff, TIFFTAG_SAMPLESPERPIXEL) > 1 &&
                       field<std::uint16_t>(tiff, TIFFTAG_PLANARCONFIG) == PLANARCONFIG_SEPARATE,
          .is_tiled = TIFFIsTiled(tiff) != 0};
}

/// Channels in the file: one of indices, four of inks.
Index colours_of(const Layout& layout, const std::string& name) {
  const bool is_jpeg = layout.compression == COMPRESSION_JPEG;
  switch (layout.photometric) {
    case PHOTOMETRIC_MINISBLACK:
    case PHOTOMETRIC_MINISWHITE:
    case PHOTOMETRIC_PALETTE:
      return 1;
    case PHOTOMETRIC_RGB:
      return 3;
    case PHOTOMETRIC_SEPARATED:
      return 4;
    default:
      break;
  }
  require(layout.photometric == PHOTOMETRIC_YCBCR && is_jpeg,
          "{} is a TIFF with colours of kind {}; expected grey, RGB, CMYK or a palette", name, layout.photometric);
  return 3;
}

void require_supported_samples(TIFF* tiff, const Layout& layout, const std::string& name) {
  const auto sample_format = field<std::uint16_t>(tiff, TIFFTAG_SAMPLEFORMAT);
  const int n_bits = layout.n_bits;
  if (layout.is_float) {
    require(n_bits == 16 || n_bits == 32 || n_bits == 64, "{} holds {}-bit floating-point samples; expected 16, 32 or 64", name,
            n_bits);
    require(layout.photometric == PHOTOMETRIC_MINISBLACK || layout.photometric == PHOTOMETRIC_RGB,
            "{} holds floating-point samples of another kind than grey, 0 black, or RGB", name);
    return;
  }
  require(sample_format == SAMPLEFORMAT_UINT || sample_format == SAMPLEFORMAT_VOID,
          "{} holds signed or complex samples; expected unsigned integers or floating point", name);
  const bool is_packed = n_bits == 1 || n_bits == 2 || n_bits == 4;
  require(is_packed || n_bits == 8 || n_bits == 16, "{} holds {}-bit samples; expected 1, 2, 4, 8 or 16", name, n_bits);
  require(
      layout.photometric != PHOTOMETRIC_SEPARATED || (!is_packed && field<std::uint16_t>(tiff, TIFFTAG_INKSET) == INKSET_CMYK),
      "{} holds other inks than cyan, magenta, yellow and black of 8 or 16 bits", name);
}

bool reads_alpha(TIFF* tiff, const std::string& name) {
  std::uint16_t n_extra = 0;
  const std::uint16_t* kinds = nullptr;
  TIFFGetFieldDefaulted(tiff, TIFFTAG_EXTRASAMPLES, &n_extra, &kinds);
  require(n_extra <= 1, "{} holds {} channels beside its colours; expected at most one, alpha", name, n_extra);
  require(n_extra == 0 || kinds[0] != EXTRASAMPLE_ASSOCALPHA, "{} holds premultiplied alpha; expected plain alpha", name);
  return n_extra == 1;
}

/// The empty image that the tags promise, with the channels of the file.
Image read_tags(TIFF* tiff, const Layout& layout, const std::string& name) {
  require(field<std::uint32_t>(tiff, TIFFTAG_IMAGEDEPTH) == 1, "{} is a volume; expected a flat picture", name);
  const Index n_colours = colours_of(layout, name);
  require_supported_samples(tiff, layout, name);
  Image image;
  image.height = field<std::uint32_t>(tiff, TIFFTAG_IMAGELENGTH);
  image.width = field<std::uint32_t>(tiff, TIFFTAG_IMAGEWIDTH);
  image.channels = field<std::uint16_t>(tiff, TIFFTAG_SAMPLESPERPIXEL);
  image.bit_depth = layout.is_float ? std::max<int>(layout.n_bits, 32) : std::max<int>(layout.n_bits, 8);
  image.has_alpha = reads_alpha(tiff, name);
  require(image.channels == n_colours + image.has_alpha, "{} is a TIFF of {} channels; expected {}", name, image.channels,
          n_colours + image.has_alpha);
  require(!image.has_alpha || (n_colours != 4 && layout.photometric != PHOTOMETRIC_PALETTE),
          "{} holds alpha beside inks or a palette; expected the colours alone", name);
  return image;
}

/// The most raw bytes that a byte of the file unpacks to; 0 where there is no bound.
double max_ratio(const Layout& layout, Index channels) {
  switch (layout.compression) {
    case COMPRESSION_NONE:
      return 1;
    case COMPRESSION_PACKBITS:
      return 64;  // 128 bytes from two
    case COMPRESSION_LZW:
      return 4096.0 * 8 / 9;  // a code of 9 bits or more stands for less than its table is long
    case COMPRESSION_DEFLATE:
    case COMPRESSION_ADOBE_DEFLATE:
      return 1032;  // 258 bytes from two bits
    case COMPRESSION_JPEG:
      return 512.0 * static_cast<double>(channels);  // a block of 64 pixels from a bit
    default:
      return 0;
  }
}

/// What can be refused before libtiff is asked for pixels. @throws std::invalid_argument
void require_readable(TIFF* tiff, const Layout& layout, const Image& image, const ImageSource& source) {
  const Index n_planes = layout.is_planar ? image.channels : 1, n_in_pixel = layout.is_planar ? 1 : image.channels;
  const auto row_bytes = [&](Index n_pixels) {
    return static_cast<std::uint64_t>((n_pixels * n_in_pixel * layout.n_bits + 7) / 8);
  };
  double n_raw_bytes = static_cast<double>(row_bytes(image.width)) * static_cast<double>(image.height * n_planes);
  require_possible(image, source, n_raw_bytes, max_ratio(layout, image.channels));
  bool has_expected_rows = false;
  if (layout.is_tiled) {
    const Image tile{.height = field<std::uint32_t>(tiff, TIFFTAG_TILELENGTH),
                     .width = field<std::uint32_t>(tiff, TIFFTAG_TILEWIDTH)};
    n_raw_bytes = static_cast<double>(row_bytes(tile.width)) * static_cast<double>(tile.height);
    require_possible(tile, source, n_raw_bytes, max_ratio(layout, image.channels));
    has_expected_rows = field<std::uint32_t>(tiff, TIFFTAG_TILEDEPTH) == 1 && TIFFTileRowSize64(tiff) == row_bytes(tile.width) &&
                        TIFFTileSize64(tiff) == row_bytes(tile.width) * static_cast<std::uint64_t>(tile.height);
  } else {
    has_expected_rows = TIFFScanlineSize64(tiff) == row_bytes(image.width);
  }
  require(has_expected_rows, "{} is not a readable TIFF: its rows have an unexpected length", source.name);
  const std::uint32_t n_pieces = layout.is_tiled ? TIFFNumberOfTiles(tiff) : TIFFNumberOfStrips(tiff);
  for (std::uint32_t i = 0; i < n_pieces; ++i) {
    const std::uint64_t begin = TIFFGetStrileOffset(tiff, i), n_bytes = TIFFGetStrileByteCount(tiff, i);
    require(begin <= source.n_bytes && n_bytes <= source.n_bytes - begin,
            "{} is truncated: its {} {} claims {} bytes from byte {} on, the file holds {}", source.name,
            layout.is_tiled ? "tile" : "strip", i + 1, n_bytes, begin, source.n_bytes);
    require(n_bytes > 0, "{} is not a readable TIFF: its {} {} is empty", source.name, layout.is_tiled ? "tile" : "strip", i + 1);
  }
}

template <class T>
T load(const unsigned char* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof(value));
  return value;
}

/// n samples of a row, as the file packs them, into the image from `at` on, every `stride`; fewer than 8 bits are spread over
/// 0 ... 255 unless they are indices.
void unpack(const unsigned char* row, Index n, const Layout& layout, Image& image, Index at, Index stride) {
  const auto put = [&](auto& numbers, const auto& sample) {
    auto* out = numbers.data() + at;
    for (Index i = 0; i < n; ++i) out[i * stride] = sample(i);
  };
  const int n_bits = layout.n_bits;
  if (layout.is_float) {
    if (n_bits == 16) return put(image.values, [&](Index i) { return float_of_half(load<std::uint16_t>(row + 2 * i)); });
    if (n_bits == 32) return put(image.values, [&](Index i) { return load<float>(row + 4 * i); });
    return put(image.values, [&](Index i) { return static_cast<float>(load<double>(row + 8 * i)); });
  }
  if (n_bits == 16) return put(image.samples, [&](Index i) { return load<std::uint16_t>(row + 2 * i); });
  if (n_bits == 8) return put(image.samples, [&](Index i) { return row[i]; });
  const int largest = (1 << n_bits) - 1, scale = layout.photometric == PHOTOMETRIC_PALETTE ? 1 : 255 / largest;
  put(image.samples, [&](Index i) {
    const Index bit = i * n_bits;
    return static_cast<std::uint16_t>(scale * (row[bit / 8] >> (8 - n_bits - bit % 8) & largest));
  });
}

template <class Check>
void read_strips(TIFF* tiff, const Layout& layout, Image& image, const Check& check) {
  const Index n_planes = layout.is_planar ? image.channels : 1, stride = layout.is_planar ? image.channels : 1;
  std::vector<unsigned char> row(static_cast<std::size_t>(TIFFScanlineSize64(tiff)));
  if (layout.is_planar) grow_to(image, image.height * row_samples(image));
  for (Index plane = 0; plane < n_planes; ++plane)
    for (Index y = 0; y < image.height; ++y) {
      if (!layout.is_planar) grow_to(image, (y + 1) * row_samples(image));
      check(TIFFReadScanline(tiff, row.data(), static_cast<std::uint32_t>(y), static_cast<std::uint16_t>(plane)) == 1);
      unpack(row.data(), row_samples(image) / stride, layout, image, y * row_samples(image) + plane, stride);
    }
}

template <class Check>
void read_tiles(TIFF* tiff, const Layout& layout, Image& image, const Check& check) {
  const Index n_planes = layout.is_planar ? image.channels : 1, stride = layout.is_planar ? image.channels : 1;
  const Index height = field<std::uint32_t>(tiff, TIFFTAG_TILELENGTH), width = field<std::uint32_t>(tiff, TIFFTAG_TILEWIDTH);
  const auto row_bytes = static_cast<Index>(TIFFTileRowSize64(tiff));
  std::vector<unsigned char> tile(static_cast<std::size_t>(row_bytes * height));
  if (layout.is_planar) grow_to(image, image.height * row_samples(image));
  for (Index plane = 0; plane < n_planes; ++plane)
    for (Index top = 0; top < image.height; top += height) {
      const Index n_rows = std::min(height, image.height - top);
      if (!layout.is_planar) grow_to(image, (top + n_rows) * row_samples(image));
      for (Index left = 0; left < image.width; left += width) {
        check(TIFFReadTile(tiff, tile.data(), static_cast<std::uint32_t>(left), static_cast<std::uint32_t>(top), 0,
                           static_cast<std::uint16_t>(plane)) == static_cast<tmsize_t>(tile.size()));
        const Index n = std::min(width, image.width - left) * image.channels / stride;
        for (Index y = 0; y < n_rows; ++y)
          unpack(tile.data() + y * row_bytes, n, layout, image, (top + y) * row_samples(image) + left * image.channels + plane,
                 stride);
      }
    }
}

/// Entries of 16 bits, of which the upper eight count; those of some programs have only the lower eight.
std::vector<std::uint16_t> palette_of(TIFF* tiff, const Layout& layout, const std::string& name) {
  std::uint16_t *red = nullptr, *green = nullptr, *blue = nullptr;
  require(TIFFGetField(tiff, TIFFTAG_COLORMAP, &red, &green, &blue) == 1, "{} is a TIFF with a palette, which is missing", name);
  const std::size_t n_entries = std::size_t{1} << layout.n_bits;
  std::vector<std::uint16_t> palette;
  for (std::size_t i = 0; i < n_entries; ++i) palette.insert(palette.end(), {red[i], green[i], blue[i]});
  const bool has_upper = std::any_of(palette.begin(), palette.end(), [](std::uint16_t v) { return v > 255; });
  if (has_upper)
    for (std::uint16_t& v : palette) v = static_cast<std::uint16_t>(v >> 8);
  return palette;
}

/// Colours; where 0 is white they are inverted, alpha stays.
void invert(Image& image) {
  const auto white = static_cast<std::uint16_t>(image.bit_depth == 8 ? 255 : 65535);
  const auto channels = static_cast<std::size_t>(image.channels), n_colours = channels - (image.has_alpha ? 1 : 0);
  for (std::size_t pixel = 0; pixel < image.samples.size(); pixel += channels)
    for (std::size_t c = 0; c < n_colours; ++c)
      image.samples[pixel + c] = static_cast<std::uint16_t>(white - image.samples[pixel + c]);
}

/// The page that libtiff stands at.
Image read_page(TIFF* tiff, TiffStream& stream, const ImageSource& source) {
  const Layout layout = layout_of(tiff);
  Image image = read_tags(tiff, layout, source.name);
  if (layout.photometric == PHOTOMETRIC_YCBCR) TIFFSetField(tiff, TIFFTAG_JPEGCOLORMODE, JPEGCOLORMODE_RGB);
  require_readable(tiff, layout, image, source);
  const auto check = [&](bool is_read) {  // a warning, or an error that libtiff went on after, leaves pixels made up
    if (!is_read || stream.has_complained()) throw_unreadable(source.name, "TIFF", source.file, stream.trap);
  };
  check(true);
  stream.reads_pixels = true;
  layout.is_tiled ? read_tiles(tiff, layout, image, check) : read_strips(tiff, layout, image, check);
  const auto is_huge = [](float v) { return std::isinf(v); };
  require(image.bit_depth != 64 || std::none_of(image.values.begin(), image.values.end(), is_huge),
          "{} holds numbers too large for single precision", source.name);
  if (layout.photometric == PHOTOMETRIC_PALETTE) apply_palette(image, palette_of(tiff, layout, source.name), 3, source.name);
  if (layout.photometric == PHOTOMETRIC_MINISWHITE || layout.photometric == PHOTOMETRIC_SEPARATED) invert(image);
  if (layout.photometric == PHOTOMETRIC_SEPARATED) multiply_inks(image);
  turn_upright(image, field<std::uint16_t>(tiff, TIFFTAG_ORIENTATION));
  return image;
}

/// Goes to the page of the options. Otherwise counts the pages, all of which must be there.
void choose_pages(TIFF* tiff, TiffStream& stream, const ImageSource& source, bool only_one) {
  const auto page = source.options.page;
  if (page == 1) return;
  TiffStream first = stream;
  stream.forget();
  const auto n_pages = static_cast<Index>(TIFFNumberOfDirectories(tiff));
  if (page) {
    require(*page <= n_pages, "{} has {} page{}; there is no page {}", source.name, n_pages, n_pages == 1 ? "" : "s", *page);
    stream.forget();
    if (TIFFSetDirectory(tiff, static_cast<tdir_t>(*page - 1)) == 0)
      throw_unreadable(source.name, "TIFF", source.file, stream.trap);
    return;
  }
  if (stream.has_complained()) throw_unreadable(source.name, "TIFF", source.file, stream.trap);  // pages behind are lost
  require(!only_one || n_pages == 1, "{} holds {} pages; expected one", source.name, n_pages);
  stream = first;
}

}  // namespace

std::vector<Image> read_tiff(const ImageSource& source, bool only_one) {
  constexpr std::uint64_t least_memory = 1 << 26, most_per_byte = 16;
  TiffStream stream{source.file};
  const TiffHandle tiff = open_tiff(stream, "rm", std::max(least_memory, most_per_byte * source.n_bytes));  // m: never mapped
  if (!tiff) throw_unreadable(source.name, "TIFF", source.file, stream.trap);
  choose_pages(tiff.get(), stream, source, only_one);
  ImageSource rest = source;
  std::vector<Image> pages;
  do {
    pages.push_back(read_page(tiff.get(), stream, rest));
    rest.n_read += pages.back().height * pages.back().width;
    stream.forget();
  } while (!source.options.page && !TIFFLastDirectory(tiff.get()) && TIFFReadDirectory(tiff.get()) == 1);
  if (stream.has_complained() && !source.options.page && !TIFFLastDirectory(tiff.get()))
    throw_unreadable(source.name, "TIFF", source.file, stream.trap);
  return pages;
}

}  // namespace riata
