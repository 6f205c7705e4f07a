// riata encode: patterns and a recording in, sparse activations out, with their certificate.
#include <fmt/ranges.h>
#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>

#include "commands.hpp"
#include "interrupt.hpp"
#include "outputs.hpp"
#include "recordings.hpp"
#include "riata/core/check.hpp"
#include "riata/core/memory.hpp"
#include "riata/core/stopping.hpp"
#include "riata/io/arrays.hpp"
#include "riata/io/csr_file.hpp"
#include "riata/learning/pattern_model.hpp"
#include "riata/solvers/conv_encode.hpp"

namespace riata::cli {
namespace {

template <Scalar T>
void require_same_recordings(const PatternModel<T>& model, const std::string& model_name, const RecordingFile<T>& file,
                             const std::string& input) {
  require(file.recording->n_channels() == model.n_channels,
          "{} has {} channels but the patterns of {} have {}; they must be equal (choose some with --channels)", input,
          file.recording->n_channels(), model_name, model.n_channels);
  require(!model.rate || !file.rate || std::abs(*file.rate - *model.rate) <= 1e-6 * *model.rate,
          "{} has {} Hz but the patterns of {} were learned at {} Hz; they must be equal (resample the recording)", input,
          file.rate.value_or(0), model_name, model.rate.value_or(0));
  require(model.unit.empty() || file.unit.empty() || file.unit == model.unit,
          "{} is in '{}' but the patterns of {} were learned in '{}'; they must be equal", input, shown(file.unit), model_name,
          shown(model.unit));
  require(file.recording->n_times() >= model.n_times_atom(), "{} holds {} of each channel, fewer than the {} of a pattern of {}",
          input, duration_text(file.recording->n_times(), file.rate), duration_text(model.n_times_atom(), model.rate),
          model_name);
}

/// (n_channels n_times) x n_trials
template <Scalar T>
Matrix<T> all_samples(Recording<T>& recording) {
  Matrix<T> X;
  make_room<T>("encode", "the recording", recording.n_channels() * recording.n_times(), recording.n_trials(),
               "encode parts of it", X);
  for (Index trial = 0; trial < recording.n_trials(); ++trial)
    recording.read(trial, 0, Eigen::Map<Matrix<T>>(X.col(trial).data(), recording.n_times(), recording.n_channels()));
  return X;
}

/// .npz: rows of activations, trial after trial, for scipy.sparse.load_npz; .npy: (n_atoms, n_positions), of several trials
/// (n_trials, n_atoms, n_positions).
template <Scalar T>
void write_activations(const std::string& path, const Matrix<T>& codes, const ConvolutionalDictionary<T>& D) {
  if (path.ends_with(".npz")) {
    CsrFileWriter<T> writer(path, {});
    writer.append(activations_to_csr<T>(codes, D), {});
    return writer.finish(D.n_positions());
  }
  Tensor activations = to_tensor<T>(codes);
  activations.shape = {D.n_atoms(), D.n_positions()};
  if (codes.cols() > 1) activations.shape.insert(activations.shape.begin(), codes.cols());
  write_npy(path, activations);
}

/// Of each pattern, in all trials.
template <Scalar T>
std::vector<Index> count_activations(const Matrix<T>& codes, const ConvolutionalDictionary<T>& D) {
  std::vector<Index> counts(static_cast<std::size_t>(D.n_atoms()), 0);
  for (Index i = 0; i < codes.cols(); ++i)
    for (Index k = 0; k < D.n_atoms(); ++k)
      counts[static_cast<std::size_t>(k)] += (codes.col(i).segment(k * D.n_positions(), D.n_positions()).array() != T(0)).count();
  return counts;
}

}  // namespace

int EncodeRecording::run() {
  require_good_outputs({model, input}, {output});
  require_extension(output, {".npy", ".npz"}, "activations");
  catch_interrupts();
  return patterns_are_float32(model) ? encode<float>() : encode<double>();
}

template <Scalar T>
int EncodeRecording::encode() {
  const auto patterns = load_patterns<T>(model);
  ConvEncodeOptions options{.positive = patterns.positive,
                            .execution = {.n_threads = n_threads, .stop_requested = interrupt_requested}};
  if (tol) options.tol = *tol;
  if (max_iter) options.max_iter = *max_iter;
  options.validate();
  require(reg || patterns.reg, "--reg is required: {} does not say with which weight it was learned", model);
  ChannelChoice choice = flags.choice();
  if (choice.names.empty() && is_edf_name(input)) choice.names = patterns.channel_names;
  const RecordingFile<T> file = open_recording<T>(input, flags, choice);
  require_same_recordings<T>(patterns, model, file, input);
  const auto start = std::chrono::steady_clock::now();
  const StopScope scope(options.execution);
  require_finite_samples<T>(file, input);
  const auto D = patterns.dictionary(file.recording->n_times());
  const Matrix<T> X = all_samples<T>(*file.recording);
  const ConvEncodeResult<T> result = conv_encode<T>(X, D, reg ? *reg : Reg(*patterns.reg), options);
  write_activations<T>(output, result.codes, D);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();

  const std::vector<Index> counts = count_activations<T>(result.codes, D);
  const Index n_all = std::accumulate(counts.begin(), counts.end(), Index{0});
  const auto n_open = std::count(result.status.begin(), result.status.end(), Status::max_iter_reached);
  double relative = 0;  // of the half energies, as tol is
  for (Index i = 0; i < X.cols(); ++i)
    if (const double energy = X.col(i).template cast<double>().squaredNorm(); energy > 0)
      relative = std::max(relative, 2 * result.gap(i) / energy);
  tell(talk,
       {{"output", output},
        {"n_atoms", D.n_atoms()},
        {"n_positions", D.n_positions()},
        {"n_trials", X.cols()},
        {"n_activations", counts},
        {"dtype", to_string(precision_of<T>())},
        {"objective", result.objective.sum()},
        {"gap", result.gap.maxCoeff()},
        {"relative_gap", relative},
        {"n_not_converged", n_open},
        {"seconds", seconds},
        {"status", to_string(n_open == 0 ? Status::converged : Status::max_iter_reached)}},
       formatted(
           "{}: {} activations of {} pattern{} at {} positions{}, objective {:.6g}, largest gap {:.2g} ({:.2g} of ||x||^2 / 2), "
           "{:.1f} s\nActivations of each pattern: {}",
           output, n_all, D.n_atoms(), D.n_atoms() == 1 ? "" : "s", D.n_positions(),
           X.cols() == 1 ? "" : formatted(" of {} trials", X.cols()), result.objective.sum(), result.gap.maxCoeff(), relative,
           seconds, fmt::join(counts, " ")));
  if (n_open > 0 && !talk.quiet)
    say(formatted(
        "riata encode: {} of {} trials did not reach tol = {} (max_iter = {}, or rounding forbids more); their gaps are "
        "reported",
        n_open, X.cols(), options.tol, options.max_iter));
  return ok;
}

}  // namespace riata::cli
