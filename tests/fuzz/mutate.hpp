// Mutated files: input i of a reader is a function of the seed and of i alone.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace riata::fuzz {

/// What is mended after a mutation, so that it gets past checksums and lengths.
enum class Container {
  none,
  png,          ///< CRC of every chunk
  zip,          ///< CRC of stored members
  safetensors,  ///< length of the header
};

/// SplitMix64: the numbers do not depend on the machine.
class Numbers {
 public:
  explicit Numbers(std::uint64_t state) : state_(state) {}
  std::uint64_t next();
  std::size_t below(std::size_t n) { return n == 0 ? 0 : next() % n; }
  bool once_in(std::size_t n) { return below(n) == 0; }

 private:
  std::uint64_t state_;
};

/// One of the files, changed in one to eight places: bits, bytes, numbers of all widths and in text, pieces cut, doubled, swapped
/// or taken from another file, fields of a TIFF directory, the end cut off.
std::string mutated(const std::vector<std::string>& files, Container container, Numbers& numbers);

}  // namespace riata::fuzz
