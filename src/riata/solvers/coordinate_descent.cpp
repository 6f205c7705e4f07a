// Cyclic coordinate descent on the Gram matrix:   min_z  1/2 ||x - D z||^2 + reg g(z)
//
//   q = D^T (x - D z);   z_j <- prox_{reg g_j / G_jj}( z_j + q_j / G_jj ),   q <- q - G_j (change of z_j),   G = D^T D
//
// Friedman, Hastie, Hoefling and Tibshirani (2007). Sweeps over all atoms alternate with sweeps over the support alone.
// The gap is first estimated from q, which costs n_atoms operations; when that closes, residual and correlations are
// computed afresh in double (q has drifted by then) and the signal either leaves or goes on from the fresh q. The same
// happens every few hundred sweeps, lest rounding pile up in q where the target is out of reach.
// A signal that is slow (nearly collinear atoms) gets a Newton step on its support before each further sweep.
// Cost per sweep: one comparison per atom and n_atoms multiply-adds per coordinate that moves.
#include <Eigen/Cholesky>
#include <cmath>
#include <limits>

#include "riata/linalg/blas.hpp"
#include "riata/linalg/kernels.hpp"
#include "riata/solvers/tile_solver.hpp"

namespace riata {
namespace {

template <Scalar T>
class CoordinateDescent final : public TileSolver<T> {
 public:
  CoordinateDescent(const SharedProblem<T>& problem, const Matrix<T>& gram)
      : G_(gram),
        penalty_(problem.penalty),
        max_sweeps_(problem.options.max_iter),
        certificate_(problem.D_double, problem.penalty) {}

  void solve(SolverTile<T>& tile) override {
    start(tile);
    while (!pending_.empty()) {
      for (const Index i : pending_) descend(tile, i);
      certify(tile);
    }
  }

 private:
  void start(const SolverTile<T>& tile) {
    const Index n = tile.X.cols();
    pending_.resize(static_cast<std::size_t>(n));
    for (Index i = 0; i < n; ++i) pending_[static_cast<std::size_t>(i)] = i;
    q_ = tile.correlations;
    if (!tile.Z.isZero(0)) {
      Matrix<T> GZ(q_.rows(), n);
      multiply<T>(G_, tile.Z, GZ);
      q_ -= GZ;
    }
    estimate_target_ = 0.5 * tile.target;
    stuck_.assign(static_cast<std::size_t>(n), false);
  }

  /// Sweeps over signal i until the estimated gap reaches its target, nothing moves, q is due to be refreshed, or the
  /// sweeps are used up.
  void descend(SolverTile<T>& tile, Index i) {
    T* z = tile.Z.col(i).data();
    T* q = q_.col(i).data();
    const T reg = tile.reg(i);
    const double half_x_sq = 0.5 * tile.X.col(i).template cast<double>().squaredNorm();
    const int first_sweep = tile.n_iter(i);
    while (tile.n_iter(i) < max_sweeps_ && tile.n_iter(i) - first_sweep < sweeps_between_refreshes) {
      if (tile.n_iter(i) >= patience) newton_on_support(tile, i);
      support_.clear();
      T moved = 0;
      for (Index j = 0; j < G_.cols(); ++j) {
        moved = std::max(moved, update(z, q, reg, j));
        if (z[j] != T(0)) support_.push_back(j);
      }
      ++tile.n_iter(i);
      if (moved == T(0)) {
        stuck_[static_cast<std::size_t>(i)] = tile.n_iter(i) == first_sweep + 1;  // not even fresh correlations move it
        return;
      }
      T inner = moved;  // a drift along dependent atoms never slows down: hence the second limit
      const int last_inner = std::min(max_sweeps_, tile.n_iter(i) + support_sweeps);
      for (; inner > T(0.1) * moved && tile.n_iter(i) < last_inner; ++tile.n_iter(i)) {
        inner = 0;
        for (const Index j : support_) inner = std::max(inner, update(z, q, reg, j));
      }
      if (estimated_gap(tile, i, half_x_sq) <= estimate_target_(i)) {
        estimate_target_(i) *= 0.1;  // should the certificate disagree
        return;
      }
    }
  }

