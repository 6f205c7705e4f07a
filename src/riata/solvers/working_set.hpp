// The Lasso of one signal on a few of its atoms: what coordinate descent solves between two looks at all atoms. Internal.
//
//   min_z  1/2 z^T H z - c^T z + reg sum_k w_k |z_k|,   H = G_WW + b I,   q = c - H z = D_W^T (x - D z) - b z
//
// with the ridge b of an elastic net, 0 for l1.
//
// H is a compact copy of its part of the Gram matrix, so that a coordinate's move costs |W| multiply-adds, not n_atoms.
//
// Sweeps or a factorisation? Newton's step on the support of size s costs s^3 / 6 multiply-adds and ends the work if the support is
// the right one; a sweep costs s |W|, and how many are needed depends on the tolerance and on how correlated the atoms are. So
// sweeps go first, and a Newton step is tried when those since the last have cost about as much as it will: whichever of the two
// would have been the better choice, at most twice its time is spent.
//
// All inside is in the precision S: where a loose gap is asked of doubles, single, of which H has half the bytes, and then in units of
// its own, powers of two, in which ||x|| and the largest ||D_j|| are about 1. What is committed is summed in T.
#pragma once

#include <utility>
#include <vector>

#include "riata/linalg/kernels.hpp"
#include "riata/solvers/gram_operator.hpp"
#include "riata/terms/l1.hpp"

namespace riata {

template <Scalar T, Scalar S = T>
class WorkingSet {
 public:
  /// Borrows both.
  WorkingSet(GramOperator<T>& gram, const L1<T>& penalty);

  /// W = the support of z. q = D^T (x - D z) - b z, c = D^T x.
  void start(const T* z, const T* q, const T* c, T reg, double half_norm_sq);

  /// Adds those atoms outside whose pull |q_j| / w_j exceeds `least`: if they are more than `most`, the hardest pulled. False if
  /// there was none.
  bool grow(const T* q, const T* c, double least, Index most);

  struct Work {
    int sweeps = 0;
    bool settled = false;  ///< the support never changed and the work ended by itself: this is the minimiser, to rounding
  };
  /// Sweeps, and Newton steps if they are wanted, until the gap of this problem is at most `target`, nothing moves, a whole Newton
  /// step has been made, or `most_sweeps`.
  Work solve(int most_sweeps, double target, bool newton);

  /// The gap where the hardest pull of any atom is this. Of moves that are committed.
  double gap(double largest_pull) const;

  /// Takes the moves over into all codes and correlations. False if there were none.
  bool commit(T* z, T* q);

  const std::vector<Index>& atoms() const { return atoms_; }  ///< W

 private:
  Index size() const { return static_cast<Index>(atoms_.size()); }
  static constexpr int most_newton_steps = 8;    // between two sweeps
  static constexpr Index largest_newton = 1024;  // atoms; beyond it sweeps are cheaper
  static constexpr Index atoms_per_sweep = 6;    // of a support, whose Newton step costs as much

  void append(const T* z, const T* q, const T* c);
  void reserve(Index n);
  double largest_pull_inside() const;
  SweepResult sweep();
  Index find_support();
  enum class Step { none, clipped, whole };
  bool minimise_on_support();
  Step newton_step();
  bool newton_direction();
  bool clip_at_zero();
  void stop_at_zero();
  void try_change();
  bool rises() const;
  S in_unit(T correlation) const { return static_cast<S>(correlation * per_correlation_); }

  GramOperator<T>& gram_;
  const L1<T>& penalty_;
  T reg_ = 0, ridge_ = 0;
  double half_norm_sq_ = 0;                                // in its unit
  T atom_unit_ = 1, code_unit_ = 1, per_correlation_ = 1;  // 1 where S is T
  double signal_unit_ = 1;
  std::vector<Index> atoms_;
  std::vector<char> is_member_;                   // of W, one per atom
  std::vector<Index> joining_;                    // atoms that append() takes in
  std::vector<std::pair<double, Index>> pulled_;  // scratch of grow()
  Matrix<S> H_;                                   // the first size() columns count; rows padded with zeros
  Matrix<T> block_;                               // of G, where it joins H in another precision
  Vector<S> z_, q_, c_, inverse_, bound_;         // of W: codes, correlations with the residual and with x, 1 / H_kk, reg w_k
  Vector<T> z_committed_, moves_;                 // the codes that everyone knows, and how far they move
  // The Newton step.
  std::vector<Index> support_;  // places in W
  Matrix<double> H_support_;
  Vector<double> newton_, change_;  // one per place
  Vector<S> z_tried_, q_tried_, coefficients_;
  std::vector<const S*> columns_;
  std::vector<Index> moved_;  // atoms that commit() moves
};

}  // namespace riata
