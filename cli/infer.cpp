// riata infer: a trained network and signals in, codes out.
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>

#include "commands.hpp"
#include "inputs.hpp"
#include "interrupt.hpp"
#include "outputs.hpp"
#include "recordings.hpp"
#include "riata/core/check.hpp"
#include "riata/io/model_file.hpp"
#include "riata/networks/network_file.hpp"

namespace riata::cli {
namespace {

struct Infer {
  std::string network, input, output;
  std::optional<Reg> reg;
  std::optional<int> n_layers;
  NetworkGuards guards;
  Execution execution;
  ReadImageOptions image;
  RecordingFlags recording;
  std::vector<const CLI::Option*> picture_flags, recording_flags;
  Talk talk;

  int run();

 private:
  template <Scalar T>
  int infer(const StoredNetwork<T>& stored);
  template <Scalar T>
  int infer_recording(const StoredNetwork<T>& stored);
  void say_open(Index n_open, Index n_signals) const;
};

int Infer::run() {
  require_good_outputs({network, file_of(input)}, {output});
  require_extension(output, {".npy", ".npz"}, "codes");
  guards.validate();
  require(execution.n_threads >= 0, "n_threads = {}, must be >= 0 (0 means all cores)", execution.n_threads);
  return network_is_float32(network) ? infer(load_network<float>(network)) : infer(load_network<double>(network));
}

template <Scalar T>
int Infer::infer(const StoredNetwork<T>& stored) {
  const Network<T>& net = stored.network;
  const Dictionary<T>& D = net.dictionary();
  if (!reg && stored.reg) reg = *stored.reg;
  require(reg.has_value(), "--reg is required: {} was not trained", network);
  const int depth = n_layers.value_or(net.n_layers());
  require(depth >= 1 && depth <= net.n_layers(), "n_layers = {}, must be between 1 and the network's {}", depth, net.n_layers());
  for (const CLI::Option* flag : D.matrix() ? recording_flags : picture_flags)
    require(flag->count() == 0, "{} is for {}", flag->get_name(),
            D.matrix() ? "recordings, and " + network + " holds no patterns"
                       : "pictures, and " + network + " is over patterns of recordings");
  if (!D.matrix()) return infer_recording(stored);
  AnyMatrix signals = read_signals_for(D.signal_size(), precision_of<T>(), network, {input}, {.image = image});
  if (text_of(stored.metadata, "centred") == "true") centre(signals);
  const Matrix<T>& X = signals_that_fit<T>(signals, input, D.signal_size(), network);
  catch_interrupts();
  execution.stop_requested = interrupt_requested;

  const auto start = std::chrono::steady_clock::now();
  const EncodeResult<T> result = net.encode_certified(X, *reg, guards, {.n_layers = depth, .execution = execution});
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const Matrix<T>& codes = result.codes;
  const Vector<double>&objective = result.objective, &gap = result.gap;
  write_codes(output, result);

  const double density = static_cast<double>((codes.array() != T(0)).count()) / static_cast<double>(codes.size());
  const auto n_open = guards.finish ? std::ssize(result.status) - std::ranges::count(result.status, Status::converged) : 0;
  tell(talk,
       {{"output", output},
        {"n_signals", X.cols()},
        {"n_features", X.rows()},
        {"n_atoms", codes.rows()},
        {"dtype", to_string(precision_of<T>())},
        {"kind", net.kind()},
        {"n_layers", depth},
        {"objective", objective.mean()},
        {"gap", gap.maxCoeff()},
        {"n_iter", result.n_iter.maxCoeff()},
        {"density", density},
        {"n_not_converged", guards.finish ? nlohmann::ordered_json(n_open) : nlohmann::ordered_json(nullptr)},
        {"seconds", seconds}},
       formatted("{}: codes of {} signals in {} atoms by {} of {}, {:.1f} % not zero, mean objective {:.6g}, largest gap "
                 "{:.2g}, {:.3f} s",
                 output, X.cols(), codes.rows(), counted(static_cast<std::size_t>(depth), "layer"), net.kind(), 100 * density,
                 objective.mean(), gap.maxCoeff(), seconds));
  say_open(n_open, X.cols());
  return ok;
}

void Infer::say_open(Index n_open, Index n_signals) const {
  if (n_open > 0 && !talk.quiet)
    say(formatted("riata infer: {} of {} signals did not reach finish = {}; their gaps are reported", n_open, n_signals,
                  *guards.finish));
}

/// A network over patterns: activations in a recording of any length.
template <Scalar T>
int Infer::infer_recording(const StoredNetwork<T>& stored) {
  const int depth = n_layers.value_or(stored.network.n_layers());
  catch_interrupts();
  execution.stop_requested = interrupt_requested;
  const RecordingFile<T> file = open_recording_of<T>(patterns_of<T>(stored, network), network, input, recording);
  const auto start = std::chrono::steady_clock::now();
  const Matrix<T> X = all_samples<T>(file, input);
  const auto D =
      dynamic_cast<const ConvolutionalDictionary<T>&>(stored.network.dictionary()).of_length(file.recording->n_times());
  const EncodeResult<T> result =
      stored.network.over(D).encode_certified(X, *reg, guards, {.n_layers = depth, .execution = execution});
  write_activations<T>(output, result.codes, D);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const std::vector<Index> counts = count_activations<T>(result.codes, D);
  const auto n_open = guards.finish ? std::ssize(result.status) - std::ranges::count(result.status, Status::converged) : 0;
  tell(talk,
       {{"output", output},
        {"n_atoms", D.n_atoms()},
        {"n_positions", D.n_positions()},
        {"n_trials", X.cols()},
        {"n_activations", counts},
        {"dtype", to_string(precision_of<T>())},
        {"kind", stored.network.kind()},
        {"n_layers", depth},
        {"objective", result.objective.sum()},
        {"gap", result.gap.maxCoeff()},
        {"n_not_converged", guards.finish ? nlohmann::ordered_json(n_open) : nlohmann::ordered_json(nullptr)},
        {"seconds", seconds}},
       formatted("{}: activations of {} patterns at {} positions by {} of {}, objective {:.6g}, largest gap {:.2g}, {:.3f} s\n"
                 "Activations of each pattern: {}",
                 output, D.n_atoms(), D.n_positions(), counted(static_cast<std::size_t>(depth), "layer"), stored.network.kind(),
                 result.objective.sum(), result.gap.maxCoeff(), seconds, fmt::join(counts, " ")));
  say_open(n_open, X.cols());
  return ok;
}

}  // namespace

Task add_infer(CLI::App& app) {
  const auto command = std::make_shared<Infer>();
  app.add_option("NETWORK", command->network, "What riata train wrote, or riata learn --learn-steps: .safetensors")
      ->type_name("FILE")
      ->required();
  app.add_option(
         "IN", command->input,
         ".npy, .npz, .npz:KEY or .h5:DATASET of shape (n_signals, n_features), or a picture: all its patches; for networks "
         "over patterns a recording (.edf, .bdf, .npy)")
      ->type_name("FILE")
      ->required();
  add_output(
      app, command->output,
      "The codes: .npy, or .npz with codes, objective, gap and n_iter; of recordings .npz is sparse, a row for each pattern");
  add_reg(app, command->reg, "Weight of the penalty, or a fraction of each signal's reg_max: 0.1max; default: that of training");
  app.add_option("--n-layers", command->n_layers, "The first layers alone; default: all");
  app.add_flag("--certify")->description("Objective and duality gap of every code, into .npz and the summary; always done");
  app.add_option("--finish", command->guards.finish,
                 "Signals with a duality gap above this times half their squared norm go on in the certified solver, from the "
                 "network's code");
  app.add_flag("--safeguard", command->guards.safeguard,
               "Run ISTA of as many layers alongside; each signal gets the code of the lower objective");
  command->picture_flags = add_image(app, command->image, "all pages");
  command->recording_flags =
      add_recording_flags(app, command->recording, "Recordings, for networks over patterns, whose channels they are by name");
  add_threads(app, command->execution.n_threads);
  add_talk(app, command->talk);
  app.footer("Example: riata infer net.safetensors X.npy -o Z.npy");
  return [command] { return command->run(); };
}

}  // namespace riata::cli
