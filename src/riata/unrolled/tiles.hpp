// The batch in tiles, the tiles in lanes: what passes over many signals have in common. Partial sums belong to lanes and are
// added in order, and the cut is a function of the problem's size and the processor, so that no bit depends on the thread count.
#pragma once

#include <algorithm>
#include <memory>
#include <vector>

#include "riata/core/error.hpp"
#include "riata/core/stopping.hpp"
#include "riata/core/threads.hpp"
#include "riata/core/types.hpp"

namespace riata {

/// Signals per tile and partial sums.
struct Partition {
  Index tile, n_tiles, n_lanes;
};

struct TileCosts {
  double bytes_per_signal;  ///< what a tile keeps of each of its signals
  Index left_entries;       ///< of the matrix that tiles are multiplied with most
  double lane_bytes;        ///< of one partial sum
};

Partition partition(Index n_signals, const TileCosts& costs);

/// Calls work(tile's first signal, its size, pass, lane) for every tile, lane by lane, and finish(pass, lane) after a lane's
/// last; a lane's tiles run in order. make_pass() gives a thread its workspace, in a unique_ptr. @throws Interrupted
template <class MakePass, class Work, class Finish>
void for_each_tile(const Partition& parts, Index n_signals, const Execution& execution, const MakePass& make_pass,
                   const Work& work, const Finish& finish) {
  std::vector<decltype(make_pass())> passes(static_cast<std::size_t>(resolve_threads(execution.n_threads)));
  parallel_for(parts.n_lanes, execution, [&](Index lane, int thread) {
    auto& pass = passes[static_cast<std::size_t>(thread)];
    if (!pass) pass = make_pass();
    for (Index t = lane; t < parts.n_tiles; t += parts.n_lanes) {
      leave_if_stopped();
      const Index first = t * parts.tile;
      work(first, std::min(parts.tile, n_signals - first), *pass, lane);
    }
    finish(*pass, lane);
  });
}

}  // namespace riata
