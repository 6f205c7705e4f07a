// Enumerations whose values have names: in Python, in the command, in files and in sentences.
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <span>
#include <string_view>
#include <type_traits>

namespace riata {

template <class E>
struct Name {
  E value;
  const char* text;
};

/// The names of E's values, an array of Name<E>, stand beside E. None: it has no names.
template <class E>
inline constexpr std::nullptr_t names = nullptr;

template <class E>
concept Named = std::is_enum_v<E> && !std::same_as<std::remove_cvref_t<decltype(names<E>)>, std::nullptr_t>;

template <Named E>
constexpr const char* to_string(E value) {
  for (const Name<E>& name : names<E>)
    if (name.value == value) return name.text;
  return "unknown";
}

/// @throws std::invalid_argument: which option, what it got, which names there are
[[noreturn]] void refuse_name(std::string_view option, std::string_view got, std::span<const char* const> all);

/// The value of that name. @throws std::invalid_argument, which calls the option by its name
template <Named E>
E parse(std::string_view text, std::string_view option) {
  std::array<const char*, std::size(names<E>)> all;
  for (std::size_t k = 0; k < all.size(); ++k) {
    if (text == names<E>[k].text) return names<E>[k].value;
    all[k] = names<E>[k].text;
  }
  refuse_name(option, text, all);
}

}  // namespace riata
