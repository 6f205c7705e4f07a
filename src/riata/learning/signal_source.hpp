// Signals that need not be in memory: a learner reads some of them at a time, at places, so that a run can go on after a kill.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "riata/core/types.hpp"

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
  ~NpyShards() override;

  Index n_features() const override;
  Index n_signals() const override;
  void read(Index first, MatrixRef<T> out) override;
  void announce(Index first, Index n) override;

 private:
  struct Files;
  std::unique_ptr<Files> files_;
};

/// Several sources, one after another.
template <Scalar T>
class JoinedSignals final : public SignalSource<T> {
 public:
  /// @throws std::invalid_argument if there is none, or features differ
  explicit JoinedSignals(std::vector<std::shared_ptr<SignalSource<T>>> sources);
  Index n_features() const override { return sources_.front()->n_features(); }
  Index n_signals() const override { return ends_.back(); }
  void read(Index first, MatrixRef<T> out) override;

 private:
  std::vector<std::shared_ptr<SignalSource<T>>> sources_;
  std::vector<Index> ends_;
};

/// Are the values of that .npy file float32? @throws as NpyShards
bool is_float32_npy(const std::filesystem::path& path);
/// Are its rows one after another, not its columns? @throws as NpyShards
bool has_rows_in_order(const std::filesystem::path& path);

}  // namespace riata
