// The homotopy in reg, which is LARS with drops:   z(reg) = argmin_z 1/2 ||x - D z||^2 + reg ||z||_1
//
// At reg, A = supp z, s = sign z_A, c = D^T (x - D z), c_A = reg s. As reg falls by delta, z_A moves by delta w:
//
//   D_A^T D_A w = s,   u = D_A w,   c <- c - delta D^T u
//
// until an atom outside ties, |c_j| = reg, or one inside reaches zero. Osborne, Presnell and Turlach (2000); Efron, Hastie,
// Johnstone and Tibshirani (2004), cited as E04. Weights are divided out of the atoms; z >= 0 leaves one sign.
//
// Departures, for ties and dependent atoms. E04 assumes one event at a time and D_A of full rank. Here the atoms tied at a
// knot, T, are settled together: w is the solution of  min 1/2 ||D w||^2 - s^T w,  w_A free,  s_j w_j >= 0 on T,  by the
// active-set method of Lawson and Hanson (1974). A dependent atom needs never enter (its correlation moves with those of
// the atoms that span it), and the decomposition of D_A by its columns recognises one. Each knot starts from correlations
// computed afresh, so rounding does not pile up along the path.
// Cost per knot: two products with D^T, 4 n m, and O(n |A|).
#include "riata/solvers/lars.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "riata/core/check.hpp"
#include "riata/core/stopping.hpp"
#include "riata/linalg/growing_qr.hpp"
#include "riata/solvers/certificate.hpp"
#include "riata/solvers/tile_solver.hpp"

namespace riata {
namespace {

constexpr double epsilon = std::numeric_limits<double>::epsilon();

/// The path of one signal after the other, in double. Borrows the atoms, whose weights are one.
class Homotopy {
 public:
  Homotopy(const Matrix<double>& D, bool positive)
      : D_(D), positive_(positive), norms_(D.colwise().norm()), qr_(D.rows(), D.cols()), s_(D.cols()), a_(D.cols()) {}

  void start(const ConstVectorRef<double>& x) {
    x_ = x;
    z_.setZero(D_.cols());
    A_.clear();
    qr_.clear();
    s_.setZero();
    c_.noalias() = D_.transpose() * x_;
    reg_ = largest_ = positive_ ? std::max(0.0, c_.maxCoeff()) : c_.cwiseAbs().maxCoeff();
    correlate();
  }

  /// Moves to the next knot, or to reg_min if that comes first. False, and no move, where the next knot's codes would be so
  /// large that their rounding breaks the optimality conditions (nearly collinear atoms, reg below 1e-4 reg_max).
  bool advance(double reg_min) {
    if (reg_ - reg_min <= tie_) {
      reg_ = reg_min;
      return true;
    }
    settle_ties();
    const Vector<double> z_before = z_;
    const double reg_before = reg_;
    double delta = reg_ - reg_min;
    Index joins = -1, drops = -1;
    for (Index j = 0; j < D_.cols(); ++j) {
      if (s_(j) != 0) continue;
      for (const double sign : {1.0, -1.0}) {
        if ((sign < 0 && positive_) || sign * tied_sign_(j) > 0) continue;
        const double speed = 1 - sign * a_(j);  // E04 (2.13)
        if (const double t = std::max(0.0, reg_ - sign * c_(j)) / speed; speed > 0 && t < delta - tie_) delta = t, joins = j;
      }
    }
    for (std::size_t k = 0; k < A_.size(); ++k) {
      const Index j = A_[k];
      if (const double t = -z_(j) / w_(static_cast<Index>(k)); s_(j) * w_(static_cast<Index>(k)) < 0 && t < delta)  // E04 (3.4)
        delta = t, drops = static_cast<Index>(k);
    }
    for (std::size_t k = 0; k < A_.size(); ++k) z_(A_[k]) += delta * w_(static_cast<Index>(k));
    if (drops >= 0) z_(A_[static_cast<std::size_t>(drops)]) = 0;
    reg_ = drops < 0 && joins < 0 ? reg_min : reg_ - delta;
    drop_zeros();
    correlate();
    if (violation() <= promised_violation * largest_) return true;
    z_ = z_before;
    reg_ = reg_before;
    return false;
  }

  double reg() const { return reg_; }
  double reg_max() const { return largest_; }
  const Vector<double>& codes() const { return z_; }

 private:
  void correlate() {
    leave_if_stopped();
    r_ = x_;
    double size = x_.norm();
    for (const Index j : A_) {
      r_.noalias() -= z_(j) * D_.col(j);
      size += std::abs(z_(j)) * norms_(j);
    }
    c_.noalias() = D_.transpose() * r_;
    tie_ = std::min(64 * epsilon * size * norms_.maxCoeff(), 0.1 * promised_violation * largest_);
  }

