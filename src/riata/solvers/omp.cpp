// Orthogonal matching pursuit and orthogonal least squares on unit atoms d_j = D_j / ||D_j||, those chosen orthogonalised:
//
//   k = argmax_j |alpha_j|   (ols: |alpha_j| / sqrt(e_j)),          alpha = d^T r,  e_j = ||d_j||^2 - sum_i (q_i^T d_j)^2
//   rho q = d_k - sum_i w_i q_i,  w_i = q_i^T d_k;     y = q^T r,   r <- r - y q,  ||r||^2 <- ||r||^2 - y^2
//   p = d^T q,   alpha <- alpha - y p,   e <- e - p^2;              at the end  D_I = Q R,  z_I = R^-1 y
//
// Pati, Rezaiifar and Krishnaprasad (1993); ols: Chen, Billings and Luo (1989). GramPursuit has the Gram matrix G = d^T d and needs
// no q, which is Batch OMP (Rubinstein, Zibulevsky and Elad, 2008), with Q R where theirs is Cholesky's factor:
//
//   p = ( G_k - sum_i w_i p_i ) / rho,   w_i = p_i(k),   rho^2 = 1 - sum_i w_i^2,   y = alpha_k / rho
//
// in T, m |I| per atom; its code is then refined in double with the residual itself. Where T is too coarse, an atom being near the
// span of those chosen, r nearly zero, or an error near the one asked for, ExactPursuit codes the signal: q, r and R in double, alpha
// and p afresh as products with d, n m per atom; that is also the one for few signals of many atoms.
#include "riata/solvers/omp.hpp"

#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <concepts>
#include <limits>
#include <memory>
#include <span>

#include "riata/core/check.hpp"
#include "riata/core/stopping.hpp"
#include "riata/core/sweep.hpp"
#include "riata/linalg/blas.hpp"
#include "riata/linalg/gram_kernels.hpp"
#include "riata/linalg/norms.hpp"
#include "riata/operators/units.hpp"
#include "riata/solvers/tile_certificate.hpp"

namespace riata {
namespace {

/// The atoms as the pursuits of all signals see them. Rows of vectors over atoms are padded with atoms that cannot be chosen.
template <Scalar T>
struct PursuedAtoms {
  const DenseDictionary<T>& D;
  bool by_ols;
  Vector<double> norms;  ///< ||D_j||
  Vector<T> may_choose;  ///< 1, or 0 for atoms of zeros
  Matrix<T> unit;        ///< d, or 0 x 0: D itself then, whose products are divided by the norms
  Matrix<T> gram;        ///< G, or 0 x 0
  Matrix<double> exact;  ///< d in double, rows padded with zeros, where `unit` is there

  Index n_rows() const { return may_choose.size(); }
  bool has_gram() const { return gram.size() > 0; }
  /// d^T R, first rows of `out`.
  void correlate(const ConstMatrixRef<T>& R, MatrixRef<T> out) const {
    multiply_transposed<T>(unit.size() > 0 ? ConstMatrixRef<T>(unit) : ConstMatrixRef<T>(D.atoms()), R,
                           out.topRows(norms.size()));
    if (unit.size() == 0) divide_by_norms(out);
  }
  void divide_by_norms(MatrixRef<T> products) const {
    for (Index i = 0; i < products.cols(); ++i)
      for (Index j = 0; j < norms.size(); ++j)
        if (norms(j) > 0) products(j, i) /= static_cast<T>(norms(j));
  }
};

constexpr double nearness = 1e-4;  // an atom as near as that to the span of those chosen lies in it

/// What both pursuits keep of one signal. Borrows the atoms.
template <Scalar T>
class Pursuit {
 public:
  Pursuit(const PursuedAtoms<T>& atoms, Index most_atoms) : atoms_(atoms), most_(most_atoms) {}

  const std::vector<int>& atoms() const { return I_; }
  Index size() const { return std::ssize(I_); }

