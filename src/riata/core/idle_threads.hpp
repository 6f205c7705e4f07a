// Parallelism within a task: the parts of one large signal, on the threads that parallel_for() over signals leaves idle.
#pragma once

#include <functional>

#include "riata/core/types.hpp"

namespace riata {

/// Runs part(i) for i in [0, n_parts): within a task of parallel_for(), of fewer tasks than it may have threads, on as many as
/// would be idle; else on this one. Exceptions and stops as there. What parts write must not depend on each other.
void parallel_within(Index n_parts, const std::function<void(Index part)>& part);

}  // namespace riata