  /// How far c is from reg s on A, and beyond reg outside.
  double violation() const {
    double worst = 0;
    for (Index j = 0; j < c_.size(); ++j)
      worst = std::max(worst, s_(j) != 0 ? std::abs(c_(j) - reg_ * s_(j)) : (positive_ ? c_(j) : std::abs(c_(j))) - reg_);
    return worst;
  }

  /// w, u, a = D^T u for the atoms of A.
  void solve_direction() {
    leave_if_stopped();
    Vector<double> s(std::ssize(A_));
    for (std::size_t k = 0; k < A_.size(); ++k) s(static_cast<Index>(k)) = s_(A_[k]);
    const Vector<double> y = qr_.solve_transposed(s);
    w_ = qr_.solve(y);
    const Vector<double> u = qr_.Q() * y;
    a_.noalias() = D_.transpose() * u;
    u_norm_ = u.norm();
  }

  /// The direction at a knot: which of the tied atoms enter. Leaves in tied_sign_ the signs of those that stay outside.
  void settle_ties() {
    std::vector<Index> tied;
    tied_sign_.setZero(D_.cols());
    for (Index j = 0; j < D_.cols(); ++j)
      if (s_(j) == 0 && (positive_ ? c_(j) : std::abs(c_(j))) >= reg_ - tie_ && norms_(j) > 0) {
        tied.push_back(j);
        tied_sign_(j) = c_(j) < 0 ? -1 : 1;
      }
    solve_direction();
    Vector<double> feasible = w_;
    std::vector<bool> refused(tied.size(), false);
    for (std::size_t round = 0; round < 10 * tied.size(); ++round) {
      double least = 0;
      std::size_t enters = tied.size();
      for (std::size_t k = 0; k < tied.size(); ++k) {
        const Index j = tied[k];
        const double short_by = tied_sign_(j) * a_(j) - 1 + 1e-14 * std::max(1.0, u_norm_ * norms_(j));
        if (s_(j) == 0 && !refused[k] && short_by < least) least = short_by, enters = k;
      }
      if (enters == tied.size()) return;
      const Index j = tied[enters];
      if (!qr_.append(D_.col(j), dependence)) {
        refused[enters] = true;
        continue;
      }
      A_.push_back(j);
      s_(j) = tied_sign_(j);
      feasible.conservativeResize(std::ssize(A_));
      feasible(std::ssize(A_) - 1) = 0;
      for (solve_direction(); !step_is_feasible(feasible); solve_direction()) {
      }
      feasible = w_;
      if (s_(j) == 0) refused[enters] = true;  // rounding alone had called it in
    }
  }

  /// Does w keep the signs of the atoms that are still zero? If not, goes from `feasible` towards w until the first of them
  /// would turn, and puts that one out again.
  bool step_is_feasible(Vector<double>& feasible) {
    double alpha = 1;
    Index out = -1;
    for (std::size_t k = 0; k < A_.size(); ++k) {
      const auto i = static_cast<Index>(k);
      const Index j = A_[k];
      if (z_(j) != 0 || s_(j) * w_(i) > 0) continue;
      const double here = s_(j) * feasible(i), turn = here > 0 ? here / (here - s_(j) * w_(i)) : 0;
      if (out < 0 || turn < alpha) alpha = turn, out = i;
    }
    if (out < 0) return true;
    feasible += alpha * (w_ - feasible);
    for (Index i = out; i + 1 < feasible.size(); ++i) feasible(i) = feasible(i + 1);
    feasible.conservativeResize(feasible.size() - 1);
    remove(out);
    return false;
  }

  void remove(Index k) {
    s_(A_[static_cast<std::size_t>(k)]) = 0;
    A_.erase(A_.begin() + k);
    qr_.remove(k);
  }

  /// Atoms of A whose code is zero, or has been rounded across it, leave.
  void drop_zeros() {
    for (Index k = std::ssize(A_) - 1; k >= 0; --k)
      if (const Index j = A_[static_cast<std::size_t>(k)]; s_(j) * z_(j) <= 0) {
        z_(j) = 0;
        remove(k);
      }
  }

  static constexpr double promised_violation = 8e-13;  // of the optimality conditions, relative to reg_max
  static constexpr double dependence = 1e-14;          // an atom that near to the span of A, relative to its norm, lies in it

