// riata learn: signals or pictures in, a dictionary out; of recordings see learn_recording.cpp.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>

#include "commands.hpp"
#include "hdf5.hpp"
#include "inputs.hpp"
#include "interrupt.hpp"
#include "kernels.hpp"
#include "outputs.hpp"
#include "progress.hpp"
#include "recordings.hpp"
#include "riata/core/check.hpp"
#include "riata/core/error.hpp"
#include "riata/learning/learn_dictionary.hpp"
#include "riata/learning/model.hpp"
#include "riata/learning/recovery.hpp"
#include "riata/learning/sampler.hpp"
#include "riata/version.hpp"

namespace riata::cli {
namespace {

template <Scalar T>
using Source = std::shared_ptr<SignalSource<T>>;

struct Learn {
  std::vector<std::string> inputs;
  std::string output, init = "data", reference, trace, mask, groups;
  std::optional<Index> n_atoms;
  std::optional<Reg> reg;
  std::optional<std::string> dtype;
  LearnOptions options;
  bool centre = false;
  PatchOptions patches{.patch = PatchSamplerOptions{}.patch, .max_patches = PatchSamplerOptions{}.n_patches};
  Talk talk;

  // Of recordings alone.
  RecordingFlags recording;
  std::string duration;
  PatternOptions patterns;
  bool rank_one = false, any_rank = false, any_sign = false;

  // What was given tells what is learned: flags of one kind, of the other, and of both.
  std::vector<const CLI::Option*> signal_flags, recording_flags, run_flags;

  int run();

 private:
  bool is_of_recording() const;
  int learn_recording();
  bool has_pictures() const { return !is_array_name(inputs.front()); }
  bool is_stream() const;
  bool init_is_file() const { return is_array_name(init) || init.ends_with(".safetensors"); }
  void check();
  template <Scalar T>
  int learn_stream(const Source<T>& X);
  /// `n` signals of `width` features: a Matrix<T>, or a Source<T>.
  template <Scalar T, class Signals>
  int learn(const Signals& X, Index width, Index n);
  template <Scalar T>
  LearnResult<T> fit(const Matrix<T>& X);
  template <Scalar T>
  LearnResult<T> fit(const Source<T>& X);
  template <Scalar T, class Signals>
  LearnResult<T> fit(const Signals& X, const Matrix<T>* atoms);
  template <Scalar T>
  void save(const LearnResult<T>& result, Index n_signals) const;

