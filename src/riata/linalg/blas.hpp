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
void multiply_transposed(const NonDeduced<ConstMatrixRef<T>>& A, const NonDeduced<ConstMatrixRef<T>>& B,
                         MatrixRef<T> out);

/// out += scale A B^T. `out` must not alias A or B.
template <Scalar T>
void add_outer(NonDeduced<T> scale, const NonDeduced<ConstMatrixRef<T>>& A, const NonDeduced<ConstMatrixRef<T>>& B,
               MatrixRef<T> out);

}  // namespace riata
