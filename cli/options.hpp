// What the subcommands' options have in common. Defaults shown by --help are read from the option structs.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>

#include "riata/core/sentence.hpp"
#include "riata/io/images.hpp"
#include "riata/learning/learn_dictionary.hpp"

namespace riata::cli {

/// How a command talks: one JSON object on one line of stdout, or a sentence, or nothing.
struct Talk {
  bool json = false, quiet = false;
};

/// The reverse of parse_learning_method().
inline const char* to_string(LearningMethod method) {
  for (const char* name : {"unrolled", "alternating", "truncated"})
    if (parse_learning_method(name) == method) return name;
  return "alternating-exact";
}

inline void add_talk(CLI::App& app, Talk& talk) {
  app.add_flag("--json", talk.json, "Print one JSON object on one line, last on stdout");
  app.add_flag("--quiet", talk.quiet, "Neither progress nor summary");
}

inline CLI::Option* add_output(CLI::App& app, std::string& output, const char* help) {
  return app.add_option("-o,--output", output, help)->type_name("FILE")->required();
}

inline CLI::Option* add_threads(CLI::App& app, int& n_threads) {
  return app.add_option("--threads", n_threads, "Threads; 0: all cores. Results do not depend on it")->capture_default_str();
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

/// Which page of a picture, and how large a one.
inline void add_image(CLI::App& app, ReadImageOptions& image, const char* without_page) {
  app.add_option("--page", image.page, formatted("Pictures: the page of a TIFF, from 1; default: {}", without_page));
  app.add_option("--max-pixels", image.max_pixels, "Pictures with more, all pages together, are refused")->capture_default_str();
}

/// An option whose values have names. `parse` turns a name into a value, or throws the sentence that lists
/// them.
template <class Choice>
CLI::Option* add_choice(CLI::App& app, const char* flag, Choice& target, Choice (*parse)(std::string_view),
                        std::initializer_list<const char*> names, const char* help) {
  std::string default_name, all;
  for (const char* name : names) {
    if (parse(name) == target) default_name = name;
    all += (all.empty() ? "" : "|") + std::string(name);
  }
  return app
      .add_option_function<std::string>(
          flag, [&target, parse](const std::string& name) { target = parse(name); }, help)
      ->type_name(all)
      ->default_str(default_name);
}

}  // namespace riata::cli
