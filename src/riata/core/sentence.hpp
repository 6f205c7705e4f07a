// Text of files and users inside sentences: what a terminal shows of it.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>

namespace riata {

/// fmt::vformat(), which fmt as headers alone would compile in every source that formats (4 s each).
std::string formatted_from(fmt::string_view pattern, fmt::format_args values);

/// fmt::format()
template <class... Values>
std::string formatted(fmt::format_string<Values...> pattern, Values&&... values) {
  return formatted_from(pattern, fmt::make_format_args(values...));
}

/// One line of valid UTF-8. Control characters, line separators, marks that turn the direction of writing, and bytes that are no
/// UTF-8 stand as escapes (\n, \x1b, \u202e); beyond `most` characters the middle is left out ("...").
/// Every sentence that the library throws has passed through here.
std::string one_line(std::string_view text, std::size_t most = 500);

/// A name or value that a file or user gave, inside a sentence. A NUL would cut what() there, so it passes through here first.
inline std::string shown(std::string_view text) { return one_line(text, 100); }

/// @throws std::invalid_argument with the sentence on one line
[[noreturn]] void refuse(std::string_view sentence);

}  // namespace riata