 protected:
  /// `alpha0` = d^T x, n_rows of them. The pursuit ends where ||r||^2 <= `target`.
  void start(double x_sq, const ConstVectorRef<T>& alpha0, double target) {
    I_.clear();
    x_sq_ = error_ = x_sq;
    target_ = target;
    alpha_ = alpha0;
    may_choose_ = atoms_.may_choose;
    if (atoms_.by_ols) energy_ = may_choose_;
  }

  bool goes_on() const { return size() < most_ && !(error_ <= target_); }

  /// What asks for the next atom: one that pulls by more than rounding, as much of a correlation with a vector of that norm.
  HardestPull<T> question(double norm) {
    constexpr double rounding = 32 * static_cast<double>(std::numeric_limits<T>::epsilon());
    const double nothing = std::max(1e-14 * std::sqrt(x_sq_), rounding * norm);
    return {atoms_.n_rows(),
            alpha_.data(),
            may_choose_.data(),
            energy(),
            static_cast<T>(nearness * nearness),
            static_cast<T>(atoms_.by_ols ? nothing * nothing : nothing)};
  }
  T* energy() { return atoms_.by_ols ? energy_.data() : nullptr; }

  /// Room for a column of R and an entry of y.
  Index make_room() {
    const Index columns = std::min(most_, std::max<Index>(8, 2 * size()));
    R_.conservativeResize(columns, columns);
    y_.conservativeResize(columns);
    return columns;
  }

  const PursuedAtoms<T>& atoms_;
  const Index most_;
  const GramKernels<T>& kernels_ = gram_kernels<T>();
  std::vector<int> I_;
  Matrix<double> R_;
  Vector<double> y_;
  Vector<T> alpha_, energy_, may_choose_;
  double x_sq_ = 0, error_ = 0, target_ = 0;  // ||x||^2, ||r||^2
};

/// By the Gram matrix.
template <Scalar T>
class GramPursuit : public Pursuit<T> {
 public:
  using Pursuit<T>::Pursuit;

  /// False where T is too coarse to tell.
  bool code(const ConstVectorRef<double>& x, const ConstVectorRef<T>& alpha0, double target) {
    this->start(x.squaredNorm(), alpha0, target);
    Index k = kernels_.hardest_pull(this->question(std::sqrt(x_sq_)));
    while (this->goes_on()) {
      leave_if_stopped();
      if (k < 0 || !append(k)) return false;
      if (this->goes_on()) k = next(k);
    }
    return refine(x);
  }

  const Vector<double>& coefficients() const { return z_; }  ///< z_I, of the unit atoms

 private:
  using Pursuit<T>::atoms_, Pursuit<T>::kernels_, Pursuit<T>::I_, Pursuit<T>::R_, Pursuit<T>::y_, Pursuit<T>::size,
      Pursuit<T>::error_, Pursuit<T>::x_sq_, Pursuit<T>::target_;

  bool append(Index k) {
    const Index before = size();
    if (R_.cols() <= before) {
      const Index columns = this->make_room();
      P_.conservativeResize(atoms_.n_rows() + of_a_line, columns);
      w_.conservativeResize(columns);
      inverse_.conservativeResize(columns);
    }
    double rho_sq = 1;
    for (Index i = 0; i < before; ++i) {
      w_(i) = P_(k, i);
      const double w = R_(i, before) = static_cast<double>(w_(i));
      rho_sq -= w * w;
    }
    if (!(rho_sq > too_near)) return false;
    inverse_(before) = 1 / std::sqrt(rho_sq);
    const double y = y_(before) = static_cast<double>(this->alpha_(k)) * inverse_(before);
    error_ -= y * y;
    this->may_choose_(k) = T(0);
    I_.push_back(static_cast<int>(k));
    return error_ > too_small * x_sq_ && std::abs(error_ - target_) > too_close * x_sq_;
  }

