// Eigen's decompositions that take long to compile, in double and stoppable.
#pragma once

#include "riata/core/types.hpp"

namespace riata {

/// A = U diag(s) V^T, s descending; U and V have min(rows, cols) columns.
struct ThinSvd {
  Matrix<double> U;
  Vector<double> s;
  Matrix<double> V;
};
ThinSvd thin_svd(const Matrix<double>& A);

/// A = vectors diag(values) vectors^T for A = A^T, values ascending.
struct SymmetricEigen {
  Vector<double> values;
  Matrix<double> vectors;
};
SymmetricEigen symmetric_eigen(const Matrix<double>& A);
Vector<double> symmetric_eigenvalues(const Matrix<double>& A);

}  // namespace riata
