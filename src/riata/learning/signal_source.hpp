// Signals that need not be in memory: a learner reads some of them at a time, at places, so that a run can go on after a kill.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "riata/core/types.hpp"
#include "riata/io/npy_stream.hpp"

namespace riata {

/// Derive to learn from a database or a file of another format. Reads happen one at a time.
template <Scalar T>
class SignalSource {
 public:
  virtual ~SignalSource() = default;
  virtual Index n_features() const = 0;
  virtual Index n_signals() const = 0;
  /// Signals first, ..., first + out.cols() - 1, n_features each, the same whenever they are read.
  /// @throws std::invalid_argument naming what is wrong with which signal
  virtual void read(Index first, MatrixRef<T> out) = 0;
  /// Those will be read soon: a hint.
  virtual void announce(Index /*first*/, Index /*n*/) {}
};

/// Two-dimensional .npy files, (n_signals, n_features), one after another. Few are open at a time.
template <Scalar T>
class NpyShards final : public SignalSource<T> {
 public:
  /// Reads the headers. @throws std::invalid_argument naming the file, if there is none, one is of another width or precision, or
  /// damaged; riata::Error if one cannot be read
  explicit NpyShards(const std::vector<std::filesystem::path>& paths);

  Index n_features() const override { return n_features_; }
  Index n_signals() const override { return shards_.back().first + shards_.back().n; }
  void read(Index first, MatrixRef<T> out) override;
  void announce(Index first, Index n) override;

 private:
  struct Shard {
    std::filesystem::path path;
    std::uint64_t n_bytes;
    Index first, n;  // signals
  };
  /// Calls use(its rows, first of them, n) for each shard that holds some of these signals.
  template <class Use>
  void for_each_part(Index first, Index n, const Use& use);
  NpyRows& open(const Shard& shard);

  std::vector<Shard> shards_;
  Index n_features_ = 0;
  std::vector<std::pair<Index, NpyRows>> open_;  // first signal of the shard, and the shard; the last is the one used last
};

/// Are the values of that .npy file float32? @throws as NpyRows
bool is_float32_npy(const std::filesystem::path& path);

}  // namespace riata
