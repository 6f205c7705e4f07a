// What the three image formats share.
#pragma once

#include <csetjmp>
#include <cstdio>
#include <span>
#include <string>

#include "riata/io/images.hpp"

namespace riata {

/// What a reader is given.
struct ImageSource {
  std::FILE* file;        ///< stands at its start
  std::string name;       ///< in messages
  std::uint64_t n_bytes;  ///< of the whole file
  ReadImageOptions options;
  Index n_read = 0;  ///< pixels of the pages before
};

/// Where libpng's and libjpeg's errors jump back to, and what they said.
struct ErrorTrap {
  std::jmp_buf back;
  char text[256] = "";
  int system_code = 0;  ///< errno at the time of the error
};

/// Runs `calls`, which may call into a library that reports errors by a jump to trap.back.
/// The jump skips destructors: `calls` and what it calls may own nothing. @returns whether `calls` ran to its
/// end
template <class Calls>
bool run_trapped(ErrorTrap& trap, Calls&& calls) {
  if (setjmp(trap.back) != 0) return false;
  calls();
  return true;
}

/// Keeps errno and the text, then jumps.
[[noreturn]] void jump_back(ErrorTrap& trap, const char* text);

/// Throws what a failed reading deserves: riata::Error if the stream failed, else std::invalid_argument
/// "IN.png is not a readable PNG: Read Error (truncated?)".
[[noreturn]] void throw_unreadable(const std::string& name, const char* format, std::FILE* file, const ErrorTrap& trap);

/// Throws what a failed writing deserves: std::system_error if the stream failed, else std::invalid_argument.
[[noreturn]] void throw_unwritable(const std::string& name, const char* format, std::FILE* file, const ErrorTrap& trap);

/// Refuses a size that the limit forbids, or whose `n_raw_bytes` the file cannot hold at `max_ratio` to 1 (0: no bound is known).
/// @throws std::invalid_argument
void require_possible(const Image& image, const ImageSource& source, double n_raw_bytes, double max_ratio);

Index row_samples(const Image& image);

/// Makes room for the first n samples, or values.
void grow_to(Image& image, Index n);

/// Adds a row of samples at the end. @returns its place
std::uint16_t* append_row(Image& image);

/// The row's first half, read as n bytes, spread over its n samples in place.
void widen_in_place(std::uint16_t* row, Index n);
void narrow(const std::uint16_t* row, Index n, unsigned char* out);

/// An image of indices becomes that of the colours they stand for: `palette` holds `channels` samples per entry.
/// @throws std::invalid_argument for an index without entry
void apply_palette(Image& indices, const std::vector<std::uint16_t>& palette, Index channels, const std::string& name);

/// Four samples per pixel, what is left of red, green, blue after each ink and of all after black, become three: red times black
/// over white, rounded.
void multiply_inks(Image& inks);

/// Turns the samples of an image whose file says how it lies: 1 upright (as is anything but 2 ... 8), 2 mirrored, 3 upside down,
/// 4 flipped, 5 ... 8 lying on a side, as TIFF 6.0 and EXIF number them.
void turn_upright(Image& image, int orientation);

/// The orientation that an EXIF record (a TIFF header and directory) gives, 1 if it gives none. A damaged record counts as none:
/// it says nothing about the pixels.
int exif_orientation(std::span<const unsigned char> record);

Image read_png(const ImageSource& source);
Image read_jpeg(const ImageSource& source);
/// Every page, or that of the options; `only_one`: refuses several unless one is chosen.
std::vector<Image> read_tiff(const ImageSource& source, bool only_one);

/// Writers: the images are well formed; failures of the stream are std::system_error.
void write_png(std::FILE* file, const std::string& name, const Image& image);
void write_jpeg(std::FILE* file, const std::string& name, const Image& image);
void write_tiff(std::FILE* file, const std::string& name, std::span<const Image> pages);

}  // namespace riata