  /// The atom after k, whose direction leaves alpha and e.
  Index next(Index k) {
    const Index before = size() - 1;
    return kernels_.deflate_and_pull(
        {atoms_.n_rows(), P_.rows(), atoms_.gram.col(k).data(), before, P_.data(), w_.data(), static_cast<T>(inverse_(before)),
         static_cast<T>(y_(before)), P_.col(before).data(), this->alpha_.data(), this->energy()},
        this->question(std::sqrt(x_sq_)));
  }

  /// z_I = R^-1 y, and   z_I <- z_I + (R^T R)^-1 d_I^T (x - d_I z_I)   until it stands.
  bool refine(const ConstVectorRef<double>& x) {
    const Index k = size(), n_rows = atoms_.exact.rows();
    z_ = y_.head(k);
    solve(z_);
    r_.setZero(n_rows);
    step_.resize(k);
    for (int pass = 0; pass < most_refinements; ++pass) {
      in_double_.sum_columns({n_rows, n_rows, atoms_.exact.data(), k, I_.data(), z_.data(), r_.data()});
      r_.head(x.size()) = x - r_.head(x.size());
      in_double_.dot_columns({n_rows, n_rows, atoms_.exact.data(), k, I_.data(), r_.data(), step_.data()});
      solve_transposed(step_);
      solve(step_);
      z_ += step_;
      if (step_.squaredNorm() > settled * settled * z_.squaredNorm()) continue;
      return size() == this->most_ || !(r_.squaredNorm() > target_ * (1 + 1e-9));  // products that were given may be rounded
    }
    return false;
  }

  /// b <- R^-1 b, b <- R^-T b: a handful of rows.
  void solve(Vector<double>& b) const {
    for (Index j = b.size() - 1; j >= 0; --j) {
      const double b_j = b(j) *= inverse_(j);
      for (Index i = 0; i < j; ++i) b(i) -= b_j * R_(i, j);
    }
  }
  void solve_transposed(Vector<double>& b) const {
    for (Index j = 0; j < b.size(); ++j) {
      double sum = b(j);
      for (Index i = 0; i < j; ++i) sum -= R_(i, j) * b(i);
      b(j) = sum * inverse_(j);
    }
  }

  static constexpr bool is_single = sizeof(T) == 4;
  static constexpr double too_near = is_single ? 1e-2 : 1e-4;    // rho^2
  static constexpr double too_small = is_single ? 1e-4 : 1e-12;  // ||r||^2 over ||x||^2
  static constexpr double too_close = is_single ? 1e-5 : 1e-12;  // to the error asked for, over ||x||^2
  static constexpr double settled = is_single ? 1e-5 : 1e-8;     // the next step would be smaller than rounding
  static constexpr int most_refinements = 4;
  static constexpr Index of_a_line = 64 / sizeof(T);  // columns of P do not begin in the same cache sets

  const GramKernels<double>& in_double_ = gram_kernels<double>();
  Matrix<T> P_;
  Vector<T> w_;
  Vector<double> inverse_, z_, r_, step_;  // inverse_: 1 / rho, R's diagonal
};

/// By products with the atoms.
template <Scalar T>
class ExactPursuit : public Pursuit<T> {
 public:
  ExactPursuit(const PursuedAtoms<T>& atoms, Index most_atoms) : Pursuit<T>(atoms, most_atoms), n_(atoms.D.signal_size()) {}

  void start(const ConstVectorRef<double>& x, const ConstVectorRef<T>& alpha0, double target) {
    Pursuit<T>::start(x.squaredNorm(), alpha0, target);
    r_ = x;
  }

  /// Chooses the next atom and fits it: q, r and the error are new, explain() and refresh() do the rest. False where the pursuit
  /// ends.
  bool advance() {
    while (this->goes_on()) {
      leave_if_stopped();
      const Index k = this->kernels_.hardest_pull(this->question(r_.norm()));
      if (k < 0) return false;
      this->may_choose_(k) = T(0);
      if (append(k)) return true;
    }
    return false;
  }

