// Recordings in files, of which pieces are read where a run wants them: channels of EDF and BDF, arrays of NumPy's.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "riata/learning/recording.hpp"

namespace riata {

/// Which channels of a file, in this order, by name; those of an array by number, from 0. None: all, without annotations.
struct ChannelChoice {
  std::vector<std::string> names = {};
  std::string_view keyword = "channels=";  ///< by which the caller chooses, in sentences
};

template <Scalar T>
struct RecordingFile {
  std::shared_ptr<Recording<T>> recording;
  std::vector<std::string> channel_names = {};  ///< of an array none
  std::optional<double> rate = {};              ///< Hz; of an array absent
  std::string unit = {};  ///< "V" of voltages, which are read in volts; of an array, or where the file is silent, ""
};

/// Reads the header. `.edf` and `.bdf`: channels of one rate and one unit, or all in units of voltage. `.npy`, of any type that
/// read_npy() reads, rounded to T: (n_channels, n_times), (n_trials, n_channels, n_times) or (n_times,).
/// @throws std::invalid_argument for another extension, a damaged or truncated file, gaps, channels that are not there or are not
/// of one rate and unit; riata::Error if it cannot be read
template <Scalar T>
RecordingFile<T> open_recording(const std::filesystem::path& path, const ChannelChoice& choice = {});

/// ".edf" or ".bdf", in any case?
bool is_edf_name(const std::filesystem::path& path);

/// One pass over all of it, in pieces: the channels that never change. @throws std::invalid_argument, after `where`, naming channel
/// and sample, for NaN and infinity
template <Scalar T>
std::vector<Index> require_finite_samples(const RecordingFile<T>& file, const std::string& where);

/// The same for learning. @throws std::invalid_argument also naming all channels that never change
template <Scalar T>
void require_good_samples(const RecordingFile<T>& file, const std::string& where, const ChannelChoice& choice = {});

}  // namespace riata
