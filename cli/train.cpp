// riata train: a dictionary and signals in, a network out that codes such signals in a few layers.
#include "riata/learning/train.hpp"

#include <fmt/ranges.h>

#include <chrono>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>

#include "commands.hpp"
#include "inputs.hpp"
#include "interrupt.hpp"
#include "kernels.hpp"
#include "outputs.hpp"
#include "progress.hpp"
#include "recordings.hpp"
#include "riata/core/check.hpp"
#include "riata/core/error.hpp"
#include "riata/networks/network_file.hpp"
#include "riata/solvers/certificate.hpp"
#include "riata/version.hpp"

namespace riata::cli {
namespace {

struct Train {
  std::string kind, dictionary, groups, init, targets, output, trace;
  std::vector<std::string> data;
  std::vector<double> selection;
  std::optional<int> n_layers;
  std::optional<Reg> reg;
  NetworkOptions network;
  TrainingOptions options;
  PatchOptions patches;
  RecordingFlags recording;
  std::optional<Index> n_times_window;
  bool centre = false;
  std::vector<const CLI::Option*> shape;                          // the options that a network to start from has settled
  std::vector<const CLI::Option*> signal_flags, recording_flags;  // of signals alone, and of recordings
  Talk talk;

  int run();

 private:
  bool init_is_network() const { return init.ends_with(".safetensors"); }
  const std::string& atoms_name() const { return init_is_network() ? init : dictionary; }
  void check();
  void adopt(const Metadata& metadata);
  void adopt(const PenaltyOptions& penalty);
  template <Scalar T>
  StoredNetwork<T> fresh(const Matrix<T>& atoms) const;
  template <Scalar T>
  StoredNetwork<T> fresh(const PatternModel<T>& patterns);
  void require_flags(bool is_of_recordings) const;
  template <Scalar T>
  Matrix<T> read_windows(StoredNetwork<T>& stored) const;
  template <Scalar T>
  int train(StoredNetwork<T> stored);
  template <Scalar T>
  int write_start(StoredNetwork<T> stored) const;
  template <Scalar T>
  void save(const StoredNetwork<T>& stored) const;
};

/// All that can be refused before files are read.
void Train::check() {
  patches.seed = options.seed;
  if (options.max_iter != 0) options.validate();
  std::vector<std::string> files = {file_of(dictionary), file_of(groups), file_of(init), file_of(targets)};
  for (const std::string& name : data) files.push_back(file_of(name));
  require_good_outputs(files, {output, options.checkpoint, trace});
  require_extension(output, {".safetensors", ".npz"}, "networks");
  if (options.resume || options.resume_inexact) take_up_blas_kernels(options.checkpoint);
  require(init.empty() || init_is_network() || init.ends_with(".npz"),
          "{} is neither a network (.safetensors) nor its arrays (.npz)", init);
  if (init_is_network()) {
    for (const CLI::Option* option : shape)
      require(option->count() == 0, "{} is that of {}; leave it out", option->get_name(), init);
  } else {
    require(!kind.empty(), "--kind is required unless --init names a network");
    require(n_layers.has_value(), "--n-layers is required unless --init names a network");
    require(!dictionary.empty(), "--dictionary is required unless --init names a network");
  }
  require(options.max_iter != 0 || data.empty(),
          "--max-iter 0 writes the network where it starts and reads no data; leave out --data");
  require(options.max_iter == 0 || !data.empty(), "--data is required");
}

/// What the dictionary was learned with, or the network trained, holds where the command line says nothing.
void Train::adopt(const Metadata& metadata) {
  const auto value = [&](const char* key) { return metadata.contains(key) ? metadata.at(key) : ""; };
  if (!reg && !value("reg").empty()) reg = Reg::parse(value("reg"));
  require(reg || options.max_iter == 0, "--reg is required: {} does not say with which weight it was learned", atoms_name());
  if (value("centred") == "true") centre = true;
}

/// Networks are trained for l1, or for groups by kinds that take them.
void Train::adopt(const PenaltyOptions& penalty) {
  const bool serves = penalty.kind == PenaltyKind::l1 || (penalty.kind == PenaltyKind::group && !penalty.positive);
  require(serves && penalty.weights.empty(),
          "{} was learned with {}, and networks are trained for plain l1 or for groups; expected its atoms alone, as .npy",
          dictionary,
          !penalty.weights.empty() ? "weights"
          : penalty.positive       ? "positive codes of groups"
                                   : formatted("penalty = '{}'", to_string(penalty.kind)));
  network.positive = network.positive || penalty.positive;
  if (network.groups.empty()) network.groups = penalty.groups;
}

int Train::run() {
  check();
  if (!init_is_network()) {
    if (!groups.empty()) network.groups = read_labels(groups);
    if (!selection.empty()) network.support_selection = SupportSelection{.p = selection[0], .p_max = selection[1]};
    if (dictionary.ends_with(".safetensors") && holds_patterns(dictionary))
      return patterns_are_float32(dictionary) ? train(fresh(load_patterns<float>(dictionary)))
                                              : train(fresh(load_patterns<double>(dictionary)));
    const LoadedDictionary loaded = read_dictionary(dictionary);
    adopt(loaded.metadata);
    adopt(loaded.penalty);
    return std::visit([&](const auto& atoms) { return train(fresh(atoms)); }, loaded.atoms);
  }
  const auto go_on = [&]<class T>(T) {
    StoredNetwork<T> stored = load_network<T>(init);
    if (!reg && stored.reg) reg = Reg(*stored.reg);
    adopt(stored.metadata);
    return train(std::move(stored));
  };
  return network_is_float32(init) ? go_on(float{}) : go_on(double{});
}

template <Scalar T>
StoredNetwork<T> Train::fresh(const Matrix<T>& atoms) const {
  StoredNetwork<T> stored{.network = Network<T>(kind, DenseDictionary<T>(atoms), *n_layers, network)};
  if (!init.empty()) import_parameters<T>(init, stored.network);
  return stored;
}

/// Patterns of recordings: a convolution, whose windows are as long as asked for, or ten patterns.
template <Scalar T>
StoredNetwork<T> Train::fresh(const PatternModel<T>& patterns) {
  if (!reg && patterns.reg) reg = Reg(*patterns.reg);
  require(reg || options.max_iter == 0, "--reg is required: {} does not say with which weight it was learned", dictionary);
  network.positive = network.positive || patterns.positive;
  const Index window = n_times_window.value_or(10 * patterns.n_times_atom());
  require(
      find_network_kind<T>(kind).traits.any_length,
      "--kind {} takes no patterns, whose recordings have any length; choose coupled, tied, alista, step, fista or first_step",
      kind);
  require(window <= Index{1} << 31, "--n-times-window {} is more than 2147483648 samples", window);
  require(window >= patterns.n_times_atom(), "--n-times-window {} is shorter than the patterns of {}, which have {} samples",
          window, dictionary, patterns.n_times_atom());
  StoredNetwork<T> stored{.network = Network<T>(kind, patterns.dictionary(window), *n_layers, network)};
  for (const auto& [key, value] : patterns.to_text())
    if (key == "rate" || key == "channel_names" || key == "unit") stored.metadata[key] = value;
  if (!init.empty()) import_parameters<T>(init, stored.network);
  return stored;
}

void Train::require_flags(bool is_of_recordings) const {
  for (const CLI::Option* flag : is_of_recordings ? signal_flags : recording_flags)
    require(flag->count() == 0, "{} is {}", flag->get_name(),
            is_of_recordings ? "for signals and pictures, and " + atoms_name() + " holds patterns of recordings"
                             : "for recordings, and " + atoms_name() + " holds no patterns");
}

/// The windows of all recordings, for which the network then is.
template <Scalar T>
Matrix<T> Train::read_windows(StoredNetwork<T>& stored) const {
  require(targets.empty(), "--targets are codes of signals, and {} holds patterns of recordings; leave it out", atoms_name());
  const PatternModel<T> patterns = patterns_of<T>(stored, atoms_name());
  std::vector<RecordingFile<T>> files;
  Index window = n_times_window.value_or(10 * patterns.n_times_atom());
  require(window >= patterns.n_times_atom(), "--n-times-window {} is shorter than the patterns of {}, which have {} samples",
          window, atoms_name(), patterns.n_times_atom());
  for (const std::string& name : data) {
    files.push_back(open_recording_of<T>(patterns, atoms_name(), name, recording));
    if (!n_times_window) window = std::min(window, files.back().recording->n_times());
  }
  std::vector<Matrix<T>> parts;
  Index n_windows = 0;
  for (std::size_t i = 0; i < files.size(); ++i) {
    parts.push_back(all_windows<T>(files[i], data[i], window));
    n_windows += parts.back().cols();
  }
  stored.network =
      stored.network.over(dynamic_cast<const ConvolutionalDictionary<T>&>(stored.network.dictionary()).of_length(window));
  if (parts.size() == 1) return std::move(parts.front());
  Matrix<T> X(parts.front().rows(), n_windows);
  n_windows = 0;
  for (const Matrix<T>& part : parts) {
    X.middleCols(n_windows, part.cols()) = part;
    n_windows += part.cols();
  }
  return X;
}

/// "24 atoms of 64 features", "5 patterns of 64 samples in 2 channels".
template <Scalar T>
std::string size_of(const Dictionary<T>& D) {
  if (const auto* convolution = dynamic_cast<const ConvolutionalDictionary<T>*>(&D))
    return formatted("{} patterns of {} samples in {} channels", D.n_atoms(), convolution->atom_times(),
                     convolution->shape().n_channels);
  return formatted("{} atoms of {} features", D.code_size(), D.signal_size());
}

template <Scalar T>
void Train::save(const StoredNetwork<T>& stored) const {
  if (output.ends_with(".npz")) return export_parameters<T>(output, stored.network);
  save_network<T>(output, stored);
}

/// No training: from arrays to a network, or from a network to arrays.
template <Scalar T>
int Train::write_start(StoredNetwork<T> stored) const {
  if (reg) {
    const auto* number = std::get_if<double>(&reg->value());
    require(number != nullptr, "--max-iter 0 reads no signals, so --reg must be a number");
    stored.reg = *number;
  }
  if (centre) stored.metadata["centred"] = "true";
  save(stored);
  const Network<T>& net = stored.network;
  tell(talk,
       {{"output", output},
        {"kind", net.kind()},
        {"n_layers", net.n_layers()},
        {"n_atoms", net.dictionary().n_atoms()},
        {"n_features", net.dictionary().signal_size()},
        {"dtype", to_string(precision_of<T>())},
        {"n_iter", 0}},
       formatted("{}: {}, {}, for {}, not trained", output, net.kind(),
                 counted(static_cast<std::size_t>(net.n_layers()), "layer"), size_of(net.dictionary())));
  return ok;
}

template <Scalar T>
int Train::train(StoredNetwork<T> stored) {
  const bool is_of_recordings = !stored.network.dictionary().matrix();
  require_flags(is_of_recordings);
  if (options.max_iter == 0) return write_start(std::move(stored));
  Network<T>& net = stored.network;
  AnyMatrix signals;
  if (is_of_recordings)
    signals = read_windows(stored);
  else
    signals = read_signals_for(net.dictionary().signal_size(), precision_of<T>(), atoms_name(), data, patches);
  if (centre) cli::centre(signals);
  const Matrix<T>& X = signals_that_fit<T>(signals, data.front(), net.dictionary().signal_size(), atoms_name());
  std::optional<AnyMatrix> wanted;
  if (!targets.empty()) wanted = read_matrix(targets, of_codes);

  catch_interrupts();
  options.execution.stop_requested = interrupt_requested;
  stored.reg = resolve_run_reg<T>(*reg, X, net.dictionary(), net.penalty(), options.seed, options.execution);
  // No times: the same run gives the same file. The last three are known when training ends.
  const auto note = [&stored](const Metadata& record) {
    for (const auto& [key, value] : record) stored.metadata[key] = value;
  };
  note({{"riata_version", version},
        {"loss", to_string(options.loss)},
        {"mode", to_string(options.mode)},
        {"optimizer", to_string(options.optimizer)},
        {"centred", centre ? "true" : "false"},
        {"seed", formatted("{}", options.seed)},
        {"n_signals", formatted("{}", X.cols())},
        {"status", to_string(Status::interrupted)}});
  for (const char* key : {"n_iter", "value", "iterations", "final_value"}) stored.metadata.erase(key);
  TrainingInfo last;
  last.ista = std::numeric_limits<double>::quiet_NaN();
  const auto start = std::chrono::steady_clock::now();
  const TrainingResult result = [&] {
    Progress progress(!talk.quiet, options.max_iter);
    try {
      return riata::train<T>(net, X, *stored.reg, options,
                             wanted ? OptionalMatrixRef<T>(in_precision_of_signals<T>(*wanted, targets)) : std::nullopt,
                             [&](const TrainingInfo& info) {
                               progress.show(last = info);
                               return interrupt_requested() ? Action::stop : Action::keep_going;
                             });
    } catch (const Error&) {  // a checkpoint that cannot be written; the network has its steps
      if (last.iteration > 0) save(stored);
      throw;
    }
  }();
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const bool is_stopped = result.status == Status::interrupted;
  const std::size_t n_steps = result.history.value.size();
  if (is_stopped && n_steps == 0) throw Interrupted();

  note({{"n_iter", formatted("{}", n_steps)}, {"value", formatted("{}", result.value)}, {"status", to_string(result.status)}});
  save(stored);
  if (!trace.empty()) write_trace(trace, result.history);

  const bool is_whole = last.n_layers == net.n_layers();  // ISTA's loss is that of as many layers
  const double ista = is_whole ? last.ista : std::numeric_limits<double>::quiet_NaN();
  const auto beside = [](const char* what, double value) {
    return std::isnan(value) ? "" : formatted(", {} {:.6g}", what, value);
  };
  tell(talk,
       {{"output", output},
        {"kind", net.kind()},
        {"n_layers", net.n_layers()},
        {"n_atoms", net.dictionary().n_atoms()},
        {"n_features", X.rows()},
        {"n_signals", X.cols()},
        {"dtype", to_string(precision_of<T>())},
        {"loss", to_string(options.loss)},
        {"mode", to_string(options.mode)},
        {"optimizer", to_string(options.optimizer)},
        {"reg", result.reg},
        {"n_iter", n_steps},
        {"initial_value", result.initial_value},
        {"value", result.value},
        {"ista", ista},
        {"optimum", last.optimum},
        {"seconds", seconds},
        {"status", to_string(result.status)}},
       formatted("{}: {}, {}, for {} from {} {}, loss {:.6g} (at the start {:.6g}{}{}), {}, {}, {:.1f} s", output, net.kind(),
                 counted(static_cast<std::size_t>(net.n_layers()), "layer"), size_of(net.dictionary()), X.cols(),
                 is_of_recordings ? formatted("windows of {} samples", X.rows() / patterns_of<T>(stored, output).n_channels)
                                  : "signals",
                 result.value, result.initial_value, beside("ISTA", ista), beside("optimum", last.optimum),
                 counted(n_steps, "step"), to_string(result.status), seconds));
  if (!is_stopped) return ok;
  say(formatted("riata train: interrupted after {}; the network so far is in {}{}", counted(n_steps, "step"), output,
                options.checkpoint.empty() ? "" : " (--resume continues)"));
  return interrupted_code();
}

void add_network_options(CLI::App& app, Train& command) {
  const auto settled = [&command](CLI::Option* option) {
    command.shape.push_back(option);
    return option;
  };
  settled(app.add_option("--kind", command.kind,
                         "What the layers are; conv-denoise, which cleans pictures, has options of its own: riata train --kind "
                         "conv-denoise --help"))
      ->type_name(formatted("{}|conv-denoise", fmt::join(network_kinds<double>(), "|")));
  settled(app.add_option("--n-layers", command.n_layers, "Layers N"));
  settled(app.add_option("--dictionary", command.dictionary,
                         "A model or patterns (.safetensors) or an array (n_atoms, n_features): .npy, .npz"))
      ->type_name("FILE");
  add_options(app, command.network, settled);
  settled(app.add_option(
              "--groups", command.groups,
              "For group: integers >= 0 of shape (n_atoms,); atoms with equal numbers are a group. .npy, .npz or .npz:KEY"))
      ->type_name("FILE");
  settled(app.add_option("--support-selection", command.selection,
                         "Layer t = 0, 1, ... leaves the largest min((t + 1) P, P_MAX) % unshrunk: coupled, tied and alista"))
      ->expected(2)
      ->type_name("P P_MAX");
  app.add_option("--init", command.init,
                 "Where to start: a network (.safetensors; also of learned steps), which brings dictionary, kind and layers, or "
                 "arrays of one trained elsewhere (.npz), named as riata info names them")
      ->type_name("FILE");
}

void add_training_options(CLI::App& app, Train& command) {
  TrainingOptions& options = command.options;
  add_options(app, options);
  app.add_option("--targets", command.targets, "The codes wanted, for supervised: (n_signals, n_atoms)")->type_name("FILE");
  add_threads(app, options.execution.n_threads);
  app.add_option("--trace", command.trace, "iteration,phase,value,step,seconds as .csv")->type_name("FILE");
  add_talk(app, command.talk);
}

}  // namespace

Task add_train(CLI::App& app) {
  const auto command = std::make_shared<Train>();
  app.add_option("--data", command->data,
                 ".npy, .npz or .npz:KEY of shape (n_signals, n_features), or pictures: their patches, in 8-bit grey levels; for "
                 "patterns recordings (.edf, .bdf, .npy)")
      ->type_name("FILE");
  add_output(app, command->output, "The network: .safetensors; or its parameters alone: .npz");
  add_network_options(app, *command);
  add_reg(app, command->reg,
          "Weight of the penalty, or a fraction of the signals' reg_max, its 0.99 quantile: 0.1max; default: the model's or the "
          "network's");
  command->signal_flags = {
      app.add_flag("--centre", command->centre, "Subtract each signal's mean first (also if the model was learned so)"),
      app.add_option("--max-patches", command->patches.max_patches, "Pictures: patches drawn at random; default: all")};
  for (const CLI::Option* flag : add_image(app, command->patches.image, "all pages")) command->signal_flags.push_back(flag);
  const char* group = "Recordings, for patterns that riata learn wrote";
  command->recording_flags = add_recording_flags(app, command->recording, group);
  command->recording_flags.push_back(
      app.add_option(
             "--n-times-window", command->n_times_window,
             "Samples of the windows that recordings are cut into; default: ten patterns, or a trial where that is shorter")
          ->check(CLI::PositiveNumber)
          ->group(group));
  add_training_options(app, *command);
  app.footer("Example: riata train --kind step --n-layers 20 --reg 0.5max --dictionary D.npy --data X.npy -o net.safetensors");
  return [command] { return command->run(); };
}

}  // namespace riata::cli
