#include "riata/learning/recording.hpp"

#include <cmath>

#include "riata/core/check.hpp"
#include "riata/core/random.hpp"

namespace riata {
namespace {

constexpr std::uint32_t stream_of_windows = 211;

}  // namespace

template <Scalar T>
RecordingInMemory<T>::RecordingInMemory(const NonDeduced<ConstMatrixRef<T>>& trials, Index n_channels)
    : trials_(trials), n_channels_(n_channels) {
  require(n_channels >= 1 && trials.cols() >= 1 && trials.rows() >= n_channels && trials.rows() % n_channels == 0,
          "recording: trials have {} entries, must be a multiple of the {} channels", trials.rows(), n_channels);
}

template <Scalar T>
void RecordingInMemory<T>::read(Index trial, Index first, MatrixRef<T> out) {
  const Eigen::Map<const Matrix<T>> all(trials_.col(trial).data(), n_times(), n_channels_);
  out = all.middleRows(first, out.rows());
}

template <Scalar T>
RecordingWindows<T>::RecordingWindows(std::shared_ptr<Recording<T>> recording, Index n_times_window, Index n_windows,
                                      std::uint64_t seed)
    : recording_(std::move(recording)), n_times_window_(n_times_window), n_windows_(n_windows), seed_(seed) {
  require(recording_ != nullptr, "windows: there is no recording");
  require(n_times_window >= 1 && n_times_window <= recording_->n_times(),
          "windows have {} samples, must have 1 to {}, as recordings have", n_times_window, recording_->n_times());
  require(n_windows >= 1, "windows: n_windows = {}, must be >= 1", n_windows);
}

template <Scalar T>
void RecordingWindows<T>::read(Index first, MatrixRef<T> out) {
  const Index n_starts = recording_->n_times() - n_times_window_ + 1;
  for (Index i = 0; i < out.cols(); ++i) {
    RandomStream random(seed_, stream_of_windows, static_cast<std::uint32_t>(first + i));
    const auto which = static_cast<Index>(random.below(static_cast<std::uint64_t>(n_starts * recording_->n_trials())));
    Eigen::Map<Matrix<T>> window(out.col(i).data(), n_times_window_, recording_->n_channels());
    const Index trial = which / n_starts, begin = which % n_starts;
    recording_->read(trial, begin, window);
    if (window.allFinite()) continue;
    for (Index c = 0; c < window.cols(); ++c)
      for (Index t = 0; t < window.rows(); ++t)
        require(std::isfinite(window(t, c)),
                "learn_patterns: X holds {} at trial {}, channel {}, sample {}; expected finite numbers", window(t, c), trial, c,
                begin + t);
  }
}

template class RecordingInMemory<float>;
template class RecordingInMemory<double>;
template class RecordingWindows<float>;
template class RecordingWindows<double>;

}  // namespace riata