  const Matrix<double>& D_;
  const bool positive_;
  const Vector<double> norms_;
  GrowingQr qr_;  // of D_A
  std::vector<Index> A_;
  Vector<double> s_;      // signs on A, 0 outside
  Vector<double> a_, w_;  // D^T u; the direction on A
  Vector<double> x_, z_, r_, c_, tied_sign_;
  double reg_ = 0, largest_ = 0, u_norm_ = 0;
  double tie_ = 0;  // the rounding of c: correlations nearer to reg are equal to it
};

/// D_j / w_j, in double.
template <Scalar T>
Matrix<double> unweighted(const Matrix<double>& D, const L1<T>& penalty) {
  Matrix<double> atoms = D;
  for (Index j = 0; j < atoms.cols(); ++j) atoms.col(j) /= static_cast<double>(penalty.weight(j));
  return atoms;
}

template <Scalar T>
Vector<T> weighted(const Vector<double>& z, const L1<T>& penalty) {
  Vector<T> codes(z.size());
  for (Index j = 0; j < z.size(); ++j) codes(j) = static_cast<T>(z(j) / static_cast<double>(penalty.weight(j)));
  return codes;
}

template <Scalar T>
class Lars final : public TileSolver<T> {
 public:
  explicit Lars(const SharedProblem<L1<T>>& problem)
      : penalty_(problem.penalty),
        max_knots_(problem.options.max_iter),
        atoms_(unweighted(problem.D_double, problem.penalty)),
        path_(atoms_, problem.penalty.positive()),
        certificate_(problem.D.parameters(), problem.D_double, problem.penalty) {}

  void solve(SolverTile<T>& tile) override {
    for (Index i = 0; i < tile.X.cols(); ++i) {
      path_.start(tile.X.col(i).template cast<double>());
      const auto reg = static_cast<double>(tile.reg(i));
      for (tile.n_iter(i) = 0; path_.reg() > reg && tile.n_iter(i) < max_knots_; ++tile.n_iter(i))
        if (!path_.advance(reg)) break;
      tile.Z.col(i) = weighted(path_.codes(), penalty_);
    }
    certificate_.evaluate(tile.X, tile.Z, tile.reg);
    for (Index i = 0; i < tile.X.cols(); ++i) {
      tile.objective(i) = certificate_.objective(i);
      tile.gap(i) = certificate_.gap(i);
    }
  }

 private:
  const L1<T>& penalty_;
  const int max_knots_;
  const Matrix<double> atoms_;
  Homotopy path_;
  TileCertificate<L1<T>> certificate_;
};

}  // namespace

void PathOptions::validate() const {
  require_l1("lasso_path", penalty);
  require(std::isfinite(reg_min) && reg_min >= 0, "reg_min = {}, must be >= 0 and finite", reg_min);
  require(max_knots >= 1, "max_knots = {}, must be >= 1", max_knots);
}

template <Scalar T>
LassoPath<T> lasso_path(const NonDeduced<ConstVectorRef<T>>& x, const DenseDictionary<T>& D, const PathOptions& options) {
  options.validate();
  const StopScope scope(options.execution);
  require_signals<T>("lasso_path", x, D);
  const L1<T> penalty(options.penalty, D.code_size());
  const Matrix<double> atoms = unweighted(Matrix<double>(D.parameters().template cast<double>()), penalty);
  Homotopy path(atoms, penalty.positive());
  path.start(x.template cast<double>());
  std::vector<double> regs = {std::max(path.reg_max(), options.reg_min)};
  std::vector<Vector<T>> codes = {Vector<T>::Zero(D.code_size())};
  while (path.reg() > options.reg_min && std::ssize(regs) < options.max_knots && path.advance(options.reg_min)) {
    regs.push_back(path.reg());
    codes.push_back(weighted(path.codes(), penalty));
  }
  LassoPath<T> result{Vector<T>(std::ssize(regs)), Matrix<T>(D.code_size(), std::ssize(regs))};
  for (std::size_t k = 0; k < regs.size(); ++k) {
    result.regs(static_cast<Index>(k)) = static_cast<T>(regs[k]);
    result.codes.col(static_cast<Index>(k)) = codes[k];
  }
  return result;
}
template LassoPath<float> lasso_path<float>(const ConstVectorRef<float>&, const DenseDictionary<float>&, const PathOptions&);
template LassoPath<double> lasso_path<double>(const ConstVectorRef<double>&, const DenseDictionary<double>&, const PathOptions&);

template <Scalar T>
std::unique_ptr<TileSolver<T>> make_lars(const SharedProblem<L1<T>>& problem) {
  return std::make_unique<Lars<T>>(problem);
}
template std::unique_ptr<TileSolver<float>> make_lars(const SharedProblem<L1<float>>&);
template std::unique_ptr<TileSolver<double>> make_lars(const SharedProblem<L1<double>>&);

}  // namespace riata
