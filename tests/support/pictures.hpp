// Pictures by formula.
#pragma once

#include "riata/imaging/denoise.hpp"

namespace riata::testing {

/// sample(row, column, channel)
inline Picture picture_of(Index height, Index width, Index channels, const auto& sample) {
  Picture picture{height, width, channels, {}};
  for (Index i = 0; i < height; ++i)
    for (Index j = 0; j < width; ++j)
      for (Index c = 0; c < channels; ++c) picture.samples.push_back(static_cast<float>(sample(i, j, c)));
  return picture;
}

}  // namespace riata::testing
