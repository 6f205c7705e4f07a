// Block coordinate descent, group after group,
//
//   Z_g <- BST(Z_g + Q_g / L_g, reg / L_g),   Q <- Q - H_{:,g} (change of Z_g),   BST(V, u) = V max(0, 1 - u / ||V||_F)
//
// with L_g = ||H_gg||_2: the exact minimiser over a group of one atom, a proximal step over one of several. Every
// n_iterates sweeps the last iterates are combined by Anderson extrapolation; Bertrand and Massias, "Anderson acceleration
// of coordinate descent" (2021), Algorithm 2, cited as BM21. Departure: whether the combination is kept is decided by the
// change of the objective in a form that subtracts no large numbers, so that it helps down to rounding.
// Cost of a sweep: |S|^2 n_signals multiply-adds.
#include "riata/solvers/joint_working_set.hpp"

#include <Eigen/Eigenvalues>
#include <Eigen/QR>
#include <algorithm>
#include <cmath>
#include <limits>

namespace riata {

constexpr double epsilon = std::numeric_limits<double>::epsilon();

JointWorkingSet::JointWorkingSet(Matrix<double> H, Matrix<double> B, Matrix<double> Z, double reg, Index group_size)
    : H_(std::move(H)),
      B_(std::move(B)),
      Z_(std::move(Z)),
      Q_(B_ - Z_ * H_),
      reg_(reg),
      group_size_(group_size),
      curvature_(Z_.cols() / group_size),
      change_(Z_.rows(), group_size),
      step_(Z_.rows(), group_size) {
  for (Index g = 0; g < n_groups(); ++g) {
    const auto H_gg = H_.block(g * group_size_, g * group_size_, group_size_, group_size_);
    curvature_(g) = group_size_ == 1 ? H_gg(0, 0)
                                     : Eigen::SelfAdjointEigenSolver<Matrix<double>>(H_gg, Eigen::EigenvaluesOnly)
                                           .eigenvalues()
                                           .tail<1>()(0);
  }
}

int JointWorkingSet::solve(double target, double half_norm_sq, int most_sweeps) {
  iterates_.assign(1, Z_);
  for (int n = 1; n <= most_sweeps; ++n) {
    const double moved = sweep();
    if (moved <= epsilon * epsilon * Z_.squaredNorm()) return n;
    iterates_.push_back(Z_);
    if (std::ssize(iterates_) <= n_iterates) continue;
    extrapolate();
    if (gap(half_norm_sq) <= target) return n;
    iterates_.assign(1, Z_);
  }
  return most_sweeps;
}

/// The squared size of the largest move.
double JointWorkingSet::sweep() {
  double moved = 0;
  for (Index g = 0; g < n_groups(); ++g) {
    if (!(curvature_(g) > 0)) continue;
    auto Z_g = Z_.middleCols(g * group_size_, group_size_);
    step_ = Z_g + group(Q_, g) / curvature_(g);
    const double norm = step_.norm(), threshold = reg_ / curvature_(g);
    step_ *= norm > threshold ? 1 - threshold / norm : 0.0;
    change_ = step_ - Z_g;
    const double change_sq = change_.squaredNorm();
    if (change_sq == 0) continue;
    moved = std::max(moved, change_sq);
    Z_g = step_;
    Q_.noalias() -= change_ * H_.middleRows(g * group_size_, group_size_);
  }
  return moved;
}

/// Of this problem, whose dual is feasible on S alone.
double JointWorkingSet::gap(double half_norm_sq) const {
  double norms = 0, largest = 0;
  for (Index g = 0; g < n_groups(); ++g) {
    norms += group(Z_, g).norm();
    largest = std::max(largest, group(Q_, g).norm());
  }
  const double s = largest > reg_ ? reg_ / largest : 1.0, products = Z_.cwiseProduct(Q_).sum();
  const double fit = std::max(0.0, half_norm_sq - 0.5 * Z_.cwiseProduct(B_ + Q_).sum());
  return reg_ * norms - s * products + (1 - s) * (1 - s) * fit;
}

/// The affine combination of the last iterates whose residual is smallest, if the objective is lower there. BM21 Algorithm 2.
void JointWorkingSet::extrapolate() {
  const Index n = n_iterates;
  Matrix<double> U(Z_.size(), n);
  for (Index k = 0; k < n; ++k) {
    const auto& before = iterates_[static_cast<std::size_t>(k)];
    const auto& after = iterates_[static_cast<std::size_t>(k + 1)];
    U.col(k) = (after - before).reshaped();
  }
  const double scale = U.norm();
  if (!(scale > 0)) return;
  U /= scale;
  const Matrix<double> gram = U.transpose() * U;
  const Vector<double> ones = Vector<double>::Ones(n);
  Vector<double> c = gram.colPivHouseholderQr().solve(ones);
  const double sum = c.sum();
  if (!c.allFinite() || !(std::abs(sum) > 0)) return;
  c /= sum;
  Z_tried_ = c(0) * iterates_[1];
  for (Index k = 1; k < n; ++k) Z_tried_ += c(k) * iterates_[static_cast<std::size_t>(k + 1)];
  if (!Z_tried_.allFinite()) return;
  Q_tried_ = B_;
  Q_tried_.noalias() -= Z_tried_ * H_;
  if (!(change_of_objective(Z_tried_, Q_tried_) < 0)) return;
  Z_.swap(Z_tried_);
  Q_.swap(Q_tried_);
}

/// F(Z) - F(Z_) = sum_g ( reg <Z_g - Z_g_, Z_g + Z_g_> / (||Z_g|| + ||Z_g_||) - <Z_g - Z_g_, Q_g + Q_g_> / 2 )
double JointWorkingSet::change_of_objective(const Matrix<double>& Z, const Matrix<double>& Q) const {
  double change = 0;
  for (Index g = 0; g < n_groups(); ++g) {
    const auto a = group(Z, g), b = group(Z_, g);
    const double norms = a.norm() + b.norm();
    if (norms == 0) continue;
    change += (a - b).cwiseProduct(reg_ / norms * (a + b) - 0.5 * (group(Q, g) + group(Q_, g))).sum();
  }
  return change;
}

}  // namespace riata
