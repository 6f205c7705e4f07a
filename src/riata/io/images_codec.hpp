// What the three image formats share. Internal: not installed.
#pragma once

#include <csetjmp>
#include <cstdio>
#include <string>

#include "riata/io/images.hpp"

namespace riata {

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

/// Refuses sizes that no memory holds, then reserves without touching: a header that lies costs nothing.
void reserve_samples(Image& image, const std::string& name);

Index row_samples(const Image& image);

/// Adds a row at the end. @returns its place
std::uint16_t* append_row(Image& image);

/// The row's first half, read as n bytes, spread over its n samples in place.
void widen_in_place(std::uint16_t* row, Index n);
void narrow(const std::uint16_t* row, Index n, unsigned char* out);

/// Turns the samples of an image whose file says how it lies: 1 upright (as is anything but 2 ... 8), 2 mirrored, 3 upside down,
/// 4 flipped, 5 ... 8 lying on a side, as TIFF 6.0 and EXIF number them.
void turn_upright(Image& image, int orientation);

/// Readers: the file stands at its start; `name` appears in messages.
Image read_png(std::FILE* file, const std::string& name);
Image read_jpeg(std::FILE* file, const std::string& name);
Image read_tiff(std::FILE* file, const std::string& name);

/// Writers: the image is well formed; failures of the stream are std::system_error.
void write_png(std::FILE* file, const std::string& name, const Image& image);
void write_jpeg(std::FILE* file, const std::string& name, const Image& image);
void write_tiff(std::FILE* file, const std::string& name, const Image& image);

}  // namespace riata
