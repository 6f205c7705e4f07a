// The only door to BLAS. Every product runs on the calling thread: threads live outside, over tiles (two thread pools on
// the same cores cost factors of 2 to 10), and results do not depend on how many there are.
#pragma once

#include "riata/core/types.hpp"

namespace riata {

/// out = A B. `out` must not alias A or B.
template <Scalar T>
void multiply(const NonDeduced<ConstMatrixRef<T>>& A, const NonDeduced<ConstMatrixRef<T>>& B, MatrixRef<T> out);

/// out = A^T B. `out` must not alias A or B.
template <Scalar T>
void multiply_transposed(const NonDeduced<ConstMatrixRef<T>>& A, const NonDeduced<ConstMatrixRef<T>>& B, MatrixRef<T> out);

/// out += scale A B^T. `out` must not alias A or B.
template <Scalar T>
void add_outer(NonDeduced<T> scale, const NonDeduced<ConstMatrixRef<T>>& A, const NonDeduced<ConstMatrixRef<T>>& B,
               MatrixRef<T> out);

/// OpenBLAS multiplies small matrices as they lie, without packing, at nearly twice the rate: how many columns, a multiple of
/// 16, the right factor of a product may have when the left one has this many entries. 0 where there is no such path.
Index columns_without_packing(Index left_entries);

}  // namespace riata
