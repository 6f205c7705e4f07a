// Cyclic coordinate descent on the Gram matrix:   min_z  1/2 ||x - D z||^2 + reg g(z)
//
//   q = D^T (x - D z);   z_j <- prox_{reg g_j / G_jj}( z_j + q_j / G_jj ),   q <- q - G_j (change of z_j),   G = D^T D
//
// Friedman, Hastie, Hoefling and Tibshirani (2007). A sweep visits the support and the zeros that their correlation pulls out,
// found by a vectorised scan; once a sweep leaves the support as it is, a Newton step on it follows.
// The gap is first estimated from q, which costs little; when that closes, residual and correlations are computed afresh in
// double (q has drifted by then) and the signal either leaves or goes on from the fresh q. It also leaves when neither Newton
// steps nor many plain sweeps bring the gap down by a tenth: rounding forbids more.
// Cost per sweep: the scan, and n_atoms multiply-adds per coordinate that moves.
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
    best_gap_.setConstant(n, std::numeric_limits<double>::infinity());
    stalled_.assign(static_cast<std::size_t>(n), false);
  }

  /// Sweeps over signal i, Newton steps between them, until the estimated gap reaches its target or q is due to be refreshed:
  /// after many sweeps, or once Newton steps on a settled support no longer help.
  void descend(SolverTile<T>& tile, Index i) {
    T* z = tile.Z.col(i).data();
    T* q = q_.col(i).data();
    const T reg = tile.reg(i);
    const double half_x_sq = 0.5 * tile.X.col(i).template cast<double>().squaredNorm();
    const int last_sweep = tile.n_iter(i) + std::min(max_sweeps_ - tile.n_iter(i), sweeps_between_refreshes);
    support_.clear();
    for (Index j = 0; j < G_.cols(); ++j)
      if (z[j] != T(0)) support_.push_back(j);
    const bool newton = !stalled_[static_cast<std::size_t>(i)];
    for (bool polished = false; tile.n_iter(i) < last_sweep;) {
      const Sweep result = sweep(z, q, reg);
      ++tile.n_iter(i);
      if (estimated_gap(tile, i, half_x_sq) <= estimate_target_(i)) {
        estimate_target_(i) *= 0.1;  // should the certificate disagree
        return;
      }
      if (result == Sweep::nothing_moved || (result == Sweep::same_support && polished)) return;
      polished = newton && result == Sweep::same_support && newton_on_support(tile, i);
    }
  }

  enum class Sweep { nothing_moved, same_support, new_support };

  /// Visits the atoms that can move: the support, then the zeros that their correlation pulls out.
  Sweep sweep(T* z, T* q, T reg) {
    const auto is_zero = [z](Index j) { return z[j] == T(0); };
    bool moved = false;
    for (const Index j : support_) moved |= update(z, q, reg, j);
    auto changes = static_cast<Index>(std::erase_if(support_, is_zero));
    for (Index j = next_pulled(q, reg, 0); j < G_.cols(); j = next_pulled(q, reg, j + 1)) {
      const bool was_zero = is_zero(j);
      moved |= update(z, q, reg, j);
      if (was_zero && !is_zero(j)) {
        support_.push_back(j);
        ++changes;
      }
    }
    changes += static_cast<Index>(std::erase_if(support_, is_zero));
    return !moved ? Sweep::nothing_moved : changes == 0 ? Sweep::same_support : Sweep::new_support;
  }

  /// The first atom from j on whose correlation is larger than reg w_j (n_atoms if none): a zero there moves.
  Index next_pulled(const T* q, T reg, Index j) const {
    const T limit = reg * (T(1) + T(4) * std::numeric_limits<T>::epsilon());
    if (penalty_.uniform())
      return j + first_outside(G_.cols() - j, q + j, penalty_.positive() ? -std::numeric_limits<T>::infinity() : -limit, limit);
    while (j < G_.cols() && penalty_.pull(static_cast<double>(q[j]), j) <= static_cast<double>(limit)) ++j;
    return j;
  }

  /// Newton steps on the support with the signs held, F being quadratic there:  d = (G_SS + delta diag G_SS)^-1 (q_S - reg s_S).
  /// A step ends where the first coordinate reaches zero, which leaves the support; then the next (feature-sign search,
  /// Lee, Battle, Raina and Ng, 2006), a few times: a sweep takes out many at once. The ridge delta, a share of each atom's
  /// squared norm, turns directions without curvature into long steps, and F never rises: its change is at most
  /// -(t - t^2 / 2) (q_S - reg s_S)^T d. False if it ended before a whole step.
  bool newton_on_support(SolverTile<T>& tile, Index i) {
    auto z = tile.Z.col(i);
    auto q = q_.col(i);
    const auto reg = static_cast<double>(tile.reg(i));
    double t = 0;
    for (int crossings = 0; t < 1 && crossings < most_crossings; ++crossings) {
      const Index n = std::ssize(support_);
      if (n == 0 || n > largest_newton) return false;
      d_.resize(n);
      for (Index k = 0; k < n; ++k) {
        const Index j = support_[static_cast<std::size_t>(k)];
        d_(k) = static_cast<double>(q(j)) - (z(j) > T(0) ? reg : -reg) * static_cast<double>(penalty_.weight(j));
      }
      if (!solve_on_support(d_)) return false;
      t = 1;
      for (Index k = 0; k < n; ++k)
        if (const auto z_k = static_cast<double>(z(support_[static_cast<std::size_t>(k)])); z_k * d_(k) < 0)
          t = std::min(t, -z_k / d_(k));
      for (Index k = 0; k < n; ++k) {
        const Index j = support_[static_cast<std::size_t>(k)];
        const double before = static_cast<double>(z(j)), after = before + t * d_(k);
        const bool reached_zero = t < 1 && after * before <= 4 * std::numeric_limits<T>::epsilon() * before * before;
        const T change = (reached_zero ? T(0) : static_cast<T>(after)) - z(j);
        z(j) += change;
        add_scaled(G_.rows(), -change, G_.col(j).data(), q.data());
      }
      std::erase_if(support_, [&](Index j) { return z(j) == T(0); });
    }
    return t == 1;
  }

  /// d <- (G_SS + delta diag G_SS)^-1 d, with delta above the rounding of G.
  bool solve_on_support(Vector<double>& d) {
    const Index n = d.size();
    H_.resize(n, n);
    for (Index k = 0; k < n; ++k) {
      const T* column = G_.col(support_[static_cast<std::size_t>(k)]).data();
      for (Index l = k; l < n; ++l) H_(l, k) = static_cast<double>(column[support_[static_cast<std::size_t>(l)]]);
    }
    const double ridge = std::max(1e-10, 4.0 * std::numeric_limits<T>::epsilon() * static_cast<double>(n));
    H_.diagonal() *= 1 + ridge;
    return solve_positive_definite(n, H_.data(), d.data()) && d.allFinite();
  }

  /// Moves z_j to its minimiser (0 for a zero atom) and q with it. Did it move?
  bool update(T* z, T* q, T reg, Index j) const {
    const T norm_sq = G_(j, j);
    if (norm_sq == T(0)) {
      const bool moved = z[j] != T(0);
      z[j] = T(0);
      return moved;
    }
    const T change = penalty_.prox(z[j] + q[j] / norm_sq, reg / norm_sq, j) - z[j];
    if (change == T(0)) return false;
    z[j] += change;
    add_scaled(G_.rows(), -change, G_.col(j).data(), q);
    return true;
  }

  /// reg g(z) - s z^T q + (1 - s)^2 / 2 ||r||^2, with ||r||^2 = ||x||^2 - z^T D^T x - z^T q.
  double estimated_gap(const SolverTile<T>& tile, Index i, double half_x_sq) const {
    const auto z = tile.Z.col(i), q = q_.col(i), c = tile.correlations.col(i);
    double g = 0, zq = 0, zc = 0;
    for (const Index j : support_) {
      const auto z_j = static_cast<double>(z(j));
      g += std::abs(z_j) * static_cast<double>(penalty_.weight(j));
      zq += z_j * static_cast<double>(q(j));
      zc += z_j * static_cast<double>(c(j));
    }
    const double reg = static_cast<double>(tile.reg(i)), largest = largest_pull(i),
                 s = largest <= reg ? 1.0 : reg / largest;
    return reg * g - s * zq + (1 - s) * (1 - s) * std::max(0.0, half_x_sq - 0.5 * (zc + zq));
  }

  double largest_pull(Index i) const {
    const auto q = q_.col(i);
    if (!penalty_.uniform()) return penalty_.reg_max(q.template cast<double>());
    return static_cast<double>(penalty_.positive() ? q.maxCoeff() : q.cwiseAbs().maxCoeff());
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
      const double gap = certificate_.gap(k);
      const bool stalled = gap > 0.9 * best_gap_(i), stalled_before = stalled_[static_cast<std::size_t>(i)];
      if (gap <= tile.target(i) || tile.n_iter(i) >= max_sweeps_ || (stalled && stalled_before)) continue;
      stalled_[static_cast<std::size_t>(i)] = stalled;
      best_gap_(i) = std::min(best_gap_(i), gap);
      q_.col(i) = certificate_.correlations().col(k).template cast<T>();
      still_pending.push_back(i);
    }
    pending_ = std::move(still_pending);
  }

  static constexpr int sweeps_between_refreshes = 200;
  static constexpr Index largest_newton = 1024;  // atoms; beyond it sweeps are cheaper
  static constexpr int most_crossings = 8;       // of zero, between two sweeps

  const Matrix<T>& G_;
  const L1<T>& penalty_;
  const int max_sweeps_;
  TileCertificate<T> certificate_;
  Matrix<T> q_;
  Vector<double> estimate_target_, best_gap_;
  std::vector<bool> stalled_;  // Newton steps no longer help: plain sweeps once, then an end
  std::vector<Index> pending_, support_;
  Matrix<double> H_;
  Vector<double> d_;
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
