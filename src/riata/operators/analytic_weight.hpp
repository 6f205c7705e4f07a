// The analytic weight of ALISTA: the W least coherent with D,
//
//   W = argmin ||W^T D||_F^2  subject to  W_j^T D_j = 1 for every j,
//
// Liu, Chen, Wang and Yin (2019), equation (13) of Ablin et al. (2019). With P = (D D^T)^+ it is W_j = P D_j / (D_j^T P D_j),
// of energy sum_j 1 / (D_j^T P D_j), for any shape and rank: P D_j is in the range of D, where D D^T is invertible. Closed form,
// where the published code takes thousands of projected gradient steps. W of an atom that is zero, which no W can meet, is 0.
//
// Of a convolution, Dictionary::analytic_weight(): the kernels w_k least coherent with all translates T_s d_j of all kernels, of
// signals that are long,
//
//   w_k = argmin sum_js <w, T_s d_j>^2 + rho ||w||^2  subject to  <w, d_k> = 1:    w_k = P d_k / (d_k^T P d_k),    P = (M + rho)^-1,
//   M[(c, l), (c', l')] = sum_js (T_s d_j)(c, l) (T_s d_j)(c', l') = R_cc'(l' - l),    R_cc'(s) = sum_jl d_j(c, l) d_j(c', l + s),
//
// over translates that meet the kernels' own support, with rho = 0.01 lambda_max(M): of smooth kernels M is nearly singular, and without
// rho W would make noise thousands of times as large; the published code takes gradient steps over frequencies and crops.
#pragma once

#include "riata/core/types.hpp"

namespace riata {

/// W, of the shape of D (n_features x n_atoms). The rank of D is numerical: singular values up to max(n_features, n_atoms) eps
/// times the largest count as zero, eps that of T. Computed in double.
/// @throws std::invalid_argument if D is empty, zero or not finite
template <Scalar T>
Matrix<T> analytic_weight(const NonDeduced<ConstMatrixRef<T>>& D);
template <MatrixExpression M>
Matrix<typename M::Scalar> analytic_weight(const M& D) {
  return analytic_weight<typename M::Scalar>(D);
}

}  // namespace riata
