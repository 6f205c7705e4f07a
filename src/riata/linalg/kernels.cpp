#include "riata/linalg/kernels.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>

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
    v[i] = (T(0) > up ? T(0) : up) + (T(0) < down ? T(0) : down);  // in this order NaN stays NaN
  }
}

template <class T>
RIATA_INLINE void soft_threshold_each_loop(Index n, T scale, const T* __restrict thresholds, T* __restrict v) {
  for (Index j = 0; j < n; ++j) {
    const T size = (v[j] < T(0) ? -v[j] : v[j]) - scale * thresholds[j], kept = T(0) > size ? T(0) : size;
    v[j] = (v[j] > T(0) ? kept : T(0)) - (v[j] < T(0) ? kept : T(0)) + (v[j] - v[j]);  // + 0, or NaN
  }
}

template <class T>
RIATA_INLINE double masked_sign_sum_loop(Index n, const T* __restrict z, const T* w, T* __restrict h) {
  double lanes[16] = {};
  Index i = 0;
  const auto signed_entry = [&](Index j) {
    const T plus = z[j] > T(0) ? h[j] : T(0), minus = z[j] < T(0) ? h[j] : T(0);
    h[j] = plus + minus;
    return static_cast<double>(w != nullptr ? w[j] : T(1)) * static_cast<double>(plus - minus);
  };
  for (; i + 16 <= n; i += 16)
    for (Index k = 0; k < 16; ++k) lanes[k] += signed_entry(i + k);
  double sum = 0;
  for (; i < n; ++i) sum += signed_entry(i);
  for (const double lane : lanes) sum += lane;
  return sum;
}

