#include "riata/core/threads.hpp"

#include <omp.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>

#include "riata/core/check.hpp"
#include "riata/core/error.hpp"

namespace riata {

constexpr int most_threads = 1024;  // a slip such as n_threads = 10^9 must not exhaust the machine

int resolve_threads(int requested) {
  require(requested >= 0, "n_threads = {}, must be >= 0 (0 means all cores)", requested);
  return requested > 0 ? std::min(requested, most_threads) : omp_get_max_threads();
}

void parallel_for(Index n_tasks, const Execution& execution, const std::function<void(Index, int)>& task) {
  const int n_threads = static_cast<int>(std::min<Index>(resolve_threads(execution.n_threads), std::max<Index>(n_tasks, 1)));
  std::atomic<bool> stop = false;
  std::exception_ptr failure;
  std::mutex failure_mutex;
  const auto run = [&](Index i, int thread) {
    if (stop.load(std::memory_order_relaxed)) return;
    try {
      if (thread == 0 && execution.stop_requested && execution.stop_requested()) throw Interrupted();
      task(i, thread);
    } catch (...) {
      const std::lock_guard lock(failure_mutex);
      if (!failure) failure = std::current_exception();
      stop = true;
    }
  };
#pragma omp parallel for schedule(dynamic, 1) num_threads(n_threads)
  for (Index i = 0; i < n_tasks; ++i) run(i, omp_get_thread_num());
  if (failure) std::rethrow_exception(failure);
}

}  // namespace riata
