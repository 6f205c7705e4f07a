#include "riata/io/images.hpp"

#include <algorithm>
#include <cmath>

#include "io/files.hpp"

namespace riata::testing {
namespace {

const std::vector<std::uint16_t> grey_samples{0, 17, 34, 51, 68, 85, 102, 119, 136, 153, 170, 255};

/// Noise does not compress: every bit of it must survive.
Image noise(Index height, Index width, Index channels, int bit_depth, bool has_alpha) {
  Image image{height, width, channels, bit_depth, has_alpha, {}};
  std::uint32_t state = 1;
  for (Index i = 0; i < height * width * channels; ++i) {
    state = state * 1664525u + 1013904223u;
    image.samples.push_back(static_cast<std::uint16_t>(state >> (32 - bit_depth)));
  }
  return image;
}

Image smooth(Index height, Index width, Index channels) {
  Image image{height, width, channels, 8, false, {}};
  for (Index i = 0; i < height * width; ++i)
    for (Index c = 0; c < channels; ++c)
      image.samples.push_back(static_cast<std::uint16_t>(40 + 3 * (i / width) + 2 * (i % width) + 30 * c));
  return image;
}

int largest_difference(const Image& a, const Image& b) {
  EXPECT_EQ(a.samples.size(), b.samples.size());
  int largest = 0;
  for (std::size_t i = 0; i < std::min(a.samples.size(), b.samples.size()); ++i)
    largest = std::max(largest, std::abs(int{a.samples[i]} - int{b.samples[i]}));
  return largest;
}

Image grey_fixture() { return {3, 4, 1, 8, false, grey_samples}; }

Image colour_fixture(int bit_depth) {
  Image image{3, 4, 3, bit_depth, false, {}};
  const int scale = bit_depth == 16 ? 257 : 1;
  for (const int v : grey_samples)
    for (const int sample : {v, 255 - v, v / 2}) image.samples.push_back(static_cast<std::uint16_t>(sample * scale));
  return image;
}

TEST(Images, RoundTripBitForBit_InPngAndTiff) {
  const TemporaryFolder folder;
  for (const std::string name : {"x.png", "x.tif", "x.TIFF"})
    for (const int bit_depth : {8, 16})
      for (const Index channels : {1, 2, 3, 4})
        for (const auto& [height, width] : {std::pair<Index, Index>{1, 1}, {37, 53}, {200, 3}}) {
          const Image image = noise(height, width, channels, bit_depth, channels % 2 == 0);
          write_image(folder / name, image);
          EXPECT_EQ(read_image(folder / name), image) << name << " " << bit_depth << " bits, " << channels << " channels";
        }
  EXPECT_EQ(folder.n_files(), 3);
}

TEST(Images, StayClose_InJpeg) {
  const TemporaryFolder folder;
  for (const std::string name : {"x.jpg", "x.JPEG"})
    for (const Index channels : {1, 3}) {
      const Image image = smooth(19, 35, channels);
      write_image(folder / name, image);
      const Image read = read_image(folder / name);
      EXPECT_EQ((std::vector<Index>{read.height, read.width, read.channels, read.bit_depth}),
                (std::vector<Index>{19, 35, channels, 8}));
      EXPECT_LE(largest_difference(read, image), 3);
    }
}

TEST(Images, KeepColourResolution_InJpeg) {
  const TemporaryFolder folder;
  Image stripes{16, 16, 3, 8, false, {}};  // red and blue columns of one pixel: half the resolution would mix them
  for (int i = 0; i < 16 * 16; ++i)
    for (const int sample : {i % 2 ? 200 : 0, 0, i % 2 ? 0 : 200}) stripes.samples.push_back(static_cast<std::uint16_t>(sample));
  write_image(folder / "x.jpg", stripes);
  EXPECT_LE(largest_difference(read_image(folder / "x.jpg"), stripes), 20);
}

TEST(ReadImage, ReadsPngsOfOtherPrograms) {
  EXPECT_EQ(read_image(data("grey.png")), grey_fixture());
  Image grey16{3, 4, 1, 16, false, {}};
  for (const int v : grey_samples) grey16.samples.push_back(static_cast<std::uint16_t>(v * 256 + 3));
  EXPECT_EQ(read_image(data("grey16.png")), grey16);
  Image bits{3, 4, 1, 8, false, {}};
  for (const int v : grey_samples) bits.samples.push_back(v > 100 ? 255 : 0);
  EXPECT_EQ(read_image(data("bits1.png")), bits);
  Image interlaced{9, 10, 1, 8, false, {}};
  for (int i = 0; i < 90; ++i) interlaced.samples.push_back(static_cast<std::uint16_t>(i));
  EXPECT_EQ(read_image(data("interlaced.png")), interlaced);
  EXPECT_EQ(read_image(data("palette.png")), (Image{2, 2, 3, 8, false, {255, 0, 0, 0, 255, 0, 0, 0, 255, 0, 255, 0}}));
  EXPECT_EQ(read_image(data("palette_alpha.png")),
            (Image{2, 2, 4, 8, true, {255, 0, 0, 255, 0, 255, 0, 128, 0, 0, 255, 255, 0, 255, 0, 128}}));
  const Image alpha = read_image(data("alpha.png"));
  EXPECT_TRUE(alpha.has_alpha);
  EXPECT_EQ(std::vector<std::uint16_t>(alpha.samples.end() - 4, alpha.samples.end()),
            (std::vector<std::uint16_t>{255, 0, 127, 170}));
}

TEST(ReadImage, ReadsJpegsOfOtherPrograms) {
  EXPECT_LE(largest_difference(read_image(data("grey.jpg")), grey_fixture()), 3);
  Image ramp{16, 16, 1, 8, false, {}};
  for (int i = 0; i < 256; ++i) ramp.samples.push_back(static_cast<std::uint16_t>((i / 16 + i % 16) * 8));
  EXPECT_LE(largest_difference(read_image(data("progressive.jpg")), ramp), 5);
}

TEST(ReadImage, ReadsTiffsOfOtherPrograms) {
  EXPECT_EQ(read_image(data("colour16.tif")), colour_fixture(16));
  EXPECT_EQ(read_image(data("planar_big_endian.tif")), colour_fixture(16));
  EXPECT_EQ(read_image(data("lzw.tif")), colour_fixture(8));
  EXPECT_EQ(read_image(data("bigtiff.tif")), grey_fixture());
  Image inverted = grey_fixture();
  for (auto& sample : inverted.samples) sample = static_cast<std::uint16_t>(255 - sample);
  EXPECT_EQ(read_image(data("white_is_zero.tif")), inverted);
  EXPECT_LE(largest_difference(read_image(data("ycbcr.tif")), {8, 8, 3, 8, false, std::vector<std::uint16_t>(192, 128)}), 2);
}

TEST(ReadImage, ReadsPackedTiledAndFloatingPointTiffs) {
  EXPECT_EQ(read_image(data("palette.tif")), (Image{2, 2, 3, 8, false, {255, 0, 0, 0, 255, 0, 0, 0, 255, 0, 255, 0}}));
  Image bits{3, 4, 1, 8, false, {}};
  for (const int v : grey_samples) bits.samples.push_back(v > 100 ? 255 : 0);
  EXPECT_EQ(read_image(data("bits1.tif")), bits);
  EXPECT_EQ(read_image(data("tiled.tif")), (Image{16, 16, 1, 8, false, std::vector<std::uint16_t>(256)}));
  Image floats{3, 4, 1, 32, false, {}};
  floats.values.assign(grey_samples.begin(), grey_samples.end());
  EXPECT_EQ(read_image(data("float.tif")), floats);
}

TEST(ReadImage, TurnsInksIntoColours) {
  // What is left after 9 of 255 of an ink, and 9 of black: 255 (246 / 255)^2.
  EXPECT_EQ(read_image(data("cmyk.tif")), (Image{3, 4, 3, 8, false, std::vector<std::uint16_t>(36, 237)}));
  EXPECT_LE(largest_difference(read_image(data("cmyk.jpg")), {8, 8, 3, 8, false, std::vector<std::uint16_t>(192, 94)}), 1);
}

TEST(ReadImages, GivesEveryPage_OrTheChosenOne) {
  EXPECT_EQ(read_images(data("pages.tif")), std::vector<Image>(3, grey_fixture()));
  EXPECT_EQ(read_images(data("pages.tif"), {.page = 2}), std::vector<Image>(1, grey_fixture()));
  EXPECT_EQ(read_image(data("pages.tif"), {.page = 3}), grey_fixture());
  EXPECT_EQ(read_images(data("grey.png"), {.page = 1}), std::vector<Image>(1, grey_fixture()));
}

TEST(WriteImages, RoundTripsPagesOfAllKindsBitForBit) {
  const TemporaryFolder folder;
  Image floats{5, 7, 3, 32, false, {}};
  for (int i = 0; i < 105; ++i) floats.values.push_back(std::ldexp(1.1f, i - 50) * (i % 2 ? 1.f : -1.f));
  Image doubles = floats;
  doubles.bit_depth = 64;
  Image alpha{2, 2, 2, 32, true, {}, {0.5f, 1, -3, 0, 1e30f, 0.25f, 0, 0}};
  const std::vector<Image> pages{noise(37, 53, 3, 16, false), floats, noise(1, 1, 1, 8, false), doubles, alpha,
                                 noise(9, 9, 4, 8, true)};
  write_images(folder / "x.tif", pages);
  EXPECT_EQ(read_images(folder / "x.tif"), pages);
  write_images(folder / "x.png", {pages[0]});
  EXPECT_EQ(read_image(folder / "x.png"), pages[0]);
}

TEST(ReadImage, GoesByTheContent_NotByTheName) {
  const TemporaryFolder folder;
  EXPECT_EQ(read_image(folder.put("x.jpg", bytes_of_file(data("grey.png")))), grey_fixture());
}

}  // namespace
}  // namespace riata::testing
