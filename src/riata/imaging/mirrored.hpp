// Pictures beyond their borders.
#pragma once

#include <algorithm>

#include "riata/core/types.hpp"

namespace riata {

/// Position i of an axis of n pixels that is mirrored about its first and its last.
inline Index mirrored(Index i, Index n) {
  if (n == 1) return 0;
  const Index period = 2 * (n - 1);
  i = (i % period + period) % period;
  return std::min(i, period - i);
}

}  // namespace riata