  auto q() const { return Q_.col(size() - 1); }  ///< of the atom fitted last
  const Vector<double>& residual() const { return r_; }

  /// e, by p = d^T q.
  void explain(const T* p) {
    this->kernels_.deflate({atoms_.n_rows(), 0, p, 0, nullptr, nullptr, T(1), static_cast<T>(y_(size() - 1)), nullptr,
                            this->alpha_.data(), this->energy()});
  }
  /// alpha = d^T r
  void refresh(const ConstVectorRef<T>& alpha) { this->alpha_ = alpha; }

  Vector<double> coefficients() const {
    return R_.topLeftCorner(size(), size()).template triangularView<Eigen::Upper>().solve(y_.head(size()));
  }

 private:
  using Pursuit<T>::atoms_, Pursuit<T>::R_, Pursuit<T>::y_, Pursuit<T>::size;

  /// False if the atom lies nearly in the span of those chosen.
  bool append(Index k) {
    const Index before = size();
    if (R_.cols() <= before) Q_.conservativeResize(n_, this->make_room());
    const auto Q = Q_.leftCols(before);
    Vector<double> q = atoms_.D.atoms().col(k).template cast<double>() / atoms_.norms(k);
    R_.col(before).head(before).setZero();
    for (int pass = 0; pass < 2; ++pass) {  // "twice is enough" for orthogonality to rounding
      const Vector<double> w = Q.transpose() * q;
      q.noalias() -= Q * w;
      R_.col(before).head(before) += w;
    }
    const double rho = R_(before, before) = q.norm();
    if (!(rho > nearness)) return false;
    Q_.col(before) = q / rho;
    y_(before) = Q_.col(before).dot(r_);
    r_ -= y_(before) * Q_.col(before);
    this->error_ = r_.squaredNorm();
    this->I_.push_back(static_cast<int>(k));
    return true;
  }

