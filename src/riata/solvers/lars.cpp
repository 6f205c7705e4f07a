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
// computed afresh, so rounding does not pile up along the path. What rounding does to a correlation grows with the norm of its
// atom, which a small weight makes large: what counts as equal is asked atom by atom.
// Cost per knot: two products with D^T, 4 n m, and O(n |A|).
#include "riata/solvers/lars.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "riata/core/check.hpp"
#include "riata/core/stopping.hpp"
#include "riata/linalg/growing_qr.hpp"
#include "riata/operators/units.hpp"
#include "riata/solvers/certificate.hpp"
#include "riata/solvers/tile_solver.hpp"

namespace riata {
namespace {

constexpr double eps = std::numeric_limits<double>::epsilon();

/// The path of one signal after the other, in double. Borrows the atoms, whose weights are one.
class Homotopy {
 public:
  Homotopy(const Matrix<double>& D, bool positive)
      : D_(D), positive_(positive), norms_(D.colwise().norm()), qr_(D.rows(), D.cols()), s_(D.cols()), a_(D.cols()) {
    norms_.maxCoeff(&shortest_);
    for (Index j = 0; j < norms_.size(); ++j)
      if (norms_(j) > 0 && norms_(j) < norms_(shortest_)) shortest_ = j;
  }

  void start(const ConstVectorRef<double>& x) {
    x_ = x;
    z_.setZero(D_.cols());
    A_.clear();
    qr_.clear();
    s_.setZero();
    c_.noalias() = D_.transpose() * x_;
    reg_ = largest_ = positive_ ? std::max(0.0, c_.maxCoeff()) : c_.cwiseAbs().maxCoeff();
    x_norm_ = x_.norm();
    scale_ = 0;
    for (Index j = 0; j < c_.size(); ++j)
      if (norms_(j) > 0) scale_ = std::max(scale_, (positive_ ? c_(j) : std::abs(c_(j))) / norms_(j));
    correlate();
  }

  /// Moves to the next knot, or to reg_min if that comes first. False, and no move, where the next knot's codes would be so
  /// large that their rounding breaks the optimality conditions (nearly collinear atoms, reg below 1e-4 reg_max).
  bool advance(double reg_min) {
    if (reg_ - reg_min <= tie(shortest_)) {
      reg_ = reg_min;
      return true;
    }
    settle_ties();
    const Vector<double> z_before = z_;
    const double reg_before = reg_;
    Event next{reg_ - reg_min, reg_min};
    Index drops = -1;
    for (Index j = 0; j < D_.cols(); ++j) {
      if (s_(j) != 0) continue;
      for (const double sign : {1.0, -1.0}) {
        if ((sign < 0 && positive_) || sign * tied_sign_(j) > 0 || !(1 - sign * a_(j) > 0)) continue;
        if (const Event meets = meeting(sign * c_(j), sign * a_(j)); comes_before(meets, next, tie(j))) next = meets;
      }
    }
    for (std::size_t k = 0; k < A_.size(); ++k) {
      const double z = z_(A_[k]), w = w_(static_cast<Index>(k));
      if (s_(A_[k]) * w >= 0) continue;
      if (const Event crosses{-z / w, reg_ + z / w}; comes_before(crosses, next, 0))  // E04 (3.4)
        next = crosses, drops = static_cast<Index>(k);
    }
    const double delta = next.delta;
    for (std::size_t k = 0; k < A_.size(); ++k) z_(A_[k]) += delta * w_(static_cast<Index>(k));
    if (drops >= 0) z_(A_[static_cast<std::size_t>(drops)]) = 0;
    reg_ = next.reg;
    drop_zeros();
    correlate();
    if (violation() <= 1) return true;
    z_ = z_before;
    reg_ = reg_before;
    return false;
  }

  double reg() const { return reg_; }
  double reg_max() const { return largest_; }
  const Vector<double>& codes() const { return z_; }

  /// Does what rounding does to the correlations of long atoms show beside reg?
  bool is_rough() const {
    return std::any_of(A_.begin(), A_.end(), [&](Index j) {
      return norms_(j) > 1e3 * norms_(shortest_) && std::abs(c_(j) - reg_ * s_(j)) > 1e-8 * reg_;
    });
  }

  /// How far c is from reg s on A, and beyond reg outside: 1 is what is promised, atom by atom.
  double violation() const {
    double worst = 0;
    for (Index j = 0; j < c_.size(); ++j) {
      const double off = s_(j) != 0 ? std::abs(c_(j) - reg_ * s_(j)) : (positive_ ? c_(j) : std::abs(c_(j))) - reg_;
      if (off > 0) worst = std::max(worst, off / promised(j));
    }
    return worst;
  }

 private:
  void correlate() {
    leave_if_stopped();
    r_ = x_;
    double size = x_norm_;
    for (const Index j : A_) {
      r_.noalias() -= z_(j) * D_.col(j);
      size += std::abs(z_(j)) * norms_(j);
    }
    c_.noalias() = D_.transpose() * r_;
    tie_ = 64 * eps * size;
  }

