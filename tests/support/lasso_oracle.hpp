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
    const RealVector x = real(signal), z = real(code), r = x - D * z, c = D.transpose() * r;
    Real s = 1;
    for (Eigen::Index j = 0; j < c.size(); ++j) {
      const Real pull = positive ? c(j) : std::abs(c(j));
      if (pull > 0) s = std::min(s, reg * weights(j) / pull);
    }
    const Real dual = (x.squaredNorm() - (x - s * r).squaredNorm()) / 2;
    return static_cast<double>(objective_of(x, z, reg) - dual);
  }

  /// max_j |c_j - reg w_j sign(z_j)| where z_j != 0, and of (|c_j| - reg w_j)_+ elsewhere ((c_j - reg w_j)_+
  /// if z >= 0).
  template <class X, class Z>
  double kkt_violation(const X& signal, const Z& code, double reg) const {
    const RealVector z = real(code), c = D.transpose() * (real(signal) - D * z);
    Real worst = 0;
    for (Eigen::Index j = 0; j < c.size(); ++j) {
      const Real bound = reg * weights(j);
      if (z(j) > 0) worst = std::max(worst, std::abs(c(j) - bound));
      if (z(j) < 0) worst = positive ? std::numeric_limits<Real>::infinity() : std::max(worst, std::abs(c(j) + bound));
      if (z(j) == 0) worst = std::max(worst, (positive ? c(j) : std::abs(c(j))) - bound);
    }
    return static_cast<double>(worst);
  }

  template <class X>
  double reg_max(const X& signal) const {
    const RealVector c = D.transpose() * real(signal);
    Real largest = 0;
    for (Eigen::Index j = 0; j < c.size(); ++j) largest = std::max(largest, (positive ? c(j) : std::abs(c(j))) / weights(j));
    return static_cast<double>(largest);
  }

 private:
  template <class V>
  static RealVector real(const V& v) {
    return v.template cast<Real>();
  }
  Real objective_of(const RealVector& x, const RealVector& z, Real reg) const {
    return (x - D * z).squaredNorm() / 2 + reg * weights.dot(z.cwiseAbs());
  }
};

}  // namespace riata::testing
