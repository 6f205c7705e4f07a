// In the place of the three formats where riata is built without their libraries (RIATA_IMAGES=OFF).
#include "riata/core/sentence.hpp"
#include "riata/io/images_codec.hpp"

namespace riata {
namespace {

[[noreturn]] void refuse_without_library(const std::string& name, const char* format, const char* library) {
  refuse(formatted("{} is a {}; this riata was built without {} (RIATA_IMAGES=OFF)", name, format, library));
}

}  // namespace

Image read_png(const ImageSource& source) { refuse_without_library(source.name, "PNG", "libpng"); }
Image read_jpeg(const ImageSource& source) { refuse_without_library(source.name, "JPEG", "libjpeg"); }
std::vector<Image> read_tiff(const ImageSource& source, bool) { refuse_without_library(source.name, "TIFF", "libtiff"); }

void write_png(std::FILE*, const std::string& name, const Image&) { refuse_without_library(name, "PNG", "libpng"); }
void write_jpeg(std::FILE*, const std::string& name, const Image&) { refuse_without_library(name, "JPEG", "libjpeg"); }
void write_tiff(std::FILE*, const std::string& name, std::span<const Image>) { refuse_without_library(name, "TIFF", "libtiff"); }

}  // namespace riata
