// The shrinkages of the layers, and their derivatives. The threshold of atom j for signal i is a product,
//
//   tau_ji = theta_j rho_i,      theta a number for all atoms or one per atom, rho one number per signal,
//
// in every network: rho is reg, sqrt(2 reg / L) or a norm of the signal's residual. With the cotangent y of the output z of
//
//   soft         z_j = sign(a_j) max(|a_j| - tau_j, 0)     a <- h = 1{z != 0} y,                tau_j <- -sign(z_j) h_j
//   selected     z_j = a_j for the largest |a_j| > tau_j   the same, but no tau_j there: which they are is held constant
//   hard         z_j = a_j 1{|a_j| > tau_j}                the same, and no tau at all
//   group        z_G = a_G max(0, 1 - tau / ||a_G||)       a_G <- y_G - (tau / ||a_G||) (y_G - u u^T y_G),  tau <- -u^T y_G,
//                                                          u = z_G / ||z_G||,  ||a_G|| = ||z_G|| + tau
//
// sign(0) = 0, and what is NaN stays NaN. Thresholds of any sign serve, since training may pass zero; a negative one moves away from zero.
#pragma once

#include <span>
#include <vector>

#include "riata/core/types.hpp"
#include "riata/networks/model.hpp"

namespace riata {

template <Scalar T>
struct TileThresholds {
  const Matrix<T>& theta;  ///< 1 x 1, or n_atoms x 1
  ConstVectorRef<T> rho;   ///< one entry per signal
  T of(Index atom, Index signal) const { return theta(theta.size() == 1 ? 0 : atom) * rho(signal); }
};

/// Where derivatives of the thresholds go.
template <Scalar T>
struct ThresholdGradients {
  Matrix<T>* theta;       ///< added to; null if not wanted
  std::span<double> rho;  ///< one entry per signal, written; or empty
};

template <Scalar T>
class SoftShrink {
 public:
  static constexpr bool zeros_are_dead = true;  ///< backward() never reads the cotangent of a zero
  explicit SoftShrink(const LayerSite<T>& site);
  void forward(MatrixRef<T> A, const TileThresholds<T>& thresholds);
  /// Z: what forward() made of A. H: the cotangent of Z, then of A.
  void backward(const ConstMatrixRef<T>& Z, const TileThresholds<T>& thresholds, MatrixRef<T> H,
                const ThresholdGradients<T>& gradients);

 private:
  void select(const ConstMatrixRef<T>& A, const TileThresholds<T>& thresholds);

  Index n_largest_ = 0;  // entries to leave as they are; 0 without support selection
  std::vector<T> sizes_;
  // Of the tile: the entries left as they are, and where each signal's end.
  std::vector<Index> selected_, ends_;
  std::vector<T> values_;
};

template <Scalar T>
class HardShrink {
 public:
  explicit HardShrink(const LayerSite<T>& /*site*/) {}
  void forward(MatrixRef<T> A, const TileThresholds<T>& thresholds);
  void backward(const ConstMatrixRef<T>& Z, const TileThresholds<T>& thresholds, MatrixRef<T> H,
                const ThresholdGradients<T>& gradients);
};

template <Scalar T>
class GroupShrink {
 public:
  static constexpr bool zeros_are_dead = false;  // an active group may hold one
  explicit GroupShrink(const LayerSite<T>& site);
  void forward(MatrixRef<T> A, const TileThresholds<T>& thresholds);
  void backward(const ConstMatrixRef<T>& Z, const TileThresholds<T>& thresholds, MatrixRef<T> H,
                const ThresholdGradients<T>& gradients);

 private:
  std::vector<std::vector<Index>> groups_;
};

}  // namespace riata
