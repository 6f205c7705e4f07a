// Eight signals at a time through the direct algorithm of Condat (IEEE Signal Process. Lett. 20(11), 2013), which finds the blocks
// of a taut string (taut_string.hpp) of one weight with a step per sample, and some twice. Compiled for AVX-512 alone.
#pragma once

#include <cstdint>

#include "riata/core/instruction_set.hpp"

namespace riata {

/// The state of the lanes, each with a signal of its own: at sample k, of a block whose value lies between v_low and v_high, u_low
/// and u_high being how far the string is from its bounds with these, and low_end and high_end the last samples at which it touched
/// them. Places are those in `y`.
struct alignas(64) TautLanes {
  static constexpr int count = 8;
  std::int64_t k[count], low_end[count], high_end[count], last[count];
  std::int64_t n_blocks[count];  ///< places in `blocks`
  double v_low[count], v_high[count], u_low[count], u_high[count], length[count], weight[count];
  const double* y;
  std::int64_t* blocks;  ///< 2 (the place after a block), + 1 where the jump there is up; without the last one
  unsigned active = 0, finished = 0;
  std::int64_t n_steps = 0;  ///< so far, of all lanes alike

  void start(int lane, std::int64_t place, std::int64_t n, double w) {
    k[lane] = low_end[lane] = high_end[lane] = n_blocks[lane] = place;
    last[lane] = place + n - 1;
    v_low[lane] = y[place] - w;
    v_high[lane] = y[place] + w;
    u_low[lane] = weight[lane] = w;
    u_high[lane] = -w;
    length[lane] = 1;
    active |= 1U << lane;
  }
};

/// Steps of the active lanes until one has `finished`, or for a while.
using AdvanceTautLanes = void (*)(TautLanes& lanes);
/// Null where there are none.
AdvanceTautLanes advance_taut_lanes(InstructionSet set = instruction_set());

}  // namespace riata
