#include <algorithm>
#include <cmath>
#include <utility>

#include "riata/core/random.hpp"
#include "riata/imaging/denoise.hpp"

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
    for (const double sigma : {10.0, 25.0, 50.0})
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

TEST(EstimateSigma, IsZero_WithoutNoise) {
  Picture flat{.height = 60, .width = 50, .channels = 3, .samples = std::vector<float>(9000, 77.0f)}, ramp = flat;
  for (std::size_t i = 0; i < ramp.samples.size(); ++i) ramp.samples[i] = static_cast<float>(i / 150);
  EXPECT_EQ(estimate_sigma(flat), 0);
  EXPECT_EQ(estimate_sigma(ramp), 0);
  EXPECT_EQ(denoise(ramp).picture.samples, ramp.samples);
}

}  // namespace
}  // namespace riata::testing
