#include "riata/core/threads.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "riata/core/error.hpp"
#include "riata/core/status.hpp"
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