  const Index n_;
  Matrix<double> Q_;  // of the atoms chosen
  Vector<double> r_;
};

constexpr double most_off = 1e-3;  // of products that are given, of unit atoms and signals
constexpr double most_gram_bytes = 1 << 30;
constexpr double entries_of_a_tile = 1 << 22;  // correlations of all its signals

/// Is it cheaper to have all products of atoms with each other first, each of which costs `entry`? In multiplications of a large
/// product, of which one with a single vector waits for memory.
bool gram_pays(double entry, Index n_features, Index n_atoms, Index n_signals, Index most_atoms) {
  const auto n = static_cast<double>(n_features), m = static_cast<double>(n_atoms), N = static_cast<double>(n_signals);
  const auto L = static_cast<double>(most_atoms);
  const double per_vector = N < 4 ? 4 : 1;
  return entry * m * m + 1.5 * N * m * L * L / 2 < per_vector * N * L * n * m;
}

/// D_j / ||D_j||, with rows of zeros below.
template <Scalar T>
Matrix<double> unit_atoms(const ConstMatrixRef<T>& D, const Vector<double>& norms, Index n_rows) {
  Matrix<double> unit = Matrix<double>::Zero(n_rows, D.cols());
  for (Index j = 0; j < D.cols(); ++j)
    if (norms(j) > 0) unit.col(j).head(D.rows()) = D.col(j).template cast<double>() / norms(j);
  return unit;
}

/// d^T d, the same bits for any number of threads.
template <Scalar T>
Matrix<T> gram_of(const Matrix<T>& unit, Index n_rows, const Execution& execution) {
  constexpr Index columns = 256;
  Matrix<T> gram(n_rows, unit.cols());
  for_each_tile(columns, unit.cols(), execution, [&](Index first, Index n, int) {
    multiply_transposed<T>(unit, unit.middleCols(first, n), gram.block(0, first, unit.cols(), n));
    gram.block(unit.cols(), first, n_rows - unit.cols(), n).setZero();
  });
  return gram;
}

/// The Gram matrix that was given, of unit atoms. Its diagonal and one more entry of each column are looked at: enough to tell
/// another dictionary's.
template <Scalar T>
Matrix<T> unit_gram(const ConstMatrixRef<T>& given, const Matrix<double>& unit, const Vector<double>& norms, Index n_rows,
                    const Execution& execution) {
  constexpr Axes of_gram{"atom", "atom"};
  constexpr Index columns = 64;
  const Index m = norms.size();
  Matrix<T> gram(n_rows, m);
  const Vector<double> inverse = (norms.array() > 0).select(norms.cwiseInverse(), 0.0);
  for_each_tile(columns, m, execution, [&](Index first, Index n, int) {
    require_finite("omp", "gram", given.middleCols(first, n), of_gram, first);
    for (Index j = first; j < first + n; ++j) {
      gram.col(j).setZero();
      gram.col(j).head(m) = (given.col(j).template cast<double>().cwiseProduct(inverse) * inverse(j)).template cast<T>();
      for (const Index i : {j, (7 * j + 3) % m}) {
        const double expected = unit.col(i).dot(unit.col(j));
        require(std::abs(static_cast<double>(gram(i, j)) - expected) <= most_off,
                "omp: gram is not that of D: entry ({}, {}) is {:.6g}, but D_{}^T D_{} = {:.6g}", i, j,
                static_cast<double>(given(i, j)), i, j, expected * norms(i) * norms(j));
      }
    }
  });
  return gram;
}

/// Products of T with D's own columns stay in its range.
template <Scalar T>
bool are_plain(const Vector<double>& norms) {
  constexpr double most = sizeof(T) == 4 ? 1e10 : 1e100;
  return (norms.array() == 0 || (norms.array() > 1 / most && norms.array() < most)).all();
}

template <Scalar T>
PursuedAtoms<T> make_atoms(const DenseDictionary<T>& D, Index n_signals, Index most_atoms, const OmpOptions& options,
                           const OptionalMatrixRef<T>& gram) {
  const Index m = D.code_size(), n_rows = round_up_to_block<T>(m);
  PursuedAtoms<T> atoms{.D = D,
                        .by_ols = options.selection == Selection::ols,
                        .norms = column_norms<T>(D.atoms()),
                        .may_choose = Vector<T>::Zero(n_rows),
                        .unit = {},
                        .gram = {}};
  for (Index j = 0; j < m; ++j)
    if (atoms.norms(j) > 0) atoms.may_choose(j) = T(1);
  const Index n = D.signal_size();
  const double bytes = static_cast<double>(n_rows) * static_cast<double>(m) * sizeof(T);
  const bool use_gram = bytes <= most_gram_bytes && gram_pays(gram ? 4.0 : static_cast<double>(n), n, m, n_signals, most_atoms);
  if (use_gram || !are_plain<T>(atoms.norms)) {
    atoms.exact = unit_atoms<T>(D.atoms(), atoms.norms, round_up_to_block<double>(n));
    atoms.unit = atoms.exact.topRows(n).template cast<T>();
  }
  if (use_gram)
    atoms.gram = gram ? unit_gram<T>(*gram, atoms.exact, atoms.norms, n_rows, options.execution)
                      : gram_of<T>(atoms.unit, n_rows, options.execution);
  return atoms;
}

/// 2^e v; e is nearly always zero.
double in_unit(double v, int e) { return e == 0 ? v : std::ldexp(v, e); }

/// The work of one thread.
template <Scalar T>
class OmpPass {
 public:
  OmpPass(const ConstMatrixRef<T>& X, const PursuedAtoms<T>& atoms, Index most_atoms, const OmpOptions& options,
          const OmpProducts<T>& known, OmpResult<T>& result)
      : X_(X),
        atoms_(atoms),
        most_atoms_(most_atoms),
        options_(options),
        known_(known),
        result_(result),
        units_(0, RegUnit::linear),
        by_gram_(atoms, most_atoms) {}

