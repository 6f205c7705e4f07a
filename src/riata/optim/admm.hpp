// Atoms from the statistics of codes, A = sum z z^T and B = sum x z^T, by a step of the alternating direction method of multipliers, in
// which the dictionary is there twice, C without constraint and D with it; Wohlberg (2016):
//
//   C <- (B + sigma (D - H)) (A + sigma I)^-1,    D <- project(C + H),    H <- H + C - D
//
// sigma begins at 0.05 of the mean of A's diagonal (SPORCO's at a 500th of the number of signals, in the codes' unit).
#pragma once

#include <algorithm>
#include <cmath>

#include "riata/optim/update.hpp"

namespace riata {

/// How far the two copies of what is sought are apart, and how far the second moved: what the penalty's weight follows.
struct AdmmResiduals {
  static constexpr Index every = 10;  ///< steps between changes of the weight
  double apart_sq = 0, moved_sq = 0;
  double first_sq = 0, second_sq = 0, multipliers_sq = 0;

  template <Scalar T>
  static AdmmResiduals of(const ConstMatrixRef<T>& first, const ConstMatrixRef<T>& second, const ConstMatrixRef<T>& second_before,
                          const ConstMatrixRef<T>& multipliers) {
    const auto square = [](const auto& A) { return A.template cast<double>().squaredNorm(); };
    return {square(first - second), square(second - second_before), square(first), square(second), square(multipliers)};
  }
  AdmmResiduals& operator+=(const AdmmResiduals& other) {
    apart_sq += other.apart_sq;
    moved_sq += other.moved_sq;
    first_sq += other.first_sq;
    second_sq += other.second_sq;
    multipliers_sq += other.multipliers_sq;
    return *this;
  }
  /// What the weight is multiplied by: relative residuals ten times apart are brought together.
  double factor() const {
    const double primal = std::sqrt(apart_sq) * std::sqrt(multipliers_sq),
                 dual = std::sqrt(moved_sq) * std::sqrt(std::max(first_sq, second_sq));
    return primal > 10 * dual ? 2 : dual > 10 * primal ? 0.5 : 1;
  }
};

/// Moves a dictionary that is a matrix, unverified.
template <Scalar T>
class Admm final : public Update<T> {
 public:
  const char* name() const override { return "ADMM"; }
  std::set<Piece> needs() const override { return {Piece::statistics}; }
  Asking<T, Outcome<T>> step(Position<T> from) override;
  void reset() override { past_ = {}; }
  void forget_atoms(const std::vector<Index>& atoms) override;
  NamedTensors state() const override;
  void restore(const NamedTensors& state, const Parameters<T>& parameters) override;

 private:
  struct Past {
    Matrix<double> H = {};  // 0 x 0 before the first step
    double sigma = 0;
    Index n_steps = 0;
  };
  Past past_;
};

}  // namespace riata
