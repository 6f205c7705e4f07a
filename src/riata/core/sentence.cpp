#include "riata/core/sentence.hpp"

#include <algorithm>
#include <cstdint>
#include <stdexcept>

#include "riata/core/error.hpp"

namespace riata {
namespace {

constexpr std::size_t max_character_bytes = 4;

bool is_continuation(char byte) { return (byte & 0xc0) == 0x80; }

/// The character that `text` begins with and its bytes, 0 if it is no UTF-8 (RFC 3629).
std::pair<std::uint32_t, std::size_t> first_character(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text[0]);
  if (lead < 0x80) return {lead, 1};
  const std::size_t n_bytes = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || text.size() < n_bytes) return {0, 0};
  std::uint32_t value = lead & (0xffu >> (n_bytes + 1));
  for (std::size_t i = 1; i < n_bytes; ++i) {
    if (!is_continuation(text[i])) return {0, 0};
    value = value << 6 | (static_cast<unsigned char>(text[i]) & 0x3fu);
  }
  constexpr std::uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
  const bool is_surrogate = 0xd800 <= value && value <= 0xdfff;
  if (value < least[n_bytes] || value > 0x10ffff || is_surrogate) return {0, 0};
  return {value, n_bytes};
}

bool is_plain(std::uint32_t c) {
  const bool is_control = c < 0x20 || (0x7f <= c && c < 0xa0) || c == 0x2028 || c == 0x2029;
  const bool turns_direction = c == 0x200e || c == 0x200f || (0x202a <= c && c <= 0x202e) || (0x2066 <= c && c <= 0x2069);
  return !is_control && !turns_direction;
}

std::string escape_of(std::uint32_t c) {
  if (c == '\n') return "\\n";
  if (c == '\r') return "\\r";
  if (c == '\t') return "\\t";
  return c < 0x80 ? formatted("\\x{:02x}", c) : formatted("\\u{:04x}", c);
}

std::string escaped(std::string_view text) {
  std::string line;
  while (!text.empty()) {
    const auto [c, n_bytes] = first_character(text);
    if (n_bytes == 0)
      line += formatted("\\x{:02x}", static_cast<unsigned char>(text[0]));
    else if (is_plain(c))
      line += text.substr(0, n_bytes);
    else
      line += escape_of(c);
    text.remove_prefix(std::max<std::size_t>(n_bytes, 1));
  }
  return line;
}

std::size_t n_characters(std::string_view text) {
  return text.size() - static_cast<std::size_t>(std::count_if(text.begin(), text.end(), is_continuation));
}

/// The bytes of the first n characters.
std::size_t bytes_of_first(std::string_view text, std::size_t n) {
  std::size_t at = 0;
  for (; at < text.size(); ++at)
    if (!is_continuation(text[at]) && n-- == 0) break;
  return at;
}

}  // namespace

std::string formatted_from(fmt::string_view pattern, fmt::format_args values) { return fmt::vformat(pattern, values); }

std::string one_line(std::string_view text, std::size_t most) {
  if (text.size() <= max_character_bytes * most) {
    std::string line = escaped(text);
    if (n_characters(line) <= most) return line;
  }
  constexpr std::string_view gap = "...";
  const std::size_t n_tail = most / 3, n_head = most - n_tail - gap.size();
  std::string head = escaped(text.substr(0, max_character_bytes * n_head));  // a text of 50 MB costs no more
  head.resize(bytes_of_first(head, n_head));
  std::string tail = escaped(text.substr(text.size() - std::min(text.size(), max_character_bytes * n_tail)));
  tail.erase(0, bytes_of_first(tail, n_characters(tail) - std::min(n_characters(tail), n_tail)));
  return head.append(gap) + tail;
}

void refuse(std::string_view sentence) { throw std::invalid_argument(one_line(sentence)); }

Error::Error(std::string_view sentence) : std::runtime_error(one_line(sentence)) {}

}  // namespace riata