  void code(Index first, Index n) {
    units_.open(X_.middleCols(first, n), Vector<T>::Zero(n).eval());
    result_.codes.middleCols(first, n).setZero();
    products_.resize(atoms_.n_rows(), n);
    products_.bottomRows(atoms_.n_rows() - atoms_.norms.size()).setZero();
    if (known_.covariance)
      enter_covariance(first, n);
    else
      atoms_.correlate(units_.X(), products_);
    open_.clear();
    for (Index i = 0; i < n; ++i) {
      x_ = units_.X().col(i).template cast<double>();
      if (atoms_.has_gram() && by_gram_.code(x_, products_.col(i), target(first, i)))
        deliver(by_gram_.atoms(), by_gram_.coefficients(), first, i);
      else
        open_.push_back(i);
    }
    const auto entries = static_cast<double>(most_atoms_ * (X_.rows() + most_atoms_));  // of Q and R
    const auto at_once = static_cast<std::size_t>(std::max(1.0, entries_of_a_tile / entries));
    for (std::size_t done = 0; done < open_.size(); done += at_once)
      code_exactly(std::span(open_).subspan(done, std::min(at_once, open_.size() - done)), first);
  }

 private:
  /// All these signals get an atom, then all correlations are products.
  void code_exactly(std::span<const Index> signals, Index first) {
    for (std::size_t i = exact_.size(); i < signals.size(); ++i) exact_.emplace_back(atoms_, most_atoms_);
    std::vector<std::size_t> running;  // places in `signals`
    for (std::size_t k = 0; k < signals.size(); ++k) {
      x_ = units_.X().col(signals[k]).template cast<double>();
      exact_[k].start(x_, products_.col(signals[k]), target(first, signals[k]));
      running.push_back(k);
    }
    while (std::erase_if(running, [&](std::size_t k) { return !exact_[k].advance(); }), !running.empty()) {
      if (atoms_.by_ols) {
        correlate(running, [](const ExactPursuit<T>& of) { return of.q(); });
        for (Index i = 0; const std::size_t k : running) exact_[k].explain(fresh_.col(i++).data());
      }
      correlate(running, [](const ExactPursuit<T>& of) { return of.residual(); });
      for (Index i = 0; const std::size_t k : running) exact_[k].refresh(fresh_.col(i++));
    }
    for (std::size_t k = 0; k < signals.size(); ++k) {
      x_ = units_.X().col(signals[k]).template cast<double>();
      deliver(exact_[k].atoms(), exact_[k].coefficients(), first, signals[k]);
    }
  }

  /// fresh_ <- d^T of what `pick` takes from each.
  template <class Pick>
  void correlate(const std::vector<std::size_t>& running, const Pick& pick) {
    vectors_.resize(X_.rows(), std::ssize(running));
    for (Index i = 0; const std::size_t k : running) vectors_.col(i++) = pick(exact_[k]).template cast<T>();
    fresh_.setZero(atoms_.n_rows(), std::ssize(running));
    atoms_.correlate(vectors_, fresh_);
  }

  /// Of signal i, which is in x_, in its unit.
  double target(Index first, Index i) const {
    double target = options_.tol ? *options_.tol * x_.squaredNorm() : -std::numeric_limits<double>::infinity();
    if (!options_.max_error.empty()) {
      const auto at = options_.max_error.size() == 1 ? 0 : static_cast<std::size_t>(first + i);
      target = std::max(target, in_unit(options_.max_error[at], -units_.objective(i)));
    }
    return target;
  }

