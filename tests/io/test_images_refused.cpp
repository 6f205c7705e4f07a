#include <zlib.h>

#include "io/files.hpp"
#include "riata/io/images.hpp"

namespace riata::testing {
namespace {

std::string message(const fs::path& path) {
  const std::string text = message_of<std::invalid_argument>([&] { read_image(path); });
  EXPECT_EQ(text.substr(0, path.string().size()), path.string());
  return text.substr(std::min(text.size(), path.string().size()));
}

std::string message(const std::string& bytes) {
  const TemporaryFolder folder;
  return message(folder.put("x", bytes));
}

/// As message(), for a fixture cut to its first n bytes.
std::string message_when_cut(const std::string& name, std::size_t n) { return message(bytes_of_file(data(name)).substr(0, n)); }

/// The bytes of a little-endian TIFF with another value of one number.
std::string with_tag(std::string bytes, std::uint16_t tag, std::uint32_t value) {
  std::uint32_t directory = 0;
  std::uint16_t n_tags = 0, found = 0, type = 0;
  std::memcpy(&directory, bytes.data() + 4, 4);
  std::memcpy(&n_tags, bytes.data() + directory, 2);
  for (std::size_t at = directory + 2; n_tags-- > 0; at += 12) {
    std::memcpy(&found, bytes.data() + at, 2);
    std::memcpy(&type, bytes.data() + at + 2, 2);
    if (found == tag) return patched(bytes, at + 8, value, type == 3 ? 2 : 4);
  }
  ADD_FAILURE() << "no tag " << tag;
  return bytes;
}

std::string big_endian(std::uint32_t value) {
  std::string bytes = little_endian(value, 4);
  return {bytes.rbegin(), bytes.rend()};
}

std::string write_message(const std::string& name, const Image& image) {
  const TemporaryFolder folder;
  std::string text = message_of<std::invalid_argument>([&] { write_image(folder / name, image); });
  EXPECT_EQ(folder.n_files(), 0);
  const std::string path = (folder / name).string();
  return text.starts_with(path) ? text.substr(path.size()) : text;
}

const Image pixel{1, 1, 1, 8, false, {7}};

TEST(ReadImage, RefusesWhatIsNoImage) {
  EXPECT_EQ(message(std::string()), " is not a PNG, JPEG or TIFF image");
  EXPECT_EQ(message(std::string("GIF89a, long enough")), " is not a PNG, JPEG or TIFF image");
  EXPECT_EQ(message_when_cut("grey.png", 7), " is not a PNG, JPEG or TIFF image");
}

TEST(ReadImage, SaysWhyTheFileCannotBeRead) {
  EXPECT_EQ(message_of<Error>([] { read_image("none.png"); }), "cannot read none.png: No such file or directory");
  EXPECT_EQ(message_of<Error>([] { read_image("/tmp"); }), "cannot read /tmp: Is a directory");
}

TEST(ReadImage, RefusesTruncatedFilesWithASentence) {
  EXPECT_EQ(message_when_cut("grey.png", 8), " is not a readable PNG: Read Error (truncated?)");
  EXPECT_EQ(message_when_cut("grey.png", 60), " is not a readable PNG: Read Error (truncated?)");
  EXPECT_EQ(message_when_cut("interlaced.png", 100), " is not a readable PNG: Read Error (truncated?)");
  EXPECT_EQ(message_when_cut("grey.jpg", 390), " is not a readable JPEG: Premature end of JPEG file");
  EXPECT_EQ(message_when_cut("grey.jpg", 100), " is not a readable JPEG: Premature end of JPEG file");
  EXPECT_EQ(message_when_cut("colour16.tif", 290),
            " is truncated: its strip 1 claims 72 bytes from byte 224 on, the file holds 290");
}

TEST(ReadImage, RefusesCorruptFilesWithASentence) {
  const std::string png = bytes_of_file(data("grey.png"));
  EXPECT_EQ(message(patched(png, 45, 0xffff, 2)).substr(0, 24), " is not a readable PNG: ");
  EXPECT_EQ(message(patched(png, 16, 0xff, 1)).substr(0, 24), " is not a readable PNG: ");
  const std::string jpeg = bytes_of_file(data("grey.jpg"));
  EXPECT_EQ(message(jpeg.substr(0, 20) + std::string(100, ' ')), " is not a readable JPEG: Premature end of JPEG file");
  EXPECT_EQ(message(std::string("II*\0\x08\0\0\0", 8)).substr(0, 25), " is not a readable TIFF: ");
}

TEST(ReadImage, RefusesWhatAnImageCannotHold) {
  EXPECT_EQ(message(data("pages.tif")), " holds 3 pages; expected one");
  const auto with_bits = [&](std::uint32_t n) { return message(with_tag(bytes_of_file(data("white_is_zero.tif")), 258, n)); };
  EXPECT_EQ(with_bits(3), " holds 3-bit samples; expected 1, 2, 4, 8 or 16");
  EXPECT_EQ(with_bits(32), " holds 32-bit samples; expected 1, 2, 4, 8 or 16");
  EXPECT_EQ(message(with_tag(bytes_of_file(data("lzw.tif")), 262, 8)),
            " is a TIFF with colours of kind 8; expected grey, RGB, CMYK or a palette");
  EXPECT_EQ(message(with_tag(bytes_of_file(data("colour16.tif")), 262, 1)),
            " holds 2 channels beside its colours; expected at most one, alpha");
}

TEST(ReadImage, RefusesMorePixelsThanAreAllowed) {
  const auto limited = [](const std::string& name, Index max_pixels) {
    const std::string path = data(name).string();
    return message_of<std::invalid_argument>([&] { read_image(path, {.max_pixels = max_pixels}); }).substr(path.size());
  };
  for (const std::string name : {"grey.png", "grey.jpg", "bigtiff.tif"}) {
    EXPECT_EQ(read_image(data(name), {.max_pixels = 12}).width, 4) << name;
    EXPECT_EQ(limited(name, 11), " claims 3 x 4 pixels; at most 11 are read (max_pixels; raise it if you trust the file)");
  }
  EXPECT_EQ(limited("tiled.tif", 255).substr(0, 25), " claims 16 x 16 pixels; a");
  EXPECT_EQ(read_images(data("pages.tif"), {.max_pixels = 36}).size(), 3u);
  EXPECT_EQ(
      message_of<std::invalid_argument>([] { read_images(data("pages.tif"), {.max_pixels = 24}); }),
      data("pages.tif").string() +
          " claims 3 x 4 pixels, after 24 of other pages; at most 24 are read (max_pixels; raise it if you trust the file)");
  EXPECT_EQ(read_image(data("pages.tif"), {.max_pixels = 12, .page = 3}).width, 4);
  EXPECT_EQ(message_of<std::invalid_argument>([] { read_image(data("grey.png"), {.max_pixels = 0}); }),
            "max_pixels = 0, must be >= 1");
  EXPECT_EQ(message_of<std::invalid_argument>([] { read_image(data("grey.png"), {.page = 0}); }), "page = 0, must be >= 1");
}

TEST(ReadImage, RefusesSizesThatTheBytesCannotHold) {
  const std::string png = bytes_of_file(data("interlaced.png"));
  const std::string header = "IHDR" + big_endian(60'000) + big_endian(1'400) + png.substr(24, 5);
  std::string large = png;
  large.replace(12, header.size() + 4,
                header + big_endian(static_cast<std::uint32_t>(crc32(0, reinterpret_cast<const Bytef*>(header.data()), 17))));
  EXPECT_EQ(message(large), " claims 1400 x 60000 pixels, more than its 170 bytes can hold");
  for (const std::string name : {"lzw.tif", "tiled.tif", "palette.tif", "bits1.tif", "ycbcr.tif", "float.tif"}) {
    const std::string text = message(with_tag(with_tag(bytes_of_file(data(name)), 256, 9'000), 257, 9'000));
    EXPECT_TRUE(text.starts_with(" claims 9000 x 9000 pixels, more than its ")) << name << text;
  }
}

TEST(ReadImage, NamesThePagesThatThereAre) {
  const auto of = [](const std::string& name, Index page) {
    const std::string path = data(name).string();
    return message_of<std::invalid_argument>([&] { read_image(path, {.page = page}); }).substr(path.size());
  };
  EXPECT_EQ(of("pages.tif", 4), " has 3 pages; there is no page 4");
  EXPECT_EQ(of("lzw.tif", 2), " has 1 page; there is no page 2");
  EXPECT_EQ(of("grey.png", 2), " has one page; there is no page 2");
}

TEST(ReadImage, RefusesWhatLibtiffRepairs) {
  const std::string tiff = bytes_of_file(data("bigtiff.tif")), plain = bytes_of_file(data("white_is_zero.tif"));
  ASSERT_EQ(read_image(data("white_is_zero.tif")).width, 4);
  EXPECT_TRUE(message(with_tag(plain, 279, 11)).starts_with(" is not a readable TIFF: Bogus \"StripByteCounts\" field"));
  EXPECT_TRUE(message(with_tag(plain, 279, 0)).find("StripByteCounts") != std::string::npos);
  EXPECT_TRUE(message(with_tag(plain, 273, 4'000'000)).starts_with(" is truncated: its strip 1 claims 12 bytes"));
}

TEST(ReadImage, RefusesEveryTruncationOfItsPixels) {
  const auto read = [](const fs::path& path) { read_image(path); };
  for (const std::string name : {"grey.png", "alpha.png", "interlaced.png", "palette_alpha.png", "grey.jpg", "progressive.jpg"})
    expect_every_prefix_refused(bytes_of_file(data(name)), "x", read);
}

TEST(ReadImage, SurvivesDamage) {
  const auto read = [](const fs::path& path) { read_image(path); };
  for (const std::string name : {"alpha.png", "interlaced.png", "grey.jpg", "progressive.jpg", "colour16.tif",
                                 "planar_big_endian.tif", "lzw.tif", "ycbcr.tif", "bigtiff.tif"})
    expect_no_crash_on_damage(bytes_of_file(data(name)), "x", read);
}

TEST(ReadImage, PrintsNothing) {
  ::testing::internal::CaptureStderr();
  const std::string tiff = bytes_of_file(data("lzw.tif")), jpeg = bytes_of_file(data("grey.jpg"));
  message(patched(bytes_of_file(data("grey.png")), 45, 0xffff, 2));
  message(jpeg.substr(0, 300));
  message(tiff.substr(0, tiff.size() - 20));
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "");
}

TEST(WriteImage, RefusesOtherExtensions) {
  const std::string rule = "; images are written as .png, .jpg, .jpeg, .tif or .tiff";
  EXPECT_EQ(write_message("x.gif", pixel), " has the extension '.gif'" + rule);
  EXPECT_EQ(write_message("png", pixel), " has the extension ''" + rule);
}

TEST(WriteImage, RefusesWhatJpegCannotHold) {
  const std::string rule = ": a JPEG holds neither 16 bits nor alpha; write .png or .tif";
  EXPECT_EQ(write_message("x.jpg", {1, 1, 1, 16, false, {7}}), rule);
  EXPECT_EQ(write_message("x.jpg", {1, 1, 2, 8, true, {7, 7}}), rule);
}

TEST(WriteImage, KeepsFloatingPointAndPagesForTiff) {
  const Image floats{1, 1, 1, 32, false, {}, {0.5f}};
  EXPECT_EQ(write_message("x.png", floats), ": only a TIFF holds floating-point samples; write .tif");
  EXPECT_EQ(write_message("x.jpg", floats), ": only a TIFF holds floating-point samples; write .tif");
  const TemporaryFolder folder;
  const std::string path = (folder / "x.png").string();
  EXPECT_EQ(message_of<std::invalid_argument>([&] {
              write_images(path, {pixel, pixel});
            }),
            path + ": only a TIFF holds several pages (2); write .tif, or choose one page");
  EXPECT_EQ(message_of<std::invalid_argument>([&] { write_images(path, {}); }), "write_images: there are no pages");
  EXPECT_EQ(write_message("x.tif", {1, 2, 1, 64, false, {}, {0.5f}}), "write_image: image of 1 x 2 x 1 holds 1 samples");
}

TEST(WriteImage, RefusesMalformedImages) {
  EXPECT_EQ(write_message("x.png", {0, 5, 1, 8, false, {}}), "write_image: image is 0 x 5; expected at least one pixel");
  EXPECT_EQ(write_message("x.png", {1, 1, 1, 12, false, {7}}), "write_image: bit_depth = 12, must be 8 or 16");
  EXPECT_EQ(write_message("x.png", {1, 1, 2, 8, false, {7, 7}}),
            "write_image: image has 2 channels without alpha; expected 1 or 3 colours");
  EXPECT_EQ(write_message("x.png", {1, 1, 3, 8, true, {7, 7, 7}}),
            "write_image: image has 3 channels with alpha; expected 1 or 3 colours");
  EXPECT_EQ(write_message("x.png", {2, 2, 1, 8, false, {7}}), "write_image: image of 2 x 2 x 1 holds 1 samples");
  EXPECT_EQ(write_message("x.png", {1, 1, 1, 8, false, {256}}), "write_image: an 8-bit image holds the sample 256");
}

TEST(WriteImage, RefusesWhatTheFormatCannotHold) {
  const Image wide{1, 70'000, 1, 8, false, std::vector<std::uint16_t>(70'000)};
  EXPECT_EQ(write_message("x.jpg", wide).substr(0, 27), " cannot be written as JPEG:");
  const Image wider{1, 1'000'001, 1, 8, false, std::vector<std::uint16_t>(1'000'001)};
  EXPECT_EQ(write_message("x.png", wider).substr(0, 26), " cannot be written as PNG:");
}

TEST(WriteImage, KeepsTheOldFile_WhenTheDiskIsFull) {
  const TemporaryFolder folder;
  Image image{300, 300, 1, 8, false, {}};
  for (std::uint32_t i = 0; i < 90'000; ++i) image.samples.push_back(static_cast<std::uint16_t>(i * i * 2654435761u >> 24));
  for (const std::string name : {"x.png", "x.jpg", "x.tif"}) {
    write_image(folder / name, pixel);
    const std::string before = bytes_of_file(folder / name);
    for (const rlim_t limit : {1, 5'000}) {
      const std::string text = message_of<Error>([&] {
        const FileSizeLimit full(limit);
        write_image(folder / name, image);
      });
      EXPECT_EQ(text, "cannot write " + (folder / name).string() + ": File too large");
      EXPECT_EQ(bytes_of_file(folder / name), before);
    }
  }
  EXPECT_EQ(folder.n_files(), 3);
}

TEST(WriteImage, SaysWhyTheFileCannotBeWritten) {
  const TemporaryFolder folder;
  const fs::path path = folder / "none" / "x.png";
  EXPECT_EQ(message_of<Error>([&] { write_image(path, pixel); }),
            "cannot write " + path.string() + ": No such file or directory");
}

}  // namespace
}  // namespace riata::testing
