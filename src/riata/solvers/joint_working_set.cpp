// Block coordinate descent, group after group,
//
//   Z_g <- BST(Z_g + Q_g / L_g, reg / L_g),   Q <- Q - H_{:,g} (change of Z_g),   BST(V, u) = V max(0, 1 - u / ||V||_F)
//
// with L_g = ||H_gg||_2: the exact minimiser over a group of one atom, a proximal step over one of several.
//
// Nearly equal atoms make that slow, so now and then a Newton step is tried on the groups in use, where F is smooth. With
// U_g = Z_g / ||Z_g||, c_g = reg / ||Z_g|| and K = H + diag(c), its Hessian is a Kronecker product less one rank per group,
//
//   K x I - sum_g c_g (e_g x U_g)(e_g x U_g)^T,
//
// and its inverse that of K with a correction by a system of one unknown per group (Woodbury). The step is shortened until F
// falls, measured in a form that subtracts no large numbers; groups that it would turn around become zero.
// Cost of a sweep: |S|^2 n_signals multiply-adds; of a Newton step: about |S|^3 and a sweep.
#include "riata/solvers/joint_working_set.hpp"

#include <Eigen/Cholesky>
#include <Eigen/QR>
#include <algorithm>
#include <cmath>
#include <limits>

#include "riata/core/error.hpp"
#include "riata/core/stopping.hpp"
#include "riata/linalg/blas.hpp"
#include "riata/linalg/decompositions.hpp"

namespace riata {

namespace {

constexpr double epsilon = std::numeric_limits<double>::epsilon();

Matrix<double> product(const Matrix<double>& A, const Matrix<double>& B) {
  Matrix<double> out(A.rows(), B.cols());
  multiply<double>(A, B, out);
  return out;
}

}  // namespace

JointWorkingSet::JointWorkingSet(Matrix<double> H, Matrix<double> B, Matrix<double> Z, double reg, Index group_size)
    : H_(std::move(H)),
      B_(std::move(B)),
      Z_(std::move(Z)),
      Q_(B_ - product(Z_, H_)),
      reg_(reg),
      group_size_(group_size),
      curvature_(Z_.cols() / group_size),
      change_(Z_.rows(), group_size),
      step_(Z_.rows(), group_size) {
  for (Index g = 0; g < n_groups(); ++g) {
    const auto H_gg = H_.block(g * group_size_, g * group_size_, group_size_, group_size_);
    curvature_(g) = group_size_ == 1 ? H_gg(0, 0) : symmetric_eigenvalues(H_gg)(group_size_ - 1);
  }
}

int JointWorkingSet::solve(double target, double half_norm_sq, int most_sweeps) {
  for (int n = 1; n <= most_sweeps; ++n) {
    if (sweep() <= epsilon * epsilon * Z_.squaredNorm()) return n;
    if (n % sweeps_per_newton != 0) continue;
    newton();
    if (gap(half_norm_sq) <= target) return n;
  }
  return most_sweeps;
}

/// The squared size of the largest move.
double JointWorkingSet::sweep() {
  double moved = 0;
  for (Index g = 0; g < n_groups(); ++g) {
    leave_if_stopped();
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

void JointWorkingSet::newton() {
  std::vector<Index> used;  // columns of Z_
  for (Index g = 0; g < n_groups(); ++g)
    if (!group(Z_, g).isZero(0))
      for (Index j = 0; j < group_size_; ++j) used.push_back(g * group_size_ + j);
  if (used.empty() || std::ssize(used) > largest_newton) return;
  const Matrix<double> direction = newton_direction(used);
  if (!direction.allFinite()) return;
  for (const double t : {1.0, first_crossing(direction, used), 0.5, 0.25, 0.125, 0.0625, 0.03125})
    if (try_step(direction, used, t)) return;
}

/// The least t < 1 at which a group turns against itself, <Z_g + t (direction)_g, Z_g> = 0, and slightly more; else 1.
double JointWorkingSet::first_crossing(const Matrix<double>& direction, const std::vector<Index>& used) const {
  double first = 1;
  for (Index k = 0; k < std::ssize(used); k += group_size_) {
    const auto Z_g = group(Z_, used[static_cast<std::size_t>(k)] / group_size_);
    const double against = -direction.middleCols(k, group_size_).cwiseProduct(Z_g).sum(), size_sq = Z_g.squaredNorm();
    if (against > size_sq) first = std::min(first, size_sq / against);
  }
  return first * (1 + 4 * epsilon);
}

/// Goes t along the direction, where a group that would turn against itself becomes zero. False, and no move, if F did not fall.
bool JointWorkingSet::try_step(const Matrix<double>& direction, const std::vector<Index>& used, double t) {
  Z_tried_ = Z_;
  for (Index k = 0; k < std::ssize(used); k += group_size_) {
    const Index g = used[static_cast<std::size_t>(k)] / group_size_;
    auto Z_g = Z_tried_.middleCols(g * group_size_, group_size_);
    Z_g += t * direction.middleCols(k, group_size_);
    if (Z_g.cwiseProduct(group(Z_, g)).sum() <= 0) Z_g.setZero();
  }
  if (!Z_tried_.allFinite()) return false;
  Q_tried_ = Q_ - product(Z_tried_ - Z_, H_);
  if (!(change_of_objective(Z_tried_, Q_tried_) < 0)) return false;
  Z_.swap(Z_tried_);
  Q_.swap(Q_tried_);
  return true;
}

/// Minus the inverse Hessian times the gradient reg U - Q, both of the columns in use.
Matrix<double> JointWorkingSet::newton_direction(const std::vector<Index>& used) const {
  const Index n = std::ssize(used), n_used_groups = n / group_size_;
  Matrix<double> U = Z_(Eigen::all, used), K = H_(used, used);
  Vector<double> inv_c(n_used_groups);
  for (Index g = 0; g < n_used_groups; ++g) {
    auto U_g = U.middleCols(g * group_size_, group_size_);
    const double norm = U_g.norm();
    inv_c(g) = norm / reg_;
    U_g /= norm;
    K.diagonal().segment(g * group_size_, group_size_).array() += reg_ / norm;
  }
  const double cubed = std::pow(static_cast<double>(n), 3);
  const Matrix<double> inv_K =
      run_stoppable(cubed, [K, n] { return Matrix<double>(K.llt().solve(Matrix<double>::Identity(n, n))); });
  const auto sum_of_blocks = [&](const Matrix<double>& A, Index g, Index h) {
    return A.block(g * group_size_, h * group_size_, group_size_, group_size_).sum();
  };
  // The Woodbury system: S_gh = [g = h] / c_g - <e_g x U_g, K^-1 (e_h x U_h)>.
  const Matrix<double> products = inv_K.cwiseProduct(product(U.transpose(), U));
  Matrix<double> S(n_used_groups, n_used_groups);
  for (Index h = 0; h < n_used_groups; ++h)
    for (Index g = 0; g < n_used_groups; ++g) S(g, h) = (g == h ? inv_c(g) : 0.0) - sum_of_blocks(products, g, h);

  Matrix<double> direction = product(Q_(Eigen::all, used) - reg_ * U, inv_K);
  Vector<double> along(n_used_groups);
  for (Index g = 0; g < n_used_groups; ++g) along(g) = group(U, g).cwiseProduct(group(direction, g)).sum();
  const Vector<double> correction =
      run_stoppable(cubed, [S, along] { return Vector<double>(S.colPivHouseholderQr().solve(along)); });
  for (Index g = 0; g < n_used_groups; ++g) U.middleCols(g * group_size_, group_size_) *= correction(g);
  direction += product(U, inv_K);
  return direction;
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
