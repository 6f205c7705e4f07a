#include "recordings.hpp"

#include <algorithm>
#include <cmath>

#include "riata/core/check.hpp"
#include "riata/core/memory.hpp"
#include "riata/io/arrays.hpp"
#include "riata/io/csr_file.hpp"
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

}  // namespace

ChannelChoice RecordingFlags::choice() const {
  ChannelChoice choice{.keyword = "--channels "};
  if (channels.empty()) return choice;
  for (std::size_t at = 0; at <= channels.size();) {
    const std::size_t end = std::min(channels.find(',', at), channels.size());
    std::string name = channels.substr(at, end - at);
    name.erase(0, name.find_first_not_of(' '));
    name.erase(name.find_last_not_of(' ') + 1);
    require(!name.empty(), "--channels '{}' holds an empty name", shown(channels));
    choice.names.push_back(std::move(name));
    at = end + 1;
  }
  return choice;
}

std::vector<const CLI::Option*> add_recording_flags(CLI::App& app, RecordingFlags& flags, const std::string& group) {
  return {app.add_option("--channels", flags.channels,
                         "Names with commas between them, of arrays numbers from 0; default: all but annotations")
              ->type_name("NAME,...")
              ->group(group),
          app.add_option("--rate", flags.rate, "Samples per second (Hz) of an array; other files tell it")->group(group)};
}

template <Scalar T>
RecordingFile<T> open_recording(const std::string& name, const RecordingFlags& flags, const ChannelChoice& choice) {
  require(!flags.rate || (*flags.rate > 0 && std::isfinite(*flags.rate)), "rate = {}, must be > 0 Hz and finite",
          flags.rate.value_or(0));
  auto file = riata::open_recording<T>(name, choice);
  require(!flags.rate || !file.rate || *flags.rate == *file.rate, "--rate {} but {} has {} Hz; leave out --rate",
          flags.rate.value_or(0), name, file.rate.value_or(0));
  if (flags.rate) file.rate = flags.rate;
  return file;
}

std::string duration_text(Index n_times, const std::optional<double>& rate) {
  const std::string samples = formatted("{} sample{}", n_times, n_times == 1 ? "" : "s");
  return rate ? formatted("{} ({:.6g} s)", samples, static_cast<double>(n_times) / *rate) : samples;
}

template <Scalar T>
PatternModel<T> patterns_of(const StoredNetwork<T>& stored, const std::string& path) {
  const auto& D = dynamic_cast<const ConvolutionalDictionary<T>&>(stored.network.dictionary());
  PatternModel<T> model{.kernels = D.atoms(), .n_channels = D.shape().n_channels};
  model.take_text(stored.metadata, path);
  model.positive = stored.network.options().positive;
  return model;
}

template <Scalar T>
RecordingFile<T> open_recording_of(const PatternModel<T>& model, const std::string& model_name, const std::string& input,
                                   const RecordingFlags& flags) {
  ChannelChoice choice = flags.choice();
  if (choice.names.empty() && is_edf_name(input)) choice.names = model.channel_names;
  auto file = open_recording<T>(input, flags, choice);
  require_same_recordings<T>(model, model_name, file, input);
  return file;
}

template <Scalar T>
Matrix<T> all_samples(const RecordingFile<T>& file, const std::string& input) {
  require_finite_samples<T>(file, input);
  Recording<T>& recording = *file.recording;
  Matrix<T> X;
  make_room<T>("encode", "the recording", recording.n_channels() * recording.n_times(), recording.n_trials(),
               "encode parts of it", X);
  for (Index trial = 0; trial < recording.n_trials(); ++trial)
    recording.read(trial, 0, Eigen::Map<Matrix<T>>(X.col(trial).data(), recording.n_times(), recording.n_channels()));
  return X;
}

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

template <Scalar T>
std::vector<Index> count_activations(const Matrix<T>& codes, const ConvolutionalDictionary<T>& D) {
  std::vector<Index> counts(static_cast<std::size_t>(D.n_atoms()), 0);
  for (Index i = 0; i < codes.cols(); ++i)
    for (Index k = 0; k < D.n_atoms(); ++k)
      counts[static_cast<std::size_t>(k)] += (codes.col(i).segment(k * D.n_positions(), D.n_positions()).array() != T(0)).count();
  return counts;
}

template <Scalar T>
Matrix<T> all_windows(const RecordingFile<T>& file, const std::string& input, Index n_times_window) {
  require_finite_samples<T>(file, input);
  Recording<T>& recording = *file.recording;
  const Index n_channels = recording.n_channels(), n_each = recording.n_times() / n_times_window;
  require(n_each >= 1, "{} holds {} of each channel, fewer than the {} of a window", input,
          duration_text(recording.n_times(), file.rate), duration_text(n_times_window, file.rate));
  Matrix<T> X;
  make_room<T>("train", "the windows", n_channels * n_times_window, n_each * recording.n_trials(), "train on parts of it", X);
  for (Index i = 0; i < X.cols(); ++i)
    recording.read(i / n_each, i % n_each * n_times_window, Eigen::Map<Matrix<T>>(X.col(i).data(), n_times_window, n_channels));
  return X;
}

#define RIATA_INSTANTIATE(T)                                                                                     \
  template RecordingFile<T> open_recording<T>(const std::string&, const RecordingFlags&, const ChannelChoice&);  \
  template RecordingFile<T> open_recording_of<T>(const PatternModel<T>&, const std::string&, const std::string&, \
                                                 const RecordingFlags&);                                         \
  template Matrix<T> all_samples<T>(const RecordingFile<T>&, const std::string&);                                \
  template Matrix<T> all_windows<T>(const RecordingFile<T>&, const std::string&, Index);                         \
  template void write_activations<T>(const std::string&, const Matrix<T>&, const ConvolutionalDictionary<T>&);   \
  template std::vector<Index> count_activations<T>(const Matrix<T>&, const ConvolutionalDictionary<T>&);         \
  template PatternModel<T> patterns_of<T>(const StoredNetwork<T>&, const std::string&);
RIATA_INSTANTIATE(float)
RIATA_INSTANTIATE(double)
#undef RIATA_INSTANTIATE

}  // namespace riata::cli
