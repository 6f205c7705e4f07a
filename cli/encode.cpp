// riata encode: a dictionary and signals in, sparse codes out, each with its certificate; of recordings see encode_recording.cpp.
#include "riata/solvers/encode.hpp"

#include <charconv>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <utility>

#include "commands.hpp"
#include "inputs.hpp"
#include "interrupt.hpp"
#include "outputs.hpp"
#include "recordings.hpp"
#include "riata/core/check.hpp"
#include "riata/io/model_file.hpp"
#include "riata/learning/pattern_model.hpp"
#include "riata/linalg/norms.hpp"
#include "riata/solvers/certificate.hpp"
#include "riata/solvers/encode_stream.hpp"
#include "riata/solvers/omp.hpp"
#include "riata/unrolled/unrolled.hpp"

namespace riata::cli {
namespace {

struct Encode {
  std::string dictionary, input, model, output, atom_weights, groups, mask;
  Index n_weighted_signals = 0;  // where each has weights of its own
  std::optional<Reg> reg;
  std::optional<int> n_layers, n_nonzero;
  const CLI::Option* penalty_flag = nullptr;
  std::vector<const CLI::Option*> solver_flags;
  bool centre = false, stream = false;
  EncodeOptions options;
  ReadImageOptions image;
  Talk talk;

  RecordingFlags recording;
  std::vector<const CLI::Option*> recording_flags, signal_flags;  // of recordings alone, and never of them
  const CLI::Option *tol_flag = nullptr, *max_iter_flag = nullptr;

  int run();

