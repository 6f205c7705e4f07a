// Recordings and their patterns: what `riata learn` and `riata encode` do with .edf and .bdf files, and with .npy arrays of signals
// in time.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "inputs.hpp"
#include "options.hpp"
#include "riata/learning/learn_patterns.hpp"
#include "riata/learning/recording_files.hpp"

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
