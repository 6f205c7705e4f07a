// How a run ended, and the one hook through which a caller watches or stops it.
#pragma once

#include <functional>

#include "riata/core/names.hpp"

namespace riata {

enum class Status : signed char {
  converged,         ///< certified: by the duality gap, or since nothing that moves alone lowers the objective further
  stalled,           ///< ended without the certificate: by rounding, a tolerance or patience
  max_iter_reached,  ///< the iteration limit came first
  max_time_reached,  ///< the time limit came first
  interrupted        ///< the observer or Ctrl-C asked to stop; the result is the best so far
};

template <>
inline constexpr Name<Status> names<Status>[] = {{Status::converged, "converged"},
                                                 {Status::stalled, "stalled"},
                                                 {Status::max_iter_reached, "max_iter"},
                                                 {Status::max_time_reached, "max_time"},
                                                 {Status::interrupted, "interrupted"}};

/// What a learner tells about one accepted iteration.
struct IterationInfo {
  int phase = 0;       ///< 0: dictionary alone, 1: dictionary and step factors
  int iteration = 0;   ///< accepted iterations so far, both phases together
  double value = 0;    ///< objective after the iteration
  double step = 0;     ///< accepted step of the line search
  double seconds = 0;  ///< wall time since the start of learning, resumed runs included
};

enum class Action { keep_going, stop };
using Observer = std::function<Action(const IterationInfo&)>;

}  // namespace riata
