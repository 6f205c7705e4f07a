// Checks at the public boundary. Internal: not installed, because it needs fmt.
#pragma once

#include "riata/core/sentence.hpp"
#include "riata/core/types.hpp"

namespace riata {

/// Throws std::invalid_argument with the formatted sentence unless `condition` holds.
template <class... Values>
void require(bool condition, fmt::format_string<Values...> sentence, Values&&... values) {
  if (!condition) refuse(formatted_from(sentence, fmt::make_format_args(values...)));
}

/// Refuses NaN and infinity, naming the array and the first offending entry (row = signal or atom, as in Python).
template <class Derived>
void require_finite(const char* where, const char* name, const Eigen::MatrixBase<Derived>& A) {
  if (A.allFinite()) return;
  for (Index j = 0; j < A.cols(); ++j)
    for (Index i = 0; i < A.rows(); ++i)
      require(std::isfinite(static_cast<double>(A(i, j))), "{}: {} holds {} at row {}, column {}; expected finite numbers", where,
              name, static_cast<double>(A(i, j)), j, i);
}

}  // namespace riata
