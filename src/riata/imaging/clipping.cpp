#include "riata/imaging/clipping.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "riata/core/stopping.hpp"

namespace riata {
namespace {

constexpr std::size_t between_looks = 1 << 16;  // samples

double density(double t) { return std::exp(-0.5 * t * t) / std::sqrt(2 * std::numbers::pi); }
double probability_below(double t) { return 0.5 * std::erfc(-t / std::numbers::sqrt2); }

/// What clipping at `bound` from below adds to the mean of u + sigma N(0, 1).
double lift(double u, double bound, double sigma) {
  const double t = (bound - u) / sigma;
  return (bound - u) * probability_below(t) + sigma * density(t);
}

}  // namespace

ClippingRange clipping_range(const Picture& noisy, std::span<const float> estimates, double sigma) {
  constexpr double negligible = 1e-4, few = 8;  // by chance a pixel or two lie at the extreme, as many as predicted
  constexpr double nowhere = std::numeric_limits<double>::infinity();
  const auto [low_at, high_at] = std::minmax_element(noisy.samples.begin(), noisy.samples.end());
  const auto low = static_cast<double>(*low_at), high = static_cast<double>(*high_at);
  if (low == high) return {.low = -nowhere, .high = nowhere};
  double expected_low = 0, expected_high = 0;
  for (std::size_t i = 0; i < estimates.size(); ++i) {
    if (i % between_looks == 0) leave_if_stopped();
    const float estimate = estimates[i];
    expected_low += probability_below((low - static_cast<double>(estimate)) / sigma);
    expected_high += probability_below((static_cast<double>(estimate) - high) / sigma);
  }
  const auto is_clipped = [&](double expected, float extreme) {
    const double share = expected / static_cast<double>(estimates.size());
    const auto found = static_cast<double>(std::count(noisy.samples.begin(), noisy.samples.end(), extreme));
    return share > negligible && found > few && found >= 0.5 * share * static_cast<double>(noisy.samples.size());
  };
  return {.low = is_clipped(expected_low, *low_at) ? low : -nowhere,
          .high = is_clipped(expected_high, *high_at) ? high : nowhere};
}

double clipped_variance(double a, double b) {
  constexpr double far = 40;  // no noise is there; also keeps infinity out of the products
  a = std::max(a, -far);
  b = std::min(b, far);
  const double first = a * probability_below(a) + b * probability_below(-b) + density(a) - density(b);
  const double second = a * a * probability_below(a) + b * b * probability_below(-b) + probability_below(b) -
                        probability_below(a) + a * density(a) - b * density(b);
  return second - first * first;
}

void undo_clipping(const Picture& noisy, double sigma, Picture& estimate) {
  const ClippingRange range = clipping_range(noisy, estimate.samples, sigma);
  const bool clipped_low = std::isfinite(range.low), clipped_high = std::isfinite(range.high);
  if (!clipped_low && !clipped_high) return;
  const auto [low_at, high_at] = std::minmax_element(noisy.samples.begin(), noisy.samples.end());
  const auto low = static_cast<double>(*low_at), high = static_cast<double>(*high_at);

  // m on a fine grid of [low, high]; it rises, so its inverse is a search and an interpolation.
  constexpr std::size_t nodes = 4096;
  std::vector<double> grid(nodes), mean(nodes);
  for (std::size_t k = 0; k < nodes; ++k) {
    const double u = low + (high - low) * static_cast<double>(k) / static_cast<double>(nodes - 1);
    grid[k] = u;
    mean[k] = u + (clipped_low ? lift(u, low, sigma) : 0.0) - (clipped_high ? lift(-u, -high, sigma) : 0.0);
  }
  for (std::size_t i = 0; i < estimate.samples.size(); ++i) {
    if (i % between_looks == 0) leave_if_stopped();
    float& sample = estimate.samples[i];
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
