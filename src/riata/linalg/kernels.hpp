// Elementwise passes and short dot products, compiled for several instruction sets and chosen once per process.
// Every function is a plain loop; arrays must not overlap unless they are the same array.
#pragma once

#include "riata/core/types.hpp"

namespace riata {

/// out = y - step * g; out may be y or g
void gradient_step(Index n, const float* y, float step, const float* g, float* out);
void gradient_step(Index n, const double* y, double step, const double* g, double* out);

/// v = sign(v) max(|v| - threshold, 0); sign(0) = 0
void soft_threshold(Index n, float threshold, float* v);
void soft_threshold(Index n, double threshold, double* v);

/// v_j = sign(v_j) max(|v_j| - scale * thresholds_j, 0), of any sign; sign(0) = 0
void soft_threshold_each(Index n, float scale, const float* thresholds, float* v);
void soft_threshold_each(Index n, double scale, const double* thresholds, double* v);

/// h_j becomes 0 where z_j = 0; returns sum_j w_j sign(z_j) h_j, in double and an order that depends on n alone. Without w: ones.
double masked_sign_sum(Index n, const float* z, const float* w, float* h);
double masked_sign_sum(Index n, const double* z, const double* w, double* h);

/// h_j += scale * w_j sign(z_j), sign(0) = 0. Without w: ones.
void add_signs(Index n, const float* z, float scale, const float* w, float* h);
void add_signs(Index n, const double* z, double scale, const double* w, double* h);

/// y = z + momentum * (z - z_previous)
void extrapolate(Index n, const float* z, const float* z_previous, float momentum, float* y);
void extrapolate(Index n, const double* z, const double* z_previous, double momentum, double* y);

/// y += a * x
void add_scaled(Index n, float a, const float* x, float* y);
void add_scaled(Index n, double a, const double* x, double* y);

/// y -= sum_k a_k columns_k, over `count` columns of n entries
void subtract_columns(Index n, Index count, const float* const* columns, const float* a, float* y);
void subtract_columns(Index n, Index count, const double* const* columns, const double* a, double* y);

/// max_i |v_i|, or max(0, max_i v_i); 0 for n = 0
float largest_magnitude(Index n, const float* v);
double largest_magnitude(Index n, const double* v);
float largest_positive(Index n, const float* v);
double largest_positive(Index n, const double* v);

/// sum_i |v_i|, in an order that depends on n alone
double absolute_sum(Index n, const float* v);
double absolute_sum(Index n, const double* v);

/// Writes the i with v_i != 0, in order, and returns how many. `places` has room for n.
Index find_nonzeros(Index n, const float* v, Index* places);
Index find_nonzeros(Index n, const double* v, Index* places);

/// sum_i a_i b_i in an order that depends on n alone: the same bits whatever batch or alignment a and b come from.
double fixed_order_dot(Index n, const float* a, const float* b);
double fixed_order_dot(Index n, const double* a, const double* b);

/// b <- A^-1 b for a symmetric positive definite A, n x n, column-major; reads the lower triangle and
/// overwrites it with factors. False if a pivot is not > 0: then A and b hold nothing of use. For small n.
bool solve_positive_definite(Index n, double* A, double* b);

/// min_z 1/2 z^T H z - b^T z + sum_k t_k |z_k|, seen from z:  q = b - H z.  H is symmetric, its columns `stride` apart; H, q and
/// z are padded with zeros to a multiple of 8 entries. inverse_k = 1 / H_kk, or 0, and then z_k stays as it is.
template <class T>
struct CoordinateProblem {
  Index n, stride;
  const T *H, *inverse, *bound;  ///< bound_k = t_k
  bool positive;                 ///< z >= 0
  T *q, *z;
};

/// One cyclic sweep of coordinate descent. `decrease` bounds what the objective fell by from below: 1/2 sum_k H_kk (change of
/// z_k)^2.
struct SweepResult {
  double decrease = 0;
  bool support_changed = false;
};
SweepResult sweep_coordinates(const CoordinateProblem<float>& problem);
SweepResult sweep_coordinates(const CoordinateProblem<double>& problem);

/// How many v_i are < low or > high.
Index count_outside(Index n, const float* v, float low, float high);
Index count_outside(Index n, const double* v, double low, double high);

/// The first i with v_i < low or v_i > high; n if there is none.
Index first_outside(Index n, const float* v, float low, float high);
Index first_outside(Index n, const double* v, double low, double high);

}  // namespace riata
