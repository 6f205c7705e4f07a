// How a batch is cut in tiles and lanes (core/sweep.hpp).
#pragma once

#include "riata/core/sweep.hpp"

namespace riata {

struct TileCosts {
  double bytes_per_signal;  ///< what a tile keeps of each of its signals
  Index left_entries;       ///< of the matrix that tiles are multiplied with most
  double lane_bytes;        ///< of one partial sum
};

Partition partition(Index n_signals, const TileCosts& costs);

}  // namespace riata