 private:
  void place_inputs();
  bool is_of_recording() const;
  int encode_recording() const;
  void require_streamable() const;
  void warn_of_open(Index n_open, Index n_signals) const;
  template <Scalar T>
  int encode_blocks(const Matrix<T>& atoms) const;
  AnyMatrix signals_of(const LoadedDictionary& loaded);
  void adopt(const LoadedDictionary& loaded);
  template <Scalar T>
  int encode(const LoadedDictionary& loaded, const Matrix<T>& X);
  template <Scalar T>
  int pursue(const LoadedDictionary& loaded, const Matrix<T>& X) const;
  template <Scalar T>
  const Matrix<T>& atoms_for(const LoadedDictionary& loaded, const Matrix<T>& X) const;
  template <Scalar T>
  EncodeResult<T> code(const LoadedDictionary& loaded, const Matrix<T>& X) const;
  template <Scalar T>
  EncodeResult<T> unroll(const LoadedDictionary& loaded, const Batch<T>& batch) const;
};

/// What the model was learned with holds where the command line says nothing.
void Encode::adopt(const LoadedDictionary& loaded) {
  const Metadata& metadata = loaded.metadata;
  if (text_of(metadata, "centred") == "true") centre = true;
  if (const std::string text = text_of(metadata, "n_nonzero"); !reg && !n_nonzero && !n_layers && !text.empty()) {
    int n = 0;
    require(std::from_chars(text.data(), text.data() + text.size(), n).ptr == text.data() + text.size(),
            "{} says n_nonzero = '{}', must be an integer", dictionary, shown(text));
    n_nonzero = n;
  }
  if (n_nonzero) {
    OmpOptions{.n_nonzero = n_nonzero}.validate();
    require(!reg, "--reg and --n-nonzero exclude each other");
    for (const CLI::Option* const flag : solver_flags)
      require(flag->count() == 0, "{} is for codes by --reg, not for those of --n-nonzero atoms", flag->get_name());
    if (loaded.penalty != PenaltyOptions{} && !talk.quiet)
      say(formatted("riata encode: --n-nonzero takes the place of the penalty that {} was learned with", dictionary));
    return;
  }
  if (const std::string text = text_of(metadata, "reg"); !reg && !text.empty()) reg = Reg::parse(text);
  require(reg.has_value(), "--reg is required: {} does not say with which weight it was learned", dictionary);
  PenaltyOptions& penalty = options.penalty;
  if (penalty_flag->count() == 0 || penalty.kind == loaded.penalty.kind) {
    const PenaltyOptions given = std::exchange(penalty, loaded.penalty);
    if (given.l1_ratio) penalty.l1_ratio = given.l1_ratio;
    if (!given.weights.empty()) penalty.weights = given.weights;
    if (!given.groups.empty()) penalty.groups = given.groups;
    penalty.positive |= given.positive;
  } else if (loaded.penalty != PenaltyOptions{} && !talk.quiet) {
    say(formatted(
        "riata encode: penalty = '{}' takes the place of all that {} was learned with ('{}', its weights, positive codes)",
        to_string(penalty.kind), dictionary, to_string(loaded.penalty.kind)));
  }
  options.validate();  // does the method fit?
  if (n_layers && options.method == Solver::automatic)
    options.method = text_of(metadata, "algorithm") == "ista" ? Solver::ista : Solver::fista;
}

/// "largest gap 1e-07", or that there is none.
std::string largest(double gap) { return std::isnan(gap) ? "no gap" : formatted("largest gap {:.2g}", gap); }

AnyMatrix Encode::signals_of(const LoadedDictionary& loaded) {
  const Index n_features = std::visit([](const auto& D) { return D.rows(); }, loaded.atoms);
  const Entries entries = mask.empty() ? Entries::finite : Entries::any;
  AnyMatrix signals =
      read_signals_for(n_features, precision_of(loaded.atoms), dictionary, {input}, {.image = image, .entries = entries});
  if (centre) cli::centre(signals);
  return signals;
}

/// "MODEL IN", or "IN --model MODEL".
void Encode::place_inputs() {
  if (model.empty()) return require(!input.empty(), "IN is required");
  require(input.empty(), "--model names the dictionary, so {} is one file too many", shown(input));
  input = std::exchange(dictionary, model);
}

bool Encode::is_of_recording() const {
  const bool are_patterns = dictionary.ends_with(".safetensors") && holds_patterns(dictionary);
  require(are_patterns || !is_edf_name(input), "{} is a recording, and {} holds no patterns (riata learn {} --duration 1s ...)",
          input, dictionary, input);
  for (const CLI::Option* flag : are_patterns ? signal_flags : recording_flags)
    require(flag->count() == 0, "{} is {}", flag->get_name(),
            are_patterns ? "for signals and pictures, not for recordings"
                         : "for recordings, and " + dictionary + " holds no patterns");
  return are_patterns;
}

int Encode::encode_recording() const {
  EncodeRecording coding{.model = dictionary,
                         .input = input,
                         .output = output,
                         .flags = recording,
                         .reg = reg,
                         .n_threads = options.execution.n_threads,
                         .talk = talk};
  if (tol_flag->count() > 0) coding.tol = options.tol;
  if (max_iter_flag->count() > 0) coding.max_iter = options.max_iter;
  return coding.run();
}

int Encode::run() {
  place_inputs();
  if (is_of_recording()) return encode_recording();
  std::vector<std::string> inputs = {file_of(dictionary), file_of(input)};
  if (!atom_weights.empty()) inputs.push_back(file_of(atom_weights));
  if (!groups.empty()) inputs.push_back(file_of(groups));
  if (!mask.empty()) inputs.push_back(file_of(mask));
  require_good_outputs(inputs, {output});
  require_extension(output, {".npy", ".npz"}, "codes");
  if (!groups.empty()) options.penalty.groups = read_labels(groups);
  options.validate();
  if (n_layers) {
    require(options.method == Solver::automatic || options.method == Solver::ista || options.method == Solver::fista,
            "method = '{}' has no layers; with --n-layers choose 'ista' or 'fista'", to_string(options.method));
    UnrolledOptions{.n_layers = *n_layers, .penalty = options.penalty}.validate();
  }
  const LoadedDictionary loaded = read_dictionary(dictionary);
  if (!atom_weights.empty())
    options.penalty.weights =
        read_weights(atom_weights, std::visit([](const auto& D) { return D.cols(); }, loaded.atoms), n_weighted_signals);
  adopt(loaded);
  if (stream) require_streamable();
  require(mask.empty() || !centre, "--mask takes signals as they are; leave out --centre, and models learned so");
  const AnyMatrix signals = stream ? AnyMatrix() : signals_of(loaded);
  const Index n_signals = std::visit([](const auto& X) { return X.cols(); }, signals);
  require(n_weighted_signals == 0 || n_weighted_signals == n_signals, "{} holds weights of {} signals for {}; they must be equal",
          atom_weights, n_weighted_signals, n_signals);
  catch_interrupts();
  options.execution.stop_requested = interrupt_requested;
  if (stream) return std::visit([&](const auto& atoms) { return encode_blocks(atoms); }, loaded.atoms);
  return std::visit([&](const auto& X) { return n_nonzero ? pursue(loaded, X) : encode(loaded, X); }, signals);
}

void Encode::warn_of_open(Index n_open, Index n_signals) const {
  if (n_open > 0 && !talk.quiet)
    say(formatted("riata encode: {} of {} signals did not reach tol = {} (max_iter = {}, or rounding forbids more){}", n_open,
                  n_signals, options.tol, options.max_iter,
                  options.penalty.kind == PenaltyKind::l0 ? "" : "; their gaps are reported"));
}

void Encode::require_streamable() const {
  require(input.ends_with(".npy"), "--stream reads an .npy file row by row, and {} is none", input);
  require(output.ends_with(".npz"), "--stream writes sparse codes, and {} does not end in .npz", output);
  require(!n_layers, "--stream is for solvers; leave out --n-layers");
  require(mask.empty(), "--stream reads signals without their mask; leave out --mask");
  require(n_weighted_signals == 0, "--stream takes the same weights for all signals, and {} has two dimensions", atom_weights);
  require(!image.page, "--page chooses a page of a picture, and {} is an array", input);
  require(!centre, "--stream reads signals as they are; it takes neither --centre nor a model learned so");
}

/// Block by block, from file to file.
template <Scalar T>
int Encode::encode_blocks(const Matrix<T>& atoms) const {
  const auto start = std::chrono::steady_clock::now();
  const StreamReport report = encode_stream<T>(std::filesystem::path(input), DenseDictionary<T>(atoms), *reg,
                                               std::filesystem::path(output), {.encode = options});
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const double density =
      static_cast<double>(report.n_nonzero) / static_cast<double>(report.n_signals) / static_cast<double>(report.n_atoms);
  tell(talk,
       {{"output", output},
        {"n_signals", report.n_signals},
        {"n_features", atoms.rows()},
        {"n_atoms", report.n_atoms},
        {"dtype", to_string(precision_of<T>())},
        {"method", to_string(report.method)},
        {"objective", report.objective},
        {"gap", report.gap},
        {"density", density},
        {"n_not_converged", report.n_not_converged},
        {"seconds", seconds},
        {"status", to_string(report.n_not_converged == 0 ? Status::converged : Status::max_iter_reached)}},
       formatted("{}: sparse codes of {} signals in {} atoms, {:.1f} % not zero, mean objective {:.6g}, {}, {:.1f} s", output,
                 report.n_signals, report.n_atoms, 100 * density, report.objective, largest(report.gap), seconds));
  warn_of_open(report.n_not_converged, report.n_signals);
  return ok;
}

/// N layers, with the model's step factors, and the certificate of what they give.
template <Scalar T>
EncodeResult<T> Encode::unroll(const LoadedDictionary& loaded, const Batch<T>& batch) const {
  const DenseDictionary<T> D(std::get<Matrix<T>>(loaded.atoms));
  UnrolledOptions network{.n_layers = *n_layers,
                          .algorithm = options.method == Solver::ista ? Layers::ista : Layers::fista,
                          .steps = loaded.steps,
                          .return_extrapolated = text_of(loaded.metadata, "return_extrapolated") == "true",
                          .penalty = options.penalty,
                          .execution = options.execution};
  if (text_of(loaded.metadata, "lipschitz_bound") == "frobenius") network.lipschitz = frobenius_norm_of_gram(D.atoms());
  EncodeResult<T> result;
  result.codes = unrolled_encode<T>(batch, D, *reg, network);
  auto [objective, gap] = lasso_certificate<T>(batch, D, result.codes, *reg, options.penalty, options.execution);
  result.objective = std::move(objective);
  result.gap = std::move(gap);
  result.n_iter = Vector<int>::Constant(batch.size(), *n_layers);
  result.method = options.method;
  return result;
}

template <Scalar T>
const Matrix<T>& Encode::atoms_for(const LoadedDictionary& loaded, const Matrix<T>& X) const {
  const Matrix<T>& atoms = in_precision_of_signals<T>(loaded.atoms, dictionary);
  require(atoms.rows() == X.rows(), "{} has {} features but the atoms of {} have {}; they must be equal", input, X.rows(),
          dictionary, atoms.rows());
  return atoms;
}

/// Codes of n_nonzero atoms.
template <Scalar T>
int Encode::pursue(const LoadedDictionary& loaded, const Matrix<T>& X) const {
  const auto start = std::chrono::steady_clock::now();
  const DenseDictionary<T> D(atoms_for<T>(loaded, X));
  const OmpResult<T> result = omp<T>(X, D, {.n_nonzero = n_nonzero, .execution = options.execution});
  write_codes(output, result);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const double energy = X.template cast<double>().squaredNorm();
  const Index most = std::min<Index>(*n_nonzero, D.code_size());
  tell(talk,
       {{"output", output},
        {"n_signals", X.cols()},
        {"n_features", X.rows()},
        {"n_atoms", D.code_size()},
        {"dtype", to_string(precision_of<T>())},
        {"method", "omp"},
        {"n_nonzero", *n_nonzero},
        {"error", result.error.mean()},
        {"seconds", seconds},
        {"status", to_string(Status::converged)}},
       formatted("{}: codes of {} signals, of {} of {} atoms each, mean error {:.6g}, {:.1f} % of the signals' energy explained, "
                 "{:.1f} s",
                 output, X.cols(), most, D.code_size(), result.error.mean(),
                 energy > 0 ? 100 * (1 - result.error.sum() / energy) : 100.0, seconds));
  return ok;
}

template <Scalar T>
EncodeResult<T> Encode::code(const LoadedDictionary& loaded, const Matrix<T>& X) const {
  const auto& atoms = atoms_for<T>(loaded, X);
  const Matrix<T> weights = mask.empty() ? Matrix<T>() : read_mask<T>(mask);
  const Batch<T> batch = mask.empty() ? Batch<T>(X) : Batch<T>(X, weights);
  if (n_layers) return unroll<T>(loaded, batch);
  return riata::encode<T>(batch, DenseDictionary<T>(atoms), *reg, options);
}

template <Scalar T>
int Encode::encode(const LoadedDictionary& loaded, const Matrix<T>& X) {
  const auto start = std::chrono::steady_clock::now();
  const EncodeResult<T> result = code<T>(loaded, X);
  write_codes(output, result);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const auto n_open = std::count(result.status.begin(), result.status.end(), Status::max_iter_reached);
  const double density = static_cast<double>((result.codes.array() != T(0)).count()) / static_cast<double>(result.codes.size());
  const char* status = n_layers ? "layers" : to_string(n_open == 0 ? Status::converged : Status::max_iter_reached);
  tell(talk,
       {{"output", output},
        {"n_signals", X.cols()},
        {"n_features", X.rows()},
        {"n_atoms", result.codes.rows()},
        {"dtype", to_string(precision_of<T>())},
        {"method", to_string(n_layers ? options.method : result.method)},
        {"n_layers", n_layers ? nlohmann::ordered_json(*n_layers) : nlohmann::ordered_json(nullptr)},
        {"objective", result.objective.mean()},
        {"gap", result.gap.maxCoeff()},
        {"n_iter", result.n_iter.maxCoeff()},
        {"density", density},
        {"n_not_converged", n_open},
        {"seconds", seconds},
        {"status", status}},
       formatted("{}: codes of {} signals in {} atoms, {:.1f} % not zero, mean objective {:.6g}, {}, {:.1f} s", output, X.cols(),
                 result.codes.rows(), 100 * density, result.objective.mean(), largest(result.gap.maxCoeff()), seconds));
  warn_of_open(n_open, X.cols());
  return ok;
}

}  // namespace

Task add_encode(CLI::App& app) {
  const auto command = std::make_shared<Encode>();
  EncodeOptions& options = command->options;
  app.add_option(
         "DICTIONARY", command->dictionary,
         "A model (.safetensors), whose penalty holds unless --penalty is given, or an array (n_atoms, n_features): .npy, .npz")
      ->type_name("FILE")
      ->required();
  app.add_option(
         "IN", command->input,
         ".npy, .npz, .npz:KEY or .h5:DATASET of shape (n_signals, n_features), or a picture: all its patches; of a model "
         "of patterns a recording (.edf, .bdf, .npy)")
      ->type_name("FILE");
  app.add_option("--model", command->model,
                 "The dictionary or patterns, in place of the first argument: riata encode IN --model FILE")
      ->type_name("FILE");
  add_output(app, command->output,
             "The codes: .npy, or .npz with codes, objective, gap and n_iter, of --n-nonzero with codes and error; of recordings "
             ".npz for scipy.sparse.load_npz, (n_atoms, n_positions), trial after trial, or .npy");
  add_reg(app, command->reg, "Weight of the penalty, or a fraction of each signal's reg_max: 0.1max; default: the model's");
  std::vector<const CLI::Option*>& of_solvers = command->solver_flags;
  add_options(app, options, [&](const CLI::Option* option) {
    const std::string name = option->get_name();
    if (name == "--penalty") command->penalty_flag = option;
    if (name == "--tol") command->tol_flag = option;
    if (name == "--max-iter") command->max_iter_flag = option;
    if (name != "--tol" && name != "--max-iter") command->signal_flags.push_back(option);
    of_solvers.push_back(option);
  });
  app.add_option("--n-nonzero", command->n_nonzero,
                 "Codes of so many atoms by orthogonal matching pursuit, without --reg (also if the model was learned so)");
  of_solvers.push_back(app.add_option("--n-layers", command->n_layers,
                                      "Run exactly N layers, with the model's step factors, instead of a solver"));
  of_solvers.push_back(app.add_option("--weights", command->atom_weights,
                                      "Factors of --reg, (n_atoms,), one per group, or (n_signals, n_atoms): inf excludes an "
                                      "atom, 0 lets it cost nothing. "
                                      ".npy, .npz or .npz:KEY")
                           ->type_name("FILE"));
  of_solvers.push_back(add_groups(app, command->groups));
  of_solvers.push_back(
      app.add_option(
             "--mask", command->mask,
             "What was seen of IN: zeros and ones (or weights between) of its shape, .npy or .npz:KEY; the rest may be NaN")
          ->type_name("FILE"));
  command->signal_flags.push_back(
      app.add_flag("--centre", command->centre, "Subtract each signal's mean first (also if the model was learned so)"));
  of_solvers.push_back(app.add_flag("--stream", command->stream,
                                    "Read IN (.npy) block by block and write sparse codes for scipy.sparse.load_npz (.npz)"));
  add_image(app, command->image, "all pages");
  for (const char* flag : {"--n-nonzero", "--n-layers", "--weights", "--groups", "--mask", "--stream", "--page", "--max-pixels"})
    command->signal_flags.push_back(app.get_option(flag));
  add_threads(app, options.execution.n_threads);
  add_talk(app, command->talk);
  command->recording_flags =
      add_recording_flags(app, command->recording, "Recordings, whose channels are those of the model, by name");
  app.footer(
      "Example: riata encode model.safetensors signals.npy -o codes.npz --reg 0.1max\n"
      "Example: riata encode night.edf --model patterns.safetensors -o activations.npz");
  return [command] { return command->run(); };
}

}  // namespace riata::cli
