#include "riata/core/threads.hpp"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "riata/core/error.hpp"
#include "riata/core/status.hpp"
#include "riata/core/stopping.hpp"
#include "support/sentences.hpp"

namespace riata::testing {
namespace {

TEST(ParallelFor, RunsEveryTaskOnce_OnAThreadInRange) {
  for (const int n_threads : {0, 1, 2, 3, 8})
    for (const Index n_tasks : {0, 1, 2, 7, 1000}) {
      std::vector<std::atomic<int>> runs(static_cast<std::size_t>(n_tasks));
      std::atomic<bool> in_range = true;
      parallel_for(n_tasks, {.n_threads = n_threads, .stop_requested = {}}, [&](Index i, int thread) {
        ++runs[static_cast<std::size_t>(i)];
        if (thread < 0 || thread >= resolve_threads(n_threads)) in_range = false;
      });
      for (const auto& count : runs) EXPECT_EQ(count, 1) << n_threads << " threads, " << n_tasks << " tasks";
      EXPECT_TRUE(in_range);
    }
}

TEST(ParallelFor, NeverRunsTwoTasksAtOnce_UnderOneThreadNumber) {
  std::vector<std::atomic<int>> busy(3);
  std::atomic<bool> clash = false;
  parallel_for(300, {.n_threads = 3, .stop_requested = {}}, [&](Index, int thread) {
    if (busy[static_cast<std::size_t>(thread)]++ != 0) clash = true;
    std::this_thread::yield();
    --busy[static_cast<std::size_t>(thread)];
  });
  EXPECT_FALSE(clash);
}

TEST(ParallelFor, RethrowsTheFirstException_AndLeavesTheRestUndone) {
  for (const int n_threads : {1, 2, 3}) {
    std::atomic<int> done = 0;
    std::string message;
    try {
      parallel_for(10'000, {.n_threads = n_threads, .stop_requested = {}}, [&](Index i, int) {
        if (i == 5) throw std::runtime_error("task 5 failed");
        ++done;
        std::this_thread::sleep_for(std::chrono::microseconds(20));
      });
    } catch (const std::runtime_error& failure) {
      message = failure.what();
    }
    EXPECT_EQ(message, "task 5 failed") << n_threads << " threads";
    EXPECT_LT(done, 10'000);
  }
}

TEST(ParallelFor, ThrowsInterrupted_WhenAskedToStop_AndPollsFromTheCallingThreadAlone) {
  for (const int n_threads : {1, 2, 3}) {
    int polls = 0;
    std::atomic<int> done = 0;
    std::set<std::thread::id> pollers;
    const Execution execution{.n_threads = n_threads, .stop_requested = [&] {
                                pollers.insert(std::this_thread::get_id());
                                return ++polls >= 3;
                              }};
    EXPECT_THROW(parallel_for(100'000, execution,
                              [&](Index, int) {
                                ++done;
                                std::this_thread::sleep_for(std::chrono::microseconds(20));
                              }),
                 Interrupted);
    EXPECT_EQ(polls, 3);
    EXPECT_LT(done, 100'000);
    EXPECT_EQ(pollers, std::set<std::thread::id>{std::this_thread::get_id()});
  }
}

/// Until asked to stop, or for ten seconds.
bool waits_to_be_stopped() {
  for (int i = 0; i < 10'000; ++i) {
    leave_if_stopped();
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return false;
}

TEST(ParallelFor, GoesOnAskingWhileOthersWork_AndTellsThem) {
  const auto caller = std::this_thread::get_id();
  std::atomic<bool> helper_works = false;
  const auto start = std::chrono::steady_clock::now();
  const Execution execution{.n_threads = 2, .stop_requested = [&] {
                              EXPECT_EQ(std::this_thread::get_id(), caller);
                              return std::chrono::steady_clock::now() - start > std::chrono::milliseconds(100);
                            }};
  EXPECT_THROW(parallel_for(2, execution,
                            [&](Index, int thread) {
                              if (thread == 0) {
                                while (!helper_works) std::this_thread::yield();
                              } else {
                                helper_works = true;
                                waits_to_be_stopped();
                              }
                            }),
               Interrupted);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(1200));
}

TEST(ParallelFor, AFailureEndsWhatOthersDo) {
  const auto start = std::chrono::steady_clock::now();
  EXPECT_THROW(parallel_for(2, {.n_threads = 2},
                            [&](Index i, int) {
                              if (i == 1) throw std::runtime_error("mine");
                              waits_to_be_stopped();
                            }),
               std::runtime_error);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(1200));
}

TEST(ParallelFor, WithinATaskOfAnother_AsksOnTheCallingThreadAlone_AndHearsWhatThatHears) {
  const auto caller = std::this_thread::get_id();
  int n_asked = 0;
  const Execution outer{.n_threads = 2, .stop_requested = [&] {
                          EXPECT_EQ(std::this_thread::get_id(), caller);
                          return ++n_asked > 5;
                        }};
  EXPECT_THROW(
      parallel_for(4, outer, [&](Index, int) { parallel_for(3, {.n_threads = 1}, [&](Index, int) { waits_to_be_stopped(); }); }),
      Interrupted);
}

TEST(StopScope, HoldsUntilItEnds_AndTheInnerOneDecides) {
  const Execution always{.n_threads = 1, .stop_requested = [] { return true; }};
  const Execution never{.n_threads = 1, .stop_requested = [] { return false; }};
  EXPECT_NO_THROW(leave_if_stopped());
  {
    const StopScope scope(always);
    EXPECT_THROW(leave_if_stopped(), Interrupted);
    {
      const StopScope inner(never);
      EXPECT_NO_THROW(leave_if_stopped());
      const StopScope without((Execution()));
      EXPECT_NO_THROW(leave_if_stopped());
    }
    EXPECT_THROW(leave_if_stopped(), Interrupted);
    EXPECT_THROW(parallel_for(0, {.n_threads = 1}, [](Index, int) {}), Interrupted);
  }
  EXPECT_NO_THROW(leave_if_stopped());
}

TEST(RunStoppable, LeavesWhatCannotLookBehind_AndPassesOnWhatItReturnsOrThrows) {
  const auto start = std::chrono::steady_clock::now();
  const Execution soon{
      .n_threads = 1, .stop_requested = [&] { return std::chrono::steady_clock::now() - start > std::chrono::milliseconds(50); }};
  const StopScope scope(soon);
  EXPECT_EQ(run_stoppable(1e12, [] { return 3; }), 3);
  EXPECT_THROW(run_stoppable(1e12, []() -> int { throw std::domain_error("mine"); }), std::domain_error);
  const auto nap = [] {
    std::this_thread::sleep_for(std::chrono::milliseconds(1500));
    return 0;
  };
  EXPECT_THROW(run_stoppable(1e12, nap), Interrupted);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(1200));
}

/// The exit code of a forked child that runs `body`, or -1 if it had to be killed after two seconds.
template <class Body>
int exit_code_of_child(const Body& body) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::alarm(2);
    ::_exit(body());
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(Threads, AForkedChildRunsOnOne_AndSoDoItsChildren) {
  const auto n_run = [] {
    std::atomic<int> n = 0;
    parallel_for(20, {.n_threads = 2}, [&](Index, int) {
      ++n;
      std::this_thread::sleep_for(std::chrono::microseconds(100));
    });
    return n.load();
  };
  ASSERT_EQ(n_run(), 20);  // the threads that no child has
  EXPECT_EQ(exit_code_of_child([&] { return resolve_threads(8) == 1 ? n_run() : 1; }), 20);
  EXPECT_EQ(exit_code_of_child([&] { return exit_code_of_child(n_run); }), 20);
  EXPECT_EQ(resolve_threads(8), 8);
}

TEST(ParallelFor, RefusesANegativeNumberOfThreads) {
  EXPECT_EQ(refusal_of([] { resolve_threads(-1); }), "n_threads = -1, must be >= 0 (0 means all cores)");
  EXPECT_EQ(resolve_threads(5), 5);
  EXPECT_GE(resolve_threads(0), 1);
}

TEST(Status, SaysItsName) {
  EXPECT_STREQ(to_string(Status::converged), "converged");
  EXPECT_STREQ(to_string(Status::max_iter_reached), "max_iter");
  EXPECT_STREQ(to_string(Status::max_time_reached), "max_time");
  EXPECT_STREQ(to_string(Status::interrupted), "interrupted");
  EXPECT_STREQ(Interrupted().what(), "interrupted");
}

TEST(Threads, AnAbsurdNumberIsCapped) {
  EXPECT_EQ(resolve_threads(3), 3);
  EXPECT_LE(resolve_threads(2'000'000'000), 4096);
}

}  // namespace
}  // namespace riata::testing
