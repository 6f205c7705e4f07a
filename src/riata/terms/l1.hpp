// The l1 penalty and the elastic net: two-sided, non-negative, or weighted per atom.
//
//   g(z) = l1_ratio sum_j w_j |z_j| + (1 - l1_ratio)/2 ||z||^2,   with z >= 0 required when `positive`;   l1: l1_ratio = 1
//
// The objective carries reg * g. Its ridge b/2 ||z||^2, b = reg (1 - l1_ratio), makes the elastic net an l1 problem in the
// atoms (D_j; sqrt(b) e_j) for the signal (x; 0), whose correlations are D_j^T (x - D z) - b z_j. Below, c_j stands for these.
//
// The prox and its derivative, with the cotangent y of its output z, b = 1 - l1_ratio and w times l1_ratio:
//
//   z_j = sign(v_j) max(|v_j| - tau_j w_j, 0) / (1 + tau_j b),      v <- h = 1{z != 0} y / (1 + tau b),
//   tau_j <- -(w_j sign(z_j) + b z_j) h_j
//
// sign(0) = 0, and what is NaN stays NaN. Thresholds of any sign serve, since training may pass zero; a negative one moves away
// from zero.
//
// Where codes are found or certified, a weight may be infinite: that atom's code is zero. Those that only look at codes take zero
// weights, too; whose atoms are free, see solvers/free_atoms.hpp.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>

#include "riata/core/types.hpp"
#include "riata/linalg/kernels.hpp"
#include "riata/terms/concepts.hpp"
#include "riata/terms/penalty_options.hpp"

namespace riata {

/// Which weights may come.
enum class Weights { finite, or_infinite, any };

/// What solvers and layers ask of a penalty. Columns of V, Z, C are signals; thresholds one number per column, or per entry.
template <Scalar T>
class L1 {
 public:
  using scalar = T;
  static constexpr bool convex = true, zeros_are_dead = true;

  /// Where each signal has weights of its own, and infinite ones may come, the penalty of the first signal.
  /// @throws std::invalid_argument if the options do not fit the penalty or n_atoms, or a weight is not allowed
  L1(const PenaltyOptions& options, Index n_atoms, Weights allowed = Weights::finite);

  /// Becomes the penalty of that signal, of the same options. @throws std::invalid_argument if one of its weights is not allowed
  void weigh_for(Index signal, const PenaltyOptions& options);

  /// g(z), summed in double.
  double value(const ConstVectorRef<T>& z) const;

  /// Each column of V becomes argmin_u 1/2 ||u - v||^2 + tau g(u), in place.
  void prox(MatrixRef<T> V, const Thresholds<T>& thresholds) const;

  /// The same for one coordinate: what coordinate descent needs.
  T prox(T v, T threshold, Index atom) const {
    const T t = threshold * weight(atom), u = v > t ? v - t : v < -t && !positive_ ? v + t : T(0);
    return has_ridge() ? u / shrinkage(threshold) : u;
  }

  /// Vector-Jacobian product of prox at its output Z: H, the cotangent of Z, becomes that of V.
  void prox_vjp(const ConstMatrixRef<T>& Z, const Thresholds<T>& thresholds, MatrixRef<T> H,
                const ThresholdCotangents<T>& cotangents) const;

  /// cotangents += scale_i (w_j sign(z_ji) + (1 - l1_ratio) z_ji): the gradient of scale * g with sign(0) = 0.
  void add_subgradient(const ConstMatrixRef<T>& Z, const ConstVectorRef<T>& scales, MatrixRef<T> cotangents) const;

  /// dist(c_j, reg l1_ratio w_j d|z_j|) for one atom, and the largest of all: 0 exactly at an optimum.
  double subgradient_distance(double z, double correlation, double reg, Index atom) const;
  double subgradient_distance(const ConstVectorRef<T>& z, const ConstVectorRef<double>& correlations, double reg) const;

  T weight(Index atom) const { return weights_.size() ? weights_(atom) : l1_ratio_; }  ///< l1_ratio w_j
  bool positive() const { return positive_; }
  bool uniform() const { return weights_.size() == 0; }  ///< all weights are equal
  bool has_ridge() const { return ridge_ > 0; }
  double ridge(double reg) const { return reg * ridge_; }  ///< b
  double reg_of_pull(double pull) const { return pull; }   ///< the smallest reg that holds an atom with this pull at zero
  /// The correlation's pull: |c_j| / weight(j), or c_j / weight(j) when codes are non-negative.
  double pull(double correlation, Index atom) const {
    return (positive_ ? std::max(correlation, 0.0) : std::abs(correlation)) / static_cast<double>(weight(atom));
  }
  /// Calls visit(j) for the atoms with pull(c_j, j) > least, in order.
  template <Scalar S, class Visit>
  void for_each_pulled(Index n_atoms, const S* correlations, S least, Visit visit) const {
    if (uniform()) {
      const S high = least * static_cast<S>(l1_ratio_), low = positive_ ? -std::numeric_limits<S>::infinity() : -high;
      for (Index j = 0; (j += first_outside(n_atoms - j, correlations + j, low, high)) < n_atoms; ++j) visit(j);
    } else {
      for (Index j = 0; j < n_atoms; ++j)
        if (pull(static_cast<double>(correlations[j]), j) > static_cast<double>(least)) visit(j);
    }
  }
  /// How many atoms have pull(c_j, j) > least.
  template <Scalar S>
  Index count_pulled(Index n_atoms, const S* correlations, S least) const {
    if (uniform()) {
      const S high = least * static_cast<S>(l1_ratio_), low = positive_ ? -std::numeric_limits<S>::infinity() : -high;
      return count_outside(n_atoms, correlations, low, high);
    }
    Index count = 0;
    for_each_pulled(n_atoms, correlations, least, [&](Index) { ++count; });
    return count;
  }
  /// max_j pull(c_j, j); 0 if nothing pulls
  template <Scalar S>
  double largest_pull(Index n_atoms, const S* correlations) const {
    if (uniform())
      return static_cast<double>(positive_ ? largest_positive(n_atoms, correlations) : largest_magnitude(n_atoms, correlations)) /
             static_cast<double>(l1_ratio_);
    double largest = 0;
    for (Index j = 0; j < n_atoms; ++j) largest = std::max(largest, pull(static_cast<double>(correlations[j]), j));
    return largest;
  }

  /// The largest pull of the atoms that for_each_pulled visits, by correlations that exact(j) gives.
  template <Scalar S, class Exact>
  double largest_pull_above(Index n_atoms, const S* correlations, S least, Exact exact) const {
    double largest = 0;
    for_each_pulled(n_atoms, correlations, least, [&](Index j) { largest = std::max(largest, pull(exact(j), j)); });
    return largest;
  }

 private:
  T shrinkage(T threshold) const { return 1 + threshold * static_cast<T>(ridge_); }  // what prox divides by
  void prox_each(VectorRef<T> v, const Thresholds<T>& thresholds, Index signal) const;
  T slope(T z, Index atom) const {  // of g, sign(0) = 0
    return (z > T(0) ? weight(atom) : z < T(0) ? -weight(atom) : T(0)) + static_cast<T>(ridge_) * z;
  }

  bool positive_;
  T l1_ratio_ = 1;
  double ridge_ = 0;  // 1 - l1_ratio
  Weights allowed_;
  Vector<T> weights_;  // times l1_ratio; empty: ones
};

}  // namespace riata