template <class T>
RIATA_INLINE void add_signs_loop(Index n, const T* __restrict z, T scale, const T* w, T* __restrict h) {
  for (Index j = 0; j < n; ++j) {
    const T s = w != nullptr ? scale * w[j] : scale;
    h[j] += (z[j] > T(0) ? s : T(0)) - (z[j] < T(0) ? s : T(0));
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
RIATA_INLINE void subtract_columns_loop(Index n, Index count, const T* const* columns, const T* a, T* __restrict y) {
  Index k = 0;
  for (; k + 4 <= count; k += 4) {  // four columns to one pass over y
    const T* __restrict c0 = columns[k], * __restrict c1 = columns[k + 1], * __restrict c2 = columns[k + 2], * __restrict c3 = columns[k + 3];
    const T a0 = a[k], a1 = a[k + 1], a2 = a[k + 2], a3 = a[k + 3];
    for (Index i = 0; i < n; ++i) y[i] -= (a0 * c0[i] + a1 * c1[i]) + (a2 * c2[i] + a3 * c3[i]);
  }
  for (; k < count; ++k) {
    const T* __restrict c = columns[k];
    const T a_k = a[k];
    for (Index i = 0; i < n; ++i) y[i] -= a_k * c[i];
  }
}

/// max(0, max_i v_i or |v_i|), by lanes: a maximum does not depend on the order.
template <bool magnitude, class T>
RIATA_INLINE T largest_loop(Index n, const T* v) {
  T lanes[32] = {};
  Index i = 0;
  for (; i + 32 <= n; i += 32)
    for (Index k = 0; k < 32; ++k) {
      const T a = magnitude ? std::abs(v[i + k]) : v[i + k];
      lanes[k] = lanes[k] < a ? a : lanes[k];
    }
  T largest = 0;
  for (; i < n; ++i) largest = std::max(largest, magnitude ? std::abs(v[i]) : v[i]);
  for (const T lane : lanes) largest = std::max(largest, lane);
  return largest;
}

template <class T>
RIATA_INLINE double absolute_sum_loop(Index n, const T* v) {
  double lanes[8] = {};
  Index i = 0;
  for (; i + 8 <= n; i += 8)
    for (Index k = 0; k < 8; ++k) lanes[k] += static_cast<double>(std::abs(v[i + k]));
  double sum = 0;
  for (; i < n; ++i) sum += static_cast<double>(std::abs(v[i]));
  for (const double lane : lanes) sum += lane;
  return sum;
}

/// Bit k tells whether `holds(v_k)`, of 32 entries.
template <class T, class Predicate>
RIATA_INLINE std::uint32_t bits_of(const T* v, Predicate holds) {
  std::uint32_t bits = 0;
  for (std::uint32_t k = 0; k < 32; ++k) bits |= static_cast<std::uint32_t>(holds(v[k])) << k;
  return bits;
}

template <class T>
RIATA_INLINE Index find_nonzeros_loop(Index n, const T* v, Index* places) {
  Index count = 0, i = 0;
  for (; i + 32 <= n; i += 32)
    for (std::uint32_t bits = bits_of(v + i, [](T v_k) { return v_k != T(0); }); bits != 0; bits &= bits - 1)
      places[count++] = i + std::countr_zero(bits);
  for (; i < n; ++i) {
    places[count] = i;
    count += static_cast<Index>(v[i] != T(0));
  }
  return count;
}

template <class T>
RIATA_INLINE SweepResult sweep_coordinates_loop(const CoordinateProblem<T>& p) {
  SweepResult result;
  const Index padded = (p.n + 7) / 8 * 8;
  const T lowest = p.positive ? T(0) : -std::numeric_limits<T>::infinity();
  T* __restrict q = p.q, * __restrict z = p.z;
  for (Index k = 0; k < p.n; ++k) {
    const T* __restrict h = p.H + k * p.stride;
    const T v = z[k] + q[k] * p.inverse[k], t = p.bound[k] * p.inverse[k], up = v - t, down = v + t;
    const T below = down < T(0) ? down : T(0);  // without branches: signs are hard to predict
    const T z_new = (up > T(0) ? up : T(0)) + (below > lowest ? below : lowest);
    const T change = z_new - z[k];
    if (change == T(0)) continue;
    result.support_changed |= (z[k] == T(0)) != (z_new == T(0));
    result.decrease += 0.5 * static_cast<double>(h[k]) * static_cast<double>(change) * static_cast<double>(change);
    z[k] = z_new;
    for (Index i = 0; i < padded; ++i) q[i] -= change * h[i];
  }
  return result;
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
RIATA_INLINE Index count_outside_loop(Index n, const T* v, T low, T high) {
  using Count = std::conditional_t<sizeof(T) == 4, std::int32_t, std::int64_t>;  // as wide as T: so it vectorises
  Index total = 0;
  for (Index first = 0; first < n; first += 1 << 20) {
    Count count = 0;
    const Index last = std::min<Index>(n, first + (1 << 20));
    for (Index i = first; i < last; ++i) count += static_cast<Count>(v[i] < low) + static_cast<Count>(v[i] > high);
    total += static_cast<Index>(count);
  }
  return total;
}

template <class T>
RIATA_INLINE Index first_outside_loop(Index n, const T* v, T low, T high) {
  Index i = 0;
  const auto is_outside = [=](T v_k) { return static_cast<int>(v_k < low) | static_cast<int>(v_k > high); };
  for (; i + 32 <= n; i += 32)
    if (const std::uint32_t bits = bits_of(v + i, is_outside); bits != 0) return i + std::countr_zero(bits);
  while (i < n && !(v[i] < low) && !(v[i] > high)) ++i;
  return i;
}

/// A = L diag(d) L^T without square roots: below its diagonal A then holds L diag(d), on it 1 / d.
RIATA_INLINE bool solve_positive_definite_loop(Index n, double* A, double* b) {
  for (Index j = 0; j < n; ++j) {  // left-looking: column j takes off the columns before it, four to one pass
    double* __restrict column = A + j * n;
    Index k = 0;
    for (; k + 4 <= j; k += 4) {
      const double* __restrict c0 = A + k * n, * __restrict c1 = c0 + n, * __restrict c2 = c1 + n, * __restrict c3 = c2 + n;
      const double a0 = c0[j] * c0[k], a1 = c1[j] * c1[k + 1], a2 = c2[j] * c2[k + 2], a3 = c3[j] * c3[k + 3];
      for (Index i = j; i < n; ++i) column[i] -= (a0 * c0[i] + a1 * c1[i]) + (a2 * c2[i] + a3 * c3[i]);
    }
    for (; k < j; ++k) {
      const double* __restrict c = A + k * n;
      const double a = c[j] * c[k];
      for (Index i = j; i < n; ++i) column[i] -= a * c[i];
    }
    if (!(column[j] > 0)) return false;
    column[j] = 1 / column[j];
    const double y = b[j] * column[j];  // forward substitution goes along
    for (Index i = j + 1; i < n; ++i) b[i] -= y * column[i];
  }
  for (Index k = n - 1; k >= 0; --k) {
    const double* column = A + k * n;
    double even = b[k], odd = 0;  // two sums, for neither to wait for the other
    Index i = k + 1;
    for (; i + 2 <= n; i += 2) {
      even -= column[i] * b[i];
      odd -= column[i + 1] * b[i + 1];
    }
    if (i < n) even -= column[i] * b[i];
    b[k] = (even + odd) * column[k];
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

RIATA_DISPATCHED void soft_threshold_each(Index n, float scale, const float* thresholds, float* v) {
  soft_threshold_each_loop(n, scale, thresholds, v);
}
RIATA_DISPATCHED void soft_threshold_each(Index n, double scale, const double* thresholds, double* v) {
  soft_threshold_each_loop(n, scale, thresholds, v);
}

RIATA_DISPATCHED double masked_sign_sum(Index n, const float* z, const float* w, float* h) {
  return w != nullptr ? masked_sign_sum_loop(n, z, w, h) : masked_sign_sum_loop<float>(n, z, nullptr, h);
}
RIATA_DISPATCHED double masked_sign_sum(Index n, const double* z, const double* w, double* h) {
  return w != nullptr ? masked_sign_sum_loop(n, z, w, h) : masked_sign_sum_loop<double>(n, z, nullptr, h);
}

RIATA_DISPATCHED void add_signs(Index n, const float* z, float scale, const float* w, float* h) {
  w != nullptr ? add_signs_loop(n, z, scale, w, h) : add_signs_loop<float>(n, z, scale, nullptr, h);
}
RIATA_DISPATCHED void add_signs(Index n, const double* z, double scale, const double* w, double* h) {
  w != nullptr ? add_signs_loop(n, z, scale, w, h) : add_signs_loop<double>(n, z, scale, nullptr, h);
}

RIATA_DISPATCHED void extrapolate(Index n, const float* z, const float* z_previous, float momentum, float* y) {
  extrapolate_loop(n, z, z_previous, momentum, y);
}
RIATA_DISPATCHED void extrapolate(Index n, const double* z, const double* z_previous, double momentum, double* y) {
  extrapolate_loop(n, z, z_previous, momentum, y);
}

RIATA_DISPATCHED void add_scaled(Index n, float a, const float* x, float* y) { add_scaled_loop(n, a, x, y); }
RIATA_DISPATCHED void add_scaled(Index n, double a, const double* x, double* y) { add_scaled_loop(n, a, x, y); }

RIATA_DISPATCHED void subtract_columns(Index n, Index count, const float* const* columns, const float* a, float* y) {
  subtract_columns_loop(n, count, columns, a, y);
}
RIATA_DISPATCHED void subtract_columns(Index n, Index count, const double* const* columns, const double* a, double* y) {
  subtract_columns_loop(n, count, columns, a, y);
}

RIATA_DISPATCHED float largest_magnitude(Index n, const float* v) { return largest_loop<true>(n, v); }
RIATA_DISPATCHED double largest_magnitude(Index n, const double* v) { return largest_loop<true>(n, v); }
RIATA_DISPATCHED float largest_positive(Index n, const float* v) { return largest_loop<false>(n, v); }
RIATA_DISPATCHED double largest_positive(Index n, const double* v) { return largest_loop<false>(n, v); }

RIATA_DISPATCHED double absolute_sum(Index n, const float* v) { return absolute_sum_loop(n, v); }
RIATA_DISPATCHED double absolute_sum(Index n, const double* v) { return absolute_sum_loop(n, v); }

RIATA_DISPATCHED Index find_nonzeros(Index n, const float* v, Index* places) { return find_nonzeros_loop(n, v, places); }
RIATA_DISPATCHED Index find_nonzeros(Index n, const double* v, Index* places) { return find_nonzeros_loop(n, v, places); }

RIATA_DISPATCHED SweepResult sweep_coordinates(const CoordinateProblem<float>& p) { return sweep_coordinates_loop(p); }
RIATA_DISPATCHED SweepResult sweep_coordinates(const CoordinateProblem<double>& p) { return sweep_coordinates_loop(p); }

RIATA_DISPATCHED double fixed_order_dot(Index n, const float* a, const float* b) { return fixed_order_dot_loop(n, a, b); }
RIATA_DISPATCHED double fixed_order_dot(Index n, const double* a, const double* b) { return fixed_order_dot_loop(n, a, b); }

RIATA_DISPATCHED Index count_outside(Index n, const float* v, float low, float high) {
  return count_outside_loop(n, v, low, high);
}
RIATA_DISPATCHED Index count_outside(Index n, const double* v, double low, double high) {
  return count_outside_loop(n, v, low, high);
}

RIATA_DISPATCHED Index first_outside(Index n, const float* v, float low, float high) {
  return first_outside_loop(n, v, low, high);
}
RIATA_DISPATCHED Index first_outside(Index n, const double* v, double low, double high) {
  return first_outside_loop(n, v, low, high);
}

RIATA_DISPATCHED bool solve_positive_definite(Index n, double* A, double* b) { return solve_positive_definite_loop(n, A, b); }

}  // namespace riata
