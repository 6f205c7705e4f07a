#include "riata/core/random.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstdint>
#include <set>
#include <vector>

#include "support/sentences.hpp"

namespace riata::testing {
namespace {

using Block = std::array<std::uint32_t, 4>;

/// Philox4x32-10 from its definition (Salmon, Moraes, Dror and Shaw, 2011).
Block philox(Block counter, std::array<std::uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t a = std::uint64_t{0xD2511F53} * counter[0], b = std::uint64_t{0xCD9E8D57} * counter[2];
    counter = {static_cast<std::uint32_t>(b >> 32) ^ counter[1] ^ key[0], static_cast<std::uint32_t>(b),
               static_cast<std::uint32_t>(a >> 32) ^ counter[3] ^ key[1], static_cast<std::uint32_t>(a)};
    key = {key[0] + 0x9E3779B9, key[1] + 0xBB67AE85};
  }
  return counter;
}

Block next_block(RandomStream& random) { return {random.bits(), random.bits(), random.bits(), random.bits()}; }

TEST(RandomStream, IsPhiloxOfItsPublishedVectors) {
  // The authors' known answers, first for the definition above, then for the library where its counter can
  // be.
  EXPECT_EQ(philox({0, 0, 0, 0}, {0, 0}), (Block{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox({~0U, ~0U, ~0U, ~0U}, {~0U, ~0U}), (Block{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (Block{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
  RandomStream random(0);
  EXPECT_EQ(next_block(random), (Block{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
}

TEST(RandomStream, CountsBlocks_AndIsKeyedBySeedStreamAndIteration) {
  RandomStream random(0x123456789abcdef0, 77, 0x80000001);
  for (std::uint32_t block = 0; block < 5; ++block)
    EXPECT_EQ(next_block(random), philox({block, 0, 77, 0x80000001}, {0x9abcdef0, 0x12345678})) << "block " << block;
}

TEST(RandomStream, GivesOtherNumbers_ForOtherSeedsStreamsAndIterations) {
  std::set<Block> first_blocks;
  for (const std::uint64_t seed : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{1} << 32})
    for (const std::uint32_t stream : {0U, 1U, 2U})
      for (const std::uint32_t iteration : {0U, 1U, 2U}) {
        RandomStream random(seed, stream, iteration);
        first_blocks.insert(next_block(random));
      }
  EXPECT_EQ(first_blocks.size(), 27U);
}

struct Moments {
  double mean = 0, variance = 0, kurtosis = 0, neighbours = 0;
};

Moments moments(const std::vector<double>& values) {
  Moments m;
  const auto n = static_cast<double>(values.size());
  for (const double v : values) m.mean += v / n;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double d = values[i] - m.mean;
    m.variance += d * d / n;
    m.kurtosis += d * d * d * d / n;
    if (i > 0) m.neighbours += d * (values[i - 1] - m.mean) / n;
  }
  return m;
}

constexpr int n_draws = 200'000;
constexpr double five_sigma = 5.0 / 447.2;  // of a mean of n_draws numbers of variance 1

TEST(RandomStream, DrawsUniformNumbers_InTheOpenUnitInterval) {
  RandomStream random(1);
  std::vector<double> values(n_draws);
  for (double& v : values) {
    v = random.uniform();
    ASSERT_TRUE(v > 0 && v < 1) << v;
  }
  const Moments m = moments(values);
  EXPECT_NEAR(m.mean, 0.5, five_sigma * 0.29);
  EXPECT_NEAR(m.variance, 1 / 12.0, five_sigma * 0.075);
  EXPECT_NEAR(m.neighbours, 0, five_sigma / 12);
}

TEST(RandomStream, DrawsNormalNumbers) {
  RandomStream random(2);
  std::vector<double> values(n_draws);
  for (double& v : values) v = random.normal();
  const Moments m = moments(values);
  EXPECT_NEAR(m.mean, 0, five_sigma);
  EXPECT_NEAR(m.variance, 1, five_sigma * 1.42);
  EXPECT_NEAR(m.kurtosis, 3, five_sigma * 9.8);
  EXPECT_NEAR(m.neighbours, 0, five_sigma);
}

TEST(RandomStream, FillsMatricesColumnAfterColumn) {
  Matrix<double> A(3, 5);
  RandomStream random(3), again(3);
  fill_normal<double>(random, A);
  for (Index i = 0; i < A.size(); ++i) EXPECT_EQ(A.data()[i], again.normal());
  Matrix<float> B(3, 5);
  RandomStream third(3);
  fill_normal<float>(third, B);
  EXPECT_TRUE(B == A.cast<float>());
}

TEST(RandomStream, DrawsIntegersWithoutBias) {
  RandomStream random(4);
  std::array<int, 7> count{};
  for (int i = 0; i < 70'000; ++i) ++count[random.below(7)];
  double chi_squared = 0;
  for (const int c : count) chi_squared += (c - 10'000.0) * (c - 10'000.0) / 10'000.0;
  EXPECT_LT(chi_squared, 27.9);  // six degrees of freedom, probability 1e-4

  // A remainder without rejection would put half, not a third, of these below 2^62.
  const std::uint64_t n = std::uint64_t{3} << 62;
  int low = 0;
  for (int i = 0; i < 30'000; ++i) {
    const std::uint64_t value = random.below(n);
    ASSERT_LT(value, n);
    low += value < std::uint64_t{1} << 62;
  }
  EXPECT_NEAR(low, 10'000, 5 * 82);
  EXPECT_EQ(random.below(1), 0U);
}

TEST(RandomStream, ChoosesDistinctIndices_EachOrderAsOften) {
  RandomStream random(5);
  const std::vector<Index> all = random.choose(100, 100);
  EXPECT_EQ(std::set<Index>(all.begin(), all.end()).size(), 100U);
  EXPECT_TRUE(random.choose(5, 0).empty());
  std::array<int, 12> count{};  // ordered pairs out of four
  for (int i = 0; i < 24'000; ++i) {
    const std::vector<Index> pair = random.choose(4, 2);
    ASSERT_EQ(pair.size(), 2U);
    ASSERT_NE(pair[0], pair[1]);
    ++count[static_cast<std::size_t>(pair[0] * 3 + (pair[1] > pair[0] ? pair[1] - 1 : pair[1]))];
  }
  for (const int c : count) EXPECT_NEAR(c, 2000, 5 * 43);
}

TEST(RandomStream, RefusesToChooseMoreThanThereAre) {
  RandomStream random(6);
  EXPECT_EQ(refusal_of([&] { random.choose(3, 4); }), "choose: k = 4 of n = 3, must be between 0 and n");
  EXPECT_EQ(refusal_of([&] { random.choose(3, -1); }), "choose: k = -1 of n = 3, must be between 0 and n");
}

}  // namespace
}  // namespace riata::testing
