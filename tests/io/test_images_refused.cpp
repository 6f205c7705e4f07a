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
  EXPECT_TRUE(message_when_cut("colour16.tif", 290).starts_with(" is not a readable TIFF: Read error at scanline"));
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
  const auto of = [](const std::string& name) { return message(data(name)); };
  EXPECT_EQ(of("cmyk.jpg"), " is a CMYK JPEG; expected grey or RGB (convert it first)");
  EXPECT_EQ(of("cmyk.tif"), " is a CMYK TIFF; expected grey or RGB (convert it first)");
  EXPECT_EQ(of("palette.tif"), " is a TIFF with a palette; expected grey or RGB (convert it first)");
  EXPECT_EQ(of("float.tif"), " holds 32-bit floating-point samples; expected 8 or 16-bit unsigned integers");
  EXPECT_EQ(of("bits1.tif"), " holds 1-bit samples; expected 8 or 16");
  EXPECT_EQ(of("pages.tif"), " holds 3 pages; expected one");
  EXPECT_EQ(of("tiled.tif"), " is a tiled TIFF; expected strips (convert with tiffcp -s)");
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
