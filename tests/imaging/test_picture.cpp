#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "riata/core/random.hpp"
#include "riata/imaging/denoise.hpp"
#include "support/long.hpp"

#include <gtest/gtest.h>

namespace riata::testing {
namespace {

Picture shipped(const std::string& name) { return to_picture(read_image(std::string(RIATA_EXAMPLE_IMAGES) + "/" + name)); }

/// As an 8-bit file would hold it: rounded and clipped.
Picture with_noise(Picture picture, double sigma, std::uint64_t seed) {
  RandomStream random(seed, 0);
  for (float& v : picture.samples) v = std::clamp(std::round(v + static_cast<float>(sigma * random.normal())), 0.0f, 255.0f);
  return picture;
}

TEST(EstimateSigma, IsWithinFivePercent_OnNoisyPhotographsOfEightBits) {
  for (const std::string name : {"ascent.png", "camera.png", "coins.png", "face_rgb_256x256.png"})
    for (const double sigma : is_long() ? std::vector{10.0, 25.0, 50.0} : std::vector{10.0})
      EXPECT_NEAR(estimate_sigma(with_noise(shipped(name), sigma, 3)), sigma, 0.05 * sigma) << name;
}

TEST(EstimateSigma, IsWithinAPercent_OnAFlatPicture) {
  const Picture flat{.height = 600, .width = 500, .channels = 1, .samples = std::vector<float>(300'000, 128.0f)};
  EXPECT_NEAR(estimate_sigma(with_noise(flat, 20, 4)), 20, 0.2);
}

TEST(EstimateSigma, IsWithinAFactorOfTwo_OnSmallFlatPicturesWhoseNoiseWasNotClipped) {
  for (const Index side : {12, 14, 16, 18, 20, 24, 28, 32})
    for (const std::uint64_t seed : {1, 2, 3, 4, 5, 6, 7, 8}) {
      Picture picture{.height = side, .width = side, .channels = 1, .samples = {}};
      RandomStream random(seed, 0);
      for (Index i = 0; i < side * side; ++i) picture.samples.push_back(static_cast<float>(128 + 10 * random.normal()));
      const double sigma = estimate_sigma(picture);
      EXPECT_GT(sigma, 5) << side << " seed " << seed;
      EXPECT_LT(sigma, 20) << side << " seed " << seed;
    }
}

TEST(EstimateSigma, ScalesWithTheUnit) {
  const Picture noisy = with_noise(shipped("camera.png"), 25, 5);
  Picture scaled = noisy;
  for (float& v : scaled.samples) v *= 0.25f;
  EXPECT_NEAR(estimate_sigma(scaled), estimate_sigma(noisy) / 4, 1e-6);
}

TEST(EstimateSigma, IsFinite_OnSmallFlatAndTwoValuedPictures) {
  for (const Index side : {1, 7, 8, 9, 12, 15, 16, 17, 24}) {
    Picture picture{.height = side, .width = side + 1, .channels = 1, .samples = {}};
    picture.samples.assign(static_cast<std::size_t>(side * (side + 1)), 90.0f);
    EXPECT_EQ(estimate_sigma(picture), 0) << side;
    for (std::size_t i = 0; i < picture.samples.size(); ++i) picture.samples[i] = (i * i / 3) % 2 == 0 ? 0.0f : 255.0f;
    EXPECT_TRUE(std::isfinite(estimate_sigma(picture))) << side;
    EXPECT_GE(estimate_sigma(picture), 0) << side;
  }
}

TEST(EstimateSigma, IsZero_WhereNoWindowFits) {
  for (const auto& [height, width] : {std::pair<Index, Index>{1, 1}, {3, 900}, {7, 40}, {40, 7}, {4, 4}}) {
    Picture picture{.height = height, .width = width, .channels = 1, .samples = {}};
    RandomStream random(1, 0);
    for (Index i = 0; i < height * width; ++i) picture.samples.push_back(static_cast<float>(random.normal()));
    EXPECT_EQ(estimate_sigma(picture), 0) << height << " x " << width;
  }
}

TEST(EstimateSigma, HoldsOnALargeColourPicture_WhereOnlySomeCellsAreLookedAt) {
  Picture picture{.height = 999, .width = 999, .channels = 3, .samples = {}};
  RandomStream random(2, 0);
  for (int i = 0; i < 999 * 999 * 3; ++i) picture.samples.push_back(static_cast<float>(100 + random.normal()));
  EXPECT_NEAR(estimate_sigma(picture), 1, 0.02);
}

/// value(row, column) at every pixel.
template <class Value>
Picture drawn(Index height, Index width, const Value& value) {
  Picture picture{.height = height, .width = width, .channels = 1, .samples = {}};
  for (Index row = 0; row < height; ++row)
    for (Index column = 0; column < width; ++column) picture.samples.push_back(static_cast<float>(value(row, column)));
  return picture;
}

TEST(EstimateSigma, IsZero_OnPatternsThatRepeat) {
  RandomStream random(3, 0);
  std::array<double, 256> tile{};
  for (double& v : tile) v = 255 * random.uniform();
  for (const Index side : {16, 24, 61, 200}) {
    for (const Index block : {1, 2, 3, 4, 5})
      EXPECT_EQ(estimate_sigma(drawn(side, side + 3, [&](Index i, Index j) { return (i / block + j / block) % 2 * 255; })), 0)
          << side << " checkers of " << block;
    for (const Index block : {1, 2, 3}) {
      EXPECT_EQ(estimate_sigma(drawn(side, side, [&](Index i, Index j) { return 40 + (i + j) / block % 2 * 100; })), 0) << side;
      EXPECT_EQ(estimate_sigma(drawn(side, side, [&](Index, Index j) { return j / block % 2 * 255; })), 0) << side;
    }
    for (const auto& [down, right] : {std::pair{0.5, 0.5}, {0.45, 0.45}, {0.25, 0.25}, {0.37, 0.41}, {0.2, 0.33}})
      EXPECT_LT(estimate_sigma(drawn(side, side,
                                     [&, down = down, right = right](Index i, Index j) {
                                       return 127 + 127 * std::cos(6.283185307 * (down * static_cast<double>(i) +
                                                                                  right * static_cast<double>(j)));
                                     })),
                0.01)
          << side << " grating " << down << ", " << right;
    if (side < 40) continue;  // two periods
    for (const Index period : {7, 16})
      EXPECT_EQ(
          estimate_sigma(drawn(
              side, side, [&](Index i, Index j) { return tile[static_cast<std::size_t>(i % period * period + j % period)]; })),
          0)
          << side << " tiles of " << period;
  }
}

TEST(EstimateSigma, IsZero_OnInkAndPaper) {
  RandomStream random(4, 0);
  const Picture coins = drawn(96, 96, [&](Index, Index) { return random.uniform() < 0.5 ? 0 : 255; });
  EXPECT_EQ(estimate_sigma(coins), 0);
  const Picture screened = drawn(96, 96, [&](Index i, Index j) {  // a screen of dots whose size grows to the right
    const double dot = std::cos(2.0944 * static_cast<double>(i + j)) * std::cos(1.0472 * static_cast<double>(i - j));
    return dot < static_cast<double>(j) / 48 - 1 ? 0 : 255;
  });
  EXPECT_EQ(estimate_sigma(screened), 0);
  Picture saturated = shipped("camera.png");
  for (float& v : saturated.samples) v = std::clamp(20 * (v - 100), 0.0f, 255.0f);
  EXPECT_LT(estimate_sigma(saturated), 3);
}

TEST(EstimateSigma, IsSmall_OnAPatternWhoseDirectionTurns) {
  const Picture rings = drawn(
      128, 128, [](Index i, Index j) { return 127 + 127 * std::cos(3.14159265 * static_cast<double>(i * i + j * j) / 128); });
  EXPECT_LT(estimate_sigma(rings), 1);
}

TEST(EstimateSigma, FindsTheNoiseOnAPattern) {
  for (const Index block : {1, 2, 4})
    for (const double sigma : {5.0, 20.0}) {
      RandomStream random(5, 0);
      const Picture noisy =
          drawn(120, 120, [&](Index i, Index j) { return 60 + (i / block + j / block) % 2 * 120 + sigma * random.normal(); });
      EXPECT_NEAR(estimate_sigma(noisy), sigma, 0.2 * sigma) << block;
    }
}

TEST(Denoise, LeavesPatternsAndPrintAsTheyAre) {
  for (const Index block : {1, 2, 3}) {
    const Picture checkers = drawn(32, 32, [&](Index i, Index j) { return (i / block + j / block) % 2 * 255; });
    EXPECT_EQ(denoise(checkers, {.learn = false}).picture.samples, checkers.samples);
  }
}

TEST(EstimateSigma, IsZero_WithoutNoise) {
  Picture flat{.height = 60, .width = 50, .channels = 3, .samples = std::vector<float>(9000, 77.0f)}, ramp = flat;
  for (std::size_t i = 0; i < ramp.samples.size(); ++i) ramp.samples[i] = static_cast<float>(i / 150);
  EXPECT_EQ(estimate_sigma(flat), 0);
  EXPECT_EQ(estimate_sigma(ramp), 0);
  EXPECT_EQ(denoise(ramp).picture.samples, ramp.samples);
}

}  // namespace
}  // namespace riata::testing
