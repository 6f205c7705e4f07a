// How work hears that it is to stop; the rule is at Execution.
//
// stop_requested is asked on the calling thread alone, since Python runs its handlers of signals on the main thread only. That
// thread, once out of tasks, goes on asking until the others are done. What it says is seen by every loop of every thread, all of
// which call leave_if_stopped().
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "riata/core/threads.hpp"

namespace riata {

/// While it lives, leave_if_stopped() on this thread asks what `execution` holds, which it borrows: for work between calls of
/// parallel_for(), which opens one itself. An execution without stop_requested leaves the outer one's in force.
class StopScope {
 public:
  explicit StopScope(const Execution& execution);
  StopScope(const StopScope&) = delete;
  StopScope& operator=(const StopScope&) = delete;
  ~StopScope();

 private:
  const std::function<bool()>* outer_;
  std::int64_t outer_next_ask_;
};

/// In every loop that may last: two loads, and on the calling thread a look at the clock, hence per iteration and not per entry.
/// @throws Interrupted, or what stop_requested throws
void leave_if_stopped();

/// For run_stoppable().
void run_beside(const std::function<void()>& work);

/// What work() returns. `work` does not call leave_if_stopped() itself (a decomposition of another library), so where it takes
/// long, by the number of its operations, this thread does so while another works. A stop leaves that one behind to end by
/// itself: `work` must own what it touches.
template <class Work>
auto run_stoppable(double n_operations, Work work) {
  constexpr double soon_done = 1e8;
  if (n_operations < soon_done) return work();
  const auto result = std::make_shared<std::optional<decltype(work())>>();
  run_beside([result, work = std::move(work)] { result->emplace(work()); });
  return std::move(**result);
}

}  // namespace riata
