#include "riata/linalg/kernels.hpp"

#include <cmath>

// Run-time dispatch by the loader: one portable binary, wide vectors where the processor has them. The clones without
// FMA keep the bits equal across machines. Sanitizers cannot instrument ifunc resolvers, so they build the plain loops.
#if defined(RIATA_NO_DISPATCH) || !defined(__GNUC__) || defined(__clang__) || !defined(__x86_64__)
#define RIATA_DISPATCHED
#else
#define RIATA_DISPATCHED __attribute__((target_clones("avx512f", "avx2", "default")))
#endif
#define RIATA_INLINE [[gnu::always_inline]] inline

namespace riata {
namespace {

template <class T>
RIATA_INLINE void gradient_step_loop(Index n, const T* y, T step, const T* g, T* out) {
#pragma GCC ivdep
  for (Index i = 0; i < n; ++i) out[i] = y[i] - step * g[i];
}

template <class T>
RIATA_INLINE void soft_threshold_loop(Index n, T threshold, T* v) {
  for (Index i = 0; i < n; ++i) {
    const T up = v[i] - threshold, down = v[i] + threshold;
    v[i] = (up > T(0) ? up : T(0)) + (down < T(0) ? down : T(0));
  }
}

template <class T>
RIATA_INLINE void extrapolate_loop(Index n, const T* __restrict z, const T* __restrict z_previous, T momentum, T* __restrict y) {
  for (Index i = 0; i < n; ++i) y[i] = z[i] + momentum * (z[i] - z_previous[i]);
}

template <class T>
RIATA_INLINE void add_scaled_loop(Index n, T a, const T* __restrict x, T* __restrict y) {
  for (Index i = 0; i < n; ++i) y[i] += a * x[i];
}

template <class T>
RIATA_INLINE double fixed_order_dot_loop(Index n, const T* a, const T* b) {
  double lanes[8] = {};  // eight partial sums in a fixed pattern: vectorisable, yet the order is n's alone
  Index i = 0;
  for (; i + 8 <= n; i += 8)
    for (Index k = 0; k < 8; ++k) lanes[k] += static_cast<double>(a[i + k]) * static_cast<double>(b[i + k]);
  double sum = 0;
  for (; i < n; ++i) sum += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  for (const double lane : lanes) sum += lane;
  return sum;
}

template <class T>
RIATA_INLINE Index first_outside_loop(Index n, const T* v, T low, T high) {
  Index i = 0;
  for (; i + 32 <= n; i += 32) {
    int outside = 0;
    for (Index k = 0; k < 32; ++k) outside |= static_cast<int>(v[i + k] < low) | static_cast<int>(v[i + k] > high);
    if (outside != 0) break;
  }
  while (i < n && !(v[i] < low) && !(v[i] > high)) ++i;
  return i;
}

RIATA_INLINE bool solve_positive_definite_loop(Index n, double* A, double* b) {
  for (Index k = 0; k < n; ++k) {  // right-looking: column k is done, the columns after it are updated
    double* __restrict column = A + k * n;
    const double pivot = column[k];
    if (!(pivot > 0)) return false;
    const double scale = 1 / std::sqrt(pivot);
    for (Index i = k; i < n; ++i) column[i] *= scale;
    for (Index j = k + 1; j < n; ++j) {
      double* __restrict other = A + j * n;
      const double l = column[j];
      for (Index i = j; i < n; ++i) other[i] -= l * column[i];
    }
    b[k] *= scale;  // forward substitution goes along
    const double y = b[k];
    for (Index i = k + 1; i < n; ++i) b[i] -= y * column[i];
  }
  for (Index k = n - 1; k >= 0; --k) {
    double sum = b[k];
    for (Index i = k + 1; i < n; ++i) sum -= A[i + k * n] * b[i];
    b[k] = sum / A[k + k * n];
  }
  return true;
}

}  // namespace

RIATA_DISPATCHED void gradient_step(Index n, const float* y, float step, const float* g, float* out) {
  gradient_step_loop(n, y, step, g, out);
}
RIATA_DISPATCHED void gradient_step(Index n, const double* y, double step, const double* g, double* out) {
  gradient_step_loop(n, y, step, g, out);
}

RIATA_DISPATCHED void soft_threshold(Index n, float threshold, float* v) { soft_threshold_loop(n, threshold, v); }
RIATA_DISPATCHED void soft_threshold(Index n, double threshold, double* v) { soft_threshold_loop(n, threshold, v); }

RIATA_DISPATCHED void extrapolate(Index n, const float* z, const float* z_previous, float momentum, float* y) {
  extrapolate_loop(n, z, z_previous, momentum, y);
}
RIATA_DISPATCHED void extrapolate(Index n, const double* z, const double* z_previous, double momentum, double* y) {
  extrapolate_loop(n, z, z_previous, momentum, y);
}

RIATA_DISPATCHED void add_scaled(Index n, float a, const float* x, float* y) { add_scaled_loop(n, a, x, y); }
RIATA_DISPATCHED void add_scaled(Index n, double a, const double* x, double* y) { add_scaled_loop(n, a, x, y); }

RIATA_DISPATCHED double fixed_order_dot(Index n, const float* a, const float* b) { return fixed_order_dot_loop(n, a, b); }
RIATA_DISPATCHED double fixed_order_dot(Index n, const double* a, const double* b) { return fixed_order_dot_loop(n, a, b); }

RIATA_DISPATCHED Index first_outside(Index n, const float* v, float low, float high) {
  return first_outside_loop(n, v, low, high);
}
RIATA_DISPATCHED Index first_outside(Index n, const double* v, double low, double high) {
  return first_outside_loop(n, v, low, high);
}

RIATA_DISPATCHED bool solve_positive_definite(Index n, double* A, double* b) {
  return solve_positive_definite_loop(n, A, b);
}

}  // namespace riata
