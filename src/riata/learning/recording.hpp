// Recordings that need not be in memory: trials of several channels, of which pieces are read where a run wants them.
#pragma once

#include <memory>

#include "riata/learning/signal_source.hpp"
#include "riata/terms/batch.hpp"

namespace riata {

/// Derive to learn from a file of another format. Reads happen one at a time.
template <Scalar T>
class Recording {
 public:
  virtual ~Recording() = default;
  virtual Index n_trials() const { return 1; }
  virtual Index n_channels() const = 0;
  virtual Index n_times() const = 0;  ///< samples of each trial
  /// Column c of `out` (count x n_channels) is samples first, ... of channel c of that trial, the same whenever they are read.
  /// @throws std::invalid_argument naming what is wrong with which samples
  virtual void read(Index trial, Index first, MatrixRef<T> out) = 0;
};

/// Trials in memory, which it borrows: (n_channels n_times) x n_trials, channel after channel.
template <Scalar T>
class RecordingInMemory final : public Recording<T> {
 public:
  /// @throws std::invalid_argument if there are none, or rows are no multiple of the channels
  RecordingInMemory(const NonDeduced<ConstMatrixRef<T>>& trials, Index n_channels);
  Index n_trials() const override { return trials_.cols(); }
  Index n_channels() const override { return n_channels_; }
  Index n_times() const override { return trials_.rows() / n_channels_; }
  void read(Index trial, Index first, MatrixRef<T> out) override;

 private:
  KeptMatrixRef<T> trials_;
  Index n_channels_;
};

/// Windows of recordings as signals, channel after channel: the i-th begins where the seed and i say, and windows may overlap. All
/// starts are equally likely.
template <Scalar T>
class RecordingWindows final : public SignalSource<T> {
 public:
  /// @throws std::invalid_argument if a window does not fit
  RecordingWindows(std::shared_ptr<Recording<T>> recording, Index n_times_window, Index n_windows, std::uint64_t seed);
  Index n_features() const override { return recording_->n_channels() * n_times_window_; }
  Index n_signals() const override { return n_windows_; }
  void read(Index first, MatrixRef<T> out) override;

 private:
  std::shared_ptr<Recording<T>> recording_;
  Index n_times_window_, n_windows_;
  std::uint64_t seed_;
};

}  // namespace riata
