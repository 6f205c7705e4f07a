// A run's first part: where its batches of signals come from.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "riata/core/random.hpp"
#include "riata/learning/signal_source.hpp"
#include "riata/terms/batch.hpp"

namespace riata {

/// A batch, and what supervised losses hold its codes against, or what those of signals hold D z against.
template <Scalar T>
struct Sample {
  Batch<T> batch;
  OptionalKeptRef<T> targets = {};  ///< n_atoms x n_signals, or n_features x n_signals; or none
};

/// Its batches are a function of (seed, iteration), so there is nothing to store: all questions of one iteration see the same, in
/// a resumed run too. What it returns is valid until the next call.
template <Scalar T>
class Sampler {
 public:
  virtual ~Sampler() = default;
  virtual Sample<T> batch(Index iteration) = 0;
  /// Is it the same every time?
  virtual bool is_fixed() const { return false; }
  /// All signals, by which a run is judged.
  virtual Sample<T> all() { return batch(0); }
  /// Signals that no batch holds, for validation.
  virtual std::optional<Sample<T>> held_out() { return {}; }
};

/// All signals, every time. Borrows them.
template <Scalar T>
class FullBatch final : public Sampler<T> {
 public:
  explicit FullBatch(const NonDeduced<Batch<T>>& signals, const OptionalKeptRef<T>& targets = {}) : all_{signals, targets} {}
  Sample<T> batch(Index) override { return all_; }
  bool is_fixed() const override { return true; }

 private:
  Sample<T> all_;
};

struct MiniBatchOptions {
  std::optional<Index> batch_size = {};  ///< >= 1; absent: all that are not held out, every time
  double validation = 0;                 ///< share of the signals held out, in [0, 1)
  bool shuffle = true;                   ///< false: all signals in their order, round and round; none may be held out
  std::uint64_t seed = 0;
};

/// So many signals, one after another.
struct SignalRange {
  Index first, n;
};

/// Which signals are in which batch: a function of (seed, iteration) that takes no memory. Each epoch shuffles all that are not held out,
/// and its batches are one piece of them after another; what makes no whole batch waits for another epoch. Of many signals, runs of up
/// to 64 neighbours stay together, so that files are read in pieces, and the last few that make no run are left out.
class BatchOrder {
 public:
  /// @throws std::invalid_argument if batch_size or validation leave no signals
  BatchOrder(Index n_signals, const MiniBatchOptions& options);
  std::vector<SignalRange> batch(Index iteration) const;
  std::vector<SignalRange> held_out() const;
  std::vector<SignalRange> trained_on() const;  ///< all that are not held out
  Index n_held_out() const { return n_held_ * run_; }
  Index n_trained_on() const { return (n_runs_ - n_held_) * run_; }

 private:
  bool shuffles_;
  std::uint64_t seed_;
  Index run_, n_runs_, n_held_, batch_size_;
  Shuffle apart_;  // runs of signals: those held out are the first
};

/// Batches of signals in memory, as BatchOrder says. Borrows the signals and copies the batch.
template <Scalar T>
class MiniBatches final : public Sampler<T> {
 public:
  /// @throws std::invalid_argument if batch_size or validation leave no signals
  MiniBatches(const NonDeduced<Batch<T>>& signals, const MiniBatchOptions& options, const OptionalKeptRef<T>& targets = {});
  Sample<T> batch(Index iteration) override;
  bool is_fixed() const override { return !options_.batch_size; }
  Sample<T> all() override { return all_; }
  std::optional<Sample<T>> held_out() override;

 private:
  /// Copies of some of the signals.
  struct Chosen {
    Chosen(const Sample<T>& all, const std::vector<SignalRange>& which);
    Sample<T> sample() const;
    Matrix<T> X, weights, targets;
  };
  Sample<T> all_;
  MiniBatchOptions options_;
  BatchOrder order_;
  std::optional<Chosen> held_out_, batch_;
  Index iteration_ = -1;  // of batch_
};

/// The same batches of signals that are read when they are due; the next ones are announced. Keeps a batch and the signals held out.
template <Scalar T>
class StreamBatches final : public Sampler<T> {
 public:
  /// @throws std::invalid_argument if there is no batch_size, or batch_size or validation leave no signals
  StreamBatches(std::shared_ptr<SignalSource<T>> signals, const MiniBatchOptions& options);
  Sample<T> batch(Index iteration) override;
  Sample<T> all() override;  ///< refused
  std::optional<Sample<T>> held_out() override;

 private:
  std::shared_ptr<SignalSource<T>> signals_;
  BatchOrder order_;
  Matrix<T> held_out_, batch_;
  Index iteration_ = -1;  // of batch_
};

/// Some of the signals, in that order.
template <Scalar T>
Matrix<T> chosen_signals(const NonDeduced<ConstMatrixRef<T>>& X, const std::vector<SignalRange>& which);
template <Scalar T>
Matrix<T> read_signals(SignalSource<T>& signals, const std::vector<SignalRange>& which);

struct PatchSamplerOptions {
  Index patch = 8;           ///< side of the square patches
  Index n_patches = 20000;   ///< drawn without replacement; all of them if the image has fewer
  bool centred = true;       ///< subtract each patch's mean
  double smallest_norm = 0;  ///< after centring, patches below this norm are left out (flat regions carry only noise)
  std::uint64_t seed = 0;
};

/// Random patches of an image (row-major, height x width), drawn once.
template <Scalar T>
class PatchSampler final : public Sampler<T> {
 public:
  /// @throws std::invalid_argument if the image is smaller than a patch
  PatchSampler(const T* image, Index height, Index width, const PatchSamplerOptions& options);
  Sample<T> batch(Index = 0) override { return {patches_}; }
  bool is_fixed() const override { return true; }

 private:
  Matrix<T> patches_;
};

}  // namespace riata
