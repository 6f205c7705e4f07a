// Total variation in one dimension, g(u) = sum_t |u_{t+1} - u_t|. Columns are signals over time.
//
// With w_t = rho theta_t, the weight of the jump after sample t, B the blocks of u (maximal runs of equal entries) and s_l, s_r
// the signs of the jumps before and after a block, 0 at the ends, the prox and its derivatives almost everywhere are
//
//   u_B  = mean(y_B) + (w_r s_r - w_l s_l) / |B|
//   du_B = mean(dy_B) + (dw_r s_r - dw_l s_l) / |B|
//   y_B <- mean(h_B),   w_t <- s_t (mean(h_B) - mean(h_B')),   t between B and B',   h the cotangent of u
#pragma once

#include <span>
#include <vector>

#include "riata/core/threads.hpp"
#include "riata/core/types.hpp"
#include "riata/linalg/taut_string.hpp"
#include "riata/terms/thresholds.hpp"

namespace riata {

/// What solvers and layers ask of it, for one tile. Thresholds per atom are per jump: theta has n_times - 1 rows, or one.
template <Scalar T>
class TotalVariation {
 public:
  using scalar = T;
  static constexpr bool convex = true;
  static constexpr bool zeros_are_dead = false;

  /// g(u), summed in double.
  double value(const ConstVectorRef<T>& u) const;
  /// Each column of V becomes argmin_u 1/2 ||u - v||^2 + sum_t w_t |u_{t+1} - u_t|, exactly, in time linear in its length.
  void prox(MatrixRef<T> V, const Thresholds<T>& thresholds);
  /// The same of Y into U.
  void prox(const ConstMatrixRef<T>& Y, const Thresholds<T>& thresholds, MatrixRef<T> U);
  /// Vector-Jacobian product of prox at its output U: H, the cotangent of U, becomes that of what prox was given.
  void prox_vjp(const ConstMatrixRef<T>& U, const Thresholds<T>& thresholds, MatrixRef<T> H,
                const ThresholdCotangents<T>& cotangents) const;
  /// As prox_vjp() of one column; adds the cotangents of theta to `jumps`, of n_times - 1 entries, if there are any, and returns
  /// that of rho.
  double prox_vjp(const ConstVectorRef<T>& u, const Thresholds<T>& thresholds, Index signal, VectorRef<T> h,
                  std::span<double> jumps) const;
  /// Jacobian-vector product at the output u of one column: h, the tangent of what prox was given, becomes that of u. `drho` is the
  /// tangent of rho, `dtheta` that of theta per jump, or empty.
  void prox_jvp(const ConstVectorRef<T>& u, const Thresholds<T>& thresholds, Index signal, VectorRef<T> h, double drho,
                std::span<const double> dtheta) const;
  /// H, the gradient of a smooth f at U, becomes the subgradient of f(u) + sum_t w_t |u_{t+1} - u_t| of least norm, exactly: 0 at
  /// an optimum. On a block it is -prox(-h), with what the jumps at its ends pull taken from h there.
  void least_subgradient(const ConstMatrixRef<T>& U, const Thresholds<T>& thresholds, MatrixRef<T> H);
  /// H += scale_i g'(u_i), sign(0) = 0.
  void add_subgradient(const ConstMatrixRef<T>& U, const ConstVectorRef<T>& scales, MatrixRef<T> H) const;

 private:
  TautString string_;
};

/// What total variation weighs: one number for all signals or one each, and factors per jump that all signals share.
template <Scalar T>
struct TvWeight {
  TvWeight(double weight) : per_signal(Vector<T>::Constant(1, static_cast<T>(weight))) {}  // NOLINT: a number is a weight
  explicit TvWeight(Vector<T> weights, Vector<T> jumps = {}) : per_signal(std::move(weights)), per_jump(std::move(jumps)) {}

  Vector<T> per_signal;  ///< one entry, or one per signal; >= 0 and finite
  Vector<T> per_jump;    ///< n_times - 1 entries >= 0; or none: ones
};

/// argmin_u 1/2 ||y_i - u||^2 + weight_i sum_t per_jump_t |u_{t+1} - u_t| for each column of Y, n_times x n_signals. The bits do
/// not depend on the number of threads.
/// @throws std::invalid_argument if sizes disagree, an entry is not finite, or a weight is < 0
template <Scalar T>
Matrix<T> prox_tv(const NonDeduced<ConstMatrixRef<T>>& Y, const TvWeight<T>& weight, const Execution& execution = {});
/// The same into U, which may be Y.
template <Scalar T>
void prox_tv(const NonDeduced<ConstMatrixRef<T>>& Y, const TvWeight<T>& weight, NonDeduced<MatrixRef<T>> U,
             const Execution& execution = {});

/// Of prox_tv: a cotangent or a tangent of what it is given.
template <Scalar T>
struct TvDerivative {
  Matrix<T> signals;          ///< of Y, in its shape
  Vector<double> weight;      ///< of TvWeight::per_signal, in its shape
  Vector<double> jumps = {};  ///< of TvWeight::per_jump, in its shape
};

/// Vector-Jacobian product of prox_tv: `U` is what it returned, `cotangent` of its shape.
/// @throws std::invalid_argument likewise
template <Scalar T>
TvDerivative<T> prox_tv_vjp(const NonDeduced<ConstMatrixRef<T>>& U, const TvWeight<T>& weight,
                            const NonDeduced<ConstMatrixRef<T>>& cotangent, const Execution& execution = {});

/// Jacobian-vector product of prox_tv at its output U. No entries of the tangent's weight or jumps: zeros.
/// @throws std::invalid_argument likewise
template <Scalar T>
Matrix<T> prox_tv_jvp(const NonDeduced<ConstMatrixRef<T>>& U, const TvWeight<T>& weight, const TvDerivative<T>& tangent,
                      const Execution& execution = {});

}  // namespace riata
