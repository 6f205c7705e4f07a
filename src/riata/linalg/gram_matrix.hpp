// D^T D, of which solvers of many signals make one.
#pragma once

#include "riata/core/threads.hpp"
#include "riata/core/types.hpp"

namespace riata {

/// G = A^T A, symmetric to the bit, and the same bits for any number of threads.
template <Scalar T>
void gram_matrix(const NonDeduced<ConstMatrixRef<T>>& A, MatrixRef<T> G, const Execution& execution);

}  // namespace riata
