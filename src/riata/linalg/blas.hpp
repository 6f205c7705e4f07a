// The only door to BLAS. Products are single-threaded: threads live outside, over tiles.
#pragma once

#include "riata/core/types.hpp"

namespace riata {

/// While one of these lives, OpenBLAS runs every product on the calling thread (two thread pools on the same cores cost
/// factors of 2 to 10). Nested and concurrent guards are counted; the last one restores the caller's setting.
class SingleThreadedBlas {
 public:
  SingleThreadedBlas();
  ~SingleThreadedBlas();
  SingleThreadedBlas(const SingleThreadedBlas&) = delete;
  SingleThreadedBlas& operator=(const SingleThreadedBlas&) = delete;
};

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
