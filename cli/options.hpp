// What the subcommands' options have in common. Defaults shown by --help are read from the option structs.
#pragma once

#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "riata/core/names.hpp"
#include "riata/core/option.hpp"
#include "riata/core/sentence.hpp"
#include "riata/io/images.hpp"
#include "riata/learning/learn_dictionary.hpp"

namespace riata::cli {

/// How a command talks: one JSON object on one line of stdout, or a sentence, or nothing.
struct Talk {
  bool json = false, quiet = false;
};

inline void add_talk(CLI::App& app, Talk& talk) {
  app.add_flag("--json", talk.json, "Print one JSON object on one line, last on stdout");
  app.add_flag("--quiet", talk.quiet, "Neither progress nor summary");
}

inline CLI::Option* add_output(CLI::App& app, std::string& output, const char* help) {
  return app.add_option("-o,--output", output, help)->type_name("FILE")->required();
}

inline CLI::Option* add_threads(CLI::App& app, int& n_threads) {
  return app.add_option("--n-threads", n_threads, "Threads; 0: all cores. Results do not depend on it")->capture_default_str();
}

/// Refuses values that CLI11 takes for something else: empty ones, numbers that overflow, hexadecimal or octal ones, and one for a
/// flag, which would turn it off. Call once all options are there.
void make_strict(CLI::App& command);

/// @throws std::invalid_argument. CLI11 itself would wrap -1 round to 2^64 - 1.
std::uint64_t parse_seed(std::string_view text);

inline CLI::Option* add_seed(CLI::App& app, std::uint64_t& seed) {
  return app
      .add_option_function<std::string>(
          "--seed", [&seed](const std::string& text) { seed = parse_seed(text); }, "Same seed, same bits")
      ->type_name("INT")
      ->default_str(std::to_string(seed));
}

inline CLI::Option* add_reg(CLI::App& app, std::optional<Reg>& reg, const char* help) {
  return app
      .add_option_function<std::string>(
          "--reg", [&reg](const std::string& text) { reg = Reg::parse(text); }, help)
      ->type_name("NUMBER|FRACTIONmax");
}

inline CLI::Option* add_groups(CLI::App& app, std::string& file) {
  return app
      .add_option("--groups", file,
                  "Integers >= 0 of shape (n_atoms,): atoms with equal numbers are a group. .npy, .npz or .npz:KEY")
      ->type_name("FILE");
}

/// Which page of a picture, and how large a one.
inline std::vector<const CLI::Option*> add_image(CLI::App& app, ReadImageOptions& image, const char* without_page) {
  return {app.add_option("--page", image.page, formatted("Pictures: the page of a TIFF, from 1; default: {}", without_page)),
          app.add_option("--max-pixels", image.max_pixels, "Pictures with more, all pages together, are refused")
              ->capture_default_str()};
}

/// --n-layers for n_layers
std::string flag_of(std::string_view name);

/// An option whose values have names.
template <Named Choice>
CLI::Option* add_choice(CLI::App& app, const char* name, Choice& target, const char* help,
                        std::vector<Choice> choices = std::vector<Choice>()) {
  if (choices.empty())
    for (const auto& known : names<Choice>) choices.push_back(known.value);
  std::vector<const char*> texts;
  for (const Choice choice : choices) texts.push_back(to_string(choice));
  const auto take = [&target, name, choices, texts](const std::string& text) {
    const auto found = std::ranges::find(texts, text);
    if (found == texts.end()) refuse_name(name, text, texts);
    target = choices[static_cast<std::size_t>(found - texts.begin())];
  };
  return app.add_option_function<std::string>(flag_of(name), take, help)
      ->type_name(formatted("{}", fmt::join(texts, "|")))
      ->default_str(to_string(target));
}

/// Every option that has words for the command, by its row (riata/core/option.hpp). Arrays have none: they come from files, by flags of
/// their own. Gives what was added to `each`.
template <Described Options, class Each>
void add_options(CLI::App& app, Options& options, const Each& each) {
  for_each_option(options, [&]<class V>(const auto& row, V& value) {
    if (*row.words == '\0') return;
    const std::string flag = flag_of(row.name);
    if constexpr (Named<V>)
      each(add_choice(app, row.name, value, row.words));
    else if constexpr (std::same_as<V, bool>)
      each(app.add_flag(flag, value, row.words));
    else if constexpr (std::same_as<V, std::uint64_t>)
      each(add_seed(app, value));
    else if constexpr (std::same_as<V, std::string>)
      each(app.add_option(flag, value, row.words)->type_name("FILE"));
    else if constexpr (is_optional<V>)
      each(app.add_option(flag, value, row.words));
    else if constexpr (Number<V>)
      each(app.add_option(flag, value, row.words)->capture_default_str());
  });
}
template <Described Options>
void add_options(CLI::App& app, Options& options) {
  add_options(app, options, [](CLI::Option*) {});
}

}  // namespace riata::cli
