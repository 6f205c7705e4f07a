#include "riata/linalg/gram_matrix.hpp"

#include <algorithm>

#include "riata/linalg/blas.hpp"

namespace riata {

/// Blocks of columns down to the diagonal; what lies below is copied.
template <Scalar T>
void gram_matrix(const NonDeduced<ConstMatrixRef<T>>& A, MatrixRef<T> G, const Execution& execution) {
  constexpr Index block = 128;
  const Index n_blocks = (A.cols() + block - 1) / block;
  parallel_for(n_blocks, execution, [&](Index task, int) {
    const Index first = (n_blocks - 1 - task) * block, n = std::min(block, A.cols() - first);  // the longest first
    multiply_transposed<T>(A.leftCols(first + n), A.middleCols(first, n), G.block(0, first, first + n, n));
    G.block(first, 0, n, first) = G.block(0, first, first, n).transpose();
    for (Index k = 1; k < n; ++k) G.row(first + k).segment(first, k) = G.col(first + k).segment(first, k).transpose();
  });
}

template void gram_matrix<float>(const ConstMatrixRef<float>&, MatrixRef<float>, const Execution&);
template void gram_matrix<double>(const ConstMatrixRef<double>&, MatrixRef<double>, const Execution&);

}  // namespace riata
