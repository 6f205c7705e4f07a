#include "riata/core/threads.hpp"

#include <omp.h>
#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <ctime>
#include <exception>
#include <memory>
#include <mutex>
#include <system_error>
#include <thread>

#include "riata/core/check.hpp"
#include "riata/core/error.hpp"
#include "riata/core/idle_threads.hpp"
#include "riata/core/instruction_set.hpp"
#include "riata/core/stopping.hpp"

namespace riata {
namespace {

constexpr int most_threads = 1024;  // a slip such as n_threads = 10^9 must not exhaust the machine

std::atomic<bool> is_forked = false;
[[maybe_unused]] const int registered = pthread_atfork(nullptr, nullptr, [] { is_forked = true; });

constexpr std::chrono::milliseconds between_asks{20};

/// Milliseconds, to a few; the coarse clock is a load.
std::int64_t now_ms() {
#ifdef CLOCK_MONOTONIC_COARSE
  constexpr clockid_t clock = CLOCK_MONOTONIC_COARSE;
#else
  constexpr clockid_t clock = CLOCK_MONOTONIC;
#endif
  timespec now{};
  ::clock_gettime(clock, &now);
  return std::int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000;
}

/// The threads of one parallel_for().
struct Team {
  const Team* outer;  // of the task that called it
  std::atomic<bool> is_stopped = false;
  std::exception_ptr failure = {};
  std::atomic<int> n_done = 0;  // of the threads other than the calling one
  std::mutex mutex = {};
  std::condition_variable done = {};

  void fail() {
    const std::lock_guard lock(mutex);
    if (!failure) failure = std::current_exception();
    is_stopped = true;
  }
};

/// What leave_if_stopped() looks at on one thread.
struct Here {
  const std::function<bool()>* requested = nullptr;
  std::int64_t next_ask = 0;
  const Team* team = nullptr;
  bool may_ask = true;
  int n_idle = 0;  // threads of parallel_for() that a task of it may use beside its own
};
constinit thread_local Here here;

/// While it lives, tasks on this thread may use so many threads more.
class IdleThreads {
 public:
  explicit IdleThreads(int n) : before_(here.n_idle) { here.n_idle = n; }
  IdleThreads(const IdleThreads&) = delete;
  ~IdleThreads() { here.n_idle = before_; }

 private:
  int before_;
};

void leave_if_team_stopped() {
  for (const Team* team = here.team; team != nullptr; team = team->outer)
    if (team->is_stopped.load(std::memory_order_relaxed)) throw Interrupted();
}

void ask() {
  if (here.requested == nullptr || !here.may_ask) return;
  if ((*here.requested)()) throw Interrupted();
  here.next_ask = now_ms() + between_asks.count();
}

/// A thread's share of the tasks.
void work_off(Team& team, std::atomic<Index>& next, Index n_tasks, const std::function<void(Index, int)>& task, int thread) {
  try {
    for (Index i = next++; i < n_tasks; i = next++) {
      leave_if_team_stopped();
      ask();
      task(i, thread);
    }
  } catch (...) {
    team.fail();
  }
}

/// The calling thread, out of tasks.
void await(Team& team, int n_others) {
  constexpr int spins = 10'000;  // a thread that is nearly done comes sooner than a wake-up
  for (int i = 0; i < spins; ++i)
    if (team.n_done.load(std::memory_order_acquire) == n_others) return;
  std::unique_lock lock(team.mutex);
  while (!team.done.wait_for(lock, between_asks, [&] { return team.n_done == n_others; })) {
    if (team.is_stopped) continue;
    lock.unlock();
    try {
      leave_if_stopped();
    } catch (...) {
      team.fail();
    }
    lock.lock();
  }
}

}  // namespace

int resolve_threads(int requested) {
  require(requested >= 0, "n_threads = {}, must be >= 0 (0 means all cores)", requested);
  if (is_forked) return 1;  // the OpenMP runtime would wait for the threads that were not copied
  return requested > 0 ? std::min(requested, most_threads) : omp_get_max_threads();
}

StopScope::StopScope(const Execution& execution) : outer_(here.requested), outer_next_ask_(here.next_ask) {
  instruction_set();  // refuses an unknown RIATA_SIMD also where no kernel of ours would run
  if (!execution.stop_requested) return;
  here.requested = &execution.stop_requested;
  here.next_ask = 0;
}

StopScope::~StopScope() {
  here.requested = outer_;
  here.next_ask = outer_next_ask_;
}

void leave_if_stopped() {
  leave_if_team_stopped();
  if (here.requested != nullptr && here.may_ask && now_ms() >= here.next_ask) ask();
}

void parallel_for(Index n_tasks, const Execution& execution, const std::function<void(Index, int)>& task) {
  const int n_allowed = resolve_threads(execution.n_threads);
  const int n_threads = static_cast<int>(std::min<Index>(n_allowed, std::max<Index>(n_tasks, 1)));
  const InstructionSet set = instruction_set();
  const StopScope scope(execution);
  leave_if_team_stopped();
  ask();
  if (n_threads == 1) {
    const IdleThreads idle(n_tasks == 1 ? n_allowed - 1 : 0);
    for (Index i = 0; i < n_tasks; ++i) {
      leave_if_team_stopped();
      ask();
      task(i, 0);
    }
    return;
  }
  Team team{.outer = here.team};
  std::atomic<Index> next = 0;
  const Here caller = here;
#pragma omp parallel num_threads(n_threads)
  {
    const int thread = omp_get_thread_num();
    const UseInstructionSet callers(set);
    const Here before = here;
    here = {.requested = caller.requested, .next_ask = caller.next_ask, .team = &team, .may_ask = caller.may_ask && thread == 0};
    work_off(team, next, n_tasks, task, thread);
    if (thread == 0) {
      await(team, omp_get_num_threads() - 1);
    } else {
      const std::lock_guard lock(team.mutex);
      ++team.n_done;
      team.done.notify_one();
    }
    here = before;
  }
  if (team.failure) std::rethrow_exception(team.failure);
}

void parallel_within(Index n_parts, const std::function<void(Index)>& part) {
  parallel_for(n_parts, {.n_threads = here.n_idle + 1}, [&](Index i, int) { part(i); });
}

void run_beside(const std::function<void()>& work) {
  struct Shared {
    std::mutex mutex = {};
    std::condition_variable done = {};
    bool is_done = false;
    std::exception_ptr failure = {};
  };
  if (here.requested == nullptr && here.team == nullptr) return work();  // nobody can stop it
  const auto shared = std::make_shared<Shared>();
  const InstructionSet set = instruction_set();
  try {
    std::thread([shared, work, set] {
      const UseInstructionSet callers(set);
      std::exception_ptr failure;
      keep_failure(failure, work);
      const std::lock_guard lock(shared->mutex);
      shared->failure = failure;
      shared->is_done = true;
      shared->done.notify_one();
    }).detach();
  } catch (const std::system_error&) {  // no thread to be had
    return work();
  }
  std::unique_lock lock(shared->mutex);
  while (!shared->done.wait_for(lock, between_asks, [&] { return shared->is_done; })) {
    lock.unlock();
    leave_if_stopped();
    lock.lock();
  }
  if (shared->failure) std::rethrow_exception(shared->failure);
}

}  // namespace riata
