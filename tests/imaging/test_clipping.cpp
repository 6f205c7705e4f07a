// The mean of clipped noise, undone: against averages of simulated noise.
#include "riata/imaging/clipping.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "riata/core/random.hpp"

namespace riata {
namespace {

constexpr double sigma = 25;

/// 64 x 64 pixels of grey `value` beside as many of mid grey; noise clipped to [0, 255] if asked for.
Picture noisy_halves(float value, bool clip) {
  Picture picture{.height = 64, .width = 128, .channels = 1, .samples = {}};
  RandomStream random(7);
  for (Index i = 0; i < picture.height * picture.width; ++i) {
    const double v = (i % 128 < 64 ? value : 128.0f) + sigma * random.normal();
    picture.samples.push_back(static_cast<float>(clip ? std::clamp(std::round(v), 0.0, 255.0) : v));
  }
  return picture;
}

/// The best estimate that averaging can give: each half its own mean.
Picture averaged(const Picture& noisy) {
  Picture estimate = noisy;
  double sums[2] = {0, 0};
  for (Index i = 0; i < std::ssize(noisy.samples); ++i) sums[i % 128 < 64 ? 0 : 1] += noisy.samples[static_cast<std::size_t>(i)];
  for (Index i = 0; i < std::ssize(noisy.samples); ++i)
    estimate.samples[static_cast<std::size_t>(i)] = static_cast<float>(sums[i % 128 < 64 ? 0 : 1] / 4096);
  return estimate;
}

TEST(UndoClipping, RecoversBlackAndWhite_FromTheMeanOfClippedNoise) {
  for (const float value : {0.0f, 5.0f, 20.0f, 240.0f, 255.0f}) {
    const Picture noisy = noisy_halves(value, true);
    Picture estimate = averaged(noisy);
    if (value == 0.0f) {
      EXPECT_NEAR(estimate.samples[0], sigma / std::sqrt(2 * M_PI), 1.0);  // the bias is there
    }
    undo_clipping(noisy, sigma, estimate);
    EXPECT_NEAR(estimate.samples[0], value, 1.5);  // the mean of 4096 pixels is known to 0.4
    EXPECT_NEAR(estimate.samples[100], 128.0f, 1.5);
  }
}

TEST(UndoClipping, LeavesNoiseThatWasNotClippedAlone) {
  const Picture noisy = noisy_halves(5.0f, false);
  Picture estimate = averaged(noisy);
  const Picture before = estimate;
  undo_clipping(noisy, sigma, estimate);
  for (std::size_t i = 0; i < estimate.samples.size(); ++i) EXPECT_NEAR(estimate.samples[i], before.samples[i], 0.05);
}

TEST(UndoClipping, LeavesDarkPicturesWithWeakerNoiseAlone) {
  Picture quiet = noisy_halves(5.0f, true);
  for (float& sample : quiet.samples)
    sample = std::max(sample, 3.0f) + 0.001f * static_cast<float>(&sample - quiet.samples.data());
  Picture estimate = averaged(quiet);
  const Picture before = estimate;
  undo_clipping(quiet, sigma, estimate);
  EXPECT_EQ(estimate.samples, before.samples);
}

}  // namespace
}  // namespace riata
