// Noise that was cut off at black and white has a mean: this takes it out of an estimate. Internal.
#pragma once

#include "riata/imaging/denoise.hpp"

namespace riata {

/// A pixel of value u, with noise of standard deviation sigma and clipped to [low, high], has the mean
///
///   m(u) = E[ clip(u + sigma N(0, 1)) ],
///
/// sigma / sqrt(2 pi) above black where u is black. `estimate` approximates m(u); it becomes m^-1(estimate) (Foi, 2009).
/// low and high are the noisy picture's extremes; a side is left alone unless at least half as many of its pixels lie
/// exactly there as the estimate predicts, so pictures whose noise was not clipped, or is weaker in the dark, stay as they are.
void undo_clipping(const Picture& noisy, double sigma, Picture& estimate);

}  // namespace riata
