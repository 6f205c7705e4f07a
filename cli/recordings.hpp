// Recordings and their patterns: what `riata learn` and `riata encode` do with .edf and .bdf files, and with .npy arrays of signals
// in time.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "inputs.hpp"
#include "options.hpp"
#include "riata/learning/learn_patterns.hpp"
#include "riata/learning/pattern_model.hpp"
#include "riata/learning/recording_files.hpp"
#include "riata/networks/network_file.hpp"

namespace riata::cli {

/// How a recording is read.
struct RecordingFlags {
  std::string channels;        // names, or numbers of an array, with commas between them
  std::optional<double> rate;  // Hz, of arrays

  /// @throws std::invalid_argument for an empty name
  ChannelChoice choice() const;
};
/// Gives what was added.
std::vector<const CLI::Option*> add_recording_flags(CLI::App& app, RecordingFlags& flags, const std::string& group);

/// The recording, with --rate where it says none. @throws std::invalid_argument, riata::Error
template <Scalar T>
RecordingFile<T> open_recording(const std::string& name, const RecordingFlags& flags, const ChannelChoice& choice);

/// For a model's patterns: its channels, by name. @throws std::invalid_argument likewise, and for other channels, rate or unit
template <Scalar T>
RecordingFile<T> open_recording_of(const PatternModel<T>& model, const std::string& model_name, const std::string& input,
                                   const RecordingFlags& flags);
/// What a network over patterns says of recordings: its atoms, channels, rate and unit.
template <Scalar T>
PatternModel<T> patterns_of(const StoredNetwork<T>& stored, const std::string& path);

/// (n_channels n_times) x n_trials, finite.
template <Scalar T>
Matrix<T> all_samples(const RecordingFile<T>& file, const std::string& input);
/// Windows one after the other, those of the first trial first, as many as fit: (n_channels n_times_window) x n_windows, finite.
template <Scalar T>
Matrix<T> all_windows(const RecordingFile<T>& file, const std::string& input, Index n_times_window);

/// .npz: rows of activations, trial after trial, for scipy.sparse.load_npz; .npy: (n_atoms, n_positions), of several trials
/// (n_trials, n_atoms, n_positions).
template <Scalar T>
void write_activations(const std::string& path, const Matrix<T>& codes, const ConvolutionalDictionary<T>& D);
/// Of each pattern, in all trials.
template <Scalar T>
std::vector<Index> count_activations(const Matrix<T>& codes, const ConvolutionalDictionary<T>& D);

/// "256 samples (1 s)", without seconds where no rate is known.
std::string duration_text(Index n_times, const std::optional<double>& rate);

/// Learns patterns of a recording.
struct LearnRecording {
  std::string input, output, trace;
  RecordingFlags flags;
  std::string duration;  // "1s", "250ms", or samples
  std::optional<Index> n_atoms;
  std::optional<Reg> reg;
  std::optional<Precision> precision;
  PatternOptions options;
  Talk talk;

  int run();

 private:
  template <Scalar T>
  int learn();
  template <Scalar T>
  void save(const RecordingFile<T>& file, const PatternResult<T>& result) const;
};

/// Activations of a model's patterns in a recording.
struct EncodeRecording {
  std::string model, input, output;
  RecordingFlags flags;
  std::optional<Reg> reg;
  std::optional<double> tol = {};
  std::optional<int> max_iter = {};
  int n_threads = 0;
  Talk talk;

  int run();

 private:
  template <Scalar T>
  int encode();
};

}  // namespace riata::cli