  /// Rounds the code z of the unit atoms I to T, and judges it as it is then. x_ is the signal.
  void deliver(const std::vector<int>& I, const Vector<double>& z, Index first, Index i) {
    z_ = z;
    for (Index k = 0; k < z.size(); ++k) {
      const Index j = I[static_cast<std::size_t>(k)];
      const auto z_j = static_cast<T>(in_unit(z(k) / atoms_.norms(j), units_.signal(i)));
      require(std::isfinite(z_j), "omp: the code of a signal overflows; scale signals or atoms");
      result_.codes(j, first + i) = z_j;
      z_(k) = in_unit(static_cast<double>(z_j), -units_.signal(i)) * atoms_.norms(j);
    }
    const double error = (x_ - product(I, z_)).squaredNorm(), asked = target(first, i);
    result_.error(first + i) = in_unit(error, units_.objective(i));
    result_.n_nonzero(first + i) = static_cast<int>(I.size());
    const double rounding = sizeof(T) == 4 ? 1e-13 : 1e-26;  // of the code, over ||x||^2
    const bool missed = asked >= 0 && error > asked + rounding * x_.squaredNorm();
    result_.status[static_cast<std::size_t>(first + i)] = missed ? Status::max_iter_reached : Status::converged;
  }

  /// d_I z
  const Vector<double>& product(const std::vector<int>& I, const Vector<double>& z) {
    product_.setZero(X_.rows());
    if (atoms_.has_gram())
      gram_kernels<double>().sum_columns(
          {X_.rows(), atoms_.exact.rows(), atoms_.exact.data(), z.size(), I.data(), z.data(), product_.data()});
    else
      for (Index k = 0; k < z.size(); ++k) {
        const Index j = I[static_cast<std::size_t>(k)];
        product_ += z(k) / atoms_.norms(j) * atoms_.D.atoms().col(j).template cast<double>();
      }
    return product_;
  }

  /// One entry of each signal is looked at.
  void enter_covariance(Index first, Index n) {
    const Index m = atoms_.norms.size();
    for (Index i = 0; i < n; ++i) {
      for (Index j = 0; j < m; ++j) {
        const auto product = static_cast<double>((*known_.covariance)(j, first + i));
        const double norm = atoms_.norms(j);
        products_(j, i) = norm > 0 ? static_cast<T>(in_unit(product / norm, -units_.signal(i))) : T(0);
      }
      const Index j = (7 * (first + i) + 3) % m;
      x_ = units_.X().col(i).template cast<double>();
      if (atoms_.norms(j) == 0) continue;
      const double expected = x_.dot(atoms_.D.atoms().col(j).template cast<double>() / atoms_.norms(j));
      require(std::abs(static_cast<double>(products_(j, i)) - expected) <= most_off * x_.norm(),
              "omp: covariance is not that of X and D: entry ({}, {}) is {:.6g}, but D_{}^T x_{} = {:.6g}", j, first + i,
              static_cast<double>((*known_.covariance)(j, first + i)), j, first + i,
              in_unit(expected * atoms_.norms(j), units_.signal(i)));
    }
  }

