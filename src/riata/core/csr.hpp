// Rows of a sparse matrix in compressed form: SciPy's csr_matrix.
#pragma once

#include <cstdint>
#include <vector>

#include "riata/core/types.hpp"

namespace riata {

/// Row i holds values[k] in column indices[k] for k in [indptr[i], indptr[i + 1]), columns ascending, no zeros.
template <Scalar T>
struct CsrRows {
  Index n_columns = 0;
  std::vector<std::int64_t> indptr = {0};
  std::vector<std::int32_t> indices;
  std::vector<T> values;

  Index n_rows() const { return static_cast<Index>(indptr.size()) - 1; }
  bool operator==(const CsrRows&) const = default;
};

/// The columns of a matrix as sparse rows: codes n_atoms x n_signals as NumPy sees them, (n_signals, n_atoms).
template <Scalar T>
CsrRows<T> to_csr(const ConstMatrixRef<T>& matrix) {
  CsrRows<T> rows{.n_columns = matrix.rows(), .indptr = {0}, .indices = {}, .values = {}};
  const auto n_nonzero = static_cast<std::size_t>((matrix.array() != T(0)).count());
  rows.indptr.reserve(static_cast<std::size_t>(matrix.cols()) + 1);
  rows.indices.reserve(n_nonzero);
  rows.values.reserve(n_nonzero);
  for (Index i = 0; i < matrix.cols(); ++i) {
    for (Index j = 0; j < matrix.rows(); ++j)
      if (matrix(j, i) != T(0)) {
        rows.indices.push_back(static_cast<std::int32_t>(j));
        rows.values.push_back(matrix(j, i));
      }
    rows.indptr.push_back(static_cast<std::int64_t>(rows.indices.size()));
  }
  return rows;
}

}  // namespace riata
