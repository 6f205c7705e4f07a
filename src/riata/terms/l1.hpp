// The l1 penalty: two-sided, non-negative, or weighted per atom.
//
//   g(z) = sum_j w_j |z_j|,   with z >= 0 required when `positive`;   the objective carries reg * g.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "riata/core/types.hpp"
#include "riata/linalg/kernels.hpp"

namespace riata {

struct PenaltyOptions {
  bool positive = false;        ///< codes must be >= 0
  std::vector<double> weights = {};  ///< one factor > 0 per atom, multiplying reg; empty: all ones
  bool operator==(const PenaltyOptions&) const = default;
};

/// What solvers and layers ask of a penalty. Columns of V, Z, C are signals; thresholds hold one number per column.
template <Scalar T>
class L1 {
 public:
  using scalar = T;

  /// @throws std::invalid_argument if the weights do not fit n_atoms or are not > 0
  L1(const PenaltyOptions& options, Index n_atoms);

  /// g(z), summed in double.
  double value(const ConstVectorRef<T>& z) const;

  /// Each column of V becomes argmin_u 1/2 ||u - v||^2 + threshold g(u), in place.
  void prox(MatrixRef<T> V, const ConstVectorRef<T>& thresholds) const;

  /// The same for one coordinate: what coordinate descent needs.
  T prox(T v, T threshold, Index atom) const {
    const T t = threshold * weight(atom);
    if (v > t) return v - t;
    return v < -t && !positive_ ? v + t : T(0);
  }

  /// Vector-Jacobian product of prox at its output Z: H = 1{z != 0} * cotangent in place (the mask 1{|v| > threshold}),
  /// and threshold_cotangents(i) = - sum_j w_j sign(z_ji) h_ji.
  void prox_vjp(const ConstMatrixRef<T>& Z, MatrixRef<T> cotangents, VectorRef<double> threshold_cotangents) const;

  /// cotangents += scale_i * w_j sign(z_ji): the gradient of scale * g with sign(0) = 0.
  void add_subgradient(const ConstMatrixRef<T>& Z, const ConstVectorRef<T>& scales, MatrixRef<T> cotangents) const;

  /// The smallest reg with z* = 0 for a signal whose correlations D^T x are given: max_j c_j / w_j, of |c_j| if two-sided.
  double reg_max(const ConstVectorRef<double>& correlations) const;

  /// The largest s <= 1 for which s * residual is dual feasible, given D^T residual.
  double dual_scaling(const ConstVectorRef<double>& correlations, double reg) const;

  /// dist(c_j, reg * dg(z_j)) for the correlation c_j = D_j^T (x - D z): 0 exactly at an optimum.
  double subgradient_distance(double z, double correlation, double reg, Index atom) const;

  T weight(Index atom) const { return weights_.size() ? weights_(atom) : T(1); }
  bool positive() const { return positive_; }
  bool uniform() const { return weights_.size() == 0; }  ///< all weights are 1
  /// The correlation's pull: |c_j| / w_j, or c_j / w_j when codes are non-negative.
  double pull(double correlation, Index atom) const {
    return (positive_ ? std::max(correlation, 0.0) : std::abs(correlation)) / static_cast<double>(weight(atom));
  }
  /// Calls visit(j) for the atoms with pull(c_j, j) > least, in order.
  template <Scalar S, class Visit>
  void for_each_pulled(Index n_atoms, const S* correlations, S least, Visit visit) const {
    if (uniform()) {
      const S low = positive_ ? -std::numeric_limits<S>::infinity() : -least;
      for (Index j = 0; (j += first_outside(n_atoms - j, correlations + j, low, least)) < n_atoms; ++j) visit(j);
    } else {
      for (Index j = 0; j < n_atoms; ++j)
        if (pull(static_cast<double>(correlations[j]), j) > static_cast<double>(least)) visit(j);
    }
  }
  /// max_j pull(c_j, j); 0 if nothing pulls
  template <Scalar S>
  double largest_pull(Index n_atoms, const S* correlations) const {
    if (uniform())
      return static_cast<double>(positive_ ? largest_positive(n_atoms, correlations) : largest_magnitude(n_atoms, correlations));
    double largest = 0;
    for (Index j = 0; j < n_atoms; ++j) largest = std::max(largest, pull(static_cast<double>(correlations[j]), j));
    return largest;
  }

 private:
  bool positive_;
  Vector<T> weights_;  // empty: ones
};

}  // namespace riata
