// Who may ask what of a penalty g. Columns are signals.
#pragma once

#include <concepts>

#include "riata/terms/thresholds.hpp"

namespace riata {

/// What solvers ask.
template <class P, class T = typename P::scalar>
concept Penalty = requires(const P& g, const ConstVectorRef<T>& z, const ConstVectorRef<double>& correlations, MatrixRef<T> V,
                           const Thresholds<T>& thresholds, double reg) {
  { P::convex } -> std::convertible_to<bool>;
  { g.value(z) } -> std::convertible_to<double>;  // in double
  g.prox(V, thresholds);                          // v_i <- argmin_u 1/2 ||u - v_i||^2 + tau_i g(u)
  { g.subgradient_distance(z, correlations, reg) } -> std::convertible_to<double>;  // 0 exactly at an optimum
  { g.reg_of_pull(reg) } -> std::convertible_to<double>;
  { g.ridge(reg) } -> std::convertible_to<double>;
};

/// What layers and learners ask too.
template <class P, class T = typename P::scalar>
concept DifferentiablePenalty = Penalty<P, T> &&
    requires(const P& g, const ConstMatrixRef<T>& Z, MatrixRef<T> H, const Thresholds<T>& thresholds,
             const ConstVectorRef<T>& scales, const ThresholdCotangents<T>& cotangents) {
  { P::zeros_are_dead } -> std::convertible_to<bool>;  // prox_vjp() never reads the cotangent of a zero
  g.prox_vjp(Z, thresholds, H, cotangents);  // at the prox's output Z: H, the cotangent of Z, becomes that of what prox was given
  g.add_subgradient(Z, scales, H);           // H += scale_i g'(z_i), sign(0) = 0
};

}  // namespace riata
