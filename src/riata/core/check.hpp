// Checks at the public boundary.
#pragma once

#include "riata/core/axes.hpp"
#include "riata/core/sentence.hpp"
#include "riata/core/stopping.hpp"
#include "riata/core/types.hpp"

namespace riata {

/// Throws std::invalid_argument with the formatted sentence unless `condition` holds.
template <class... Values>
void require(bool condition, fmt::format_string<Values...> sentence, Values&&... values) {
  if (!condition) refuse(formatted_from(sentence, fmt::make_format_args(values...)));
}

/// Refuses NaN and infinity, naming the array and the place of the first such entry; `first` is the number of its first column.
template <class Derived>
void require_finite(const char* where, const char* name, const Eigen::MatrixBase<Derived>& A, const Axes& axes, Index first = 0) {
  leave_if_stopped();
  if (A.allFinite()) return;
  for (Index j = 0; j < A.cols(); ++j)
    for (Index i = 0; i < A.rows(); ++i)
      if (const auto value = static_cast<double>(A(i, j)); !std::isfinite(value))
        refuse(formatted("{}: {} holds {} at {}{} {}; expected finite numbers", where, name, value,
                         axes.column != nullptr ? formatted("{} {}, ", axes.column, first + j) : std::string(), axes.row, i));
}

}  // namespace riata
