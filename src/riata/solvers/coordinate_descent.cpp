// Cyclic coordinate descent:   min_z  1/2 ||x - D z||^2 + reg g(z)
//
//   q = D^T (x - D z);   z_j <- prox_{reg g_j / G_jj}( z_j + q_j / G_jj ),   q <- q - G_j (change of z_j),   G = D^T D
//
// An elastic net is the l1 problem whose q is D^T (x - D z) - b z and whose G is D^T D + b I (l1.hpp).
// Friedman, Hastie, Hoefling and Tibshirani (2007), on a working set (Tibshirani et al., 2012; Massias, Gramfort and Salmon,
// 2018): sweeps and Newton steps move the atoms of a small set (working_set.hpp) until its own gap is a share of that of all
// atoms, then q tells for all who pulls hardest to join it, down to a share of the hardest pull.
// The gap is first estimated from q, which costs little; when that closes, residual and correlations are computed afresh in
// double (q has drifted by then) and the signal either leaves or goes on from the fresh q. It also leaves when neither Newton
// steps nor many plain sweeps bring the gap down by a tenth or the objective by a tenth of the target. The gap alone says
// little: it may rise on the way, the objective never does.
// Where a loose gap is asked of doubles, and atoms and weights are of sizes that single precision can tell from its rounding, a
// signal is swept in single precision until its first certificate.
// Cost: |W| multiply-adds per coordinate that moves within the set; between two looks n_atoms per coordinate that moved, or without
// a Gram matrix (gram_operator.hpp) n_features n_atoms in all.
#include <cmath>
#include <limits>
#include <optional>

#include "riata/core/stopping.hpp"
#include "riata/solvers/tile_solver.hpp"
#include "riata/solvers/working_set.hpp"

namespace riata {
namespace {

template <Scalar T>
class CoordinateDescent final : public TileSolver<T> {
 public:
  CoordinateDescent(const SharedProblem<L1<T>>& problem, std::unique_ptr<GramOperator<T>> gram)
      : D_(problem.D),
        gram_(std::move(gram)),
        penalty_(problem.penalty),
        max_sweeps_(problem.options.max_iter),
        certificate_(problem.D, problem.exact, problem.penalty, problem.options.tol),
        pace_(gram_->is_stored() ? with_gram : without_gram),
        set_(*gram_, problem.penalty) {
    if (std::same_as<T, double> && problem.options.tol >= least_of_narrow && atoms_are_even()) narrow_.emplace(*gram_, penalty_);
  }

  void solve(SolverTile<T>& tile) override {
    start(tile);
    while (!pending_.empty()) {
      for (const Index i : pending_) {
        if (narrow_ && std::isinf(best_gap_(i)) && fits_narrow(tile, i))
          descend(*narrow_, tile, i, (max_sweeps_ + 1) / 2);
        else
          descend(set_, tile, i, max_sweeps_ - tile.n_iter(i));
      }
      certify(tile);
    }
  }

 private:
  /// Are all ||D_j||^2 above a tiny share of the largest, those of zeros apart?
  bool atoms_are_even() {
    double least = std::numeric_limits<double>::infinity(), largest = 0;
    for (Index j = 0; j < gram_->size(); ++j)
      if (const auto square = static_cast<double>(gram_->squared_norm(j)); square > 0) {
        least = std::min(least, square);
        largest = std::max(largest, square);
      }
    largest_atom_ = std::sqrt(largest);
    return least > 0x1p-40 * largest;
  }

  /// Is reg w_j far above what rounding to single precision does to D_j^T r, and in its range?
  bool fits_narrow(const SolverTile<T>& tile, Index i) const {
    double least = std::numeric_limits<double>::infinity(), largest = 0;
    for (Index j = 0; j < (penalty_.uniform() ? 1 : gram_->size()); ++j)
      if (const auto w = static_cast<double>(penalty_.weight(j)); std::isfinite(w)) {
        least = std::min(least, w);
        largest = std::max(largest, w);
      }
    const auto reg = static_cast<double>(tile.reg(i));
    const double most = std::sqrt(2 * tile.half_norm_sq(i)) * largest_atom_;  // of |D_j^T x|
    return reg * least > 0x1p-12 * most && reg * largest < 0x1p40 * most &&
           penalty_.ridge(reg) < 0x1p40 * largest_atom_ * largest_atom_;
  }

  void start(SolverTile<T>& tile) {
    const Index n = tile.X.cols();
    pending_.resize(static_cast<std::size_t>(n));
    for (Index i = 0; i < n; ++i) pending_[static_cast<std::size_t>(i)] = i;
    q_ = tile.correlations;
    if (!tile.Z.isZero(0)) {
      for (Index j = 0; j < q_.rows(); ++j)
        if (gram_->squared_norm(j) == T(0)) tile.Z.row(j).setZero();  // an atom of zeros
      Matrix<T> R(tile.X.rows(), n);
      D_.apply(tile.Z, R);
      R = tile.X - R;
      D_.adjoint(R, q_);
      if (penalty_.has_ridge())
        for (Index i = 0; i < n; ++i)
          q_.col(i) -= static_cast<T>(penalty_.ridge(static_cast<double>(tile.reg(i)))) * tile.Z.col(i);
    }
    estimate_target_ = 0.5 * tile.target;
    best_gap_.setConstant(n, std::numeric_limits<double>::infinity());
    best_objective_ = best_gap_;
    stalled_.assign(static_cast<std::size_t>(n), false);
  }

