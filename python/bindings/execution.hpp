// Where a computation runs, and how Ctrl-C and callbacks reach it. Computations run without the GIL.
#pragma once

#include <nanobind/nanobind.h>

#include <chrono>
#include <memory>
#include <optional>

#include "riata/core/error.hpp"
#include "riata/core/status.hpp"
#include "riata/core/stopping.hpp"
#include "riata/core/threads.hpp"

namespace riata::python {

namespace nb = nanobind;

/// What a pending signal does to a run.
enum class OnInterrupt {
  raise,  ///< KeyboardInterrupt, or whatever the handler raised, leaves the call
  stop    ///< KeyboardInterrupt asks the run for its best result so far
};

/// function(arguments...), with the GIL held: Ctrl-C in it stops the run as it does elsewhere.
template <class... Arguments>
nb::object call_or_interrupt(const nb::object& function, const Arguments&... arguments) {
  try {
    return function(arguments...);
  } catch (const nb::python_error& error) {
    if (error.matches(PyExc_KeyboardInterrupt)) throw Interrupted();
    throw;
  }
}

/// Lets Python look at pending signals, every 50 ms at most: each look takes the GIL from other Python
/// threads.
class SignalPoll {
 public:
  explicit SignalPoll(OnInterrupt on_interrupt) : on_interrupt_(on_interrupt) {}

  bool operator()() {
    const auto now = Clock::now();
    if (stopped_ || now - last_ < std::chrono::milliseconds(50)) return stopped_;
    const nb::gil_scoped_acquire gil;
    last_ = now;
    if (PyErr_CheckSignals() == 0) return false;
    nb::python_error error;  // takes Python's pending exception
    if (on_interrupt_ == OnInterrupt::raise || !error.matches(PyExc_KeyboardInterrupt)) throw error;
    return stopped_ = true;
  }

 private:
  using Clock = std::chrono::steady_clock;
  OnInterrupt on_interrupt_;
  bool stopped_ = false;
  Clock::time_point last_ = Clock::now();
};

/// `n_threads` None: all cores this process may use. Copies of the result share one SignalPoll.
inline Execution to_execution(std::optional<int> n_threads, OnInterrupt on_interrupt = OnInterrupt::raise) {
  const auto poll = std::make_shared<SignalPoll>(on_interrupt);
  return {.n_threads = n_threads.value_or(0), .stop_requested = [poll] { return (*poll)(); }};
}

/// Runs `compute` without the GIL; a signal reaches it, also where no Execution is passed on.
template <class Compute>
auto without_gil(const Compute& compute) {
  const Execution execution = to_execution(std::nullopt);
  const nb::gil_scoped_release release;
  const StopScope scope(execution);
  return compute();
}

/// A Python callable as observer: a true return value stops the run, what it raises leaves it. Ctrl-C does what it does elsewhere
/// in the run.
template <class Info>
std::function<Action(const Info&)> to_observer(const nb::object& callback, OnInterrupt on_interrupt) {
  if (callback.is_none()) return {};
  return [&callback, on_interrupt](const Info& info) {
    const nb::gil_scoped_acquire gil;
    try {
      return nb::cast<bool>(nb::bool_(callback(info))) ? Action::stop : Action::keep_going;
    } catch (const nb::python_error& error) {
      if (on_interrupt == OnInterrupt::raise || !error.matches(PyExc_KeyboardInterrupt)) throw;
      return Action::stop;
    }
  };
}

}  // namespace riata::python
