// The joint problem on a few of its groups: what joint_encode() solves between two looks at all atoms. Internal.
//
//   min_Z  1/2 <Z, H Z> - <B, Z> + reg sum_g ||Z_g||_F,    H = D_S^T D_S,  B = D_S^T X,  Q = B - H Z = D_S^T (X - D Z)
//
// Rows of codes are kept as columns, so that a row is contiguous: Z, Q and B are n_signals x |S|.
#pragma once

#include <vector>

#include "riata/core/threads.hpp"

namespace riata {

class JointWorkingSet {
 public:
  /// H and B as above for the atoms of S, group after group; Z is where to start. Owns all three.
  JointWorkingSet(Matrix<double> H, Matrix<double> B, Matrix<double> Z, double reg, Index group_size);

  /// Sweeps of block coordinate descent over the groups, with a Newton step every few, until the gap of this problem is at
  /// most `target`, nothing moves beyond rounding, or `most_sweeps` is reached. Returns the sweeps taken.
  /// `half_norm_sq` = 1/2 ||X||^2. @throws Interrupted
  int solve(double target, double half_norm_sq, int most_sweeps);

  const Matrix<double>& Z() const { return Z_; }

 private:
  static constexpr int sweeps_per_newton = 5;
  static constexpr Index largest_newton = 2000;  // atoms in use; beyond it sweeps are cheaper

  double sweep();
  double gap(double half_norm_sq) const;
  void newton();
  Matrix<double> newton_direction(const std::vector<Index>& used) const;
  double first_crossing(const Matrix<double>& direction, const std::vector<Index>& used) const;
  bool try_step(const Matrix<double>& direction, const std::vector<Index>& used, double t);
  double change_of_objective(const Matrix<double>& Z, const Matrix<double>& Q) const;

  Index n_groups() const { return Z_.cols() / group_size_; }
  auto group(const Matrix<double>& A, Index g) const { return A.middleCols(g * group_size_, group_size_); }

  const Matrix<double> H_, B_;
  Matrix<double> Z_, Q_;
  const double reg_;
  const Index group_size_;
  Vector<double> curvature_;  // ||H_gg||_2 per group
  Matrix<double> change_, step_, Z_tried_, Q_tried_;
};

}  // namespace riata
