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
#include "riata/core/stopping.hpp"
#include "riata/learning/pattern_model.hpp"
#include "riata/solvers/conv_encode.hpp"

namespace riata::cli {

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
  const RecordingFile<T> file = open_recording_of<T>(patterns, model, input, flags);
  const auto start = std::chrono::steady_clock::now();
  const StopScope scope(options.execution);
  const auto D = patterns.dictionary(file.recording->n_times());
  const Matrix<T> X = all_samples<T>(file, input);
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
