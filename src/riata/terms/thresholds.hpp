// What proximal operators are taken at. The threshold of atom j for signal i is a product,
//
//   tau_ji = theta_j rho_i,      theta a number for all atoms or one per atom, rho one number per signal,
//
// in every solver and layer: theta is learned, or 1; rho is reg, alpha reg, sqrt(2 reg / L) or a norm of the signal's residual.
#pragma once

#include <span>

#include "riata/core/types.hpp"

namespace riata {

/// Borrows both for one call, or holds the value of an expression, which a copy would not.
template <Scalar T>
struct Thresholds {
  /// Not explicit: numbers are thresholds.
  template <class Derived>
  Thresholds(const Eigen::MatrixBase<Derived>& per_signal, const Matrix<T>* per_atom = nullptr)  // NOLINT
      : rho(per_signal), theta(per_atom) {}
  Thresholds(const Thresholds&) = delete;
  Thresholds& operator=(const Thresholds&) = delete;

  bool is_per_atom() const { return theta != nullptr && theta->size() > 1; }
  T of(Index atom, Index signal) const {
    return theta == nullptr ? rho(signal) : (*theta)(theta->size() == 1 ? 0 : atom) * rho(signal);
  }
  /// theta as a number.
  T scalar() const { return theta == nullptr ? T(1) : (*theta)(0); }

  ConstVectorRef<T> rho;
  const Matrix<T>* theta;  ///< 1 x 1, or n_atoms x 1; null: 1
};

/// Where derivatives by the thresholds go.
template <Scalar T>
struct ThresholdCotangents {
  std::span<double> rho = {};  ///< one entry per signal, written; or empty
  Matrix<T>* theta = nullptr;  ///< added to; null if not wanted
};

}  // namespace riata
