// Photographs: PNG, JPEG and TIFF, grey and colour, 8 and 16 bits per sample, or floating point. docs/pictures.md lists the
// kinds.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <vector>

#include "riata/core/types.hpp"

namespace riata {

/// Samples as the file holds them, without colour management, turned upright where the file says how it lies.
struct Image {
  Index height = 0, width = 0;
  Index channels = 0;                  ///< 1 grey, 3 red green blue; one more with alpha
  int bit_depth = 8;                   ///< 8 or 16: samples run from 0 to 2^bit_depth - 1; 32 or 64: floating point
  bool has_alpha = false;              ///< the last channel is alpha, not premultiplied
  std::vector<std::uint16_t> samples;  ///< row-major, channels interleaved: (height, width, channels) in C order
  std::vector<float> values = {};      ///< of floating-point images, in the place of samples
  bool is_float() const { return bit_depth > 16; }
  bool operator==(const Image&) const = default;
};

struct ReadImageOptions {
  Index max_pixels = 89'478'485;   ///< of all pages together, at least 1; beyond it Pillow, too, suspects a decompression bomb
  std::optional<Index> page = {};  ///< of a TIFF, from 1; a PNG or JPEG is one page
  void validate() const;           ///< @throws std::invalid_argument naming the field, its value and the rule
  bool operator==(const ReadImageOptions&) const = default;
};

/// Reads by content, whatever the name. Palettes and 1, 2, 4-bit files are expanded to 8 bits, CMYK becomes RGB as in Pillow
/// (without colour management), floating-point TIFFs of 16 bits become 32-bit ones; metadata are dropped, but EXIF (JPEG, PNG)
/// and TIFF orientations are honoured, which takes a second copy of the samples; else memory stays near that of the samples.
/// Sizes that the limit forbids, or that the file's bytes cannot hold, are refused before memory is taken.
/// @throws std::invalid_argument for damaged files, also where a library would make up pixels, and for what an Image cannot
/// hold (several pages and none chosen, premultiplied alpha); riata::Error for unreadable files
Image read_image(const std::filesystem::path& path, const ReadImageOptions& options = {});

/// Every page, or the chosen one. @throws as read_image()
std::vector<Image> read_images(const std::filesystem::path& path, const ReadImageOptions& options = {});

/// The refusals of write_image() and write_images() that can be known before there are samples: those of the extension and of
/// the depth, alpha and number of `like`. @throws std::invalid_argument
void require_writable_as(const std::filesystem::path& path, const Image& like);
void require_writable_as(const std::filesystem::path& path, const std::vector<Image>& like);

/// Writes atomically in the format of the extension: .png, .jpg, .jpeg (quality 95, full colour resolution),
/// .tif, .tiff (deflate). PNG and TIFF keep every bit.
/// @throws std::invalid_argument for an unknown extension, a malformed image, 16 bits or alpha as JPEG, floating point but as
/// TIFF; riata::Error
void write_image(const std::filesystem::path& path, const Image& image);

/// The same for the pages of one TIFF; for one page, of any format. @throws as write_image()
void write_images(const std::filesystem::path& path, const std::vector<Image>& pages);

}  // namespace riata
