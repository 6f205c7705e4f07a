// Forward mode for one signal: the iterates of its layers, and their derivatives along directions e_l w^T of the
// dictionary (row l moves along w). Internal.
//
// u = J_l w of jacobian.hpp obeys u_{k+1} = 1{z_{k+1} != 0} . ( u_k - alpha_k ( D_l <w, y_k> + r_l w + D^T D u_k ) ),
// r = D y_k - x. Only the rows of the support are not zero and only those are computed: |S_k| |S_{k+1}| multiply-adds per
// layer and direction.
#pragma once

#include <vector>

#include "riata/terms/l1.hpp"
#include "riata/unrolled/layer.hpp"

namespace riata {

/// One signal's network: all iterates z_0, ..., z_N, in double.
class SignalTrace {
 public:
  SignalTrace(const Matrix<double>& D, const Vector<double>& x, double reg, const L1<double>& penalty,
              const LayerSchedule& schedule);

  int n_layers() const { return schedule_.n_layers(); }
  double step(int k) const { return schedule_.steps[static_cast<std::size_t>(k)]; }
  double momentum(int k) const { return k < 0 ? 0.0 : schedule_.momenta[static_cast<std::size_t>(k)]; }
  auto z(int k) const { return iterates_.col(k); }
  Vector<double> y(int k) const {
    return k == 0 ? Vector<double>(z(0)) : Vector<double>(z(k) + momentum(k - 1) * (z(k) - z(k - 1)));
  }
  std::vector<Index> support(int k) const;
  const Matrix<double>& D() const { return D_; }
  const Vector<double>& x() const { return x_; }
  /// The first layer from which on the support stays what it is at the end.
  int settled() const;

 private:
  const Matrix<double>& D_;
  const Vector<double>& x_;
  const LayerSchedule& schedule_;
  Matrix<double> iterates_;
};

/// Directions e_{rows[t]} w_t^T; the w_t are the rows of `weights`, n_directions x n_atoms.
struct RowDirections {
  std::vector<Index> rows;
  Matrix<double> weights;
  Index size() const { return weights.rows(); }
};

/// The derivatives of z_k along the directions, advanced layer by layer from zero at layer `first`.
class Tangents {
 public:
  Tangents(const SignalTrace& trace, const Matrix<double>& gram, const RowDirections& directions,
           const Matrix<double>& atoms_of_rows, int first);

  void advance();  ///< from layer k to k + 1
  int layer() const { return k_; }
  const std::vector<Index>& support() const { return S_; }
  const Matrix<double>& codes() const { return u_; }  ///< n_directions x |S|: the columns of the support of z_k
  Matrix<double> dense() const;                       ///< n_directions x n_atoms
  Matrix<double> dense_extrapolated() const;          ///< the same of y_k

 private:
  Matrix<double> scatter(const Matrix<double>& u, const std::vector<Index>& S) const;

  const SignalTrace& trace_;
  const Matrix<double>& gram_;
  const RowDirections& directions_;
  const Matrix<double>& atoms_of_rows_;  // row t: D_{rows[t]}
  int k_;
  std::vector<Index> S_, S_before_;
  Matrix<double> u_, u_before_;  // compact, of z_k and z_{k-1}
};

/// Row t is row rows[t] of D.
Matrix<double> atoms_of(const RowDirections& directions, const Matrix<double>& D);

}  // namespace riata
