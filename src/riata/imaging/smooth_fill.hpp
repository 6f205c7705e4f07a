// The smooth surface through known pixels, from which filling starts. Internal.
#pragma once

#include <vector>

#include "riata/core/types.hpp"

namespace riata {

/// Missing pixels of a row-major plane (height x width, at least one pixel known) by the biharmonic equation
///
///   sum over 12 neighbours of a missing pixel:  (8 v_near - 2 v_diagonal - v_two_away) / 20 = v,
///
/// mirrored at the borders: a thin plate through the known pixels. Solved by relaxation from coarse to fine: each plane starts
/// from the one of half the sides, whose pixels are means of known ones. What missing pixels held is not read; known ones stay.
std::vector<float> smooth_fill(std::vector<float> plane, const std::vector<bool>& known, Index height, Index width);

}  // namespace riata
