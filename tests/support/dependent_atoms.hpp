// Dictionaries on which paths are hard to follow.
#pragma once

#include <cmath>

#include "support/random_arrays.hpp"

namespace riata::testing {

/// Of half the atoms, at random places: 2 repeats them, 3 makes them combinations of two others, 4 nearly repeats them; other kinds
/// leave D as it is.
inline void make_dependent(Matrix<double>& D, int kind, Draw& draw) {
  const auto last = static_cast<int>(D.cols()) - 1;
  for (Index j = 0; j < D.cols() / 2; ++j) {
    const Index k = draw.integer(0, last), l = draw.integer(0, last);
    if (kind == 2) D.col(k) = draw.coin() ? D.col(j) : Vector<double>(-D.col(j));
    if (kind == 3) D.col(k) = 0.5 * D.col(j) - 0.5 * D.col(l);
    if (kind == 4) D.col(k) = D.col(j) + std::pow(10.0, -draw.integer(4, 15)) * draw.normal_vector(D.rows());
  }
}

}  // namespace riata::testing