  std::optional<AnyMatrix> init_atoms_, reference_atoms_;
};

/// All that can be refused before the signals are read.
void Learn::check() {
  patches.seed = options.seed;
  if (!groups.empty()) options.penalty.groups = read_labels(groups);
  options.validate();
  require(reg || parts_of(options.method).codes == CodesBy::pursuit, "--reg is required");
  std::vector<std::string> files;
  for (const std::string& input : inputs) files.push_back(file_of(input));
  if (init_is_file()) files.push_back(file_of(init));
  files.push_back(file_of(reference));
  if (!groups.empty()) files.push_back(file_of(groups));
  if (!mask.empty()) files.push_back(file_of(mask));
  require(mask.empty() || !has_pictures(), "--mask is for arrays, and {} is a picture", inputs.front());
  require_good_outputs(files, {output, options.checkpoint, trace});
  require_extension(output, {".safetensors"}, "models");
  if (options.resume || options.resume_inexact) take_up_blas_kernels(options.checkpoint);
  if (init_is_file()) {
    init_atoms_ = read_dictionary(init).atoms;
    const Index n_init = std::visit([](const auto& D) { return D.cols(); }, *init_atoms_);
    require(n_atoms.value_or(n_init) == n_init, "--n-atoms {} but {} holds {} atoms; they must be equal", n_atoms.value_or(0),
            init, n_init);
  } else {
    options.init = parse<Init>(init, "init");
    require(n_atoms.has_value(), "--n-atoms is required unless --init names a file");
  }
  if (!reference.empty()) reference_atoms_ = read_dictionary(reference).atoms;
}

Precision precision_of_input(const std::string& name) {
  if (is_hdf5_name(name)) return precision_of_hdf5(name);
  return is_float32_npy(name) ? Precision::float32 : Precision::float64;
}

/// .npy files and datasets, one after another.
template <Scalar T>
Source<T> source_of(const std::vector<std::string>& names) {
  if (std::ranges::none_of(names, is_hdf5_name))
    return std::make_shared<NpyShards<T>>(std::vector<std::filesystem::path>(names.begin(), names.end()));
  std::vector<Source<T>> sources;
  for (const std::string& name : names) {
    require(precision_of_input(name) == precision_of<T>(), "{} is {} but {} is {}; they must be equal", name,
            to_string(precision_of_input(name)), names.front(), to_string(precision_of<T>()));
    sources.push_back(is_hdf5_name(name) ? hdf5_signals<T>(name) : source_of<T>({name}));
  }
  return sources.size() == 1 ? sources.front() : std::make_shared<JoinedSignals<T>>(std::move(sources));
}

/// Are batches read from the files when they are due?
bool Learn::is_stream() const {
  const BatchesOf batches = parts_of(options.method).batches;
  const bool by_batches = batches == BatchesOf::some || (batches == BatchesOf::all_unless_asked && options.batch_size);
  const auto is_read_in_pieces = [](const std::string& name) {
    return is_hdf5_name(name) || (name.ends_with(".npy") && has_rows_in_order(name));
  };
  return by_batches && mask.empty() && !dtype && std::ranges::all_of(inputs, is_read_in_pieces);
}

const CLI::Option* first_given(const std::vector<const CLI::Option*>& flags) {
  const auto found = std::ranges::find_if(flags, [](const CLI::Option* flag) { return flag->count() > 0; });
  return found == flags.end() ? nullptr : *found;
}

bool Learn::is_of_recording() const {
  if (!duration.empty() || std::ranges::any_of(inputs, is_edf_name)) return true;
  const CLI::Option* const given = first_given(recording_flags);
  require(given == nullptr, "{} is for recordings: .edf, .bdf, or .npy with --duration", given ? given->get_name() : "");
  return false;
}

/// Options without a flag on the command line become as `standard` has them.
void take_defaults(LearnOptions& options, LearnOptions standard, const std::set<std::string>& given) {
  std::vector<const void*> values;
  for_each_option(standard, [&](const auto&, const auto& value) { values.push_back(&value); });
  std::size_t i = 0;
  for_each_option(options, [&]<class V>(const auto& row, V& value) {
    if (const void* const other = values[i++]; !given.contains(flag_of(row.name))) value = *static_cast<const V*>(other);
  });
}

int Learn::learn_recording() {
  require(inputs.size() == 1, "recordings are learned from one at a time, and there are {}", inputs.size());
  const CLI::Option* const of_signals_alone = first_given(signal_flags);
  require(of_signals_alone == nullptr, "{} is for signals and pictures, not for recordings",
          of_signals_alone ? of_signals_alone->get_name() : "");
  require(!init_is_file(), "--init {}, but patterns of recordings begin with 'data' or 'random'", shown(init));
  std::set<std::string> given;
  for (const CLI::Option* flag : run_flags)
    if (flag->count() > 0) given.insert(flag->get_name());
  take_defaults(options, PatternOptions{}.learn, given);
  require(!any_sign || !given.contains("--positive"), "--positive and --no-positive exclude each other");
  require(!any_rank || !rank_one, "--rank1 and --no-rank1 exclude each other");
  if (any_sign) options.penalty.positive = false;
  if (any_rank) patterns.rank_one = false;
  options.init = parse<Init>(init, "init");
  patterns.learn = options;
  return LearnRecording{.input = inputs.front(),
                        .output = output,
                        .trace = trace,
                        .flags = recording,
                        .duration = duration,
                        .n_atoms = n_atoms,
                        .reg = reg,
                        .precision = dtype ? std::optional(parse_precision(*dtype)) : std::nullopt,
                        .options = patterns,
                        .talk = talk}
      .run();
}

int Learn::run() {
  if (is_of_recording()) return learn_recording();
  check();
  if (is_stream()) {
    options.centre = centre;
    catch_interrupts();
    return precision_of_input(inputs.front()) == Precision::float32 ? learn_stream(source_of<float>(inputs))
                                                                    : learn_stream(source_of<double>(inputs));
  }
  if (!mask.empty()) patches.entries = Entries::any;
  AnyMatrix signals = read_signals(inputs, patches);
  if (dtype) signals = converted(std::move(signals), parse_precision(*dtype));
  options.centre = centre;  // with a mask by what was seen
  catch_interrupts();
  return std::visit([this]<class T>(const Matrix<T>& X) { return learn<T>(X, X.rows(), X.cols()); }, signals);
}

template <Scalar T, class Signals>
LearnResult<T> Learn::fit(const Signals& X, const Matrix<T>* atoms) {
  Progress progress(!talk.quiet, options.max_iter);
  options.execution.stop_requested = interrupt_requested;
  const auto watch = [&](const IterationInfo& info) {
    progress.show(info);
    return interrupt_requested() ? Action::stop : Action::keep_going;
  };
  if (atoms != nullptr) return learn_dictionary<T>(X, *atoms, reg, options, watch);
  return learn_dictionary<T>(X, *n_atoms, reg, options, watch);
}

template <Scalar T>
LearnResult<T> Learn::fit(const Matrix<T>& X) {
  const Matrix<T> weights = mask.empty() ? Matrix<T>() : read_mask<T>(mask);
  return fit<T>(mask.empty() ? Batch<T>(X) : Batch<T>(X, weights),
                init_atoms_ ? &in_precision_of_signals<T>(*init_atoms_, init) : nullptr);
}
template <Scalar T>
LearnResult<T> Learn::fit(const Source<T>& X) {
  return fit<T>(X, init_atoms_ ? &in_precision_of_signals<T>(*init_atoms_, init) : nullptr);
}

/// The metadata hold no times: the same run gives the same file.
template <Scalar T>
void Learn::save(const LearnResult<T>& result, Index n_signals) const {
  Metadata metadata{{"riata_version", version},
                    {"method", to_string(options.method)},
                    {"centred", centre ? "true" : "false"},
                    {"positive", options.penalty.positive ? "true" : "false"},
                    {"seed", formatted("{}", options.seed)},
                    {"n_signals", formatted("{}", n_signals)},
                    {"n_iter", formatted("{}", result.history.value.size())},
                    {"value", formatted("{}", last_value(result.history, result.initial_value))},
                    {"status", to_string(result.status)}};
  if (result.n_nonzero)
    metadata["n_nonzero"] = formatted("{}", *result.n_nonzero);
  else
    metadata[result.has_hard_threshold ? "hard_threshold" : "reg"] = formatted("{}", result.reg);
  if (result.algorithm) {
    metadata["n_layers"] = formatted("{}", options.n_layers);
    metadata["algorithm"] = to_string(*result.algorithm);
    metadata["loss"] = to_string(loss_of(options));
  }
  if (parts_of(options.method).moves == MovesBy::adam) metadata["threshold"] = to_string(options.threshold);
  if (options.step) metadata["step"] = formatted("{}", *options.step);
  if (options.backprop) metadata["backprop"] = formatted("{}", *options.backprop);
  if (has_pictures()) metadata["patch"] = formatted("{}", patches.patch);
  save_model<T>(output, {.dictionary = result.dictionary,
                         .steps = options.learn_steps ? result.steps : std::vector<double>{},
                         .metadata = std::move(metadata),
                         .penalty = options.penalty});
}

template <Scalar T>
int Learn::learn_stream(const Source<T>& X) {
  return learn<T>(X, X->n_features(), X->n_signals());
}

template <Scalar T, class Signals>
int Learn::learn(const Signals& X, Index width, Index n) {
  if (reference_atoms_) {
    const Index of_reference = in_precision_of_signals<T>(*reference_atoms_, reference).rows();
    require(of_reference == width, "{} has {} features but the signals have {}; they must be equal", reference, of_reference,
            width);
  }
  const auto start = std::chrono::steady_clock::now();
  const LearnResult<T> result = fit<T>(X);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const bool is_stopped = result.status == Status::interrupted;
  if (is_stopped && result.history.value.empty()) throw Interrupted();
  save(result, n);
  if (!trace.empty()) write_trace(trace, result.history);

  nlohmann::ordered_json score = nullptr;
  if (reference_atoms_) score = recovery_score<T>(result.dictionary, std::get<Matrix<T>>(*reference_atoms_));
  std::string summary = formatted(
      "{}: {} atoms of {} features from {} signals, objective {:.6g} (at the start {:.6g}), {}, "
      "{}, {:.1f} s",
      output, result.dictionary.cols(), width, n, last_value(result.history, result.initial_value), result.initial_value,
      counted(result.history.value.size(), "iteration"), to_string(result.status), seconds);
  if (reference_atoms_) summary += formatted(", recovery score {:.4f}", score.get<double>());
  tell(talk,
       {{"output", output},
        {"n_atoms", result.dictionary.cols()},
        {"n_features", width},
        {"n_signals", n},
        {"dtype", to_string(precision_of<T>())},
        {"method", to_string(options.method)},
        {"n_layers", options.n_layers},
        {"reg", std::isnan(result.reg) ? nlohmann::ordered_json() : nlohmann::ordered_json(result.reg)},
        {"n_iter", result.history.value.size()},
        {"initial_value", result.initial_value},
        {"value", last_value(result.history, result.initial_value)},
        {"n_replaced", result.n_replaced},
        {"recovery_score", score},
        {"seconds", seconds},
        {"status", to_string(result.status)}},
       summary);
  if (!is_stopped) return ok;
  say(formatted("riata learn: interrupted after {}; the best model so far is in {}{}",
                counted(result.history.value.size(), "iteration"), output,
                options.checkpoint.empty() ? "" : " (--resume continues)"));
  return interrupted_code();
}

void add_model_options(CLI::App& app, Learn& command) {
  app.add_option("--n-atoms", command.n_atoms, "Atoms of the dictionary");
  add_reg(app, command.reg,
          "Weight of the penalty, or a fraction of the signals' reg_max, its 0.99 quantile: 0.1max; methods on --n-nonzero atoms "
          "take none");
  app.add_option("--init", command.init, "data, random, dct, or a file: .npy, .npz or a model")
      ->type_name("data|random|dct|FILE")
      ->capture_default_str();
}

void add_signal_options(CLI::App& app, Learn& command) {
  const auto of_signals_alone = [&](const CLI::Option* flag) { command.signal_flags.push_back(flag); };
  of_signals_alone(app.add_flag("--centre", command.centre, "Subtract each signal's mean first"));
  of_signals_alone(app.add_option("--mask", command.mask,
                                  "What was seen of the signals: zeros and ones (or weights between) of their shape, .npy or "
                                  ".npz:KEY")
                       ->type_name("FILE"));
  of_signals_alone(
      app.add_option("--patch", command.patches.patch, "Pictures: side of the square patches")->capture_default_str());
  of_signals_alone(
      app.add_option("--max-patches", command.patches.max_patches, "Pictures: patches drawn at random; all if there are fewer")
          ->default_str(formatted("{}", *command.patches.max_patches)));
  add_image(app, command.patches.image, "all pages");
  for (const char* flag : {"--page", "--max-pixels"}) of_signals_alone(app.get_option(flag));
  app.add_option("--dtype", command.dtype,
                 "Precision; default: that of the arrays, float32 for pictures, float64 for recordings in .edf and .bdf")
      ->type_name("float32|float64");
  of_signals_alone(app.add_option("--reference", command.reference, "A dictionary to compare with: reports recovery_score")
                       ->type_name("FILE"));
}

void add_run_options(CLI::App& app, Learn& command) {
  LearnOptions& options = command.options;
  const std::set<std::string> not_of_patterns{"--penalty", "--l1-ratio", "--constraint", "--learn-steps"};
  add_options(app, options, [&](const CLI::Option* flag) {
    command.run_flags.push_back(flag);
    if (not_of_patterns.contains(flag->get_name())) command.signal_flags.push_back(flag);
  });
  command.signal_flags.push_back(add_groups(app, command.groups));
  add_threads(app, options.execution.n_threads);
  app.add_option("--trace", command.trace, "iteration,phase,value,step,seconds as .csv")->type_name("FILE");
  add_talk(app, command.talk);
}

void add_pattern_options(CLI::App& app, Learn& command) {
  const LearnOptions standard = PatternOptions{}.learn;
  const std::string group = "Recordings: .edf, .bdf, or .npy of shape ([n_trials, ]n_channels, n_times) with --duration";
  std::vector<const CLI::Option*>& flags = command.recording_flags;
  app.add_option(
         "--duration", command.duration,
         formatted("Of the patterns that occur in them: 1s, 250ms, or a number of samples. By default --method {} --n-layers {} "
                   "--batch-size 10 --positive --reg 0.1max",
                   to_string(standard.method), standard.n_layers))
      ->type_name("TIME")
      ->group(group);
  flags = add_recording_flags(app, command.recording, group);
  const auto flag = [&](const char* name, bool& target, const char* help) {
    flags.push_back(app.add_flag(name, target, help)->group(group));
  };
  flag("--rank1", command.rank_one, "Patterns are one over channels times one in time; the default");
  flag("--no-rank1", command.any_rank, "Patterns are any");
  for_each_option(command.patterns, [&]<class V>(const auto& row, V& value) {
    const std::string_view name = row.name;
    if constexpr (std::same_as<V, bool>) {
      if (name == "window") flag("--window", value, row.words);
    } else if constexpr (std::same_as<V, std::optional<Index>>) {
      if (name == "n_times_window") flags.push_back(app.add_option("--n-times-window", value, row.words)->group(group));
    }
  });
  flag("--no-positive", command.any_sign, "Activations may have either sign");
}

}  // namespace

Task add_learn(CLI::App& app) {
  const auto command = std::make_shared<Learn>();
  app.add_option("IN", command->inputs,
                 ".npy, .npz, .npz:KEY or .h5:DATASET of shape (n_signals, n_features), or pictures: their patches, in "
                 "8-bit grey levels; or a recording (.edf, .bdf, .npy)")
      ->type_name("FILE")
      ->required();
  add_output(app, command->output, "The model: .safetensors");
  add_model_options(app, *command);
  add_signal_options(app, *command);
  add_run_options(app, *command);
  add_pattern_options(app, *command);
  app.footer(
      "Example: riata learn signals.npy -o model.safetensors --n-atoms 100 --reg 0.1max\n"
      "Example: riata learn night.edf -o patterns.safetensors --n-atoms 40 --duration 1s");
  return [command] { return command->run(); };
}

}  // namespace riata::cli
