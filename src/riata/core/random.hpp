// Counter-based random numbers (Philox4x32-10; Salmon, Moraes, Dror and Shaw 2011) keyed by (seed, stream, iteration):
// the same numbers whatever the thread count, and after a resume.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "riata/core/types.hpp"

namespace riata {

class RandomStream {
 public:
  explicit RandomStream(std::uint64_t seed, std::uint32_t stream = 0, std::uint32_t iteration = 0);

  std::uint32_t bits();
  double uniform();                      ///< in (0, 1), 52 random bits
  double normal();                       ///< standard normal, Box and Muller
  std::uint64_t below(std::uint64_t n);  ///< uniform in {0, ..., n-1}, without bias; n > 0
  /// k distinct indices of {0, ..., n-1}, in random order (Fisher and Yates); k <= n.
  std::vector<Index> choose(Index n, Index k);

 private:
  void refill();
  std::array<std::uint32_t, 4> counter_;
  std::array<std::uint32_t, 2> key_;
  std::array<std::uint32_t, 4> block_{};
  int used_ = 4;
};

/// A permutation of {0, ..., n-1} that takes no memory: a Feistel network of Philox on the next power of four, walked until it is
/// below n.
class Shuffle {
 public:
  /// @pre 1 <= n <= 2^62
  explicit Shuffle(Index n, std::uint64_t seed, std::uint32_t stream = 0, std::uint32_t iteration = 0);
  Index operator()(Index i) const;  ///< where the i-th goes

 private:
  std::uint64_t permuted(std::uint64_t i) const;
  std::uint64_t n_;
  int half_bits_ = 1;
  std::uint32_t stream_, iteration_;
  std::array<std::uint32_t, 2> key_;
};

/// Fills with independent standard normals, column after column.
template <Scalar T>
void fill_normal(RandomStream& random, Eigen::Ref<Matrix<T>> out);

}  // namespace riata
