// The l0 penalty, reg ||z||_0: the number of atoms used. Not convex: a start leads to a local solution, and no duality gap
// tells how good it is. Blumensath and Davies, J. Fourier Anal. Appl. 14(5), 2008: iterative hard thresholding.
#pragma once

#include <cmath>

#include "riata/core/types.hpp"
#include "riata/terms/l1.hpp"

namespace riata {

/// v_ji <- v_ji 1{|v_ji| > tau_ji}, in place: with tau = sqrt(2 t) the prox of t ||.||_0 (at equality both are minimisers).
template <Scalar T>
void hard_threshold(MatrixRef<T> V, const Thresholds<T>& thresholds);
/// H, the cotangent of its output Z, becomes that of V. What is kept is held constant, so thresholds have no derivative.
template <Scalar T>
void hard_threshold_vjp(const ConstMatrixRef<T>& Z, MatrixRef<T> H, const ThresholdCotangents<T>& cotangents);

/// What solvers ask of a penalty, as in L1, whose pulls |c_j| these are.
template <Scalar T>
class L0 : private L1<T> {
 public:
  using scalar = T;
  static constexpr bool convex = false, zeros_are_dead = true;

  /// `lipschitz` >= ||D||_2^2, of which the steps are the inverse.
  /// @throws std::invalid_argument if the options do not fit the penalty
  L0(const PenaltyOptions& options, Index n_atoms, double lipschitz);

  double value(const ConstVectorRef<T>& z) const { return static_cast<double>((z.array() != T(0)).count()); }

  /// Each column of V becomes argmin_u 1/2 ||u - v||^2 + tau ||u||_0, in place.
  void prox(MatrixRef<T> V, const Thresholds<T>& thresholds) const;
  /// hard_threshold_vjp()
  void prox_vjp(const ConstMatrixRef<T>& Z, const Thresholds<T>& /*thresholds*/, MatrixRef<T> H,
                const ThresholdCotangents<T>& cotangents) const {
    hard_threshold_vjp<T>(Z, H, cotangents);
  }
  /// Nothing: ||z||_0 is constant where it is not broken.
  void add_subgradient(const ConstMatrixRef<T>& /*Z*/, const ConstVectorRef<T>& /*scales*/, MatrixRef<T> /*cotangents*/) const {}

  /// How far z is from a fixed point of z <- prox(z + c / L), given c = D^T (x - D z): the largest |c_j| and
  /// (sqrt(2 reg L) - L |z_j|)_+ where z_j != 0, and (|c_j| - sqrt(2 reg L))_+ elsewhere.
  double subgradient_distance(const ConstVectorRef<T>& z, const ConstVectorRef<double>& correlations, double reg) const;

  double ridge(double /*reg*/) const { return 0; }
  /// The smallest reg at which an atom with |c_j| = pull stays at zero: pull^2 / (2 L).
  double reg_of_pull(double pull) const { return lipschitz_ > 0 ? pull * pull / (2 * lipschitz_) : 0; }

  using L1<T>::positive, L1<T>::largest_pull, L1<T>::for_each_pulled, L1<T>::largest_pull_above;

 private:
  double lipschitz_;
};

}  // namespace riata
