// The Lasso's homotopy in reg for many signals that share a Gram matrix: fast where one event comes at a time, and where it does
// not, or rounding is in doubt, it says so or its codes fail their certificate, and lars.cpp's own homotopy takes over. Internal.
//
//   z(reg) = argmin_z 1/2 ||x - D z||^2 + reg sum_j b_j |z_j|,   G = D^T D,   A = supp z,   s = sign z_A,   c = D^T (x - D z)
//
// While A stays, reg falling by delta moves z_A by delta w and c by -delta a:
//
//   w = G_AA^-1 (b s)_A,   a = G_A w,   c_A = reg (b s)_A
//
// until an atom outside ties, |c_j| = reg b_j, or one inside reaches zero (lars.cpp, also for the papers). G_AA^-1 = U U^T with U
// upper triangular. An atom k that enters, with g = G_Ak, v = U U^T g, l^2 = G_kk - g^T v, appends the column (-v, 1) / l to U,
// and for one that leaves rotations make its row of U zero (path_kernels.hpp):
//
//   enters:   w <- (w - gamma v, gamma),   gamma = (b_k s_k - g^T w) / l^2;        leaves:   w <- w - (w_k / M_kk) M_k,   M = U U^T
//
// So no triangular system is solved, and each column of U is read from memory once per knot: the inverse itself, kept up to date,
// would be read once and written once in full.
// Cost per knot: n_atoms |A| multiply-adds for a, in the precision P (single takes half the time and memory), and |A|^2 for U,
// which is in double, as are w, z and reg. c strays by rounding in P, which moves the knots a little, and the support where an
// atom is that near to its bound at the end. Hence the last step is one of Newton's, with the residual computed afresh, and who
// calls looks at all atoms. G, b and c are in units of their own until then, powers of two: single precision has a narrow range.
//
//   z_A <- z_A + U U^T (D_A^T (x - D_A z_A) - reg (b s)_A)
#pragma once

#include <concepts>
#include <vector>

#include "riata/core/threads.hpp"
#include "riata/core/types.hpp"
#include "riata/linalg/path_kernels.hpp"

namespace riata {

/// D^T D over a power of two near to its largest entry, rows padded with zeros for the kernels.
struct PathGram {
  explicit PathGram(const MatrixView<double>& D, const Execution& execution = {});
  template <Scalar P>
  const Matrix<P>& in() const {
    if constexpr (std::same_as<P, double>)
      return exact;
    else
      return rounded;
  }

  Matrix<double> exact;
  Matrix<float> rounded;
  double unit;
};

/// The path of one signal after the other.
template <Scalar P>
class GramHomotopy {
 public:
  /// Borrows the first two. `weights`: b.
  GramHomotopy(const PathGram& gram, const MatrixView<double>& D, const Vector<double>& weights, bool positive);

  /// From reg_max down to `reg` > 0. `c` = D^T x. False where it lost its way, or after `most_knots` knots.
  template <Scalar T>
  bool follow(const ConstVectorRef<double>& x, const ConstVectorRef<T>& c, double reg, int most_knots);

  int n_knots() const { return n_knots_; }
  template <Scalar T>
  void write_code(VectorRef<T> z) const;  ///< of all atoms

 private:
  /// What ends a step of reg by delta: an atom enters with a sign, or the `leaves`-th of A leaves; neither at the end of the path.
  struct Event {
    double delta = 0;
    Index enters = -1;
    double sign = 0;
    Index leaves = -1;
  };

  Index size() const { return std::ssize(atoms_); }
  InverseFactor factor() { return {size(), U_.rows(), U_.data()}; }
  template <Scalar T>
  Event start(const ConstVectorRef<T>& c);
  Event next(double reg, double moved);
  bool enter(Index j, double sign);
  void leave(Index k);
  void reserve();
  void refine(const ConstVectorRef<double>& x, double reg);

  const PathGram& gram_;
  const Matrix<P>& G_;
  const MatrixView<double> D_;
  const double unit_of_weights_;
  const Vector<double> weights_;
  const bool positive_;
  const PathKernels<P>& kernels_;
  const InverseFactorKernels& inverse_;
  const GramKernels<double>& dots_;
  // Of all atoms, padded:
  Vector<P> a_, c_, pulls_;                // pulls: |c_j| / b_j at the start
  Vector<P> bound_;                        // b, far on A
  Vector<P> all_bounds_, inverse_bounds_;  // b, far where an atom is zero
  double reg_ = 0, unit_ = 1;              // unit of c
  int n_knots_ = 0;
  std::vector<int> atoms_;  // A
  // Of A, with room to grow:
  Matrix<double> U_;
  Vector<double> z_, w_, target_, g_, v_;  // target = b s
  Vector<P> rounded_w_;
  std::vector<const double*> columns_;
  Vector<double> residual_;
};

}  // namespace riata
