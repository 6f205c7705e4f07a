// Statistics of codes, A and B, over batches that come one after another: those of earlier batches, whose codes are of earlier
// atoms, count less and less,
//
//   A <- b A + A_t,   B <- b B + B_t,   b = (1 - 1/t)^rho at the t-th batch,
//
// so that the k-th of t batches counts (k/t)^rho; Mairal, Bach, Ponce and Sapiro (2010), where rho = 1 while there are fewer batches
// than signals in one. In double, since early batches come to count almost nothing.
#pragma once

#include <string>
#include <vector>

#include "riata/core/parameters.hpp"
#include "riata/core/tensors.hpp"

namespace riata {

struct RunningStatistics {
  Index t = 0;          ///< batches
  Matrix<double> A, B;  ///< 0 x 0 before the first

  /// After one more batch, with the statistics "A" and "B".
  template <Scalar T>
  RunningStatistics with(const Parameters<T>& statistics, double rho) const;
  /// Nothing is known of those atoms: their columns of A and B, and as many rows of A as it has for an atom.
  void forget(const std::vector<Index>& atoms);
  NamedTensors state() const;
  /// @throws std::invalid_argument, beginning with `where`, if the state is not that of statistics of such sizes
  static RunningStatistics stored(const NamedTensors& state, Index rows_of_A, Index rows_of_B, Index n_atoms,
                                  const std::string& where);
};

}  // namespace riata
