// One line on stderr that follows a learner or a training, on a terminal only.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "riata/core/status.hpp"
#include "riata/learning/train.hpp"

namespace riata::cli {

class Progress {
 public:
  /// Silent unless `wanted` and stderr is a terminal. The bar fills up to max_iter where that is known.
  explicit Progress(bool wanted, std::optional<int> max_iter = {});
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  ~Progress();  ///< clears the line

  void show(const IterationInfo& info);
  void show(const TrainingInfo& info);

 private:
  bool is_due();  // at most ten times a second
  void print(int iteration, const std::string& text) const;

  bool is_on_;
  std::optional<int> max_iter_;
  std::chrono::steady_clock::time_point last_{};
};

}  // namespace riata::cli
