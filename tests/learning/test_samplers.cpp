// Where a run's signals come from.
#include "riata/learning/sampler.hpp"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <vector>

#include "support/precision.hpp"
#include "support/random_arrays.hpp"
#include "support/sentences.hpp"

namespace riata::testing {
namespace {

template <class T>
class Samplers : public ::testing::Test {};
TYPED_TEST_SUITE(Samplers, BothPrecisions, PrecisionName);

/// An image each of whose pixels is its own number, 0, 1, ..., in raster order.
template <class T>
std::vector<T> numbered(Index height, Index width) {
  std::vector<T> image(static_cast<std::size_t>(height * width));
  for (std::size_t i = 0; i < image.size(); ++i) image[i] = static_cast<T>(i);
  return image;
}

TYPED_TEST(Samplers, TheFullBatch_IsTheCallersSignals_EveryTime) {
  using T = TypeParam;
  const Matrix<T> wide = Draw(1).normal_matrix(4, 9).template cast<T>();
  FullBatch<T> sampler(wide.middleCols(2, 5));
  for (int i = 0; i < 3; ++i) {
    const Sample<T> sample = sampler.batch(i);
    const ConstMatrixRef<T>& batch = sample.batch.X;
    EXPECT_EQ(batch.data(), wide.data() + 8);  // not a copy
    EXPECT_EQ(batch.rows(), 4);
    EXPECT_EQ(batch.cols(), 5);
  }
}

/// Signals, weights and targets that hold their own number.
template <class T>
struct Numbered {
  Matrix<T> X, W, Z;
  explicit Numbered(Index n) : X(2, n), W(2, n), Z(3, n) {
    for (Index i = 0; i < n; ++i) X.col(i).setConstant(static_cast<T>(i)), Z.col(i).setConstant(static_cast<T>(i));
    W = X / static_cast<T>(n);
  }
  static std::vector<Index> numbers(const Sample<T>& sample, Index n) {
    std::vector<Index> numbers;
    for (Index i = 0; i < sample.batch.size(); ++i) {
      numbers.push_back(static_cast<Index>(sample.batch.X(0, i)));
      EXPECT_TRUE(sample.batch.weights->col(i) == sample.batch.X.col(i) / static_cast<T>(n));
      EXPECT_TRUE((sample.targets->col(i).array() == sample.batch.X(0, i)).all());
    }
    return numbers;
  }
};

TYPED_TEST(Samplers, MiniBatches_AreAFunctionOfSeedAndIteration_ApartFromWhatIsHeldOut) {
  using T = TypeParam;
  const Index n = 20;
  const Numbered<T> all(n);
  const Batch<T> signals(all.X, all.W);
  const auto sampler = [&](std::uint64_t seed) {
    return MiniBatches<T>(signals, {.batch_size = 6, .validation = 0.25, .seed = seed}, all.Z);
  };
  MiniBatches<T> one = sampler(1), again = sampler(1), other = sampler(2);
  EXPECT_FALSE(one.is_fixed());
  const auto numbers = [&](const Sample<T>& sample) { return Numbered<T>::numbers(sample, n); };
  const std::vector<Index> held = numbers(*one.held_out()), whole = numbers(one.all());
  EXPECT_EQ(held.size(), 5U);
  EXPECT_EQ(whole.size(), 20U);
  std::map<Index, int> count;
  std::vector<std::vector<Index>> drawn;
  bool differs = false;
  for (Index k = 0; k < 200; ++k) {
    drawn.push_back(numbers(one.batch(k)));
    EXPECT_EQ(numbers(one.batch(k)), drawn.back());
    EXPECT_EQ(std::set<Index>(drawn.back().begin(), drawn.back().end()).size(), 6U);
    for (const Index i : drawn.back()) ++count[i];
    differs |= numbers(other.batch(k)) != drawn.back();
  }
  EXPECT_TRUE(differs && drawn[0] != drawn[1]);
  EXPECT_EQ(count.size(), 15U);
  for (const auto& [i, times] : count) EXPECT_NEAR(times, 80, 35);
  for (const Index i : held) EXPECT_FALSE(count.contains(i));
  for (const Index k : {150, 3, 77}) EXPECT_EQ(numbers(again.batch(k)), drawn[static_cast<std::size_t>(k)]);
}

TYPED_TEST(Samplers, MiniBatches_WithoutASize_AreAllThatIsNotHeldOut) {
  using T = TypeParam;
  const Numbered<T> all(10);
  MiniBatches<T> some(Batch<T>(all.X, all.W), {.validation = 0.3}, all.Z), whole(Batch<T>(all.X, all.W), {}, all.Z);
  EXPECT_TRUE(some.is_fixed() && whole.is_fixed());
  EXPECT_EQ(whole.batch(3).batch.X.data(), all.X.data());  // not a copy
  EXPECT_FALSE(whole.held_out().has_value());
  const auto trained_on = Numbered<T>::numbers(some.batch(5), 10), held = Numbered<T>::numbers(*some.held_out(), 10);
  EXPECT_EQ(trained_on.size(), 7U);
  std::set<Index> both(trained_on.begin(), trained_on.end());
  both.insert(held.begin(), held.end());
  EXPECT_EQ(both.size(), 10U);
}

TYPED_TEST(Samplers, Patches_AreDistinctWindowsOfTheImage_TheSameAtEveryCall) {
  using T = TypeParam;
  const Index height = 9, width = 12, patch = 3, n_windows = 7 * 10;
  const std::vector<T> image = numbered<T>(height, width);
  for (const Index n_patches : {Index{1}, Index{20}, n_windows, n_windows + 50}) {
    PatchSampler<T> sampler(image.data(), height, width, {.patch = patch, .n_patches = n_patches, .centred = false});
    const Matrix<T> patches = sampler.batch().batch.X;
    EXPECT_EQ(patches.rows(), patch * patch);
    EXPECT_EQ(patches.cols(), std::min(n_patches, n_windows));
    std::set<T> corners;
    for (Index i = 0; i < patches.cols(); ++i) {
      corners.insert(patches(0, i));
      for (Index k = 0; k < patch * patch; ++k)
        EXPECT_EQ(patches(k, i), patches(0, i) + static_cast<T>(k / patch * width + k % patch));
    }
    EXPECT_EQ(std::ssize(corners), patches.cols());
    EXPECT_TRUE(sampler.batch().batch.X == patches);
  }
}

TYPED_TEST(Samplers, PatchesFollowTheSeed_AndEveryWindowComesAsOften) {
  using T = TypeParam;
  const std::vector<T> image = numbered<T>(4, 6);
  const auto drawn = [&](std::uint64_t seed, Index n) {
    PatchSampler<T> sampler(image.data(), 4, 6, {.patch = 3, .n_patches = n, .centred = false, .seed = seed});
    return Matrix<T>(sampler.batch().batch.X);
  };
  EXPECT_TRUE(drawn(5, 8) == drawn(5, 8));
  EXPECT_FALSE(drawn(5, 8) == drawn(6, 8));
  std::map<T, int> count;
  for (std::uint64_t seed = 0; seed < 4000; ++seed) ++count[drawn(seed, 1)(0, 0)];
  EXPECT_EQ(count.size(), 8U);
  for (const auto& [corner, n] : count) EXPECT_NEAR(n, 500, 5 * 21) << corner;
}

TYPED_TEST(Samplers, Centred_HaveTheirOwnMeanTakenOff) {
  using T = TypeParam;
  const std::vector<T> image = numbered<T>(5, 5);
  PatchSampler<T> plain(image.data(), 5, 5, {.patch = 2, .centred = false}), centred(image.data(), 5, 5, {.patch = 2});
  const Matrix<T> patches = plain.batch().batch.X;
  EXPECT_TRUE(centred.batch().batch.X == patches.rowwise() - patches.colwise().mean());
}

TYPED_TEST(Samplers, LeaveOutPatchesBelowTheSmallestNorm_AfterCentring) {
  using T = TypeParam;
  std::vector<T> image(30 * 8, T(100));  // flat but for its last four rows
  for (std::size_t i = 26 * 8; i < image.size(); ++i) image[i] = static_cast<T>(i % 3 == 0 ? 90 : 110);
  PatchSampler<T> sampler(image.data(), 30, 8, {.patch = 4, .smallest_norm = 3});
  const Matrix<T> patches = sampler.batch().batch.X;
  EXPECT_EQ(patches.cols(), 4 * 5);  // windows that reach the last four rows
  EXPECT_GE(patches.colwise().norm().minCoeff(), T(3));
  PatchSampler<T> none(image.data(), 26, 8, {.patch = 4, .smallest_norm = 1e-3});
  EXPECT_EQ(none.batch().batch.X.rows(), 16);
  EXPECT_EQ(none.batch().batch.X.cols(), 0);
}

TEST(PatchSampler, OfBadSizes_IsRefused) {
  const std::vector<double> image = numbered<double>(5, 7);
  const auto sample = [&](const PatchSamplerOptions& options) { PatchSampler<double>(image.data(), 5, 7, options); };
  const BadInput table[] = {
      {"n_patches = 0, must be >= 1", [&] { sample({.patch = 2, .n_patches = 0}); }},
      {"the image is 5 x 7 pixels, smaller than a patch of 6 x 6", [&] { sample({.patch = 6}); }},
      {"patch = 0, must be >= 1", [&] { sample({.patch = 0}); }},
  };
  for (const BadInput& row : table) EXPECT_EQ(refusal_of(row.call), row.sentence);
}

TYPED_TEST(Samplers, WithoutAShuffle_BatchesAreTheSignalsInTheirOrder) {
  using T = TypeParam;
  const Numbered<T> all(23);
  MiniBatches<T> sampler(Batch<T>(all.X, all.W), {.batch_size = 5, .shuffle = false}, OptionalKeptRef<T>(all.Z));
  for (Index iteration = 0; iteration < 10; ++iteration) {
    const std::vector<Index> numbers = Numbered<T>::numbers(sampler.batch(iteration), 23);
    for (Index k = 0; k < 5; ++k) EXPECT_EQ(numbers[static_cast<std::size_t>(k)], (iteration * 5 + k) % 23);
  }
  EXPECT_EQ(refusal_of([&] { BatchOrder(100, {.batch_size = 5, .validation = 0.2, .shuffle = false}); }),
            "shuffle = false holds no signals out for validation");
}

}  // namespace
}  // namespace riata::testing
