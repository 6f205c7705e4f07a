// Photographs: PNG, JPEG and TIFF, grey and colour, 8 and 16 bits per sample.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "riata/core/types.hpp"

namespace riata {

/// Samples as the file holds them, without colour management, turned upright where the file says how it lies.
struct Image {
  Index height = 0, width = 0;
  Index channels = 0;                  ///< 1 grey, 3 red green blue; one more with alpha
  int bit_depth = 8;                   ///< 8 or 16; samples run from 0 to 2^bit_depth - 1
  bool has_alpha = false;              ///< the last channel is alpha, not premultiplied
  std::vector<std::uint16_t> samples;  ///< row-major, channels interleaved: (height, width, channels) in C order
  bool operator==(const Image&) const = default;
};

/// Reads by content, whatever the name. Palettes and 1, 2, 4-bit PNGs are expanded to 8 bits; metadata are
/// dropped, but JPEG (EXIF) and TIFF orientations are honoured, which takes a second copy of the samples; else memory
/// stays near that of the samples.
/// @throws std::invalid_argument for damaged files and for what an Image cannot hold (CMYK, floating point,
/// several pages), riata::Error for unreadable files
Image read_image(const std::filesystem::path& path);

/// The refusals of write_image() that can be known before there are samples: those of the extension and of
/// the depth and alpha of `like`. @throws std::invalid_argument
void require_writable_as(const std::filesystem::path& path, const Image& like);

/// Writes atomically in the format of the extension: .png, .jpg, .jpeg (quality 95, full colour resolution),
/// .tif, .tiff (deflate). PNG and TIFF keep every bit.
/// @throws std::invalid_argument for an unknown extension, a malformed image, 16 bits or alpha as JPEG;
/// riata::Error
void write_image(const std::filesystem::path& path, const Image& image);

}  // namespace riata