  const ConstMatrixRef<T>& X_;
  const PursuedAtoms<T>& atoms_;
  const Index most_atoms_;
  const OmpOptions& options_;
  const OmpProducts<T>& known_;
  OmpResult<T>& result_;
  TileUnits<T> units_;
  GramPursuit<T> by_gram_;
  std::vector<ExactPursuit<T>> exact_;  // as many as have been open at once
  std::vector<Index> open_;             // signals of the tile that the Gram matrix did not code
  Matrix<T> products_, vectors_, fresh_;
  Vector<double> x_, z_, product_;
};

/// Codes of double precision as those of single, and their errors.
OmpResult<float> in_single(const OmpResult<double>& of, const ConstMatrixRef<float>& X, const DenseDictionary<float>& D) {
  OmpResult<float> result{.codes = of.codes.cast<float>(), .error = of.error, .n_nonzero = of.n_nonzero, .status = of.status};
  require(result.codes.allFinite(), "omp: the code of a signal overflows; scale signals or atoms");
  for (Index i = 0; i < X.cols(); ++i) {
    Vector<double> r = X.col(i).cast<double>();
    for (Index j = 0; j < result.codes.rows(); ++j)
      if (const double z = result.codes(j, i); z != 0) r -= z * D.atoms().col(j).cast<double>();
    result.error(i) = r.squaredNorm();
  }
  return result;
}

template <class To, class From>
std::optional<Matrix<To>> cast_of(const std::optional<From>& A) {
  if (!A) return {};
  return A->template cast<To>();
}

}  // namespace

void OmpOptions::validate() const {
  require(n_nonzero || tol || !max_error.empty(),
          "omp: give n_nonzero, tol or max_error; without any of them nothing stops the pursuit");
  check_options(*this);
  for (std::size_t i = 0; i < max_error.size(); ++i)
    require(max_error[i] >= 0 && std::isfinite(max_error[i]), "omp: max_error {} is {}, must be >= 0 and finite", i,
            max_error[i]);
}

template <Scalar T>
OmpResult<T> omp(const NonDeduced<ConstMatrixRef<T>>& X, const DenseDictionary<T>& D, const OmpOptions& options,
                 const NonDeduced<OmpProducts<T>>& known) {
  options.validate();
  const StopScope scope(options.execution);
  require_signals<T>("omp", X, D);
  const Index n_signals = X.cols(), m = D.code_size(), n = D.signal_size();
  const auto n_errors = std::ssize(options.max_error);
  require(n_errors <= 1 || n_errors == n_signals, "omp: max_error has {} numbers, must be one, or one for each of the {} signals",
          n_errors, n_signals);
  if (known.gram)
    require(known.gram->rows() == m && known.gram->cols() == m, "omp: gram is {} x {}, must be {} x {}, as there are atoms",
            known.gram->rows(), known.gram->cols(), m, m);
  if (known.covariance) {
    require(known.covariance->rows() == m && known.covariance->cols() == n_signals,
            "omp: covariance is of {} signals and {} atoms, must be of {} and {}", known.covariance->cols(),
            known.covariance->rows(), n_signals, m);
    require_finite("omp", "covariance", *known.covariance, of_codes);
  }
  if constexpr (std::same_as<T, float>)
    if (options.selection == Selection::ols) {  // differences of energies need the digits
      const auto gram = cast_of<double>(known.gram), covariance = cast_of<double>(known.covariance);
      OmpProducts<double> in_double;
      if (gram) in_double.gram.emplace(*gram);
      if (covariance) in_double.covariance.emplace(*covariance);
      return in_single(
          omp<double>(X.template cast<double>(), DenseDictionary<double>(D.atoms().template cast<double>()), options, in_double),
          X, D);
    }
  const Index most_atoms = std::min({options.n_nonzero ? static_cast<Index>(*options.n_nonzero) : m, m, n});
  const Index expected = options.n_nonzero ? most_atoms : std::max<Index>(1, most_atoms / 4);
  const PursuedAtoms<T> atoms = make_atoms<T>(D, n_signals, expected, options, known.gram);

  OmpResult<T> result{.codes = Matrix<T>(m, n_signals),
                      .error = Vector<double>(n_signals),
                      .n_nonzero = Vector<int>(n_signals),
                      .status = std::vector<Status>(static_cast<std::size_t>(n_signals))};
  const Index tile = std::clamp<Index>(static_cast<Index>(entries_of_a_tile / static_cast<double>(m)), 1, 64);
  const Index n_tiles = (n_signals + tile - 1) / tile;
  for_each_tile(
      Partition{.tile = tile, .n_tiles = n_tiles, .n_lanes = n_tiles}, n_signals, options.execution,
      [&] { return std::make_unique<OmpPass<T>>(X, atoms, most_atoms, options, known, result); },
      [](Index first, Index size, OmpPass<T>& pass) { pass.code(first, size); });
  return result;
}
template OmpResult<float> omp<float>(const ConstMatrixRef<float>&, const DenseDictionary<float>&, const OmpOptions&,
                                     const OmpProducts<float>&);
template OmpResult<double> omp<double>(const ConstMatrixRef<double>&, const DenseDictionary<double>&, const OmpOptions&,
                                       const OmpProducts<double>&);

}  // namespace riata
