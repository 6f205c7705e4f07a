#include "riata/learning/sampler.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <utility>

#include "riata/core/check.hpp"
#include "riata/core/error.hpp"
#include "riata/core/random.hpp"
#include "riata/core/stopping.hpp"
#include "riata/operators/patches.hpp"
#include "riata/operators/units.hpp"

namespace riata {
namespace {

constexpr std::uint32_t batch_stream = 200, validation_stream = 201;

/// Neighbours that stay together.
Index run_of(Index n_signals, const MiniBatchOptions& options) {
  if (!options.shuffle) return 1;
  constexpr Index enough = 1 << 16, most = 64;  // runs in all, signals in one
  const Index run = std::clamp<Index>(n_signals / enough, 1, most);
  if (!options.batch_size) return run;
  return *options.batch_size > n_signals / 2 ? 1 : std::min(run, std::max<Index>(1, *options.batch_size / 16));
}

Index held_of(Index n_runs, double validation) {
  return static_cast<Index>(std::lround(validation * static_cast<double>(n_runs)));
}

}  // namespace

template <Scalar T>
Matrix<T> chosen_signals(const NonDeduced<ConstMatrixRef<T>>& A, const std::vector<SignalRange>& which) {
  Index n = 0, done = 0;
  for (const SignalRange& range : which) n += range.n;
  Matrix<T> chosen(A.rows(), n);
  for (const SignalRange& range : which) {
    leave_if_stopped();
    chosen.middleCols(done, range.n) = A.middleCols(range.first, range.n);
    done += range.n;
  }
  return chosen;
}

BatchOrder::BatchOrder(Index n, const MiniBatchOptions& options)
    : shuffles_(options.shuffle),
      seed_(options.seed),
      run_(run_of(n, options)),
      n_runs_(n / run_),
      n_held_(held_of(n_runs_, options.validation)),
      batch_size_(options.batch_size.value_or(n_trained_on())),
      apart_(std::max<Index>(1, n_runs_), seed_, validation_stream) {
  require(shuffles_ || n_held_ == 0, "shuffle = false holds no signals out for validation");
  require(n_held_ < n_runs_, "validation = {} of {} signals leaves none to train on", options.validation, n);
  require(n_held_ > 0 || options.validation == 0, "validation = {} of {} signals holds none out", options.validation, n);
  require(batch_size_ >= 1 && batch_size_ <= n_trained_on(), "batch_size = {}, must be at most the {} signals to train on",
          batch_size_, n_trained_on());
}

std::vector<SignalRange> BatchOrder::batch(Index iteration) const {
  const Index n = n_runs_ - n_held_, per_epoch = n_trained_on() / batch_size_, epoch = iteration / per_epoch;
  if (!shuffles_) {  // round and round
    const Index first = iteration % n * (batch_size_ % n) % n, to_end = std::min(batch_size_, n - first);
    if (to_end == batch_size_) return {{first, batch_size_}};
    return {{first, to_end}, {0, batch_size_ - to_end}};
  }
  const Shuffle shuffle(n, seed_, batch_stream, static_cast<std::uint32_t>(epoch));
  std::vector<SignalRange> ranges;
  Index begin = iteration % per_epoch * batch_size_;
  for (const Index end = begin + batch_size_; begin < end;) {  // of the epoch's signals
    const Index in_run = begin % run_, some = std::min(run_ - in_run, end - begin);
    ranges.push_back({apart_(n_held_ + shuffle(begin / run_)) * run_ + in_run, some});
    begin += some;
  }
  return ranges;
}

std::vector<SignalRange> BatchOrder::held_out() const {
  std::vector<SignalRange> ranges;
  for (Index k = 0; k < n_held_; ++k) ranges.push_back({apart_(k) * run_, run_});
  return ranges;
}

std::vector<SignalRange> BatchOrder::trained_on() const {
  std::vector<bool> is_held(static_cast<std::size_t>(n_runs_));
  for (Index k = 0; k < n_held_; ++k) is_held[static_cast<std::size_t>(apart_(k))] = true;
  std::vector<SignalRange> ranges;
  for (Index k = 0; k < n_runs_; ++k)
    if (!is_held[static_cast<std::size_t>(k)]) ranges.push_back({k * run_, run_});
  return ranges;
}

template <Scalar T>
MiniBatches<T>::Chosen::Chosen(const Sample<T>& all, const std::vector<SignalRange>& which)
    : X(chosen_signals<T>(all.batch.X, which)) {
  if (all.batch.is_weighted()) weights = chosen_signals<T>(*all.batch.weights, which);
  if (all.targets) targets = chosen_signals<T>(*all.targets, which);
}

template <Scalar T>
Sample<T> MiniBatches<T>::Chosen::sample() const {
  return {weights.size() > 0 ? Batch<T>(X, weights) : Batch<T>(X),
          targets.size() > 0 ? OptionalKeptRef<T>(targets) : std::nullopt};
}

template <Scalar T>
MiniBatches<T>::MiniBatches(const NonDeduced<Batch<T>>& signals, const MiniBatchOptions& options,
                            const OptionalKeptRef<T>& targets)
    : all_{signals, targets}, options_(options), order_(signals.size(), options) {
  if (order_.n_held_out() > 0) held_out_.emplace(all_, order_.held_out());
}

template <Scalar T>
Sample<T> MiniBatches<T>::batch(Index iteration) {
  if (!options_.batch_size && !held_out_) return all_;
  if (!options_.batch_size) iteration = 0;
  if (batch_ && iteration == iteration_) return batch_->sample();
  batch_.reset();
  batch_.emplace(all_, options_.batch_size ? order_.batch(iteration) : order_.trained_on());
  iteration_ = iteration;
  return batch_->sample();
}

template <Scalar T>
std::optional<Sample<T>> MiniBatches<T>::held_out() {
  if (!held_out_) return {};
  return held_out_->sample();
}

template <Scalar T>
Matrix<T> read_signals(SignalSource<T>& signals, const std::vector<SignalRange>& which) {
  struct Place {
    SignalRange range;
    Index column;
  };
  std::vector<Place> places;
  Index n = 0;
  for (const SignalRange& range : which) {
    places.push_back({range, n});
    n += range.n;
  }
  std::ranges::sort(places, {}, [](const Place& place) { return place.range.first; });  // as files lie
  Matrix<T> X(signals.n_features(), n);
  for (const auto& [range, column] : places) {
    auto some = X.middleCols(column, range.n);
    signals.read(range.first, some);
    require_in_range<T>("learn_dictionary", "X", some, of_signals, range.first);
  }
  return X;
}

template <Scalar T>
StreamBatches<T>::StreamBatches(std::shared_ptr<SignalSource<T>> signals, const MiniBatchOptions& options)
    : signals_(std::move(signals)), order_(signals_->n_signals(), options) {
  require(options.batch_size.has_value(), "a stream of signals is learned from in batches: give batch_size");
  if (order_.n_held_out() > 0) held_out_ = read_signals(*signals_, order_.held_out());
}

template <Scalar T>
Sample<T> StreamBatches<T>::batch(Index iteration) {
  if (iteration != iteration_) {
    iteration_ = -1;
    batch_.resize(0, 0);
    batch_ = read_signals(*signals_, order_.batch(iteration));
    iteration_ = iteration;
    auto soon = order_.batch(iteration + 1);
    std::ranges::sort(soon, {}, &SignalRange::first);
    try {
      for (const SignalRange& next : soon) signals_->announce(next.first, next.n);
    } catch (const std::invalid_argument&) {  // what cannot be read is said when it must be
    } catch (const Error&) {
    }
  }
  return {Batch<T>(batch_)};
}

template <Scalar T>
Sample<T> StreamBatches<T>::all() {
  refuse("a stream of signals is never there as a whole");
}

template <Scalar T>
std::optional<Sample<T>> StreamBatches<T>::held_out() {
  if (held_out_.size() == 0) return {};
  return Sample<T>{Batch<T>(held_out_)};
}

template <Scalar T>
PatchSampler<T>::PatchSampler(const T* image, Index height, Index width, const PatchSamplerOptions& options) {
  require(options.n_patches >= 1, "n_patches = {}, must be >= 1", options.n_patches);
  const PatchGrid grid(height, width, options.patch);
  RandomStream random(options.seed);
  patches_.resize(options.patch * options.patch, std::min(options.n_patches, grid.count()));
  Index kept = 0;
  const Index candidates = std::min(grid.count(), 8 * patches_.cols());
  for (const Index i : random.choose(grid.count(), candidates)) {
    if (kept == patches_.cols()) break;
    leave_if_stopped();
    Matrix<T> patch = extract_patches(image, grid, i, 1);
    if (options.centred) patch.array() -= patch.mean();
    if (static_cast<double>(patch.norm()) < options.smallest_norm) continue;
    patches_.col(kept++) = patch;
  }
  patches_.conservativeResize(Eigen::NoChange, kept);
}

template class MiniBatches<float>;
template class MiniBatches<double>;
template class StreamBatches<float>;
template class StreamBatches<double>;
template Matrix<float> read_signals<float>(SignalSource<float>&, const std::vector<SignalRange>&);
template Matrix<double> read_signals<double>(SignalSource<double>&, const std::vector<SignalRange>&);
template class PatchSampler<float>;
template class PatchSampler<double>;

template Matrix<float> chosen_signals<float>(const ConstMatrixRef<float>&, const std::vector<SignalRange>&);
template Matrix<double> chosen_signals<double>(const ConstMatrixRef<double>&, const std::vector<SignalRange>&);

}  // namespace riata
