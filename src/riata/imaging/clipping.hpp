// Noise that was cut off at black and white has a mean, and is narrower. Internal.
#pragma once

#include <span>

#include "riata/imaging/denoise.hpp"

namespace riata {

/// Where noise was cut off: the picture's extremes, infinite on a side where it was not.
struct ClippingRange {
  double low, high;
};

/// A side counts as clipped if a share of the noisy picture's pixels lies exactly at its extreme: at least half of what
/// `estimates` of the clean values predict with noise of standard deviation sigma, and more than a few pixels.
ClippingRange clipping_range(const Picture& noisy, std::span<const float> estimates, double sigma);

/// Variance of clip(N, a, b), N standard normal, a < b: what clipping leaves of the noise. Foi (2009), Signal Process. 89(12).
double clipped_variance(double a, double b);

/// A pixel of value u, with noise of standard deviation sigma and clipped to [low, high], has the mean
///
///   m(u) = E[ clip(u + sigma N(0, 1)) ],
///
/// sigma / sqrt(2 pi) above black where u is black. `estimate` approximates m(u); it becomes m^-1(estimate) (Foi, 2009).
/// low and high are as clipping_range() finds them, so pictures whose noise was not clipped, or is weaker in the dark, stay
/// as they are.
void undo_clipping(const Picture& noisy, double sigma, Picture& estimate);

}  // namespace riata
