// The Lasso of one signal on a few of its atoms: what coordinate descent solves between two looks at all atoms. Internal.
//
//   min_z  1/2 z^T H z - c^T z + reg sum_k w_k |z_k|,   H = G_SS + b I,   q = c - H z = D_S^T (x - D z) - b z
//
// with the ridge b of an elastic net, 0 for l1.
//
// H is a compact copy of its part of the Gram matrix, so that a coordinate's move costs |S| multiply-adds, not n_atoms.
#pragma once

#include <vector>

#include "riata/linalg/kernels.hpp"
#include "riata/terms/l1.hpp"

namespace riata {

template <Scalar T>
class WorkingSet {
 public:
  /// Borrows both; `gram` = D^T D.
  WorkingSet(const Matrix<T>& gram, const L1<T>& penalty);

  /// S = the support of z. q = D^T (x - D z) - b z.
  void start(const T* z, const T* q, T reg);

  /// Adds the atoms outside whose pull |q_j| / w_j exceeds `least`. False if there was none.
  bool grow(const T* q, double least);

  struct Work {
    int sweeps = 0;
    bool settled = false;  ///< the support never changed and the work ended by itself: this is the minimiser, to rounding
  };
  /// Sweeps until nothing moves or `most_sweeps`. With `newton`, a Newton step follows each sweep that left the support as it
  /// was, and a whole one ends the work.
  Work solve(int most_sweeps, bool newton);

  /// Takes the moves over into all codes and correlations. False if there were none.
  bool commit(T* z, T* q);

  const std::vector<Index>& atoms() const { return atoms_; }  ///< S

 private:
  Index size() const { return static_cast<Index>(atoms_.size()); }
  static constexpr int most_newton_steps = 8;    // between two sweeps
  static constexpr Index largest_newton = 1024;  // atoms; beyond it sweeps are cheaper

  void add(Index j, T z_j, T q_j);
  void reserve();
  SweepResult sweep();
  enum class Step { none, clipped, whole };
  bool minimise_on_support();
  Step newton_step();
  bool newton_direction();
  bool clip_at_zero();
  void stop_at_zero();
  void try_change();
  bool rises() const;

  const Matrix<T>& G_;
  const L1<T>& penalty_;
  T reg_ = 0, ridge_ = 0;
  std::vector<Index> atoms_;
  std::vector<char> is_member_;        // of S, one per atom
  std::vector<Index> nonzeros_;        // scratch of start()
  Matrix<T> H_;                        // the first size() columns count; rows padded with zeros
  Vector<T> z_, q_, inverse_, bound_;  // of S: codes, correlations, 1 / H_kk, reg w_k
  Vector<T> z_committed_;              // the codes that everyone knows
  // The Newton step.
  std::vector<Index> support_;  // places in S
  Matrix<double> H_support_;
  Vector<double> newton_, change_;  // one per place
  Vector<T> z_tried_, q_tried_, coefficients_;
  std::vector<const T*> columns_;
};

}  // namespace riata
