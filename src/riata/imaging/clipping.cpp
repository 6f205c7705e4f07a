#include "riata/imaging/clipping.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

namespace riata {
namespace {

double density(double t) { return std::exp(-0.5 * t * t) / std::sqrt(2 * std::numbers::pi); }
double probability_below(double t) { return 0.5 * std::erfc(-t / std::numbers::sqrt2); }

/// What clipping at `bound` from below adds to the mean of u + sigma N(0, 1).
double lift(double u, double bound, double sigma) {
  const double t = (bound - u) / sigma;
  return (bound - u) * probability_below(t) + sigma * density(t);
}

}  // namespace

void undo_clipping(const Picture& noisy, double sigma, Picture& estimate) {
  const auto [low_at, high_at] = std::minmax_element(noisy.samples.begin(), noisy.samples.end());
  const auto low = static_cast<double>(*low_at), high = static_cast<double>(*high_at);
  if (low == high) return;
  double expected_low = 0, expected_high = 0, found_low = 0, found_high = 0;
  for (std::size_t i = 0; i < noisy.samples.size(); ++i) {
    const auto u = static_cast<double>(estimate.samples[i]);
    expected_low += probability_below((low - u) / sigma);
    expected_high += probability_below((u - high) / sigma);
    found_low += static_cast<double>(noisy.samples[i]) == low;
    found_high += static_cast<double>(noisy.samples[i]) == high;
  }
  const double negligible = 1e-4 * static_cast<double>(noisy.samples.size());
  const bool clipped_low = expected_low > negligible && found_low >= 0.5 * expected_low;
  const bool clipped_high = expected_high > negligible && found_high >= 0.5 * expected_high;
  if (!clipped_low && !clipped_high) return;

  // m on a fine grid of [low, high]; it rises, so its inverse is a search and an interpolation.
  constexpr std::size_t nodes = 4096;
  std::vector<double> grid(nodes), mean(nodes);
  for (std::size_t k = 0; k < nodes; ++k) {
    const double u = low + (high - low) * static_cast<double>(k) / static_cast<double>(nodes - 1);
    grid[k] = u;
    mean[k] = u + (clipped_low ? lift(u, low, sigma) : 0.0) - (clipped_high ? lift(-u, -high, sigma) : 0.0);
  }
  for (float& sample : estimate.samples) {
    const auto value = static_cast<double>(sample);
    const auto above = std::lower_bound(mean.begin(), mean.end(), value);
    if (above == mean.begin()) {
      sample = clipped_low ? static_cast<float>(low) : sample;
    } else if (above == mean.end()) {
      sample = clipped_high ? static_cast<float>(high) : sample;
    } else {
      const auto k = static_cast<std::size_t>(above - mean.begin());
      const double share = (value - mean[k - 1]) / (mean[k] - mean[k - 1]);
      sample = static_cast<float>(grid[k - 1] + share * (grid[k] - grid[k - 1]));
    }
  }
}

}  // namespace riata
