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

/// y = z + momentum * (z - z_previous)
void extrapolate(Index n, const float* z, const float* z_previous, float momentum, float* y);
void extrapolate(Index n, const double* z, const double* z_previous, double momentum, double* y);

/// y += a * x
void add_scaled(Index n, float a, const float* x, float* y);
void add_scaled(Index n, double a, const double* x, double* y);

/// sum_i a_i b_i in an order that depends on n alone: the same bits whatever batch or alignment a and b come from.
double fixed_order_dot(Index n, const float* a, const float* b);
double fixed_order_dot(Index n, const double* a, const double* b);

/// b <- A^-1 b for a symmetric positive definite A, n x n, column-major; reads and overwrites the lower triangle with its
/// Cholesky factor. False if a pivot is not > 0: then A and b hold nothing of use. For small n.
bool solve_positive_definite(Index n, double* A, double* b);

/// The first i with v_i < low or v_i > high; n if there is none.
Index first_outside(Index n, const float* v, float low, float high);
Index first_outside(Index n, const double* v, double low, double high);

}  // namespace riata
