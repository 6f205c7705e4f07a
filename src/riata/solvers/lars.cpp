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
// Cost per knot: two products with D^T, 4 n m, and O(n |A|). Where many signals share a dictionary, encode() tries the homotopy on
// its Gram matrix first (gram_homotopy.hpp), which costs m |A|, and keeps to this one where the code found is not the solution.
#include "riata/solvers/lars.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <optional>
#include <vector>

#include "riata/core/check.hpp"
#include "riata/core/memory.hpp"
#include "riata/core/stopping.hpp"
#include "riata/core/sweep.hpp"
#include "riata/linalg/growing_qr.hpp"
#include "riata/linalg/norms.hpp"
#include "riata/operators/units.hpp"
#include "riata/solvers/certificate.hpp"
#include "riata/solvers/gram_homotopy.hpp"
#include "riata/solvers/tile_solver.hpp"

namespace riata {
namespace {

constexpr double eps = std::numeric_limits<double>::epsilon();

/// The path of one signal after the other, in double. Borrows the atoms, whose weights are one.
class Homotopy {
 public:
  Homotopy(const MatrixView<double>& D, bool positive)
      : D_(D), positive_(positive), norms_(column_norms<double>(D)), qr_(D.rows(), D.cols()), s_(D.cols()), a_(D.cols()) {
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

  const MatrixView<double> D_;
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

/// D_j / w_j. Borrows D, which is that without weights.
class UnweightedAtoms {
 public:
  template <Scalar T>
  UnweightedAtoms(const MatrixView<double>& D, const L1<T>& penalty) : given_(D) {
    if (penalty.uniform()) return;
    copy_ = D;
    for (Index j = 0; j < copy_.cols(); ++j) copy_.col(j) /= static_cast<double>(penalty.weight(j));
  }
  MatrixView<double> view() const { return copy_.size() > 0 ? view_of(copy_) : given_; }

 private:
  const MatrixView<double> given_;
  Matrix<double> copy_;
};

/// Sweeps over the support of z with a residual in long double, until no code moves: each is rounded so that |c_j| does not
/// exceed its bound, which costs a gap of one digit where to exceed it would scale the dual point.
template <Scalar T>
void settle(const ConstVectorRef<double>& x, const MatrixView<double>& D, const L1<T>& penalty, double reg, VectorRef<double> z) {
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
Vector<double> weighted(const Homotopy& path, const ConstVectorRef<double>& x, const MatrixView<double>& D,
                        const L1<T>& penalty) {
  Vector<double> codes = path.codes();
  for (Index j = 0; j < codes.size(); ++j) codes(j) /= static_cast<double>(penalty.weight(j));
  if (path.reg() > 0 && path.is_rough()) settle(x, D, penalty, path.reg(), codes);
  return codes;
}

template <Scalar T>
Vector<double> weights_of(const L1<T>& penalty, Index n_atoms) {
  Vector<double> weights(n_atoms);
  for (Index j = 0; j < n_atoms; ++j) weights(j) = static_cast<double>(penalty.weight(j));
  return weights;
}

/// Signals on the fast homotopy, and whether their codes are solutions.
template <Scalar T>
class FastPaths {
 public:
  /// Borrows all three.
  FastPaths(const PathGram& gram, const SharedProblem<L1<T>>& problem, TileCertificate<L1<T>>& certificate)
      : penalty_(problem.penalty),
        D_(*problem.exact->matrix()),
        norms_(atom_norms(*problem.exact)),
        inverse_norms_((norms_.array() > 0).select(norms_.cwiseInverse(), 0.0)),
        weights_(weights_of(penalty_, norms_.size())),
        certificate_(certificate),
        single_(gram, D_, weights_, penalty_.positive()),
        double_(gram, D_, weights_, penalty_.positive()) {}

  /// With sums in P. The signals of the tile that are `pending` when it returns are not solved; the others are, and certified.
  template <Scalar P>
  void follow(SolverTile<T>& tile, std::vector<Index>& pending, int max_knots) {
    if (pending.empty()) return;
    GramHomotopy<P>& path = homotopy<P>();
    std::vector<Index> arrived, others;
    reserve(std::ssize(pending));
    for (const Index i : pending) {
      const Index k = std::ssize(arrived);
      x_ = tile.X.col(i).template cast<double>();
      const bool arrives = path.template follow<T>(x_, tile.correlations.col(i), static_cast<double>(tile.reg(i)), max_knots);
      tile.n_iter(i) = path.n_knots();
      if (arrives) path.template write_code<T>(Z_.col(k));
      (arrives ? arrived : others).push_back(i);
    }
    const Index n = std::ssize(arrived);
    for (Index k = 0; k < n; ++k) {
      X_.col(k) = tile.X.col(arrived[static_cast<std::size_t>(k)]);
      reg_(k) = tile.reg(arrived[static_cast<std::size_t>(k)]);
    }
    certificate_.evaluate(X_.leftCols(n), Z_.leftCols(n), reg_.head(n));
    for (Index k = 0; k < n; ++k) {
      const Index i = arrived[static_cast<std::size_t>(k)];
      if (!is_solution(tile.correlations.col(i), k)) {
        others.push_back(i);
        continue;
      }
      tile.Z.col(i) = Z_.col(k);
      tile.objective(i) = certificate_.objective(k);
      tile.gap(i) = certificate_.gap(k);
    }
    pending = std::move(others);
  }

 private:
  template <Scalar P>
  GramHomotopy<P>& homotopy() {
    if constexpr (std::same_as<P, double>)
      return double_;
    else
      return single_;
  }

  void reserve(Index n) {
    if (n <= X_.cols()) return;
    X_.resize(D_.rows(), n);
    Z_.resize(D_.cols(), n);
    reg_.resize(n);
  }

  /// Do the correlations c = D^T r meet the optimality conditions as they would on the exact path (Homotopy::promised), and beside
  /// reg, but for what the codes were rounded to T by? `of_x` = D^T x. All c that count are sums in double (TileCertificate).
  bool is_solution(const ConstVectorRef<T>& of_x, Index k) const {
    if (!std::isfinite(certificate_.gap(k))) return false;
    if (meets_conditions(k, 0, 0)) return true;  // nearly all do
    double reg_max = 0, scale = 0;
    for (Index j = 0; j < of_x.size(); ++j) {
      const auto c = static_cast<double>(of_x(j)), size = penalty_.positive() ? std::max(c, 0.0) : std::abs(c);
      reg_max = std::max(reg_max, size / weights_(j));
      scale = std::max(scale, size * inverse_norms_(j));
    }
    return meets_conditions(k, reg_max, scale);
  }

  /// Up to 1e-13 of what is given, or to the rounding of the correlations.
  bool meets_conditions(Index k, double reg_max, double scale) const {
    const double rounding = 64 * eps * std::sqrt(2 * certificate_.half_norm_sq(k)), reg = static_cast<double>(reg_(k));
    const auto c = certificate_.correlations().col(k);
    const auto z = Z_.col(k);
    double rounded_by = 0;
    if constexpr (std::same_as<T, float>)
      for (Index j = 0; j < z.size(); ++j)
        rounded_by += std::numeric_limits<float>::epsilon() * std::abs(static_cast<double>(z(j))) * norms_(j);
    bool holds = true;
    const auto require_near = [&](double off, Index j) {
      const double most = std::max(1e-13 * std::min(reg_max * weights_(j), scale * norms_(j)), rounding * norms_(j));
      holds &= off <= std::min(most, 1e-8 * reg * weights_(j)) + rounded_by * norms_(j);
    };
    for (Index j = 0; j < z.size(); ++j)
      if (z(j) != T(0)) require_near(std::abs(c(j) - std::copysign(reg * weights_(j), static_cast<double>(z(j)))), j);
    penalty_.for_each_pulled(c.size(), c.data(), reg, [&](Index j) { require_near(std::abs(c(j)) - reg * weights_(j), j); });
    return holds;
  }

  const L1<T>& penalty_;
  const MatrixView<double> D_;
  const Vector<double> norms_, inverse_norms_;  // ||D_j||; 0 for an atom of zeros
  const Vector<double> weights_;
  TileCertificate<L1<T>>& certificate_;
  GramHomotopy<float> single_;
  GramHomotopy<double> double_;
  Vector<double> x_;
  Matrix<T> X_, Z_;  // of the signals that arrived
  Vector<T> reg_;
};

/// With a Gram matrix the fast homotopy goes first (gram_homotopy.hpp), its sums in single precision, then in double; codes that
/// miss the optimality conditions, and signals that it gives up, are left to the exact one.
template <Scalar T>
class Lars final : public TileSolver<T> {
 public:
  Lars(const SharedProblem<L1<T>>& problem, const PathGram* gram)
      : penalty_(problem.penalty),
        max_knots_(problem.options.max_iter),
        D_double_(*problem.exact->matrix()),
        atoms_(D_double_, problem.penalty),
        path_(atoms_.view(), problem.penalty.positive()),
        certificate_(problem.D, problem.exact, problem.penalty, problem.options.tol) {
    if (gram != nullptr) fast_.emplace(*gram, problem, certificate_);
  }

  void solve(SolverTile<T>& tile) override {
    std::vector<Index> pending(static_cast<std::size_t>(tile.X.cols()));
    std::iota(pending.begin(), pending.end(), Index{0});
    if (fast_) {
      fast_->template follow<float>(tile, pending, max_knots_);
      fast_->template follow<double>(tile, pending, max_knots_);
    }
    for (const Index i : pending) follow_exactly(tile, i);
    certify(tile, pending);
  }

 private:
  void certify(SolverTile<T>& tile, const std::vector<Index>& which) {
    if (which.empty()) return;
    certificate_.evaluate(Matrix<T>(tile.X(Eigen::all, which)), Matrix<T>(tile.Z(Eigen::all, which)), Vector<T>(tile.reg(which)));
    for (Index k = 0; k < std::ssize(which); ++k) {
      const Index i = which[static_cast<std::size_t>(k)];
      tile.objective(i) = certificate_.objective(k);
      tile.gap(i) = certificate_.gap(k);
    }
  }

  void follow_exactly(SolverTile<T>& tile, Index i) {
    path_.start(tile.X.col(i).template cast<double>());
    const auto reg = static_cast<double>(tile.reg(i));
    for (tile.n_iter(i) = 0; path_.reg() > reg && tile.n_iter(i) < max_knots_; ++tile.n_iter(i))
      if (!path_.advance(reg)) break;
    tile.Z.col(i) = weighted<T>(path_, tile.X.col(i).template cast<double>(), D_double_, penalty_).template cast<T>();
  }

  const L1<T>& penalty_;
  const int max_knots_;
  const MatrixView<double> D_double_;
  const UnweightedAtoms atoms_;
  Homotopy path_;
  TileCertificate<L1<T>> certificate_;
  std::optional<FastPaths<T>> fast_;
};

}  // namespace

void PathOptions::validate() const {
  require_l1("lasso_path", penalty);
  check_options(*this);
}

namespace {

/// The gap at each knot, of the codes as they are.
template <Scalar T>
Vector<double> gaps_of(const ConstVectorRef<T>& x, const MatrixView<T>& D, const L1<T>& penalty, const Vector<T>& regs,
                       const Matrix<T>& codes) {
  const auto dictionary = DenseDictionary<T>::borrow(D);
  const auto exact = dictionary.in_double();
  TileCertificate<L1<T>> certificate(dictionary, exact.get(), penalty);
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
bool is_solution(const Homotopy& path, const Vector<double>& x, const MatrixView<double>& D, const PathOptions& options,
                 const Vector<double>& regs, const Matrix<double>& codes) {
  const Vector<double> gaps =
      gaps_of<double>(x, D, L1<double>(rounded<T>(options.penalty), D.cols(), Weights::or_infinite), regs, codes);
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
  require(!options.penalty.has_weights_per_signal(D.code_size()),
          "lasso_path: weights: {} entries for {} atoms; they must be equal", options.penalty.weights.size(), D.code_size());
  const L1<T> penalty(options.penalty, D.code_size(), Weights::or_infinite);
  const UnitAtoms<T> unit_atoms(D);
  TileUnits<T> units(unit_atoms.exponent(), RegUnit::linear);
  const Vector<T> no_reg = Vector<T>::Zero(1);
  units.open(x_given, no_reg);
  const Vector<T> x = units.X().col(0);
  const Vector<double> x_double = x.template cast<double>();
  const double reg_min = options.reg_min > 0 ? shifted_reg<double>(options.reg_min, units.weight(0)) : 0.0;
  const MatrixView<T> dictionary = unit_atoms.matrix();
  const auto in_double = unit_atoms.dictionary().in_double();
  const MatrixView<double> D_double = *in_double->matrix();
  const UnweightedAtoms atoms(D_double, penalty);
  Homotopy path(atoms.view(), penalty.positive());
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

void LarsOptions::validate() const {
  require_l1("lars", penalty);
  check_options(*this);
}

namespace {

/// The work of one thread. Borrows all.
template <Scalar T>
class FirstKnots {
 public:
  FirstKnots(const UnitAtoms<T>& unit_atoms, const Dictionary<double>* exact, const MatrixView<double>& unweighted,
             const L1<T>& penalty)
      : D_(*exact->matrix()),
        penalty_(penalty),
        path_(unweighted, penalty.positive()),
        certificate_(unit_atoms.dictionary(), exact, penalty),
        units_(unit_atoms.exponent(), RegUnit::linear) {}

  void find(const ConstMatrixRef<T>& X, Index n_nonzero, Index first, LarsResult<T>& result) {
    const Index n = X.cols();
    const Vector<T> no_regs = Vector<T>::Zero(n);
    units_.open(X, no_regs);
    Matrix<T> codes(D_.cols(), n);
    Vector<T> regs(n);
    for (Index i = 0; i < n; ++i) {
      const Vector<double> x = units_.X().col(i).template cast<double>();
      path_.start(x);
      constexpr int most_knots = 10'000;
      bool is_lost = false;
      for (int knot = 0; path_.reg() > 0 && (path_.codes().array() != 0).count() < n_nonzero; ++knot)
        if (knot == most_knots || !path_.advance(0)) {
          is_lost = true;
          break;
        }
      is_lost |= !(path_.violation() <= 1);
      codes.col(i) = weighted<T>(path_, x, D_, penalty_).template cast<T>();
      regs(i) = static_cast<T>(path_.reg());
      result.status[static_cast<std::size_t>(first + i)] = is_lost ? Status::stalled : Status::converged;
    }
    certificate_.evaluate(units_.X(), codes, regs);
    for (Index i = 0; i < n; ++i) {
      result.codes.col(first + i) = shifted(Vector<T>(codes.col(i)), units_.code(i));
      result.regs(first + i) = std::ldexp(regs(i), units_.weight(i));
      result.gap(first + i) = std::ldexp(certificate_.gap(i), units_.objective(i));
    }
  }

 private:
  const MatrixView<double> D_;
  const L1<T>& penalty_;
  Homotopy path_;
  TileCertificate<L1<T>> certificate_;
  TileUnits<T> units_;
};

}  // namespace

template <Scalar T>
LarsResult<T> lars(const NonDeduced<ConstMatrixRef<T>>& X, const DenseDictionary<T>& D, const LarsOptions& options) {
  options.validate();
  const StopScope scope(options.execution);
  require_signals<T>("lars", X, D);
  require(!options.penalty.has_weights_per_signal(D.code_size()), "lars: weights: {} entries for {} atoms; they must be equal",
          options.penalty.weights.size(), D.code_size());
  const L1<T> penalty(options.penalty, D.code_size(), Weights::or_infinite);
  const UnitAtoms<T> unit_atoms(D);
  const auto exact = unit_atoms.dictionary().in_double();
  const UnweightedAtoms atoms(*exact->matrix(), penalty);
  const Index n_signals = X.cols(), n_tiles = (n_signals + solver_tile - 1) / solver_tile;
  LarsResult<T> result;
  make_room("lars", "codes", D.code_size(), n_signals, "pass fewer signals at a time", result.codes);
  result.regs.resize(n_signals);
  result.gap.resize(n_signals);
  result.status.resize(static_cast<std::size_t>(n_signals));
  for_each_tile(
      Partition{.tile = solver_tile, .n_tiles = n_tiles, .n_lanes = n_tiles}, n_signals, options.execution,
      [&] { return std::make_unique<FirstKnots<T>>(unit_atoms, exact.get(), atoms.view(), penalty); },
      [&](Index first, Index n, FirstKnots<T>& knots) { knots.find(X.middleCols(first, n), options.n_nonzero, first, result); });
  require(result.codes.allFinite() && result.regs.allFinite() && result.gap.allFinite(),
          "lars: the codes or their objective overflow; scale X or D");
  return result;
}
template LarsResult<float> lars<float>(const ConstMatrixRef<float>&, const DenseDictionary<float>&, const LarsOptions&);
template LarsResult<double> lars<double>(const ConstMatrixRef<double>&, const DenseDictionary<double>&, const LarsOptions&);

template <Scalar T>
std::unique_ptr<TileSolver<T>> make_lars(const SharedProblem<L1<T>>& problem, const PathGram* gram) {
  return std::make_unique<Lars<T>>(problem, gram);
}
template std::unique_ptr<TileSolver<float>> make_lars(const SharedProblem<L1<float>>&, const PathGram*);
template std::unique_ptr<TileSolver<double>> make_lars(const SharedProblem<L1<double>>&, const PathGram*);

}  // namespace riata
