// What the columns and rows of an array are, for the places in sentences.
#pragma once

namespace riata {

struct Axes {
  const char *column, *row;  ///< no column: a vector
};
inline constexpr Axes of_signals{"signal", "feature"}, of_codes{"signal", "atom"}, of_atoms{"atom", "feature"};
inline constexpr Axes of_file{"row", "column"};  ///< that are none of these: as Python and files have them
inline constexpr Axes of_vector{nullptr, "entry"};

}  // namespace riata
