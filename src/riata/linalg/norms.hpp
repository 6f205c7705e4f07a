// Spectral norms, on which the step sizes of every proximal method rest, and norms of columns.
#pragma once

#include "riata/core/types.hpp"

namespace riata {

/// ||A||_2^2 = lambda_max(A A^T), to rounding where the smaller side of A is at most 2000 (symmetric eigenvalues of the
/// smaller Gram matrix, in double). Beyond that the upper bound tr(G^p)^(1/p), p = 64: at most 13 % above for rank 2000.
/// Never a power iteration, which bounds from below and makes steps too long.
template <Scalar T>
double spectral_norm_squared(const ConstMatrixRef<T>& A);
template <MatrixExpression M>
double spectral_norm_squared(const M& A) {
  return spectral_norm_squared<typename M::Scalar>(A);
}

/// ||A_j||_2 of every column, in double, also where a square is no number. Summed in an order that depends on the number of rows
/// alone, wherever A lies.
template <Scalar T>
Vector<double> column_norms(const ConstMatrixRef<T>& A);

/// ||A^T A||_F: the cruder bound of the published code of Malezieux, Moreau and Kowalski (2022), for replays.
template <Scalar T>
double frobenius_norm_of_gram(const ConstMatrixRef<T>& A);
template <MatrixExpression M>
double frobenius_norm_of_gram(const M& A) {
  return frobenius_norm_of_gram<typename M::Scalar>(A);
}

}  // namespace riata