  /// Newton steps on the support with the signs held, F being quadratic there:  d = (G_SS + delta I)^-1 (q_S - reg s_S).
  /// A step ends where the first coordinate reaches zero, which leaves the support; then the next. The ridge delta turns
  /// directions without curvature into long steps, and F never rises: its change is at most -(t - t^2 / 2) (q_S - reg s_S)^T d.
  void newton_on_support(SolverTile<T>& tile, Index i) {
    auto z = tile.Z.col(i);
    auto q = q_.col(i);
    const auto reg = static_cast<double>(tile.reg(i));
    for (double t = 0; t < 1;) {
      support_.clear();
      for (Index j = 0; j < z.size(); ++j)
        if (z(j) != T(0)) support_.push_back(j);
      if (support_.empty() || std::ssize(support_) > largest_newton) return;
      Matrix<double> H = G_(support_, support_).template cast<double>();
      // Above the rounding of G, so that H is positive definite.
      const double ridge = std::max(1e-10, 4.0 * std::numeric_limits<T>::epsilon() * static_cast<double>(H.rows()));
      H.diagonal().array() += ridge * H.diagonal().maxCoeff();
      Vector<double> d = q(support_).template cast<double>();
      for (Index k = 0; k < d.size(); ++k) {
        const Index j = support_[static_cast<std::size_t>(k)];
        d(k) -= (z(j) > T(0) ? reg : -reg) * static_cast<double>(penalty_.weight(j));
      }
      H.ldlt().solveInPlace(d);
      if (!d.allFinite()) return;
      t = 1;
      for (Index k = 0; k < d.size(); ++k)
        if (const auto z_k = static_cast<double>(z(support_[static_cast<std::size_t>(k)])); z_k * d(k) < 0)
          t = std::min(t, -z_k / d(k));
      for (Index k = 0; k < d.size(); ++k) {
        const Index j = support_[static_cast<std::size_t>(k)];
        const double z_new = static_cast<double>(z(j)) + t * d(k);
        const bool reached_zero = t < 1 && z_new * static_cast<double>(z(j)) <= std::numeric_limits<T>::epsilon() * z(j) * z(j);
        const T change = (reached_zero ? T(0) : static_cast<T>(z_new)) - z(j);
        z(j) += change;
        add_scaled(G_.rows(), -change, G_.col(j).data(), q.data());
      }
    }
  }

  /// Moves z_j to its minimiser (0 for a zero atom) and q with it; returns how far, in units of the signal.
  T update(T* z, T* q, T reg, Index j) const {
    const T norm_sq = G_(j, j);
    if (norm_sq == T(0)) {
      z[j] = T(0);
      return T(0);
    }
    const T change = penalty_.prox(z[j] + q[j] / norm_sq, reg / norm_sq, j) - z[j];
    if (change == T(0)) return T(0);
    z[j] += change;
    add_scaled(G_.rows(), -change, G_.col(j).data(), q);
    return std::abs(change) * std::sqrt(norm_sq);
  }

  /// reg g(z) - s z^T q + (1 - s)^2 / 2 ||r||^2, with ||r||^2 = ||x||^2 - z^T D^T x - z^T q.
  double estimated_gap(const SolverTile<T>& tile, Index i, double half_x_sq) const {
    const auto z = tile.Z.col(i).template cast<double>();
    const Vector<double> q = q_.col(i).template cast<double>();
    const double reg = static_cast<double>(tile.reg(i)), zq = z.dot(q), s = penalty_.dual_scaling(q, reg);
    const double half_r_sq = half_x_sq - 0.5 * (z.dot(tile.correlations.col(i).template cast<double>()) + zq);
    return reg * penalty_.value(tile.Z.col(i)) - s * zq + (1 - s) * (1 - s) * std::max(0.0, half_r_sq);
  }

  /// Evaluates the pending signals afresh; those not done go on with exact correlations.
  void certify(SolverTile<T>& tile) {
    const auto n = static_cast<Index>(pending_.size());
    Matrix<T> X(tile.X.rows(), n), Z(tile.Z.rows(), n);
    Vector<T> reg(n);
    for (Index k = 0; k < n; ++k) {
      const Index i = pending_[static_cast<std::size_t>(k)];
      X.col(k) = tile.X.col(i);
      Z.col(k) = tile.Z.col(i);
      reg(k) = tile.reg(i);
    }
    certificate_.evaluate(X, Z, reg);
    std::vector<Index> still_pending;
    for (Index k = 0; k < n; ++k) {
      const Index i = pending_[static_cast<std::size_t>(k)];
      if (certificate_.gap(k) <= tile.target(i) || tile.n_iter(i) >= max_sweeps_ || stuck_[static_cast<std::size_t>(i)])
        continue;
      q_.col(i) = certificate_.correlations().col(k).template cast<T>();
      still_pending.push_back(i);
    }
    pending_ = std::move(still_pending);
  }

  static constexpr int support_sweeps = 20;      // at most, between sweeps over all atoms
  static constexpr int sweeps_between_refreshes = 200;
  static constexpr int patience = 100;           // sweeps before a signal counts as slow
  static constexpr Index largest_newton = 1024;  // atoms; beyond it sweeps are cheaper

  const Matrix<T>& G_;
  const L1<T>& penalty_;
  const int max_sweeps_;
  TileCertificate<T> certificate_;
  Matrix<T> q_;
  Vector<double> estimate_target_;
  std::vector<Index> pending_, support_;
  std::vector<bool> stuck_;
};

}  // namespace

template <Scalar T>
std::unique_ptr<TileSolver<T>> make_coordinate_descent(const SharedProblem<T>& problem, const Matrix<T>& gram) {
  return std::make_unique<CoordinateDescent<T>>(problem, gram);
}
template std::unique_ptr<TileSolver<float>> make_coordinate_descent(const SharedProblem<float>&, const Matrix<float>&);
template std::unique_ptr<TileSolver<double>> make_coordinate_descent(const SharedProblem<double>&,
                                                                     const Matrix<double>&);

}  // namespace riata
