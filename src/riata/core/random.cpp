#include "riata/core/random.hpp"

#include <Random123/philox.h>

#include <cmath>
#include <numbers>
#include <unordered_map>
#include <utility>

#include "riata/core/check.hpp"
#include "riata/core/stopping.hpp"

namespace riata {

RandomStream::RandomStream(std::uint64_t seed, std::uint32_t stream, std::uint32_t iteration)
    : counter_{0, 0, stream, iteration}, key_{static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)} {}

void RandomStream::refill() {
  const auto block = r123::Philox4x32()({{counter_[0], counter_[1], counter_[2], counter_[3]}}, {{key_[0], key_[1]}});
  for (std::size_t i = 0; i < 4; ++i) block_[i] = block[i];
  if (++counter_[0] == 0) ++counter_[1];
  used_ = 0;
}

std::uint32_t RandomStream::bits() {
  if (used_ == 4) refill();
  return block_[static_cast<std::size_t>(used_++)];
}

double RandomStream::uniform() {
  const std::uint64_t high = bits() >> 6, low = bits() >> 6;  // 26 bits each
  return (static_cast<double>((high << 26) | low) + 0.5) * 0x1p-52;
}

double RandomStream::normal() {
  const double radius = std::sqrt(-2.0 * std::log(uniform()));
  return radius * std::cos(2.0 * std::numbers::pi * uniform());
}

std::uint64_t RandomStream::below(std::uint64_t n) {
  const std::uint64_t limit = UINT64_MAX - UINT64_MAX % n;  // reject the tail that would favour small values
  std::uint64_t r;
  do {
    r = bits();  // one statement each: the order of the two draws is part of the stream
    r = (r << 32) | bits();
  } while (r >= limit);
  return r % n;
}

std::vector<Index> RandomStream::choose(Index n, Index k) {
  require(0 <= k && k <= n, "choose: k = {} of n = {}, must be between 0 and n", k, n);
  std::unordered_map<Index, Index> moved;  // entries of 0, ..., n-1 that are not where they began: memory grows with k
  const auto at = [&](Index i) {
    const auto found = moved.find(i);
    return found == moved.end() ? i : found->second;
  };
  std::vector<Index> chosen;
  chosen.reserve(static_cast<std::size_t>(k));
  for (Index i = 0; i < k; ++i) {
    leave_if_stopped();
    const Index j = i + static_cast<Index>(below(static_cast<std::uint64_t>(n - i)));
    chosen.push_back(at(j));
    moved[j] = at(i);
  }
  return chosen;
}

Shuffle::Shuffle(Index n, std::uint64_t seed, std::uint32_t stream, std::uint32_t iteration)
    : n_(static_cast<std::uint64_t>(n)),
      stream_(stream),
      iteration_(iteration),
      key_{static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)} {
  require(n >= 1, "shuffle: n = {}, must be >= 1", n);
  while ((std::uint64_t{1} << 2 * half_bits_) < n_) ++half_bits_;
}

Index Shuffle::operator()(Index i) const {
  auto place = static_cast<std::uint64_t>(i);
  do place = permuted(place);
  while (place >= n_);
  return static_cast<Index>(place);
}

std::uint64_t Shuffle::permuted(std::uint64_t i) const {
  constexpr std::uint32_t rounds = 10, kind = 1U << 31;  // no stream of numbers has such counters
  const std::uint64_t mask = (std::uint64_t{1} << half_bits_) - 1;
  std::uint64_t left = i >> half_bits_, right = i & mask;
  for (std::uint32_t round = 0; round < rounds; ++round) {
    const auto random =
        r123::Philox4x32()({{static_cast<std::uint32_t>(right), kind | round, stream_, iteration_}}, {{key_[0], key_[1]}});
    left ^= random[0] & mask;
    std::swap(left, right);
  }
  return left << half_bits_ | right;
}

template <Scalar T>
void fill_normal(RandomStream& random, Eigen::Ref<Matrix<T>> out) {
  for (Index j = 0; j < out.cols(); ++j) {
    leave_if_stopped();
    for (Index i = 0; i < out.rows(); ++i) out(i, j) = static_cast<T>(random.normal());
  }
}
template void fill_normal<float>(RandomStream&, Eigen::Ref<Matrix<float>>);
template void fill_normal<double>(RandomStream&, Eigen::Ref<Matrix<double>>);

}  // namespace riata
