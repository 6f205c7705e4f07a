// denoise() as a whole: it cleans, from each of its variants; a pixel is the weighted mean of its patches; colours are three
// planes.
#include "riata/imaging/denoise.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cmath>

#include "riata/core/error.hpp"
#include "riata/imaging/patch_coder.hpp"
#include "support/pictures.hpp"
#include "support/random_arrays.hpp"
#include "support/sentences.hpp"

namespace riata::testing {
namespace {

constexpr double noise_sigma = 15;

/// Stripes of two directions, another phase in each channel.
Picture striped(Index height, Index width, Index channels = 1) {
  return picture_of(height, width, channels, [](Index i, Index j, Index c) {
    const auto y = static_cast<double>(i), x = static_cast<double>(j + 3 * c);
    return 128 + 40 * std::sin(x / 4) + (std::sin(y / 6) > 0 ? 30 : -30);
  });
}

Picture with_noise(Picture picture, std::uint64_t seed) {
  Draw draw(seed);
  for (float& sample : picture.samples) sample += static_cast<float>(noise_sigma * draw.normal());
  return picture;
}

DenoiseOptions fast() { return {.sigma = noise_sigma, .n_atoms = 32, .patch = 5, .n_layers = 4}; }

/// The largest difference between two pictures.
double distance(const Picture& a, const Picture& b) {
  if (a.height != b.height || a.width != b.width || a.channels != b.channels || a.samples.size() != b.samples.size())
    return INFINITY;
  double largest = 0;
  for (std::size_t i = 0; i < a.samples.size(); ++i)
    largest = std::max(largest, static_cast<double>(std::abs(a.samples[i] - b.samples[i])));
  return largest;
}

TEST(Denoise, RemovesMostOfTheNoise_InEveryVariant) {
  const Picture clean = striped(26, 30), noisy = with_noise(clean, 1);
  DenoiseOptions unlearned = fast(), plain = fast(), alternating = fast();
  unlearned.learn = false;
  plain.plain = true;
  alternating.method = LearningMethod::alternating;
  for (const DenoiseOptions& options : {fast(), unlearned, plain, alternating}) {
    const DenoiseResult result = denoise(noisy, options);
    const double gain = psnr(result.picture, clean) - psnr(noisy, clean);
    EXPECT_GT(gain, options.plain ? 1.5 : 4.5) << options.learn << options.plain;
    EXPECT_LT(distance(result.picture, clean), INFINITY);  // of one shape
    EXPECT_EQ(result.sigma, noise_sigma);
    EXPECT_EQ(result.patch, 5);
    EXPECT_EQ(result.reg, options.plain ? noise_sigma : 2.5 * noise_sigma);
    EXPECT_EQ(result.dictionary.rows(), 25);
    EXPECT_EQ(result.dictionary.cols(), 32);
    EXPECT_LE((result.dictionary.colwise().norm().array() - 1).abs().maxCoeff(), 1e-6f);
    EXPECT_EQ(result.history.value.empty(), !options.learn);
    if (!options.learn) {
      EXPECT_LE(result.dictionary.colwise().sum().cwiseAbs().maxCoeff(), 1e-5f);  // cosines without the constant
    }
    EXPECT_TRUE(std::ranges::is_sorted(result.history.value, std::greater()));
  }
}

TEST(Denoise, LearnsByTheMethodAskedFor) {
  const Picture noisy = with_noise(striped(18, 20), 2);
  DenoiseOptions options = fast();
  const Matrix<float> unrolled = denoise(noisy, options).dictionary;
  options.method = LearningMethod::alternating;
  EXPECT_GT((denoise(noisy, options).dictionary - unrolled).norm(), 1e-3f);
}

TEST(Denoise, BitsDoNotDependOnThreads) {
  const Picture noisy = with_noise(striped(18, 20), 2);
  DenoiseOptions options = fast();
  const DenoiseResult base = denoise(noisy, options);
  for (const int n_threads : {1, 2}) {
    options.execution.n_threads = n_threads;
    const DenoiseResult again = denoise(noisy, options);
    EXPECT_TRUE(again.picture.samples == base.picture.samples && again.dictionary == base.dictionary);
    EXPECT_EQ(again.history.value, base.history.value);
  }
}

TEST(Denoise, APixelIsTheWeightedMeanOfThePatchesThatCoverIt) {
  const Index side = 67, patch = 3, n = side - patch + 1;  // 65^2 patches: more than are coded together
  const Picture noisy = with_noise(striped(side, side), 3);
  const DenoiseResult result = denoise(noisy, {.sigma = noise_sigma, .n_atoms = 8, .patch = patch, .learn = false});
  Matrix<float> patches(patch * patch, n * n);
  const auto pixel = [&](Index i, Index k) { return (i / n + k / patch) * side + i % n + k % patch; };
  for (Index i = 0; i < n * n; ++i)
    for (Index k = 0; k < patch * patch; ++k) patches(k, i) = noisy.samples[static_cast<std::size_t>(pixel(i, k))];
  const PatchEstimate estimate = estimate_by_aggregation(patches, result.dictionary, noise_sigma, {});
  std::vector<double> sums(noisy.samples.size()), weights(noisy.samples.size());
  for (Index i = 0; i < n * n; ++i)
    for (Index k = 0; k < patch * patch; ++k) {
      sums[static_cast<std::size_t>(pixel(i, k))] += static_cast<double>(estimate.weights(i)) * estimate.patches(k, i);
      weights[static_cast<std::size_t>(pixel(i, k))] += estimate.weights(i);
    }
  Picture expected = noisy;
  for (std::size_t i = 0; i < sums.size(); ++i) expected.samples[i] = static_cast<float>(sums[i] / weights[i]);
  EXPECT_LT(distance(result.picture, expected), 2e-2);
}

/// Channel c of a picture, or a weighted sum of its three.
Picture plane(const Picture& picture, const std::array<double, 3>& weights) {
  Picture one{picture.height, picture.width, 1, {}};
  for (std::size_t i = 0; i < picture.samples.size(); i += static_cast<std::size_t>(picture.channels)) {
    double sum = 0;
    for (std::size_t c = 0; c < static_cast<std::size_t>(picture.channels); ++c) sum += weights[c] * picture.samples[i + c];
    one.samples.push_back(static_cast<float>(sum));
  }
  return one;
}

TEST(Denoise, AColourPictureIsItsGreyAndTwoOpponentColours_EachCleanedAlone_TheDictionaryLearnedOnGrey) {
  const Picture noisy = with_noise(striped(20, 26, 3), 4);
  const double a = 1 / std::sqrt(3.0), b = 1 / std::sqrt(2.0), c = 1 / std::sqrt(6.0);
  const std::array<double, 3> opponents[] = {{a, a, a}, {b, 0, -b}, {c, -2 * c, c}};
  DenoiseOptions options = fast();
  EXPECT_LE((denoise(noisy, options).dictionary - denoise(plane(noisy, opponents[0]), options).dictionary).cwiseAbs().maxCoeff(),
            1e-2f);
  options.learn = false;
  Picture expected = noisy;
  std::fill(expected.samples.begin(), expected.samples.end(), 0.0f);
  for (const auto& opponent : opponents) {
    const Picture cleaned = denoise(plane(noisy, opponent), options).picture;
    for (std::size_t i = 0; i < expected.samples.size(); ++i)
      expected.samples[i] += static_cast<float>(opponent[i % 3] * cleaned.samples[i / 3]);
  }
  EXPECT_LT(distance(denoise(noisy, options).picture, expected), 0.05);
}

TEST(Denoise, ChannelsThatAreNoColours_AreCleanedAlone) {
  const Picture noisy = with_noise(striped(16, 18, 2), 5);
  DenoiseOptions options = fast();
  options.learn = false;
  const Picture both = denoise(noisy, options).picture;
  for (std::size_t channel = 0; channel < 2; ++channel) {
    const std::array<double, 3> alone = {channel == 0 ? 1.0 : 0.0, channel == 1 ? 1.0 : 0.0, 0};
    EXPECT_EQ(distance(plane(both, alone), denoise(plane(noisy, alone), options).picture), 0) << channel;
  }
}

TEST(Denoise, StoppedByItsObserver_CodesWithTheDictionarySoFar) {
  const Picture clean = striped(24, 30), noisy = with_noise(clean, 6);
  std::vector<double> seen;
  const auto stop_at = [&](int last) {
    return denoise(noisy, fast(), [&, last](const IterationInfo& info) {
      seen.push_back(info.value);
      return info.iteration == last ? Action::stop : Action::keep_going;
    });
  };
  const DenoiseResult first = stop_at(1);
  EXPECT_EQ(first.status, Status::interrupted);
  EXPECT_EQ(first.history.value, seen);
  EXPECT_EQ(seen.size(), 1U);
  EXPECT_GT(psnr(first.picture, clean), psnr(noisy, clean) + 3);
  seen.clear();
  const DenoiseResult third = stop_at(3);
  EXPECT_EQ(third.history.value, seen);
  EXPECT_EQ(third.history.value[0], first.history.value[0]);
  EXPECT_FALSE(third.dictionary == first.dictionary);
}

TEST(Denoise, EndsWhenItIsAskedTo_WhereverItIs) {
  const Picture noisy = with_noise(striped(18, 20), 7);
  DenoiseOptions options = fast();
  for (const int last : {1, 2, 5, 20, 60}) {
    int n_asked = 0;
    options.execution.stop_requested = [&] { return ++n_asked >= last; };
    EXPECT_THROW(denoise(noisy, options), Interrupted) << "after " << last;
  }
}

TEST(Denoise, OfBadInput_IsRefused) {
  const Picture small = striped(7, 9);
  Picture short_of_one = small, bad = small;
  short_of_one.samples.pop_back();
  bad.samples[5] = INFINITY;
  const BadInput table[] = {
      {"denoise: 62 samples for 7 x 9 pixels with 1 channels", [&] { denoise(short_of_one, fast()); }},
      {"denoise: the picture holds NaN or infinity; expected finite numbers", [&] { denoise(bad, fast()); }},
      {"denoise: the picture is 7 x 9 pixels, smaller than a patch of 8 x 8", [&] { denoise(small, {.patch = 8}); }},
      {"sigma = 0, must be > 0 and finite", [&] { denoise(small, {.sigma = 0}); }},
      {"method = 'truncated', must be 'unrolled' or 'alternating'",
       [&] { denoise(small, {.method = LearningMethod::truncated}); }},
  };
  for (const BadInput& row : table) EXPECT_EQ(refusal_of(row.call), row.sentence);
}

}  // namespace
}  // namespace riata::testing
