// The subcommands. Each adds its options to `app` and returns what runs it once they are parsed; the value is
// the exit code. Errors are exceptions: main() turns them into one sentence and a code.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>

namespace riata::cli {

/// And interrupted_code().
enum ExitCode { ok = 0, world_failed = 1, bad_usage = 2 };

using Task = std::function<int()>;

Task add_denoise(CLI::App& app);
Task add_learn(CLI::App& app);
Task add_encode(CLI::App& app);
Task add_train(CLI::App& app);
Task add_train_denoiser(CLI::App& app);  ///< in its place, of --kind conv-denoise
Task add_infer(CLI::App& app);
Task add_info(CLI::App& app);

}  // namespace riata::cli