  /// What ends a step: by how much reg falls until then, and where it is then. Small differences from reg are exact, and so is
  /// what is left of reg after many decades.
  struct Event {
    double delta, reg;
  };
  bool is_deep(const Event& event) const { return event.reg < reg_ / 1024; }

  /// Where a correlation c, which falls by a as reg falls by one, meets reg: E04 (2.13).
  Event meeting(double c, double a) const {
    const double delta = std::max(0.0, reg_ - c) / (1 - a);
    const Event event{delta, reg_ - delta};
    if (!is_deep(event)) return event;
    const double reg = (c - reg_ * a) / (1 - a);
    return {reg_ - reg, reg};
  }

  bool comes_before(const Event& event, const Event& other, double by) const {
    return is_deep(other) ? event.reg > other.reg + by : event.delta < other.delta - by;
  }

  /// How far c_j may be from what optimality asks: of long atoms as far as rounding puts it.
  double promised(Index j) const {
    return std::max(promised_violation * std::min(largest_, scale_ * norms_(j)), 64 * eps * x_norm_ * norms_(j));
  }
  /// The rounding of c_j: a correlation nearer to reg is equal to it.
  double tie(Index j) const { return std::min(tie_ * norms_(j), 0.1 * promised(j)); }

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
      if (s_(j) == 0 && (positive_ ? c_(j) : std::abs(c_(j))) >= reg_ - tie(j) && norms_(j) > 0) {
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

  static constexpr double promised_violation = 8e-13;  // of the optimality conditions, relative to reg_max if norms are equal
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
  double x_norm_ = 0, scale_ = 0;  // ||x||; the largest pull over ||D_j||, at the start
  Index shortest_ = 0;             // of the atoms that are not zero
  double tie_ = 0;                 // the rounding of c_j over ||D_j||
};

/// D_j / w_j, in double.
template <Scalar T>
Matrix<double> unweighted(const Matrix<double>& D, const L1<T>& penalty) {
  Matrix<double> atoms = D;
  for (Index j = 0; j < atoms.cols(); ++j) atoms.col(j) /= static_cast<double>(penalty.weight(j));
  return atoms;
}

/// Sweeps over the support of z with a residual in long double, until no code moves: each is rounded so that |c_j| does not
/// exceed its bound, which costs a gap of one digit where to exceed it would scale the dual point.
template <Scalar T>
void settle(const ConstVectorRef<double>& x, const Matrix<double>& D, const L1<T>& penalty, double reg, VectorRef<double> z) {
  constexpr int most_sweeps = 100;
  Vector<long double> r = x.cast<long double>();
  for (Index j = 0; j < z.size(); ++j)
    if (z(j) != 0) r -= static_cast<long double>(z(j)) * D.col(j).cast<long double>();
  bool moves = true;
  for (int sweep = 0; sweep < most_sweeps && moves; ++sweep) {
    moves = false;
    for (Index j = 0; j < z.size(); ++j) {
      if (z(j) == 0) continue;
      leave_if_stopped();
      const auto d = D.col(j).cast<long double>();
      const long double before = z(j), sign = std::copysign(1.0, z(j)), norm_sq = d.squaredNorm();
      const long double excess = sign * d.dot(r) - static_cast<long double>(reg) * static_cast<long double>(penalty.weight(j));
      auto moved = static_cast<double>(before + sign * excess / norm_sq);
      if (excess > sign * (moved - before) * norm_sq) moved = std::nextafter(moved, static_cast<double>(sign) * INFINITY);
      if (moved == z(j) || moved * sign <= 0) continue;
      moves = true;
      z(j) = moved;
      r -= (static_cast<long double>(moved) - before) * d;
    }
  }
}

/// The codes of the path where it is, for the atoms D and the penalty's weights.
template <Scalar T>
Vector<double> weighted(const Homotopy& path, const ConstVectorRef<double>& x, const Matrix<double>& D, const L1<T>& penalty) {
  Vector<double> codes = path.codes();
  for (Index j = 0; j < codes.size(); ++j) codes(j) /= static_cast<double>(penalty.weight(j));
  if (path.reg() > 0 && path.is_rough()) settle(x, D, penalty, path.reg(), codes);
  return codes;
}

template <Scalar T>
class Lars final : public TileSolver<T> {
 public:
  explicit Lars(const SharedProblem<L1<T>>& problem)
      : penalty_(problem.penalty),
        max_knots_(problem.options.max_iter),
        D_double_(*problem.exact.matrix()),
        atoms_(unweighted(D_double_, problem.penalty)),
        path_(atoms_, problem.penalty.positive()),
        certificate_(problem.D, problem.exact, problem.penalty, problem.options.tol) {}

