// libtiff on a stream, silent: its messages are kept.
#pragma once

#include <tiffio.h>

#include <memory>
#include <string>

#include "riata/io/images_codec.hpp"

namespace riata {

/// libtiff's view of a stream, and where its messages go. Its errors are return values: nothing jumps.
struct TiffStream {
  std::FILE* file;
  ErrorTrap trap{};           ///< the first error, or the first warning that pixels were made up
  bool reads_pixels = false;  ///< from now on every warning is of pixels, before only those of the tags that shape them

  /// What was said so far was of another page.
  void forget() { trap.text[0] = '\0', reads_pixels = false; }
  bool has_complained() const { return trap.text[0] != '\0'; }
};

struct TiffCloser {
  void operator()(TIFF* tiff) const { TIFFClose(tiff); }
};
using TiffHandle = std::unique_ptr<TIFF, TiffCloser>;

/// Null where libtiff refuses. `max_bytes` bounds each of libtiff's own pieces of memory; 0: no bound.
TiffHandle open_tiff(TiffStream& stream, const char* mode, std::uint64_t max_bytes);

}  // namespace riata
