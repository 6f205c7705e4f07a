// The command riata: finds the subcommand, runs it, and turns what went wrong into one sentence and an exit
// code.

#include <cstdio>
#include <new>
#include <string_view>
#include <utility>

#include "commands.hpp"
#include "interrupt.hpp"
#include "options.hpp"
#include "outputs.hpp"
#include "riata/core/check.hpp"
#include "riata/core/error.hpp"
#include "riata/core/instruction_set.hpp"
#include "riata/core/memory.hpp"
#include "riata/core/sentence.hpp"
#include "riata/version.hpp"
#include "surroundings.hpp"

namespace {

using namespace riata;
using namespace riata::cli;

struct Command {
  CLI::App* app;
  Task run;
};

/// --kind conv-denoise, whose options are others.
bool trains_a_denoiser(int argc, char** argv) {
  const std::string_view kind = "conv-denoise";
  for (int k = 1; k < argc; ++k) {
    const std::string_view word = argv[k];
    if ((word == "--kind" && k + 1 < argc && argv[k + 1] == kind) || word == formatted("--kind={}", kind)) return true;
  }
  return false;
}

std::vector<Command> add_commands(CLI::App& app, bool trains_a_denoiser) {
  const auto add = [&app](const char* name, const char* purpose, Task (*add_options)(CLI::App&)) {
    CLI::App* command = app.add_subcommand(name, purpose);
    Task run = add_options(*command);
    make_strict(*command);
    return Command{command, std::move(run)};
  };
  return {add("denoise", "Clean a picture with a dictionary learned from the noisy picture alone", add_denoise),
          add("learn", "Learn a dictionary from signals or patches of pictures, or patterns of recordings", add_learn),
          add("encode", "Sparse codes of signals or a picture's patches in a dictionary, or when patterns occur in a recording",
              add_encode),
          add("train", "Train a network that codes signals in a few layers, or one that denoises pictures",
              trains_a_denoiser ? add_train_denoiser : add_train),
          add("infer", "Codes of signals, or of a picture's patches, by a trained network", add_infer),
          add("info", "Describe models, networks, recordings, arrays and pictures, or riata itself", add_info)};
}

/// Refuses flags of riata 0.1 by the names that they have now.
void refuse_old_flags(int argc, char** argv) {
  for (int k = 1; k < argc; ++k)
    for (const auto& [old, now] : {std::pair{"--layers", "--n-layers"}, {"--atoms", "--n-atoms"}, {"--threads", "--n-threads"}})
      require(std::string_view(argv[k]).substr(0, std::string_view(argv[k]).find('=')) != old, "{} is {} since riata 0.2", old,
              now);
}

/// What was written to standard output must have arrived: `riata info > /dev/full` is a failure.
int flushed(int code) {
  if (std::fflush(stdout) != 0 || std::ferror(stdout)) throw Error("cannot write to standard output");
  return code;
}

int run(CLI::App& app, const std::vector<Command>& commands, int argc, char** argv) {
  refuse_old_flags(argc, argv);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& request) {  // --help, --version
    return flushed(app.exit(request));
  }
  for (const Command& command : commands)
    if (command.app->parsed()) {
      instruction_set();  // refuses an unknown RIATA_SIMD
      return flushed(command.run());
    }
  throw std::invalid_argument("a command is required: denoise, learn, encode, train, infer or info (riata --help tells more)");
}

int fail(const CLI::App& app, int code, std::string_view sentence) {
  std::string name = app.get_name();
  for (const CLI::App* command : app.get_subcommands()) {
    name += ' ' + command->get_name();
    // The library's sentence may begin with the function's name, which is the command's.
    for (const std::string& where : {command->get_name() + ": ", command->get_name() + "_patterns: "})
      if (sentence.starts_with(where)) sentence.remove_prefix(where.size());
  }
  say(one_line(formatted("{}: {}", name, sentence)));
  return code;
}

}  // namespace

int main(int argc, char** argv) {
  prepare_surroundings();
  CLI::App app("Sparse coding and dictionary learning by unrolled optimisation", "riata");
  app.set_version_flag("--version", formatted("riata {}", version));
  app.require_subcommand(0, 1);  // run() refuses none: CLI11 would not name an unknown one
  app.footer("Each command has its own help: riata denoise --help");
  const std::vector<Command> commands = add_commands(app, trains_a_denoiser(argc, argv));
  try {
    return run(app, commands, argc, argv);
  } catch (const CLI::ParseError& failure) {
    return fail(app, bad_usage, failure.what());
  } catch (const std::invalid_argument& failure) {
    return fail(app, bad_usage, failure.what());
  } catch (const Interrupted& failure) {
    return fail(app, interrupted_code(), failure.what());
  } catch (const OutOfMemory& failure) {
    return fail(app, world_failed, failure.what());
  } catch (const std::bad_alloc&) {
    return fail(app, world_failed, "out of memory");
  } catch (const std::exception& failure) {
    return fail(app, world_failed, failure.what());
  }
}