  void solve(SolverTile<T>& tile) override {
    for (Index i = 0; i < tile.X.cols(); ++i) {
      path_.start(tile.X.col(i).template cast<double>());
      const auto reg = static_cast<double>(tile.reg(i));
      for (tile.n_iter(i) = 0; path_.reg() > reg && tile.n_iter(i) < max_knots_; ++tile.n_iter(i))
        if (!path_.advance(reg)) break;
      tile.Z.col(i) = weighted<T>(path_, tile.X.col(i).template cast<double>(), D_double_, penalty_).template cast<T>();
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
  const Matrix<double>& D_double_;
  const Matrix<double> atoms_;
  Homotopy path_;
  TileCertificate<L1<T>> certificate_;
};

}  // namespace

void PathOptions::validate() const {
  require_l1("lasso_path", penalty);
  check_options(*this);
}

namespace {

/// The gap at each knot, of the codes as they are.
template <Scalar T>
Vector<double> gaps_of(const ConstVectorRef<T>& x, const Matrix<T>& D, const L1<T>& penalty, const Vector<T>& regs,
                       const Matrix<T>& codes) {
  const DenseDictionary<T> dictionary(D);
  const auto exact = dictionary.in_double();
  TileCertificate<L1<T>> certificate(dictionary, *exact, penalty);
  Vector<double> gaps(regs.size());
  for (Index first = 0; first < regs.size(); first += solver_tile) {
    const Index n = std::min(solver_tile, regs.size() - first);
    certificate.evaluate(Matrix<T>(x.replicate(1, n)), codes.middleCols(first, n), regs.segment(first, n));
    for (Index k = 0; k < n; ++k) gaps(first + k) = certificate.gap(k);
  }
  return gaps;
}

/// Does the path, as computed in double, solve the problem at every knot? A gap says nothing at reg = 0.
template <Scalar T>
bool is_solution(const Homotopy& path, const Vector<double>& x, const Matrix<double>& D, const PathOptions& options,
                 const Vector<double>& regs, const Matrix<double>& codes) {
  PenaltyOptions rounded = options.penalty;
  for (double& w : rounded.weights) w = static_cast<double>(static_cast<T>(w));
  const Vector<double> gaps = gaps_of<double>(x, D, L1<double>(rounded, D.cols()), regs, codes);
  const double most = 1e-9 * 0.5 * x.squaredNorm();
  for (Index k = 0; k < gaps.size(); ++k)
    if (regs(k) > 0 ? !(gaps(k) <= most) : !(path.violation() <= 1)) return false;
  return true;
}

}  // namespace

template <Scalar T>
LassoPath<T> lasso_path(const NonDeduced<ConstVectorRef<T>>& x_given, const DenseDictionary<T>& D, const PathOptions& options) {
  options.validate();
  const StopScope scope(options.execution);
  require_signals<T>("lasso_path", x_given, D);
  const L1<T> penalty(options.penalty, D.code_size());
  const UnitAtoms<T> unit_atoms(D);
  TileUnits<T> units(unit_atoms.exponent(), RegUnit::linear);
  const Vector<T> no_reg = Vector<T>::Zero(1);
  units.open(x_given, no_reg);
  const Vector<T> x = units.X().col(0);
  const Vector<double> x_double = x.template cast<double>();
  const double reg_min = options.reg_min > 0 ? shifted_reg<double>(options.reg_min, units.weight(0)) : 0.0;
  const Matrix<T>& dictionary = unit_atoms.matrix();
  const Matrix<double> D_double = dictionary.template cast<double>(), atoms = unweighted(D_double, penalty);
  Homotopy path(atoms, penalty.positive());
  path.start(x_double);
  std::vector<double> regs = {std::max(path.reg_max(), reg_min)};
  std::vector<Vector<double>> codes = {Vector<double>::Zero(D.code_size())};
  bool lost = false;
  while (path.reg() > reg_min && std::ssize(regs) < options.max_knots) {
    lost = !path.advance(reg_min);
    if (lost) break;
    regs.push_back(path.reg());
    codes.push_back(weighted<T>(path, x_double, D_double, penalty));
  }
  const Index n_knots = std::ssize(regs);
  const Vector<double> knots = Eigen::Map<const Vector<double>>(regs.data(), n_knots);
  Matrix<double> all(D.code_size(), n_knots);
  for (Index k = 0; k < n_knots; ++k) all.col(k) = codes[static_cast<std::size_t>(k)];
  LassoPath<T> result{knots.cast<T>(), all.cast<T>(), {}, Status::converged};
  if (lost || !is_solution<T>(path, x_double, D_double, options, knots, all))
    result.status = Status::stalled;
  else if (path.reg() > reg_min)
    result.status = Status::max_iter_reached;
  result.gap = shifted(gaps_of<T>(x, dictionary, penalty, result.regs, result.codes), units.objective(0));
  result.regs = shifted(result.regs, units.weight(0)).eval();
  result.codes = shifted(result.codes, units.code(0)).eval();
  require(result.regs.allFinite() && result.codes.allFinite() && result.gap.allFinite(),
          "lasso_path: the codes or their objective overflow; scale x or D");
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
