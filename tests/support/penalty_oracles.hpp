// The elastic net, the group Lasso and l0 from their definitions, in 80 bits. They share no code with the library.
#pragma once

#include <map>

#include "support/lasso_oracle.hpp"

namespace riata::testing {

/// The elastic net of one signal as what it is: the Lasso of (x; 0) in the atoms (D_j; sqrt(b) e_j),
/// b = reg (1 - l1_ratio), with weights l1_ratio w_j. Built for one reg.
struct ElasticNetOracle {
  LassoOracle lasso;
  double reg;

  template <class Dictionary>
  ElasticNetOracle(const Dictionary& D, double weight, double l1_ratio, std::vector<double> weights, bool positive)
      : lasso(augmented(D, weight * (1 - l1_ratio)), scaled(std::move(weights), l1_ratio, D.cols()), positive), reg(weight) {}

  template <class X, class Z>
  double objective(const X& x, const Z& z) const {
    return lasso.objective(augmented(x), z, reg);
  }
  template <class X, class Z>
  double gap(const X& x, const Z& z) const {
    return lasso.gap(augmented(x), z, reg);
  }
  template <class X, class Z>
  double kkt_violation(const X& x, const Z& z) const {
    return lasso.kkt_violation(augmented(x), z, reg);
  }

 private:
  using Dense = Eigen::Matrix<Real, Eigen::Dynamic, Eigen::Dynamic>;

  template <class Dictionary>
  static Dense augmented(const Dictionary& D, Real b) {
    Dense A = Dense::Zero(D.rows() + D.cols(), D.cols());
    A.topRows(D.rows()) = D.template cast<Real>();
    A.bottomRows(D.cols()).diagonal().setConstant(std::sqrt(b));
    return A;
  }
  template <class X>
  RealVector augmented(const X& x) const {
    RealVector longer = RealVector::Zero(lasso.D.rows());
    longer.head(x.size()) = x.template cast<Real>();
    return longer;
  }
  static std::vector<double> scaled(std::vector<double> weights, double l1_ratio, Eigen::Index n) {
    if (weights.empty()) weights.assign(static_cast<std::size_t>(n), 1);
    for (double& w : weights) w *= l1_ratio;
    return weights;
  }
};

/// g(z) = sum_G w_G ||z_G||, with z >= 0 required when `positive`. Weights go by ascending label.
struct GroupOracle {
  Eigen::Matrix<Real, Eigen::Dynamic, Eigen::Dynamic> D;
  std::map<std::int64_t, std::vector<Eigen::Index>> groups;
  std::map<std::int64_t, Real> weights;
  bool positive;

  template <class Dictionary>
  GroupOracle(const Dictionary& dictionary, const std::vector<std::int64_t>& labels, const std::vector<double>& w = {},
              bool positive_codes = false)
      : D(dictionary.template cast<Real>()), positive(positive_codes) {
    for (std::size_t j = 0; j < labels.size(); ++j) groups[labels[j]].push_back(static_cast<Eigen::Index>(j));
    for (const auto& [label, atoms] : groups) weights[label] = w.empty() ? 1 : w[weights.size()];
  }

  template <class X, class Z>
  double objective(const X& x, const Z& code, double reg) const {
    const RealVector z = code.template cast<Real>();
    const Real norms = penalty(z);
    return static_cast<double>((x.template cast<Real>() - D * z).squaredNorm() / 2 + reg * norms);
  }

  /// F(z) - ( 1/2 ||x||^2 - 1/2 ||x - s r||^2 ),   s = min(1, reg / max_G ||D_G^T r|| / w_G), of D_G^T r the positive part
  /// when codes are
  template <class X, class Z>
  double gap(const X& signal, const Z& code, double reg) const {
    const RealVector x = signal.template cast<Real>(), z = code.template cast<Real>(), r = x - D * z;
    const Real largest = pull(r), s = largest > reg ? reg / largest : Real(1);
    const Real norms = penalty(z);
    return static_cast<double>(r.squaredNorm() / 2 + reg * norms - (x.squaredNorm() - (x - s * r).squaredNorm()) / 2);
  }

  /// The largest || c_G - reg w_G z_G / ||z_G|| || where z_G is not zero, and (||c_G|| - reg w_G)_+ elsewhere; when codes are
  /// positive, of the c_j whose codes are zero the positive parts.
  template <class X, class Z>
  double kkt_violation(const X& x, const Z& code, double reg) const {
    const RealVector z = code.template cast<Real>(), c = D.transpose() * (x.template cast<Real>() - D * z);
    Real worst = 0;
    for (const auto& [label, atoms] : groups) {
      const RealVector z_G = z(atoms);
      RealVector c_G = c(atoms);
      for (Eigen::Index k = 0; k < c_G.size(); ++k)
        if (positive && z_G(k) == 0) c_G(k) = std::max<Real>(c_G(k), 0);
      const Real bound = reg * weights.at(label);
      worst = std::max(worst, z_G.norm() > 0 ? (c_G - bound * z_G / z_G.norm()).norm() : c_G.norm() - bound);
    }
    return static_cast<double>(worst);
  }

  template <class X>
  double reg_max(const X& x) const {
    return static_cast<double>(pull(x.template cast<Real>()));
  }

 private:
  Real pull(const RealVector& r) const {
    const RealVector c = D.transpose() * r;
    Real largest = 0;
    for (const auto& [label, atoms] : groups)
      largest =
          std::max(largest, (positive ? RealVector(c(atoms).cwiseMax(0)) : RealVector(c(atoms))).norm() / weights.at(label));
    return largest;
  }
  Real penalty(const RealVector& z) const {
    Real sum = 0;
    for (const auto& [label, atoms] : groups) sum += weights.at(label) * z(atoms).norm();
    return sum;
  }
};

}  // namespace riata::testing
