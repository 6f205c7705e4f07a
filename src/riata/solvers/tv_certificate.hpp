// What a signal is worth that total variation regularises: objective and duality gap, in double at the signal itself.
//
//   P(u) = 1/2 ||x - A u||^2 + reg sum_t |u_{t+1} - u_t|,     r = x - A u
//
// A constant costs nothing, so that points of the dual problem are orthogonal to a = A 1: with r' = r - (<a, r> / ||a||^2) a and
// the running sums w of A^T r', of which the last is 0, theta = s r', s = min(1, reg / max_t |w_t|), is one, and
//
//   gap = P(u) - (1/2 ||x||^2 - 1/2 ||x - theta||^2)
//       = 1/2 ||r - r'||^2 + (1 - s)^2 / 2 ||r'||^2 + sum_t (reg |u_{t+1} - u_t| + s w_t (u_{t+1} - u_t)),
//
// a sum of what is >= 0. reg_max, above which u is constant, is max_t |w_t| of the best constant. Weights of a mask go into x and A
// as their square roots. Shares nothing with the solvers of tv_solve.hpp.
#pragma once

#include "riata/core/threads.hpp"
#include "riata/operators/dictionary.hpp"
#include "riata/terms/reg.hpp"

namespace riata {

struct TvCertificate {
  Vector<double> objective, gap;
};

/// P(u_i) and an upper bound on P(u_i) - P(u_i*) per signal. X is n_observed x n_signals, U n_times x n_signals, A maps n_times to
/// n_observed; `mask`, weights in [0, 1], is n_observed x n_signals or n_observed x 1.
/// @throws std::invalid_argument if sizes disagree, an entry is not finite, or reg is not > 0
template <Scalar T>
TvCertificate tv_certificate(const NonDeduced<ConstMatrixRef<T>>& X, const Dictionary<T>& A,
                             const NonDeduced<ConstMatrixRef<T>>& U, const Reg& reg, const OptionalMatrixRef<T>& mask = {},
                             const Execution& execution = {});

/// The smallest reg whose solution is constant, per signal, in double.
template <Scalar T>
Vector<double> tv_reg_max(const NonDeduced<ConstMatrixRef<T>>& X, const Dictionary<T>& A, const OptionalMatrixRef<T>& mask = {},
                          const Execution& execution = {});

}  // namespace riata
