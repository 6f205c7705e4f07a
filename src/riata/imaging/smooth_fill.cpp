#include "riata/imaging/smooth_fill.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "riata/core/stopping.hpp"
#include "riata/imaging/mirrored.hpp"

namespace riata {
namespace {

constexpr int sweeps = 20;  // per size: the mistakes left are long waves, which the coarser planes have settled

/// Where the five pixels around each of n stand on the mirrored axis.
std::vector<std::array<Index, 5>> neighbours(Index n) {
  std::vector<std::array<Index, 5>> around(static_cast<std::size_t>(n));
  for (Index i = 0; i < n; ++i)
    for (Index k = 0; k < 5; ++k) around[static_cast<std::size_t>(i)][static_cast<std::size_t>(k)] = mirrored(i + k - 2, n);
  return around;
}

/// Gauss-Seidel: each missing pixel in turn solves its equation.
void relax(std::vector<float>& plane, const std::vector<bool>& known, Index height, Index width) {
  const auto rows = neighbours(height), columns = neighbours(width);
  for (int sweep = 0; sweep < sweeps; ++sweep) {
    leave_if_stopped();
    for (Index i = 0; i < height; ++i)
      for (Index j = 0; j < width; ++j) {
        const auto pixel = static_cast<std::size_t>(i * width + j);
        if (known[pixel]) continue;
        const auto& r = rows[static_cast<std::size_t>(i)];
        const auto& c = columns[static_cast<std::size_t>(j)];
        const auto at = [&](Index row, Index column) { return plane[static_cast<std::size_t>(row * width + column)]; };
        const float near = at(r[1], j) + at(r[3], j) + at(i, c[1]) + at(i, c[3]),
                    diagonal = at(r[1], c[1]) + at(r[1], c[3]) + at(r[3], c[1]) + at(r[3], c[3]),
                    two_away = at(r[0], j) + at(r[4], j) + at(i, c[0]) + at(i, c[4]);
        plane[pixel] = (8 * near - 2 * diagonal - two_away) / 20;
      }
  }
}

}  // namespace

std::vector<float> smooth_fill(std::vector<float> plane, const std::vector<bool>& known, Index height, Index width) {
  if (height == 1 && width == 1) return plane;
  const Index coarse_width = (width + 1) / 2;
  const auto coarse = [&](std::size_t pixel) {
    const auto i = static_cast<Index>(pixel);
    return static_cast<std::size_t>(i / width / 2 * coarse_width + i % width / 2);
  };
  std::vector<float> means(static_cast<std::size_t>((height + 1) / 2 * coarse_width)), counts(means.size());
  for (std::size_t i = 0; i < plane.size(); ++i)
    if (known[i]) {
      means[coarse(i)] += plane[i];
      ++counts[coarse(i)];
    }
  std::vector<bool> has_known(means.size());
  for (std::size_t i = 0; i < means.size(); ++i)
    if ((has_known[i] = counts[i] > 0)) means[i] /= counts[i];
  means = smooth_fill(std::move(means), has_known, (height + 1) / 2, coarse_width);
  for (std::size_t i = 0; i < plane.size(); ++i)
    if (!known[i]) plane[i] = means[coarse(i)];
  relax(plane, known, height, width);
  return plane;
}

}  // namespace riata
