#include "riata/core/status.hpp"

namespace riata {

const char* to_string(Status status) {
  switch (status) {
    case Status::converged:
      return "converged";
    case Status::stalled:
      return "stalled";
    case Status::max_iter_reached:
      return "max_iter";
    case Status::max_time_reached:
      return "max_time";
    case Status::interrupted:
      return "interrupted";
  }
  return "unknown";
}

}  // namespace riata
