#include "mutate.hpp"

#include <zlib.h>

#include <algorithm>
#include <cctype>
#include <cstring>

namespace riata::fuzz {
namespace {

constexpr std::size_t max_bytes = 1 << 16;

/// At `at`, if the bytes reach so far.
void put_number(std::string& bytes, std::size_t at, std::uint64_t value, std::size_t n_bytes, bool is_big_endian) {
  if (at + n_bytes > bytes.size()) return;
  for (std::size_t i = 0; i < n_bytes; ++i)
    bytes[at + (is_big_endian ? n_bytes - 1 - i : i)] = static_cast<char>(value >> (8 * i));
}

std::uint64_t get_number(const std::string& bytes, std::size_t at, std::size_t n_bytes, bool is_big_endian) {
  std::uint64_t value = 0;
  if (at + n_bytes > bytes.size()) return 0;
  for (std::size_t i = 0; i < n_bytes; ++i)
    value = value << 8 | static_cast<unsigned char>(bytes[at + (is_big_endian ? i : n_bytes - 1 - i)]);
  return value;
}

/// Numbers at which counts, sizes and offsets break.
std::uint64_t edge(Numbers& numbers, std::size_t n_bytes) {
  const std::uint64_t edges[] = {0,          1,          2,          3,           4,
                                 7,          8,          16,         32,          64,
                                 127,        128,        255,        256,         1000,
                                 32767,      32768,      65535,      65536,       1 << 20,
                                 0x7fffffff, 0x80000000, 0xffffffff, 0x100000000, 0x7fffffffffffffff,
                                 ~0ull,      n_bytes,    n_bytes - 1};
  return edges[numbers.below(std::size(edges))] + (numbers.once_in(4) ? numbers.below(5) - 2 : 0);
}

void change_number(std::string& bytes, Numbers& numbers) {
  const std::size_t n_bytes = std::size_t{1} << numbers.below(4), at = numbers.below(bytes.size());
  const bool is_big_endian = numbers.once_in(2);
  const std::uint64_t old = get_number(bytes, at, n_bytes, is_big_endian);
  const std::uint64_t value = numbers.once_in(2) ? edge(numbers, bytes.size()) : old + numbers.below(33) - 16;
  put_number(bytes, at, value, n_bytes, is_big_endian);
}

/// A number written in digits, or a name in quotes: of JSON, of NumPy's headers.
void change_text(std::string& bytes, Numbers& numbers) {
  const char* const words[] = {"0",
                               "1",
                               "-1",
                               "2",
                               "1e999",
                               "nan",
                               "99999999999999999999",
                               "9223372036854775807",
                               "4294967296",
                               "[",
                               "]",
                               "{",
                               "}",
                               "null",
                               "true",
                               "\"\"",
                               "F16",
                               "I64",
                               "\\u0000",
                               "\\u001b[2J",
                               "\\n",
                               ",",
                               "0.5",
                               "1e-300"};
  std::size_t begin = numbers.below(bytes.size());
  while (begin < bytes.size() && std::isdigit(static_cast<unsigned char>(bytes[begin])) == 0) ++begin;
  std::size_t end = begin;
  while (end < bytes.size() && std::isdigit(static_cast<unsigned char>(bytes[end])) != 0) ++end;
  bytes.replace(begin, end - begin, words[numbers.below(std::size(words))]);
}

/// Tag, type, count or value of an entry of the first directory, or its number of entries.
void change_directory(std::string& bytes, Numbers& numbers) {
  const bool is_big_endian = bytes.starts_with("MM"), is_big_tiff = bytes.size() > 2 && (bytes[2] == 43 || bytes[3] == 43);
  if (!is_big_endian && !bytes.starts_with("II")) return;
  const std::size_t directory = get_number(bytes, is_big_tiff ? 8 : 4, is_big_tiff ? 8 : 4, is_big_endian);
  const std::size_t n_count = is_big_tiff ? 8 : 2, n_entry = is_big_tiff ? 20 : 12;
  const std::size_t n_entries = std::min<std::size_t>(get_number(bytes, directory, n_count, is_big_endian), 64);
  const std::size_t entry = directory + n_count + numbers.below(n_entries + 1) * n_entry;
  constexpr std::uint64_t tags[] = {254, 256, 257, 258, 259, 262, 266, 273, 274, 277, 278, 279, 284, 292,   317,   320,  322,
                                    323, 324, 325, 332, 338, 339, 347, 512, 513, 514, 530, 531, 532, 32997, 32998, 65000};
  constexpr std::uint64_t compressions[] = {1,     2,     3,     4,     5,     6,     7,     8,     32771,
                                            32773, 32809, 32908, 32946, 34676, 34677, 34887, 34925, 50000};
  switch (numbers.below(5)) {
    case 0:
      return put_number(bytes, entry, tags[numbers.below(std::size(tags))], 2, is_big_endian);
    case 1:
      return put_number(bytes, entry + 2, numbers.below(20), 2, is_big_endian);
    case 2:
      return put_number(bytes, entry + 4, edge(numbers, bytes.size()), is_big_tiff ? 8 : 4, is_big_endian);
    case 3:
      return put_number(bytes, entry + n_entry - (is_big_tiff ? 8 : 4), edge(numbers, bytes.size()), numbers.once_in(2) ? 2 : 4,
                        is_big_endian);
    default:
      return put_number(bytes, entry + n_entry - (is_big_tiff ? 8 : 4), compressions[numbers.below(std::size(compressions))], 2,
                        is_big_endian);
  }
}

void change(std::string& bytes, const std::vector<std::string>& files, Numbers& numbers) {
  if (bytes.empty()) bytes = "?";
  const std::size_t at = numbers.below(bytes.size()), n = 1 + numbers.below(std::min<std::size_t>(bytes.size() - at, 64));
  switch (numbers.below(12)) {
    case 0:
    case 1:
      bytes[at] = static_cast<char>(bytes[at] ^ (1 << numbers.below(8)));
      return;
    case 2:
      bytes[at] = static_cast<char>(numbers.next());
      return;
    case 3:
    case 4:
      return change_number(bytes, numbers);
    case 5:
      return change_text(bytes, numbers);
    case 6:
      bytes.erase(at, n);
      return;
    case 7:
      bytes.insert(at, bytes.substr(at, n));
      return;
    case 8:
      std::rotate(bytes.begin() + static_cast<std::ptrdiff_t>(at), bytes.begin() + static_cast<std::ptrdiff_t>(at + n / 2),
                  bytes.begin() + static_cast<std::ptrdiff_t>(at + n));
      return;
    case 9: {
      const std::string& other = files[numbers.below(files.size())];
      bytes =
          bytes.substr(0, at) + other.substr(std::min(other.size(), numbers.once_in(2) ? at : numbers.below(other.size() + 1)));
      return;
    }
    case 10:
      if (numbers.once_in(4)) bytes.resize(at);
      return;
    default:
      return change_directory(bytes, numbers);
  }
}

std::uint32_t crc_of(const std::string& bytes, std::size_t at, std::size_t n) {
  return static_cast<std::uint32_t>(crc32_z(0, reinterpret_cast<const Bytef*>(bytes.data() + at), n));
}

void mend_png(std::string& bytes) {
  for (std::size_t at = 8; at + 12 <= bytes.size();) {
    const std::size_t n = get_number(bytes, at, 4, true);
    if (n > bytes.size() - at - 12) return;
    put_number(bytes, at + 8 + n, crc_of(bytes, at + 4, n + 4), 4, true);
    at += n + 12;
  }
}

void mend_zip(std::string& bytes) {
  for (std::size_t at = 0; (at = bytes.find("PK\1\2", at)) != std::string::npos; at += 4) {
    const std::size_t n = get_number(bytes, at + 20, 4, false), local = get_number(bytes, at + 42, 4, false);
    const std::size_t begin = local + 30 + get_number(bytes, local + 26, 2, false) + get_number(bytes, local + 28, 2, false);
    if (begin > bytes.size() || n > bytes.size() - begin || get_number(bytes, at + 10, 2, false) != 0) continue;
    put_number(bytes, at + 16, crc_of(bytes, begin, n), 4, false);
  }
}

/// The header ends where the braces close.
void mend_safetensors(std::string& bytes) {
  std::size_t depth = 0;
  for (std::size_t i = 8; i < bytes.size(); ++i) {
    depth += bytes[i] == '{' ? 1 : 0;
    depth -= bytes[i] == '}' ? 1 : 0;
    if (depth != 0) continue;
    while (i + 1 < bytes.size() && bytes[i + 1] == ' ') ++i;
    return put_number(bytes, 0, i - 7, 8, false);
  }
}

}  // namespace

std::uint64_t Numbers::next() {
  std::uint64_t z = state_ += 0x9e3779b97f4a7c15ull;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ z >> 27) * 0x94d049bb133111ebull;
  return z ^ z >> 31;
}

std::string mutated(const std::vector<std::string>& files, Container container, Numbers& numbers) {
  std::string bytes = files[numbers.below(files.size())];
  for (std::size_t n = std::size_t{1} << numbers.below(4); n > 0; --n) change(bytes, files, numbers);
  bytes.resize(std::min(bytes.size(), max_bytes));
  if (numbers.once_in(8)) return bytes;
  if (container == Container::png) mend_png(bytes);
  if (container == Container::zip) mend_zip(bytes);
  if (container == Container::safetensors) mend_safetensors(bytes);
  return bytes;
}

}  // namespace riata::fuzz
