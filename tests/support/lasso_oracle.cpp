#include "support/lasso_oracle.hpp"

namespace riata::testing {

Real LassoOracle::objective_of(const RealVector& x, const RealVector& z, Real reg) const {
  Real penalty = 0;
  for (Eigen::Index j = 0; j < z.size(); ++j)
    if (z(j) != 0) penalty += weights(j) * std::abs(z(j));  // a weight may be infinite
  return (x - D * z).squaredNorm() / 2 + reg * penalty;
}

double LassoOracle::gap_of(const RealVector& x, const RealVector& z, double reg) const {
  const RealVector r = x - D * z, c = D.transpose() * r;
  Real s = 1;
  for (Eigen::Index j = 0; j < c.size(); ++j) {
    const Real pull = positive ? c(j) : std::abs(c(j));
    if (pull > 0) s = std::min(s, reg * weights(j) / pull);
  }
  const Real dual = (x.squaredNorm() - (x - s * r).squaredNorm()) / 2;
  return static_cast<double>(objective_of(x, z, reg) - dual);
}

double LassoOracle::kkt_violation_of(const RealVector& x, const RealVector& z, double reg) const {
  const RealVector c = D.transpose() * (x - D * z);
  Real worst = 0;
  for (Eigen::Index j = 0; j < c.size(); ++j) {
    const Real bound = reg * weights(j);
    if (z(j) > 0) worst = std::max(worst, std::abs(c(j) - bound));
    if (z(j) < 0) worst = positive ? std::numeric_limits<Real>::infinity() : std::max(worst, std::abs(c(j) + bound));
    if (z(j) == 0) worst = std::max(worst, (positive ? c(j) : std::abs(c(j))) - bound);
  }
  return static_cast<double>(worst);
}

double LassoOracle::reg_max_of(const RealVector& x) const {
  const RealVector c = D.transpose() * x;
  Real largest = 0;
  for (Eigen::Index j = 0; j < c.size(); ++j) largest = std::max(largest, (positive ? c(j) : std::abs(c(j))) / weights(j));
  return static_cast<double>(largest);
}

}  // namespace riata::testing