  /// Rounds of work on a growing set, until the estimated gap reaches its target, the set is solved to rounding twice
  /// in a row, or q is due to be refreshed.
  template <class Set>
  void descend(Set& set, SolverTile<T>& tile, Index i, int most_sweeps) {
    T* z = tile.Z.col(i).data();
    T* q = q_.col(i).data();
    const T* c = tile.correlations.col(i).data();
    const T reg = tile.reg(i);
    const double least = static_cast<double>(reg) * (1 + 4 * static_cast<double>(std::numeric_limits<T>::epsilon()));
    const int last_sweep = tile.n_iter(i) + std::min(most_sweeps, sweeps_between_refreshes);
    const bool newton = !stalled_[static_cast<std::size_t>(i)];
    set.start(z, q, c, reg, tile.half_norm_sq(i));
    for (int settled = 0; tile.n_iter(i) < last_sweep;) {
      leave_if_stopped();
      const double largest = penalty_.largest_pull(q_.rows(), q), gap = set.gap(largest);
      if (gap <= estimate_target_(i)) {
        estimate_target_(i) *= 0.1;  // should the certificate disagree
        return;
      }
      const Index most = std::max(pace_.fewest_joining, std::ssize(set.atoms()));
      const bool grew = set.grow(q, c, std::max(least, pace_.joining_share * largest), most);
      const double inner_target = std::max(0.8 * estimate_target_(i), pace_.inner_share * gap);
      const auto work = set.solve(last_sweep - tile.n_iter(i), inner_target, newton);
      tile.n_iter(i) += work.sweeps;
      settled = work.settled && !grew ? settled + 1 : 0;
      if ((!set.commit(z, q) && !grew) || settled == 2) return;
    }
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
      const double gap = tile.gap(i) = certificate_.gap(k);
      tile.objective(i) = certificate_.objective(k);
      const bool stalled = !(gap <= 0.9 * best_gap_(i)) && !(tile.objective(i) < best_objective_(i) - 0.1 * tile.target(i));
      const bool stalled_before = stalled_[static_cast<std::size_t>(i)];
      if (gap <= tile.target(i) || tile.n_iter(i) >= max_sweeps_ || (stalled && stalled_before)) continue;
      stalled_[static_cast<std::size_t>(i)] = stalled;
      best_gap_(i) = std::min(best_gap_(i), gap);
      best_objective_(i) = std::min(best_objective_(i), tile.objective(i));
      q_.col(i) = certificate_.correlations().col(k).template cast<T>();
      still_pending.push_back(i);
    }
    pending_ = std::move(still_pending);
  }

  static constexpr int sweeps_between_refreshes = 200;

  /// How much is done between two looks at all atoms, which cost more without a Gram matrix.
  struct Pace {
    double joining_share;  ///< of the hardest pull: whoever pulls that hard joins the set,
    Index fewest_joining;  ///< up to so many at once, or as many as there are
    double inner_share;    ///< of the gap, that the set's own comes down to
  };
  static constexpr Pace with_gram{.joining_share = 0.6, .fewest_joining = 32, .inner_share = 0.1},
      without_gram{.joining_share = 0.3, .fewest_joining = 64, .inner_share = 0.01};

  const Dictionary<T>& D_;
  const std::unique_ptr<GramOperator<T>> gram_;
  const L1<T>& penalty_;
  const int max_sweeps_;
  TileCertificate<L1<T>> certificate_;
  static constexpr double least_of_narrow = 1e-5;  // tol: far above what rounding to single precision does to a gap
  const Pace pace_;
  WorkingSet<T> set_;
  std::optional<WorkingSet<T, float>> narrow_;  // for doubles, until their first certificate
  double largest_atom_ = 0;                     // max_j ||D_j||, for narrow_
  Matrix<T> q_;
  Vector<double> estimate_target_, best_gap_, best_objective_;
  std::vector<bool> stalled_;  // Newton steps no longer help: plain sweeps once, then an end
  std::vector<Index> pending_;
};

}  // namespace

template <Scalar T>
std::unique_ptr<TileSolver<T>> make_coordinate_descent(const SharedProblem<L1<T>>& problem,
                                                       std::unique_ptr<GramOperator<T>> gram) {
  return std::make_unique<CoordinateDescent<T>>(problem, std::move(gram));
}
template std::unique_ptr<TileSolver<float>> make_coordinate_descent(const SharedProblem<L1<float>>&,
                                                                    std::unique_ptr<GramOperator<float>>);
template std::unique_ptr<TileSolver<double>> make_coordinate_descent(const SharedProblem<L1<double>>&,
                                                                     std::unique_ptr<GramOperator<double>>);

}  // namespace riata
