// riata learn: a recording in, the patterns that occur in it out.
#include <charconv>
#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>

#include "commands.hpp"
#include "interrupt.hpp"
#include "kernels.hpp"
#include "outputs.hpp"
#include "progress.hpp"
#include "recordings.hpp"
#include "riata/core/check.hpp"
#include "riata/core/error.hpp"
#include "riata/core/stopping.hpp"
#include "riata/io/npy_stream.hpp"
#include "riata/learning/pattern_model.hpp"
#include "riata/version.hpp"

namespace riata::cli {
namespace {

/// Samples of "1s", "250ms" or "64".
Index samples_of(const std::string& duration, const std::optional<double>& rate, const std::string& input) {
  double value = 0;
  const auto [end, error] = std::from_chars(duration.data(), duration.data() + duration.size(), value);
  const std::string unit(error == std::errc() ? end : duration.data(), duration.data() + duration.size());
  const bool is_time = unit == "s" || unit == "ms";
  require(error == std::errc() && value > 0 && std::isfinite(value) && (is_time || (unit.empty() && value == std::floor(value))),
          "--duration '{}', must be seconds (1s), milliseconds (250ms) or a number of samples (64)", shown(duration));
  require(!is_time || rate, "--duration {} is a time, and {} does not say its rate; give --rate, or samples (--duration 64)",
          duration, input);
  const double samples = is_time ? std::round(value * *rate / (unit == "ms" ? 1000 : 1)) : value;
  require(samples >= 1 && samples <= 1e9, "--duration {} is {:.6g} samples{}; expected 1 to 1000000000", duration, samples,
          rate ? formatted(" at {} Hz", *rate) : "");
  return static_cast<Index>(samples);
}

}  // namespace

int LearnRecording::run() {
  LearnOptions& learning = options.learn;
  options.validate();
  require(n_atoms.has_value(), "--n-atoms is required");
  require(!duration.empty(), "--duration is required: how long the patterns of {} are, as in --duration 1s", input);
  require_good_outputs({input}, {output, learning.checkpoint, trace});
  require_extension(output, {".safetensors"}, "models");
  if (learning.resume || learning.resume_inexact) take_up_blas_kernels(learning.checkpoint);
  if (!precision)
    precision =
        !is_edf_name(input) && input.ends_with(".npy") && NpyValues(input).is_float() ? Precision::float32 : Precision::float64;
  catch_interrupts();
  learning.execution.stop_requested = interrupt_requested;
  return *precision == Precision::float32 ? learn<float>() : learn<double>();
}

/// The metadata hold no times: the same run gives the same file.
template <Scalar T>
void LearnRecording::save(const RecordingFile<T>& file, const PatternResult<T>& result) const {
  const LearnOptions& learning = options.learn;
  PatternModel<T> model{.n_channels = file.recording->n_channels(),
                        .rate = file.rate,
                        .channel_names = file.channel_names,
                        .unit = file.unit,
                        .positive = learning.penalty.positive};
  if (options.rank_one) {
    model.u = result.u;
    model.v = result.v;
    if (options.window) model.window = tukey_window<T>(result.v.rows());
  } else {
    model.kernels = result.atoms;
  }
  if (!std::isnan(result.learned.reg)) model.reg = result.learned.reg;
  model.metadata = {{"riata_version", version},
                    {"method", to_string(learning.method)},
                    {"seed", formatted("{}", learning.seed)},
                    {"n_times", formatted("{}", file.recording->n_times())},
                    {"n_trials", formatted("{}", file.recording->n_trials())},
                    {"n_iter", formatted("{}", result.learned.history.value.size())},
                    {"value", formatted("{}", last_value(result.learned.history, result.learned.initial_value))},
                    {"status", to_string(result.learned.status)}};
  if (result.learned.n_nonzero) model.metadata["n_nonzero"] = formatted("{}", *result.learned.n_nonzero);
  if (result.learned.algorithm) model.metadata["n_layers"] = formatted("{}", learning.n_layers);
  save_patterns<T>(output, model);
}

template <Scalar T>
int LearnRecording::learn() {
  const ChannelChoice choice = flags.choice();
  const RecordingFile<T> file = open_recording<T>(input, flags, choice);
  Recording<T>& recording = *file.recording;
  const Index n_times_atom = samples_of(duration, file.rate, input);
  require(n_times_atom <= recording.n_times(), "{} holds {} of each channel, fewer than the {} of a pattern", input,
          duration_text(recording.n_times(), file.rate), duration_text(n_times_atom, file.rate));
  const auto start = std::chrono::steady_clock::now();
  {
    const StopScope scope(options.learn.execution);
    require_good_samples<T>(file, input, choice);
  }
  Progress progress(!talk.quiet, options.learn.max_iter);
  const auto watch = [&](const IterationInfo& info) {
    progress.show(info);
    return interrupt_requested() ? Action::stop : Action::keep_going;
  };
  const PatternResult<T> result =
      learn_patterns<T>(file.recording, *n_atoms, n_times_atom, reg.value_or(Reg::fraction_of_max(0.1)), options, watch);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const LearnResult<T>& learned = result.learned;
  const bool is_stopped = learned.status == Status::interrupted;
  if (is_stopped && learned.history.value.empty()) throw Interrupted();
  save(file, result);
  if (!trace.empty()) write_trace(trace, learned.history);
  using Json = nlohmann::ordered_json;
  const auto number_or_null = [](const std::optional<double>& x) { return x && !std::isnan(*x) ? Json(*x) : Json(); };
  const Index n_trials = recording.n_trials();
  tell(talk,
       {{"output", output},
        {"n_atoms", result.atoms.cols()},
        {"n_channels", recording.n_channels()},
        {"n_times_atom", n_times_atom},
        {"n_trials", n_trials},
        {"n_times", recording.n_times()},
        {"rate", number_or_null(file.rate)},
        {"unit", file.unit},
        {"rank_one", options.rank_one},
        {"dtype", to_string(precision_of<T>())},
        {"method", to_string(options.learn.method)},
        {"n_layers", options.learn.n_layers},
        {"reg", number_or_null(learned.reg)},
        {"n_iter", learned.history.value.size()},
        {"initial_value", number_or_null(learned.initial_value)},
        {"value", number_or_null(last_value(learned.history, learned.initial_value))},
        {"n_replaced", learned.n_replaced},
        {"seconds", seconds},
        {"status", to_string(learned.status)}},
       formatted("{}: {} pattern{}{} of {} from {} channel{} of {}{}{}, reg {:.6g}, objective {:.6g}{}, {}, {}, {:.1f} s", output,
                 result.atoms.cols(), result.atoms.cols() == 1 ? "" : "s", options.rank_one ? " of rank one" : "",
                 duration_text(n_times_atom, file.rate), recording.n_channels(), recording.n_channels() == 1 ? "" : "s",
                 duration_text(recording.n_times(), file.rate), n_trials == 1 ? "" : formatted(" in {} trials", n_trials),
                 file.unit.empty() ? "" : formatted(" in {}", shown(file.unit)), learned.reg,
                 last_value(learned.history, learned.initial_value),
                 std::isnan(learned.initial_value) ? "" : formatted(" (at the start {:.6g})", learned.initial_value),
                 counted(learned.history.value.size(), "iteration"), to_string(learned.status), seconds));
  if (!is_stopped) return ok;
  say(formatted("riata learn: interrupted after {}; the patterns so far are in {}{}",
                counted(learned.history.value.size(), "iteration"), output,
                options.learn.checkpoint.empty() ? "" : " (--resume continues)"));
  return interrupted_code();
}

}  // namespace riata::cli
