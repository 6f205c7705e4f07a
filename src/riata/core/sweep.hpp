// A pass over many signals: the batch in tiles, the tiles in lanes. Partial sums belong to lanes and are added in order, and the
// cut (linalg/tiles.hpp) is a function of the problem's size and the processor, so that no bit depends on the thread count.
#pragma once

#include <algorithm>
#include <memory>
#include <vector>

#include "riata/core/stopping.hpp"
#include "riata/core/threads.hpp"

namespace riata {

/// Calls work(a tile's first signal, its size, thread) for every tile of `tile` signals. @throws Interrupted
template <class Work>
void for_each_tile(Index tile, Index n_signals, const Execution& execution, const Work& work) {
  parallel_for((n_signals + tile - 1) / tile, execution,
               [&](Index t, int thread) { work(t * tile, std::min(tile, n_signals - t * tile), thread); });
}

/// Signals per tile and partial sums. Lane l has the tiles l, l + n_lanes, l + 2 n_lanes, ...
struct Partition {
  Index tile, n_tiles, n_lanes;
};

/// Calls work(tile's first signal, its size, pass, lane) for every tile, and finish(pass, lane) after a lane's last; a lane's
/// tiles run in order. make_pass() gives a thread its workspace, in a unique_ptr. @throws Interrupted
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

/// The same where nothing is summed: work(first, n, pass).
template <class MakePass, class Work>
void for_each_tile(const Partition& parts, Index n_signals, const Execution& execution, const MakePass& make_pass,
                   const Work& work) {
  for_each_tile(
      parts, n_signals, execution, make_pass, [&](Index first, Index n, auto& pass, Index) { work(first, n, pass); },
      [](auto&, Index) {});
}

/// The sums of all signals: work(first, n, pass, sums) and finish(pass, sums) add to those of a lane, which start from `zero`.
template <class Sums, class MakePass, class Work, class Finish>
Sums sweep(const Partition& parts, Index n_signals, const Execution& execution, const Sums& zero, const MakePass& make_pass,
           const Work& work, const Finish& finish) {
  std::vector<Sums> lanes(static_cast<std::size_t>(parts.n_lanes));
  const auto of = [&](Index lane) -> Sums& { return lanes[static_cast<std::size_t>(lane)]; };
  for_each_tile(
      parts, n_signals, execution, make_pass,
      [&](Index first, Index n, auto& pass, Index lane) {
        if (first == lane * parts.tile) of(lane) = zero;  // the lane's first tile
        work(first, n, pass, of(lane));
      },
      [&](auto& pass, Index lane) { finish(pass, of(lane)); });
  Sums total = zero;
  for (const Sums& lane : lanes) total += lane;  // in order, whatever thread made them
  return total;
}

}  // namespace riata
