// Parallelism over independent tasks (tiles, lanes). Results never depend on the number of threads: a task's work and
// the order in which tasks are combined are fixed by the problem's size alone.
#pragma once

#include <functional>

#include "riata/core/types.hpp"

namespace riata {

/// Where and how long a computation may run.
///
/// How it stops, the one rule for all that take an Execution, and for Ctrl-C in Python and signals in the command too:
/// stop_requested is asked before the threads start and then every 50 ms or sooner, on the calling thread alone; the loops of all
/// hear the answer. A yes, which has to last, ends the call within half a second: it throws Interrupted, or what stop_requested
/// itself threw, and has changed nothing. What goes step by step, learn_dictionary(), train() and Run::fit(), has what its steps
/// gave: once the first has begun, a yes makes it return the last complete one with Status::interrupted, its checkpoint written.
struct Execution {
  int n_threads = 0;                          ///< 0: all cores this process may use (OMP_NUM_THREADS is respected)
  std::function<bool()> stop_requested = {};  ///< none: nothing stops it
};

/// The number of threads `requested` stands for, at most 1024. @throws std::invalid_argument if negative
int resolve_threads(int requested);

/// Runs task(i, thread) for i in [0, n_tasks), thread in [0, resolve_threads(execution.n_threads)).
/// The first exception thrown by a task stops the rest and is rethrown. @throws Interrupted
void parallel_for(Index n_tasks, const Execution& execution, const std::function<void(Index task, int thread)>& task);

}  // namespace riata
