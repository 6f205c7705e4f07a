// A thin QR decomposition whose columns come and go: what path-following on an active set needs.
#pragma once

#include "riata/core/types.hpp"

namespace riata {

/// A = Q R for A = (a_1 ... a_k), Q with orthonormal columns, R upper triangular, in double. Working from the columns
/// themselves, not from their Gram matrix, it sees a distance of 1e-14 between a column and the span of the others where
/// the Gram matrix sees 1e-8.
class GrowingQr {
 public:
  /// At most min(n_rows, most_columns) columns.
  GrowingQr(Index n_rows, Index most_columns);

  Index size() const { return size_; }
  void clear() { size_ = 0; }

  /// Appends a column, O(n_rows size). False, and no change, if its distance to the span of the others is at most
  /// `tolerance` times its norm.
  bool append(const ConstVectorRef<double>& column, double tolerance);

  /// Removes column `k`, by Givens rotations, O((n_rows + size) size).
  void remove(Index k);

  /// R^-T b and R^-1 b, so that A^T (Q solve_transposed(b)) = b and A solve(c) = Q c.
  Vector<double> solve_transposed(const ConstVectorRef<double>& b) const;
  Vector<double> solve(const ConstVectorRef<double>& b) const;

  /// Q, n_rows x size.
  auto Q() const { return Q_.leftCols(size_); }

 private:
  Matrix<double> Q_, R_;  // the first size_ columns (and rows of R_) count
  Index size_ = 0;
};

}  // namespace riata
