// Who may ask what of a penalty g. Columns are signals.
#pragma once

#include <concepts>

#include "riata/terms/thresholds.hpp"

namespace riata {

/// What solvers and certificates ask. The pull of an atom, of its correlation c_j, is what reg must outweigh to hold it at zero.
template <class P, class T = typename P::scalar>
concept Penalty = requires(const P& g, const ConstVectorRef<T>& z, const ConstVectorRef<double>& correlations, const double* c,
                           MatrixRef<T> V, const Thresholds<T>& thresholds, double reg, Index n, void (*visit)(Index),
                           double (*exact)(Index)) {
  { P::convex } -> std::convertible_to<bool>;  // if not, no gap is computed
  { g.positive() } -> std::convertible_to<bool>;
  { g.value(z) } -> std::convertible_to<double>;  // in double
  g.prox(V, thresholds);                          // v_i <- argmin_u 1/2 ||u - v_i||^2 + tau_i g(u)
  { g.subgradient_distance(z, correlations, reg) } -> std::convertible_to<double>;  // 0 exactly at an optimum
  { g.ridge(reg) } -> std::convertible_to<double>;                                  // b, where reg g holds b/2 ||z||^2
  { g.largest_pull(n, c) } -> std::convertible_to<double>;
  { g.reg_of_pull(reg) } -> std::convertible_to<double>;  // the smallest reg that holds atoms of this pull at zero
  g.for_each_pulled(n, c, reg, visit);                    // visit(j) for the pulls above `reg`
  { g.largest_pull_above(n, c, reg, exact) } -> std::convertible_to<double>;  // of those, by exact correlations
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
