// Pictures with missing pixels: the smooth start solves its equation; known pixels keep their value, missing ones are found.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "riata/core/error.hpp"
#include "riata/imaging/denoise.hpp"
#include "riata/imaging/smooth_fill.hpp"
#include "support/decompositions.hpp"
#include "support/pictures.hpp"
#include "support/random_arrays.hpp"
#include "support/sentences.hpp"

namespace riata::testing {
namespace {

/// Waves of two directions, another phase in each channel.
Picture wavy(Index height, Index width, Index channels = 1) {
  return picture_of(height, width, channels, [](Index i, Index j, Index c) {
    const auto y = static_cast<double>(i), x = static_cast<double>(j + 3 * c);
    return 128 + 40 * std::sin(1.9 * x) + 30 * std::sin(x / 5 + y / 6);
  });
}

/// One pixel in two is missing.
Picture random_mask(Index height, Index width, std::uint64_t seed) {
  Picture mask{height, width, 1, {}};
  Draw draw(seed);
  for (Index i = 0; i < height * width; ++i) mask.samples.push_back(draw.coin(0.5) ? 1 : 0);
  return mask;
}

Picture hidden_by(const Picture& mask, Picture picture, float value) {
  for (std::size_t i = 0; i < picture.samples.size(); ++i)
    if (mask.samples[i / static_cast<std::size_t>(picture.channels)] == 0) picture.samples[i] = value;
  return picture;
}

std::vector<bool> known_of(const Picture& mask) {
  std::vector<bool> known;
  for (const float v : mask.samples) known.push_back(v != 0);
  return known;
}

DenoiseOptions fast(const Picture& mask) { return {.mask = mask, .n_atoms = 32, .patch = 6, .n_layers = 4}; }

bool keeps_known(const Picture& filled, const Picture& picture, const Picture& mask) {
  for (std::size_t i = 0; i < filled.samples.size(); ++i)
    if (mask.samples[i / static_cast<std::size_t>(picture.channels)] != 0 && filled.samples[i] != picture.samples[i])
      return false;
  return true;
}

constexpr float nan = std::numeric_limits<float>::quiet_NaN();

/// v - the twelve neighbours' say, as a row of the system: positions mirrored about the first and the last pixel.
Eigen::RowVectorXd equation(Index i, Index j, Index height, Index width) {
  Eigen::RowVectorXd row = Eigen::RowVectorXd::Zero(height * width);
  const auto add = [&](Index di, Index dj, double value) {
    const auto inside = [](Index k, Index n) {
      while (k < 0 || k >= n) k = k < 0 ? -k : 2 * (n - 1) - k;
      return k;
    };
    row(inside(i + di, height) * width + inside(j + dj, width)) += value;
  };
  add(0, 0, 20);
  for (const Index s : {-1, 1}) {
    add(s, 0, -8), add(0, s, -8);
    add(2 * s, 0, 1), add(0, 2 * s, 1);
    for (const Index t : {-1, 1}) add(s, t, 2);
  }
  return row;
}

TEST(SmoothFill, SolvesTheBiharmonicEquation) {
  const Index height = 17, width = 22;
  const Picture picture = wavy(height, width), mask = random_mask(height, width, 1);
  Eigen::MatrixXd system = Eigen::MatrixXd::Identity(height * width, height * width);
  Eigen::VectorXd right = Eigen::VectorXd::Zero(height * width);
  for (Index pixel = 0; pixel < height * width; ++pixel) {
    if (mask.samples[static_cast<std::size_t>(pixel)] == 0)
      system.row(pixel) = equation(pixel / width, pixel % width, height, width);
    else
      right(pixel) = picture.samples[static_cast<std::size_t>(pixel)];
  }
  const Eigen::VectorXd solution = least_squares(system, right);
  const auto filled = smooth_fill(hidden_by(mask, picture, nan).samples, known_of(mask), height, width);
  for (Index pixel = 0; pixel < height * width; ++pixel)
    EXPECT_NEAR(filled[static_cast<std::size_t>(pixel)], solution(pixel), 1) << pixel;  // of 140 grey levels
}

TEST(SmoothFill, OfOneKnownPixel_IsFlat_WhateverTheSides) {
  for (const auto& [height, width] : {std::pair<Index, Index>{1, 1}, {1, 9}, {7, 1}, {2, 2}, {13, 21}})
    for (const std::size_t at : {std::size_t{0}, static_cast<std::size_t>(height * width - 1)}) {
      std::vector<float> plane(static_cast<std::size_t>(height * width), nan);
      std::vector<bool> known(plane.size());
      plane[at] = 5;
      known[at] = true;
      for (const float v : smooth_fill(plane, known, height, width)) EXPECT_NEAR(v, 5, 1e-3);
    }
}

TEST(Fill, FindsMissingPixels_AndKeepsKnownOnes_InEveryVariant) {
  const Picture clean = wavy(40, 44), mask = random_mask(40, 44, 1), holed = hidden_by(mask, clean, nan);
  const Picture start{40, 44, 1, smooth_fill(holed.samples, known_of(mask), 40, 44)};
  DenoiseOptions unlearned = fast(mask), plain = fast(mask);
  unlearned.learn = false;
  plain.plain = true;
  for (const DenoiseOptions& options : {fast(mask), unlearned, plain}) {
    const DenoiseResult result = denoise(holed, options);
    EXPECT_GT(psnr(result.picture, clean), psnr(start, clean) + 4) << options.learn << options.plain;
    EXPECT_TRUE(keeps_known(result.picture, clean, mask));
    EXPECT_EQ(result.sigma, 0);
    EXPECT_EQ(result.dictionary.cols(), 32);
    EXPECT_EQ(result.history.value.empty(), !options.learn);
  }
}

TEST(Fill, ReadsNothingThatIsHidden_AndHasTheSameBitsForAnyNumberOfThreads) {
  const Picture clean = wavy(20, 24), mask = random_mask(20, 24, 2);
  DenoiseOptions options = fast(mask);
  const DenoiseResult base = denoise(hidden_by(mask, clean, nan), options);
  for (const int n_threads : {1, 2}) {
    options.execution.n_threads = n_threads;
    const DenoiseResult again = denoise(hidden_by(mask, clean, 1e30f), options);
    EXPECT_TRUE(again.picture.samples == base.picture.samples && again.dictionary == base.dictionary);
  }
}

TEST(Fill, FollowsThePicturesUnit) {
  const Picture clean = wavy(20, 24), mask = random_mask(20, 24, 3);
  const Picture base = denoise(clean, fast(mask)).picture;
  for (const float unit : {0x1p-8f, 0x1p60f}) {
    Picture scaled = clean;
    for (float& v : scaled.samples) v *= unit;
    scaled = denoise(scaled, fast(mask)).picture;
    for (std::size_t i = 0; i < base.samples.size(); ++i) EXPECT_NEAR(scaled.samples[i] / unit, base.samples[i], 1);
  }
}

TEST(Fill, GivesAValueWhereNoPatchKnowsAPixel) {
  const Picture clean = wavy(40, 40);
  Picture mask{40, 40, 1, std::vector<float>(1600, 1)};
  for (Index i = 12; i < 28; ++i)
    for (Index j = 12; j < 28; ++j) mask.samples[static_cast<std::size_t>(i * 40 + j)] = 0;
  const Picture filled = denoise(hidden_by(mask, clean, nan), fast(mask)).picture;
  EXPECT_TRUE(keeps_known(filled, clean, mask));
  for (const float v : filled.samples) EXPECT_TRUE(v > 0 && v < 256) << v;
}

TEST(Fill, CleansKnownPixelsToo_WhereThereIsNoise) {
  const Picture clean = wavy(40, 44), mask = random_mask(40, 44, 4);
  Picture noisy = clean;
  Draw draw(5);
  for (float& sample : noisy.samples) sample += static_cast<float>(15 * draw.normal());
  DenoiseOptions options = fast(mask);
  options.sigma = 15;
  const DenoiseResult result = denoise(hidden_by(mask, noisy, nan), options);
  EXPECT_EQ(result.sigma, 15);
  EXPECT_GT(psnr(result.picture, clean), psnr(noisy, clean));  // with half of its pixels above all of them
  EXPECT_FALSE(keeps_known(result.picture, noisy, mask));
}

TEST(Fill, OfAWholePicture_IsDenoisingWithoutAMask) {
  const Picture picture = wavy(20, 24);
  DenoiseOptions options = fast({20, 24, 1, std::vector<float>(480, 1)});
  EXPECT_EQ(denoise(picture, options).picture.samples, picture.samples);
  options.sigma = 15;
  const DenoiseResult with = denoise(picture, options);
  options.mask.reset();
  const DenoiseResult without = denoise(picture, options);
  EXPECT_EQ(with.picture.samples, without.picture.samples);
  EXPECT_EQ(with.history.value, without.history.value);
}

TEST(Fill, TakesColoursAndFlatPictures) {
  const Picture clean = wavy(36, 40, 3), mask = random_mask(36, 40, 6), holed = hidden_by(mask, clean, nan);
  const Picture filled = denoise(holed, fast(mask)).picture;
  EXPECT_TRUE(keeps_known(filled, clean, mask));
  EXPECT_GT(psnr(filled, clean), 30);
  const Picture flat{36, 40, 3, std::vector<float>(clean.samples.size(), 7)};
  for (const float v : denoise(hidden_by(mask, flat, nan), fast(mask)).picture.samples) EXPECT_NEAR(v, 7, 1e-3);
}

TEST(Fill, TellsOfItsRoundsAsPhases_AndStopsLearningWhenTold) {
  const Picture clean = wavy(20, 24), mask = random_mask(20, 24, 7);
  std::vector<IterationInfo> seen;
  const auto stop_at = [&](int last) {
    seen.clear();
    return denoise(clean, fast(mask), [&, last](const IterationInfo& info) {
      seen.push_back(info);
      return info.iteration == last ? Action::stop : Action::keep_going;
    });
  };
  const DenoiseResult all = stop_at(0);
  EXPECT_GT(all.history.phase.back(), 1);
  EXPECT_TRUE(std::ranges::is_sorted(all.history.phase) && std::ranges::is_sorted(all.history.seconds));
  ASSERT_EQ(all.history.value.size(), seen.size());
  for (std::size_t i = 0; i < seen.size(); ++i) {
    EXPECT_EQ(seen[i].iteration, static_cast<int>(i) + 1);
    EXPECT_EQ(seen[i].phase, all.history.phase[i]);
    EXPECT_EQ(seen[i].value, all.history.value[i]);
  }
  const DenoiseResult first = stop_at(1);
  EXPECT_EQ(first.status, Status::interrupted);
  EXPECT_EQ(first.history.value, std::vector<double>{all.history.value[0]});
  EXPECT_TRUE(keeps_known(first.picture, clean, mask));
}

TEST(Fill, EndsWhenItIsAskedTo_WhereverItIs) {
  const Picture clean = wavy(18, 20), mask = random_mask(18, 20, 8);
  DenoiseOptions options = fast(mask);
  for (const int last : {1, 2, 5, 20, 60}) {
    int n_asked = 0;
    options.execution.stop_requested = [&] { return ++n_asked >= last; };
    EXPECT_THROW(denoise(clean, options), Interrupted) << "after " << last;
  }
}

TEST(Fill, OfBadInput_IsRefused) {
  const Picture picture = wavy(9, 10), mask = random_mask(9, 10, 9);
  Picture none = mask, colours = wavy(9, 10, 3), bad = picture;
  std::ranges::fill(none.samples, 0.0f);
  bad.samples[static_cast<std::size_t>(std::ranges::find(mask.samples, 1.0f) - mask.samples.begin())] = INFINITY;
  DenoiseOptions negative = fast(mask), alternating = fast(mask);
  negative.sigma = -1;
  alternating.method = LearningMethod::alternating;
  Picture unknown = mask;
  unknown.samples[3] = nan;
  const BadInput table[] = {
      {"denoise: the mask is 8 x 10 pixels with 1 channels, expected the picture's 9 x 10 and one channel",
       [&] { denoise(picture, fast(random_mask(8, 10, 1))); }},
      {"denoise: the mask is 9 x 10 pixels with 3 channels, expected the picture's 9 x 10 and one channel",
       [&] { denoise(picture, fast(colours)); }},
      {"denoise: the mask is zero everywhere; expected at least one known pixel", [&] { denoise(picture, fast(none)); }},
      {"denoise: the picture holds NaN or infinity; expected finite numbers", [&] { denoise(bad, fast(mask)); }},
      {"denoise: the mask holds NaN at row 0, column 3; expected numbers, 0 where a pixel is missing",
       [&] { denoise(picture, fast(unknown)); }},
      {"sigma = -1, must be >= 0 and finite", [&] { denoise(picture, negative); }},
      {"method = 'alternating' is for noise, sigma > 0; without it missing pixels are learned by block coordinate descent",
       [&] { denoise(picture, alternating); }},
  };
  for (const BadInput& row : table) EXPECT_EQ(refusal_of(row.call), row.sentence);
}

}  // namespace
}  // namespace riata::testing
