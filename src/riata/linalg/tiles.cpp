#include "riata/linalg/tiles.hpp"

#include "riata/linalg/blas.hpp"

namespace riata {
namespace {

constexpr double tile_budget_bytes = 8 << 20;  // one tile's stored layers: written once, read once, so they may leave the cache
constexpr Index smallest_tile = 16, largest_tile = 128;
constexpr Index most_lanes = 64;
constexpr double lanes_budget_bytes = 8 << 20;  // all partial sums together

}  // namespace

Partition partition(Index n_signals, const TileCosts& costs) {
  Index tile = static_cast<Index>(tile_budget_bytes / costs.bytes_per_signal) / 16 * 16;
  const Index unpacked = columns_without_packing(costs.left_entries);
  const Index most = unpacked > 0 ? std::min(unpacked, largest_tile) : largest_tile;
  tile = std::min(std::clamp(tile, smallest_tile, most), n_signals);
  const bool is_large = costs.bytes_per_signal > tile_budget_bytes;  // a picture, say, which threads share
  if (is_large && sizeof(double) * static_cast<double>(costs.left_entries) < costs.bytes_per_signal) tile = 1;
  const Index n_tiles = (n_signals + tile - 1) / tile;
  const Index affordable = std::max<Index>(8, static_cast<Index>(lanes_budget_bytes / std::max(costs.lane_bytes, 1.0)));
  return {tile, n_tiles, std::min({n_tiles, most_lanes, affordable})};
}

}  // namespace riata
