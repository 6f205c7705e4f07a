// The oracle of sparse coding: objective, duality gap and optimality violation written from their
// definitions, in 80 bits, for one signal. Shares no code with the library.
//
//   F(z) = 1/2 ||x - D z||^2 + reg sum_j w_j |z_j|,      c = D^T (x - D z)
//   gap  = F(z) - ( 1/2 ||x||^2 - 1/2 ||x - s (x - D z)||^2 )
//   s    = min(1, min_j reg w_j / |c_j|), over the c_j > 0 alone when z >= 0 is required
#pragma once

#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace riata::testing {

using Real = long double;
using RealVector = Eigen::Matrix<Real, Eigen::Dynamic, 1>;

struct LassoOracle {
  Eigen::Matrix<Real, Eigen::Dynamic, Eigen::Dynamic> D;
  RealVector weights;  // one per atom
  bool positive;

  template <class Derived>
  LassoOracle(const Eigen::MatrixBase<Derived>& dictionary, const std::vector<double>& w, bool positive_codes)
      : D(dictionary.template cast<Real>()), weights(RealVector::Ones(dictionary.cols())), positive(positive_codes) {
    for (std::size_t j = 0; j < w.size(); ++j) weights(static_cast<Eigen::Index>(j)) = w[j];
  }

  template <class X, class Z>
  double objective(const X& x, const Z& z, double reg) const {
    return static_cast<double>(objective_of(real(x), real(z), reg));
  }

  template <class X, class Z>
  double gap(const X& signal, const Z& code, double reg) const {
    return gap_of(real(signal), real(code), reg);
  }

  /// max_j |c_j - reg w_j sign(z_j)| where z_j != 0, and of (|c_j| - reg w_j)_+ elsewhere ((c_j - reg w_j)_+
  /// if z >= 0).
  template <class X, class Z>
  double kkt_violation(const X& signal, const Z& code, double reg) const {
    return kkt_violation_of(real(signal), real(code), reg);
  }

  template <class X>
  double reg_max(const X& signal) const {
    return reg_max_of(real(signal));
  }

 private:
  template <class V>
  static RealVector real(const V& v) {
    return v.template cast<Real>();
  }
  Real objective_of(const RealVector& x, const RealVector& z, Real reg) const;
  double gap_of(const RealVector& x, const RealVector& z, double reg) const;
  double kkt_violation_of(const RealVector& x, const RealVector& z, double reg) const;
  double reg_max_of(const RealVector& x) const;
};

}  // namespace riata::testing
