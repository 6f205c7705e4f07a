// Orthogonal matching pursuit and orthogonal least squares on unit atoms d_j = D_j / ||D_j||, those chosen orthogonalised:
//
//   k = argmax_j |alpha_j|   (ols: |alpha_j| / sqrt(e_j)),          alpha = d^T r,  e_j = ||d_j||^2 - sum_i (q_i^T d_j)^2
//   rho q = d_k - sum_i w_i q_i,  w_i = q_i^T d_k;     y = q^T r,   r <- r - y q,  ||r||^2 <- ||r||^2 - y^2
//   p = d^T q,   alpha <- alpha - y p,   e <- e - p^2;              at the end  D_I = Q R,  z_I = R^-1 y
//
// Pati, Rezaiifar and Krishnaprasad (1993); ols: Chen, Billings and Luo (1989). With the Gram matrix G = d^T d no q is needed,
// which is Batch OMP (Rubinstein, Zibulevsky and Elad, 2008), with V = R^-1 where theirs is Cholesky's factor:
//
//   p = ( G_k - sum_i w_i p_i ) / rho,   w_i = p_i(k),   rho^2 = 1 - ||w||^2,   y = alpha_k / rho,   z_I = V y
//
// MatchingInSingle is that in single precision, for signals of it. SinglePursuit, for signals in double, knows what rounding may
// do: it chooses by alpha = d^T x - G_I z_I in single precision, fits in double, and compares atoms in double that rounding may
// have put in the wrong order:
//
//   w = V^T G_Ik,   V <- ( V, -V w / rho; 0, 1 / rho ),   z_I <- z_I + y V_k
//
// GramPursuit, in double, codes what is left of those, and all of `ols`. All refine their code in double with the residual itself.
// Where that is too coarse, an atom being near the span of those chosen, r nearly zero, or an error near the one asked for,
// ExactPursuit codes the signal: q, r and R in double, alpha and p afresh as products with d, n m per atom; that is also the one
// for few signals of many atoms.
#include "riata/solvers/omp.hpp"

#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <concepts>
#include <limits>
#include <memory>
#include <numeric>
#include <span>
#include <type_traits>
#include <variant>

#include "riata/core/check.hpp"
#include "riata/core/memory.hpp"
#include "riata/core/stopping.hpp"
#include "riata/core/sweep.hpp"
#include "riata/linalg/blas.hpp"
#include "riata/linalg/gram_kernels.hpp"
#include "riata/linalg/gram_matrix.hpp"
#include "riata/operators/units.hpp"
#include "riata/solvers/tile_certificate.hpp"

namespace riata {
namespace {

/// The atoms as the pursuits of all signals see them. Rows of vectors over atoms are padded with atoms that cannot be chosen.
template <Scalar T>
struct PursuedAtoms {
  const DenseDictionary<T>& D;
  bool by_ols;
  Vector<double> norms;       ///< ||D_j||
  Vector<T> may_choose;       ///< 1, or 0 for atoms of zeros
  Matrix<double> exact;       ///< d, rows padded with zeros, or 0 x 0: products with D itself are divided by the norms then
  Matrix<float> single;       ///< d, where `exact` is there
  Matrix<float> single_gram;  ///< G for the pursuits in single precision, or 0 x 0; rows padded with zeros
  Matrix<T> gram;             ///< G for GramPursuit, likewise

  std::optional<int> n_threads = {};  ///< of a product, where there are too few signals to share

  Index n_rows() const { return may_choose.size(); }
  /// d^T R, first rows of `out`.
  void correlate(const ConstMatrixRef<T>& R, MatrixRef<T> out) const {
    constexpr Index block = Index{1} << 13;  // atoms
    const Index m = norms.size();
    auto products = out.topRows(m);
    const auto multiply_block = [&](const auto& A) {
      if (!n_threads) return multiply_transposed<T>(A, R, products);
      for_each_tile(block, m, {.n_threads = *n_threads}, [&](Index first, Index n, int) {
        multiply_transposed<T>(A.middleCols(first, n), R, products.middleRows(first, n));
      });
    };
    if (exact.size() > 0) {
      if constexpr (std::same_as<T, float>)
        multiply_block(single);
      else
        multiply_block(exact.topRows(R.rows()));
    } else {
      multiply_block(D.atoms());
      divide_by_norms(out);
    }
  }
  void divide_by_norms(MatrixRef<T> products) const {
    for (Index i = 0; i < products.cols(); ++i)
      for (Index j = 0; j < norms.size(); ++j)
        if (norms(j) > 0) products(j, i) /= static_cast<T>(norms(j));
  }
};

constexpr double nearness = 1e-4;  // an atom as near as that to the span of those chosen lies in it

/// Is ||r||^2 above the target, if there is one, by more than the rounding of r, about 16 eps ||x||?
bool misses(double residual_sq, double target, double x_sq) {
  if (target < 0) return true;
  return residual_sq > target + 4e-15 * std::sqrt(target * x_sq) + 1e-26 * x_sq;
}

/// What every pursuit keeps of one signal.
class Pursuit {
 public:
  explicit Pursuit(Index most_atoms) : most_(most_atoms) {}

  const std::vector<int>& atoms() const { return I_; }
  Index size() const { return std::ssize(I_); }

 protected:
  /// The pursuit ends where ||r||^2 <= `target`.
  void start(double x_sq, double target) {
    I_.clear();
    x_sq_ = error_ = x_sq;
    x_norm_ = std::sqrt(x_sq);
    target_ = target;
  }
  bool goes_on() const { return size() < most_ && misses(error_, target_, x_sq_); }

  const Index most_;
  std::vector<int> I_;
  double x_sq_ = 0, x_norm_ = 0, error_ = 0, target_ = 0;  // error: ||r||^2
};

/// A pull on a vector of that norm that rounding in T may have made, as much of a signal.
template <Scalar T>
double pull_of_rounding(double x_norm, double norm) {
  return std::max(1e-14 * x_norm, 32 * static_cast<double>(std::numeric_limits<T>::epsilon()) * norm);
}

/// alpha and e, and the atoms that are left.
template <Scalar T>
class Pulls {
 public:
  explicit Pulls(const PursuedAtoms<T>& atoms) : atoms_(atoms) {}

  /// `alpha0` = d^T x, n_rows of them.
  void start(const ConstVectorRef<T>& alpha0) {
    alpha = alpha0;
    may_choose = atoms_.may_choose;
    if (atoms_.by_ols) energy_ = may_choose;
  }
  /// What asks for the next atom: one that pulls by more than `least`.
  HardestPull<T> question(double least) const {
    return {atoms_.n_rows(),
            alpha.data(),
            may_choose.data(),
            atoms_.by_ols ? energy_.data() : nullptr,
            static_cast<T>(nearness * nearness),
            static_cast<T>(atoms_.by_ols ? least * least : least)};
  }
  T* energy() { return atoms_.by_ols ? energy_.data() : nullptr; }

  Vector<T> alpha, may_choose;

 private:
  const PursuedAtoms<T>& atoms_;
  Vector<T> energy_;
};

/// The fit on the atoms chosen, by their inner products. Borrows the atoms.
template <Scalar T>
class GramFit : public Pursuit {
 public:
  GramFit(const PursuedAtoms<T>& atoms, Index most_atoms) : Pursuit(most_atoms), atoms_(atoms) {}

  auto coefficients() const { return z_.head(size()); }  ///< z_I, of the unit atoms

 protected:
  static constexpr double too_near = sizeof(T) == 4 ? 1e-2 : 1e-4;    // rho^2
  static constexpr double too_small = sizeof(T) == 4 ? 1e-4 : 1e-12;  // ||r||^2 over ||x||^2
  static constexpr double too_close = sizeof(T) == 4 ? 1e-5 : 1e-12;  // to the error asked for, over ||x||^2

  void start(const ConstVectorRef<double>& x, double target) {
    Pursuit::start(x.squaredNorm(), target);
    if (stride_ == 0) reserve(std::min<Index>(most_, 16));
    trace_ = 0;
    for (Index i = 0; i < used_; ++i) V_transposed_.col(i).head(used_).setZero();
    z_.head(used_).setZero();
    used_ = 0;
  }

  /// d_k, of which g_ = d_I^T d_k is known and `product` = d_k^T x. False where T is too coarse to go on.
  bool append(Index k, double product) {
    const Index before = size();
    if (before + 1 >= stride_) reserve(std::min(most_, 2 * before));
    used_ = before + 1;
    grown_ = in_double_.grow_fit({before, stride_, g_.data(), product, V_.data(), V_transposed_.data(), w_.data(), z_.data()});
    if (!(grown_.rho_sq > too_near)) return false;
    trace_ += grown_.column_sq;
    error_ -= grown_.y * grown_.y;
    I_.push_back(static_cast<int>(k));
    return error_ > too_small * x_sq_ && std::abs(error_ - target_) > too_close * x_sq_;
  }

  /// d_I, as a MatchingPursuit found R and y.
  void fit(std::span<const int> I, const Matrix<double>& R, const Vector<double>& y) {
    I_.assign(I.begin(), I.end());
    used_ = size();
    while (used_ >= stride_) reserve(std::min(most_, 2 * stride_));
    in_double_.fit_factor({used_, stride_, R.rows(), R.data(), y.data(), V_.data(), V_transposed_.data(), w_.data(), z_.data()});
  }

  /// z_I <- z_I + V V^T d_I^T (x - d_I z_I)   until it stands.
  bool refine(const ConstVectorRef<double>& x) {
    const Index k = size();
    for (int pass = 0; pass < most_refinements; ++pass) {
      find_residual(x);
      multiply_atoms(I_, r_.data(), g_.data());
      combine(V_transposed_, g_, w_);
      combine(V_, w_, v_);
      double step_sq = 0, z_sq = 0;
      for (Index i = 0; i < k; ++i) {
        z_(i) += v_(i);
        step_sq += v_(i) * v_(i);
        z_sq += z_(i) * z_(i);
      }
      if (step_sq > settled * settled * z_sq) continue;
      return k == most_ || !misses(r_.squaredNorm(), target_, x_sq_);
    }
    return false;
  }

  /// r = x - d_I z_I
  void find_residual(const ConstVectorRef<double>& x) {
    r_.resize(x.size());
    in_double_.sum_columns({x.size(), atoms_.exact.rows(), atoms_.exact.data(), size(), I_.data(), z_.data(), r_.data()});
    r_ = x - r_;
  }
  /// d_J^T v
  void multiply_atoms(std::span<const int> J, const double* v, double* products) const {
    const Matrix<double>& d = atoms_.exact;
    in_double_.dot_columns({atoms_.D.signal_size(), d.rows(), d.data(), std::ssize(J), J.data(), v, products});
  }

  const PursuedAtoms<T>& atoms_;
  const GramKernels<double>& in_double_ = gram_kernels<double>();
  Vector<double> g_, w_, z_, r_;
  FitGrown<double> grown_ = {};  // by the last atom
  double trace_ = 0;             // of V V^T = (d_I^T d_I)^-1

 private:
  void reserve(Index columns) {
    stride_ = round_up_to_block<double>(columns + 1);
    V_.conservativeResizeLike(Matrix<double>::Zero(stride_, stride_));
    V_transposed_.conservativeResizeLike(Matrix<double>::Zero(stride_, stride_));
    for (Vector<double>* const of : {&g_, &w_, &v_, &z_}) of->conservativeResizeLike(Vector<double>::Zero(stride_));
    places_.resize(static_cast<std::size_t>(stride_));
    std::iota(places_.begin(), places_.end(), 0);
  }
  /// out = A a, entries of the atoms chosen.
  void combine(const Matrix<double>& A, const Vector<double>& a, Vector<double>& out) const {
    constexpr Index few = 4;  // rows that the kernel sums at once
    const Index rows = (size() + few - 1) / few * few;
    in_double_.sum_columns({rows, stride_, A.data(), size(), places_.data(), a.data(), out.data()});
  }

  static constexpr double settled = sizeof(T) == 4 ? 1e-5 : 1e-8;  // the next step would be smaller than rounding
  static constexpr int most_refinements = 4;

  Matrix<double> V_, V_transposed_;  // zeros on the other side of the diagonal
  Vector<double> v_;
  Index stride_ = 0, used_ = 0;  // of V's columns: room, and what is not zeros
  std::vector<int> places_;      // 0, 1, 2, ...
};

/// By the Gram matrix in single precision.
class MatchingInSingle : public GramFit<float> {
 public:
  MatchingInSingle(const PursuedAtoms<float>& atoms, Index most_atoms)
      : GramFit<float>(atoms, most_atoms), alpha_(round_up_to_line<float>(atoms.norms.size())) {}

  /// `alpha0` = d^T x. False where single precision is too coarse to tell.
  bool code(const ConstVectorRef<double>& x, const float* alpha0, double target) {
    start(x, target);
    const Matrix<float>& G = atoms_.single_gram;
    Index n = 0;
    while (n < most_ && misses(error_, target, x_sq_)) {
      if (n > 0) leave_if_stopped();
      const Index until = std::min(most_, n + std::max<Index>(1, multiplications_at_once / (alpha_.size() * (n + 16))));
      make_room(until);
      n = kernels_.match({alpha_.size(),
                          G.rows(),
                          G.data(),
                          alpha0,
                          alpha_.data(),
                          P_.rows(),
                          P_.data(),
                          w_in_single_.data(),
                          R_.rows(),
                          R_.data(),
                          y_.data(),
                          places_.data(),
                          n,
                          until,
                          &error_,
                          target,
                          static_cast<float>(pull_of_rounding<float>(x_norm_, x_norm_)),
                          too_near,
                          too_small * x_sq_,
                          too_close * x_sq_});
      if (n < 0) return false;
    }
    fit(std::span(places_).first(static_cast<std::size_t>(n)), R_, y_);
    return refine(x);
  }

 private:
  void make_room(Index atoms) {
    if (atoms <= R_.cols()) return;
    const Index columns = std::min(most_, std::max(atoms, 2 * R_.cols()));
    P_.conservativeResize(alpha_.size() + gram_line<float>, columns);
    R_.conservativeResize(columns, columns);
    y_.conservativeResize(columns);
    w_in_single_.conservativeResize(columns);
    places_.resize(static_cast<std::size_t>(columns));
  }

  static constexpr Index multiplications_at_once = 1 << 24;
  const GramKernels<float>& kernels_ = gram_kernels<float>();
  Vector<float> alpha_, w_in_single_;
  Matrix<float> P_;
  Matrix<double> R_;
  Vector<double> y_;
  std::vector<int> places_;
};

/// By the Gram matrix in single precision, of signals in double, in the unit of their norm there.
class SinglePursuit : public GramFit<double> {
 public:
  SinglePursuit(const PursuedAtoms<double>& atoms, Index most_atoms)
      : GramFit<double>(atoms, most_atoms),
        rows_(round_up_to_line<float>(atoms.norms.size())),
        pulls_(rows_),
        hardest_(static_cast<std::size_t>(rows_) + 1) {}

  /// `alpha0` = scale d^T x. False where single precision is too coarse to tell.
  bool code(const ConstVectorRef<double>& x, const float* alpha0, double scale, double target) {
    start(x, target);
    while (goes_on()) {
      leave_if_long();
      const Index k = next(x, alpha0, scale);
      if (k < 0) return false;
      fetch(k);
      multiply_atoms(I_, atoms_.exact.col(k).data(), g_.data());
      const int number = static_cast<int>(k);
      double product = 0;
      multiply_atoms({&number, 1}, x.data(), &product);
      if (!append(k, product)) return false;
    }
    return refine(x);
  }

 private:
  /// Steps are many and most of them short.
  void leave_if_long() {
    constexpr Index soon_done = 1 << 20;
    n_read_ += rows_ * (size() + 1);
    if (n_read_ < soon_done) return;
    n_read_ = 0;
    leave_if_stopped();
  }
  /// Asks for the columns of G and d that come next.
  void fetch(Index k) const {
    const float* const column = atoms_.single_gram.col(k).data();
    for (Index j = 0; j < std::min(rows_, most_fetched); j += gram_line<float>) __builtin_prefetch(column + j);
    const double* const atom = atoms_.exact.col(k).data();
    for (Index i = 0; i < std::min(atoms_.exact.rows(), most_fetched); i += gram_line<double>) __builtin_prefetch(atom + i);
  }
  /// Of these.
  Index hardest_in_double(const ConstVectorRef<double>& x, std::span<const int> atoms) {
    products_.resize(std::ssize(atoms));
    find_residual(x);
    multiply_atoms(atoms, r_.data(), products_.data());
    Index place = 0;
    products_.cwiseAbs().maxCoeff(&place);
    return atoms[static_cast<std::size_t>(place)];
  }

  Index next(const ConstVectorRef<double>& x, const float* alpha0, double scale) {
    const Matrix<float>& G = atoms_.single_gram;
    scaled_.resize(std::max(scaled_.size(), size()));
    for (Index i = 0; i < size(); ++i) scaled_(i) = static_cast<float>(scale * z_(i));
    const auto doubt = static_cast<float>(
        2.1 * rounding(x.size(), size() > 0 ? scale * std::sqrt(static_cast<double>(size()) * grown_.z_sq) : 0));
    const Index n_hardest = kernels_.pull_on_rest(
        {rows_, alpha0, G.rows(), G.data(), size(), I_.data(), scaled_.data(), doubt, doubt, pulls_.data(), hardest_.data()});
    if (n_hardest == 0) return -1;
    return n_hardest == 1 ? hardest_[0] : hardest_in_double(x, std::span(hardest_).first(static_cast<std::size_t>(n_hardest)));
  }

  /// What alpha may be off by, of a signal of norm 1: x and d are rounded and n products of theirs summed, which is so of G_I too;
  /// then z_I is rounded and k products subtracted; and z_I itself is that of products in double.
  /// `sum`: at least ||z_I||_1.
  double rounding(Index n_features, double sum) const {
    constexpr double u = 0x1p-24, u_of_double = 0x1p-53;
    const auto n = static_cast<double>(n_features), k = static_cast<double>(size());
    return u * (n + k + 3) * (1 + 2 * sum) + 4 * u_of_double * (n + k) * trace_ * sum;
  }

  static constexpr Index most_fetched = 1024;
  const GramKernels<float>& kernels_ = gram_kernels<float>();
  const Index rows_;
  Index n_read_ = 0;
  Vector<float> scaled_, pulls_;
  std::vector<int> hardest_;
  Vector<double> products_;
};

/// By the Gram matrix in double.
class GramPursuit : public GramFit<double> {
 public:
  GramPursuit(const PursuedAtoms<double>& atoms, Index most_atoms) : GramFit<double>(atoms, most_atoms), pulls_(atoms) {}

  /// `alpha0` = d^T x. False where double is too coarse to tell.
  bool code(const ConstVectorRef<double>& x, const ConstVectorRef<double>& alpha0, double target) {
    start(x, target);
    pulls_.start(alpha0);
    least_ = pull_of_rounding<double>(x_norm_, x_norm_);
    Index k = in_double_.hardest_pull(pulls_.question(least_));
    while (goes_on()) {
      leave_if_stopped();
      if (k < 0) return false;
      for (Index i = 0; i < size(); ++i) g_(i) = atoms_.gram(k, I_[static_cast<std::size_t>(i)]);
      if (!append(k, alpha0(k))) return false;
      pulls_.may_choose(k) = 0;
      if (goes_on()) k = next(k);
    }
    return refine(x);
  }

 private:
  /// The atom after k, whose direction leaves alpha and e.
  Index next(Index k) {
    const Index before = size() - 1;
    if (P_.cols() <= before)
      P_.conservativeResize(atoms_.n_rows() + gram_line<double>, std::min(most_, std::max<Index>(16, 2 * before)));
    return in_double_.deflate_and_pull(
        {atoms_.n_rows(), P_.rows(), atoms_.gram.col(k).data(), before, P_.data(), w_.data(), 1 / std::sqrt(grown_.rho_sq),
         grown_.y, P_.col(before).data(), pulls_.alpha.data(), pulls_.energy()},
        pulls_.question(least_));
  }

  Pulls<double> pulls_;
  Matrix<double> P_;
  double least_ = 0;
};

/// By products with the atoms.
template <Scalar T>
class ExactPursuit : public Pursuit {
 public:
  ExactPursuit(const PursuedAtoms<T>& atoms, Index most_atoms) : Pursuit(most_atoms), atoms_(atoms), pulls_(atoms) {}

  void start(const ConstVectorRef<double>& x, const ConstVectorRef<T>& alpha0, double target) {
    Pursuit::start(x.squaredNorm(), target);
    pulls_.start(alpha0);
    r_ = x;
  }

  /// Chooses the next atom and fits it: q, r and the error are new, explain() and refresh() do the rest. False where the pursuit
  /// ends.
  bool advance() {
    while (goes_on()) {
      leave_if_stopped();
      const Index k = kernels_.hardest_pull(pulls_.question(pull_of_rounding<T>(x_norm_, r_.norm())));
      if (k < 0) return false;
      pulls_.may_choose(k) = T(0);
      if (append(k)) return true;
    }
    return false;
  }

  using Pursuit::goes_on;
  auto q() const { return Q_.col(size() - 1); }  ///< of the atom fitted last
  const Vector<double>& residual() const { return r_; }

  /// e, by p = d^T q.
  void explain(const T* p) {
    kernels_.deflate({atoms_.n_rows(), 0, p, 0, nullptr, nullptr, T(1), static_cast<T>(y_(size() - 1)), nullptr,
                      pulls_.alpha.data(), pulls_.energy()});
  }
  /// alpha = d^T r
  void refresh(const ConstVectorRef<T>& alpha) { pulls_.alpha = alpha; }

  Vector<double> coefficients() const {
    return R_.topLeftCorner(size(), size()).template triangularView<Eigen::Upper>().solve(y_.head(size()));
  }

 private:
  /// False if the atom lies nearly in the span of those chosen.
  bool append(Index k) {
    const Index before = size();
    if (R_.cols() <= before) {
      const Index columns = std::min(most_, std::max<Index>(8, 2 * before));
      R_.conservativeResize(columns, columns);
      y_.conservativeResize(columns);
      Q_.conservativeResize(r_.size(), columns);
    }
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
    error_ = r_.squaredNorm();
    I_.push_back(static_cast<int>(k));
    return true;
  }

  const PursuedAtoms<T>& atoms_;
  const GramKernels<T>& kernels_ = gram_kernels<T>();
  Pulls<T> pulls_;
  Matrix<double> Q_, R_;  // of the atoms chosen
  Vector<double> y_, r_;
};

constexpr double most_off = 1e-3;  // of products that are given, of unit atoms and signals
constexpr double most_gram_bytes = 1 << 30;
constexpr double entries_of_a_tile = 1 << 22;  // correlations of all its signals

/// Is it cheaper to have all products of atoms with each other first, each of which costs `entry`? In multiplications of a large
/// product, of which one with a single vector waits for memory.
template <Scalar T>
bool gram_pays(double entry, Index n_features, Index n_atoms, Index n_signals, Index most_atoms) {
  const auto n = static_cast<double>(n_features), m = static_cast<double>(n_atoms), N = static_cast<double>(n_signals);
  const auto L = static_cast<double>(most_atoms);
  const double per_vector = N < 4 ? 4 : 1;
  const bool fits = m * m * sizeof(T) <= most_gram_bytes;
  return fits && entry * m * m + 1.5 * N * m * L * L / 2 < per_vector * N * L * n * m;
}

/// D_j / ||D_j||, with rows of zeros below.
template <Scalar T>
Matrix<double> unit_atoms(const ConstMatrixRef<T>& D, const Vector<double>& norms, Index n_rows) {
  Matrix<double> unit = Matrix<double>::Zero(n_rows, D.cols());
  for (Index j = 0; j < D.cols(); ++j)
    if (norms(j) > 0) unit.col(j).head(D.rows()) = D.col(j).template cast<double>() / norms(j);
  return unit;
}

/// Rows of G: those that its pursuit reads, and a line more, so that columns do not begin in the same cache sets.
template <Scalar T>
Index gram_rows(Index n_atoms) {
  return (std::same_as<T, float> ? round_up_to_line<T>(n_atoms) : round_up_to_block<T>(n_atoms)) + gram_line<T>;
}

/// d^T d.
template <Scalar T>
Matrix<T> gram_of(const Matrix<T>& unit, const Execution& execution) {
  const Index m = unit.cols();
  Matrix<T> gram;
  make_room("omp", "the Gram matrix", gram_rows<T>(m), m, "pass fewer signals at a time, which need none", gram);
  gram_matrix<T>(unit, gram.topRows(m), execution);
  gram.bottomRows(gram.rows() - m).setZero();
  return gram;
}

/// The Gram matrix that was given, of unit atoms. Its diagonal and one more entry of each column are looked at: enough to tell
/// another dictionary's.
template <Scalar S, Scalar T>
Matrix<S> unit_gram(const ConstMatrixRef<T>& given, const PursuedAtoms<T>& atoms, const Execution& execution) {
  constexpr Axes of_gram{"atom", "atom"};
  constexpr Index columns = 64;
  const Vector<double>& norms = atoms.norms;
  const Index m = norms.size();
  Matrix<S> gram(gram_rows<S>(m), m);
  const Vector<double> inverse = (norms.array() > 0).select(norms.cwiseInverse(), 0.0);
  for_each_tile(columns, m, execution, [&](Index first, Index n, int) {
    require_finite("omp", "gram", given.middleCols(first, n), of_gram, first);
    for (Index j = first; j < first + n; ++j) {
      gram.col(j).setZero();
      gram.col(j).head(m) = (given.col(j).template cast<double>().cwiseProduct(inverse) * inverse(j)).template cast<S>();
      for (const Index i : {j, (7 * j + 3) % m}) {
        const double expected = atoms.exact.col(i).dot(atoms.exact.col(j));
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
PursuedAtoms<T> make_atoms(const DenseDictionary<T>& D, Selection selection) {
  const Index m = D.code_size();
  PursuedAtoms<T> atoms{.D = D,
                        .by_ols = selection == Selection::ols,
                        .norms = D.norms(),
                        .may_choose = Vector<T>::Zero(round_up_to_block<T>(m)),
                        .exact = {},
                        .single = {},
                        .single_gram = {},
                        .gram = {},
                        .n_threads = {}};
  for (Index j = 0; j < m; ++j)
    if (atoms.norms(j) > 0) atoms.may_choose(j) = T(1);
  return atoms;
}

template <Scalar T>
void add_units(PursuedAtoms<T>& atoms) {
  if (atoms.exact.size() > 0) return;
  const Index n = atoms.D.signal_size();
  atoms.exact = unit_atoms<T>(atoms.D.atoms(), atoms.norms, round_up_to_line<double>(n));
  atoms.single = atoms.exact.topRows(n).template cast<float>();
}

/// 2^e v; e is nearly always zero.
double in_unit(double v, int e) { return e == 0 ? v : std::ldexp(v, e); }

/// What becomes of the signals: their codes with all zeros or, where there is room for them, as lists.
template <Scalar T>
struct Codes : OmpLists<T> {
  Matrix<T> dense = {};
  bool are_lists() const { return this->atoms.size() > 0; }
};

/// A tile of signals, X's columns of those numbers, and what becomes of them.
template <Scalar T>
class PursuitTile {
 public:
  PursuitTile(const ConstMatrixRef<T>& X, const PursuedAtoms<T>& atoms, const OmpOptions& options, const OmpProducts<T>& known,
              Codes<T>& result)
      : X_(X), atoms_(atoms), options_(options), known_(known), result_(result), units_(0, RegUnit::linear) {}

 protected:
  void open(std::span<const Index> signals) {
    signals_.assign(signals.begin(), signals.end());
    const Index n = std::ssize(signals), first = signals_.front();
    if (signals_.back() == first + n - 1) {
      units_.open(X_.middleCols(first, n), nothing_.setZero(n));
    } else {
      gathered_ = X_(Eigen::all, signals_);
      units_.open(gathered_, nothing_.setZero(n));
    }
  }

  /// The tile's signal i in double.
  const Vector<double>& enter(Index i) { return x_ = units_.X().col(i).template cast<double>(); }

  /// out <- d^T x of all signals, n_rows of each.
  void correlate_signals(Matrix<T>& out) {
    const Index m = atoms_.norms.size(), n = units_.X().cols();
    out.resize(atoms_.n_rows(), n);
    out.bottomRows(atoms_.n_rows() - m).setZero();
    if (known_.covariance)
      for (Index i = 0; i < n; ++i) enter_covariance(i, out.col(i));
    else
      atoms_.correlate(units_.X(), out);
  }

  /// Of signal i, which is in x_, in its unit.
  double target(Index i) const {
    double target = options_.tol ? *options_.tol * x_.squaredNorm() : -std::numeric_limits<double>::infinity();
    if (!options_.max_error.empty()) {
      const auto at = options_.max_error.size() == 1 ? 0 : static_cast<std::size_t>(number(i));
      target = std::max(target, in_unit(options_.max_error[at], -units_.objective(i)));
    }
    return target;
  }

  /// Rounds the code z of the unit atoms I to T, and judges it as it is then. x_ is the signal.
  void deliver(const std::vector<int>& I, const ConstVectorRef<double>& z, Index i) {
    const Index column = number(i);
    const bool are_lists = result_.are_lists();
    if (!are_lists) std::fill_n(result_.dense.col(column).data(), result_.dense.rows(), T(0));
    z_ = z;
    bool is_finite = true;
    int n_nonzero = 0;  // a code may underflow
    for (Index k = 0; k < z.size(); ++k) {
      const Index j = I[static_cast<std::size_t>(k)];
      const auto z_j = static_cast<T>(in_unit(z(k) / atoms_.norms(j), units_.signal(i)));
      is_finite &= std::isfinite(z_j);
      n_nonzero += z_j != 0 ? 1 : 0;
      if (are_lists) {
        result_.atoms(k, column) = static_cast<int>(j);
        result_.values(k, column) = z_j;
      } else {
        result_.dense(j, column) = z_j;
      }
      z_(k) = in_unit(static_cast<double>(z_j), -units_.signal(i)) * atoms_.norms(j);
    }
    require(is_finite, "omp: the code of a signal overflows; scale signals or atoms");
    const double error = (x_ - product(I, z_)).squaredNorm(), asked = target(i);
    result_.error(column) = in_unit(error, units_.objective(i));
    result_.n_nonzero(column) = are_lists ? static_cast<int>(z.size()) : n_nonzero;
    constexpr double code_rounding = sizeof(T) == 4 ? 1e-13 : 0;  // over ||x||^2
    const auto missed = [&](double x_sq) { return misses(error - code_rounding * x_sq, asked, x_sq); };
    result_.status[static_cast<std::size_t>(column)] =
        asked >= 0 && missed(x_.squaredNorm()) ? Status::max_iter_reached : Status::converged;
  }

  /// d_I z
  const Vector<double>& product(const std::vector<int>& I, const Vector<double>& z) {
    product_.resize(X_.rows());
    if (atoms_.exact.size() > 0) {
      in_double_.sum_columns(
          {X_.rows(), atoms_.exact.rows(), atoms_.exact.data(), z.size(), I.data(), z.data(), product_.data()});
      return product_;
    }
    product_.setZero();
    for (Index k = 0; k < z.size(); ++k) {
      const Index j = I[static_cast<std::size_t>(k)];
      product_ += z(k) / atoms_.norms(j) * atoms_.D.atoms().col(j).template cast<double>();
    }
    return product_;
  }

  /// Of signal i into `products`; one entry is looked at.
  void enter_covariance(Index i, VectorRef<T> products) {
    const Index m = atoms_.norms.size(), column = number(i);
    const auto given = known_.covariance->col(column);
    for (Index j = 0; j < m; ++j) {
      const double norm = atoms_.norms(j);
      products(j) = norm > 0 ? static_cast<T>(in_unit(static_cast<double>(given(j)) / norm, -units_.signal(i))) : T(0);
    }
    const Index j = (7 * column + 3) % m;
    if (atoms_.norms(j) == 0) return;
    const double expected = enter(i).dot(atoms_.D.atoms().col(j).template cast<double>() / atoms_.norms(j));
    require(std::abs(static_cast<double>(products(j)) - expected) <= most_off * x_.norm(),
            "omp: covariance is not that of X and D: entry ({}, {}) is {:.6g}, but D_{}^T x_{} = {:.6g}", j, column,
            static_cast<double>(given(j)), j, column, in_unit(expected * atoms_.norms(j), units_.signal(i)));
  }

  const ConstMatrixRef<T>& X_;
  const PursuedAtoms<T>& atoms_;
  const OmpOptions& options_;
  const OmpProducts<T>& known_;
  Codes<T>& result_;
  TileUnits<T> units_;

 private:
  const GramKernels<double>& in_double_ = gram_kernels<double>();
  Index number(Index i) const { return signals_[static_cast<std::size_t>(i)]; }

  std::vector<Index> signals_;
  Vector<T> nothing_;
  Matrix<T> gathered_;
  Vector<double> x_, z_, product_;
};

/// The work of one thread in single precision.
template <Scalar T>
class SinglePass : public PursuitTile<T> {
 public:
  SinglePass(const PursuitTile<T>& tile, const PursuedAtoms<T>& atoms, Index most_atoms)
      : PursuitTile<T>(tile), pursuit_(atoms, most_atoms) {}

  /// Marks those that it cannot tell of.
  void code(std::span<const Index> signals, std::vector<char>& is_open) {
    this->open(signals);
    correlate_in_single();
    for (Index i = 0; i < std::ssize(signals); ++i) {
      const Vector<double>& x = this->enter(i);
      if (code_one(x, i))
        this->deliver(pursuit_.atoms(), pursuit_.coefficients(), i);
      else
        is_open[static_cast<std::size_t>(signals[static_cast<std::size_t>(i)])] = 1;
    }
  }

 private:
  bool code_one(const Vector<double>& x, Index i) {
    if constexpr (std::same_as<T, float>)
      return pursuit_.code(x, products_.col(i).data(), this->target(i));
    else
      return pursuit_.code(x, products_.col(i).data(), scales_(i), this->target(i));
  }
  void correlate_in_single() {
    const auto& X = this->units_.X();
    const auto& atoms = this->atoms_;
    const Index m = atoms.norms.size(), n = X.cols();
    scales_.setOnes(n);
    if constexpr (std::same_as<T, float>) {
      this->correlate_signals(products_);
    } else {
      if (products_.cols() != n) products_.setZero(atoms.single_gram.rows(), n);
      for (Index i = 0; i < n; ++i) {
        const double norm = X.col(i).norm();
        scales_(i) = norm > 0 ? 1 / norm : 0;
      }
      if (this->known_.covariance) {
        this->correlate_signals(exact_products_);
        products_.topRows(m) = (exact_products_.topRows(m) * scales_.asDiagonal()).template cast<float>();
      } else {
        signals_in_single_ = (X * scales_.asDiagonal()).template cast<float>();
        multiply_transposed<float>(atoms.single, signals_in_single_, products_.topRows(m));
      }
    }
  }

  std::conditional_t<std::same_as<T, float>, MatchingInSingle, SinglePursuit> pursuit_;
  Matrix<float> signals_in_single_, products_;
  Vector<double> scales_;  // of those
  Matrix<T> exact_products_;
};

/// The work of one thread in double, and for signals that need products with the atoms.
template <Scalar T>
class ExactPass : public PursuitTile<T> {
 public:
  ExactPass(const PursuitTile<T>& tile, const PursuedAtoms<T>& atoms, Index most_atoms)
      : PursuitTile<T>(tile), most_atoms_(most_atoms), by_gram_(make_by_gram(atoms, most_atoms)) {}

  void code(std::span<const Index> signals) {
    this->open(signals);
    this->correlate_signals(products_);
    open_.clear();
    for (Index i = 0; i < std::ssize(signals); ++i)
      if (!code_by_gram(i)) open_.push_back(i);
    const auto entries = static_cast<double>(most_atoms_ * (X_.rows() + most_atoms_));  // of Q and R
    const auto at_once = static_cast<std::size_t>(std::max(1.0, entries_of_a_tile / entries));
    for (std::size_t done = 0; done < open_.size(); done += at_once)
      code_exactly(std::span(open_).subspan(done, std::min(at_once, open_.size() - done)));
  }

 private:
  using PursuitTile<T>::X_, PursuitTile<T>::atoms_;

  static auto make_by_gram(const PursuedAtoms<T>& atoms, Index most_atoms) {
    if constexpr (std::same_as<T, double>)
      return GramPursuit(atoms, most_atoms);
    else
      return std::monostate{};
  }
  bool code_by_gram(Index i) {
    if constexpr (std::same_as<T, double>) {
      if (atoms_.gram.size() == 0) return false;
      const Vector<double>& x = this->enter(i);
      if (!by_gram_.code(x, products_.col(i), this->target(i))) return false;
      this->deliver(by_gram_.atoms(), by_gram_.coefficients(), i);
      return true;
    }
    return false;
  }

  /// All these signals get an atom, then all correlations are products.
  void code_exactly(std::span<const Index> signals) {
    for (std::size_t i = exact_.size(); i < signals.size(); ++i) exact_.emplace_back(atoms_, most_atoms_);
    std::vector<std::size_t> running;  // places in `signals`
    for (std::size_t k = 0; k < signals.size(); ++k) {
      const Vector<double>& x = this->enter(signals[k]);
      exact_[k].start(x, products_.col(signals[k]), this->target(signals[k]));
      running.push_back(k);
    }
    const auto has_ended = [&](std::size_t k) { return !exact_[k].advance() || !exact_[k].goes_on(); };
    while (std::erase_if(running, has_ended), !running.empty()) {
      if (atoms_.by_ols) {
        correlate(running, [](const ExactPursuit<T>& of) { return of.q(); });
        for (Index i = 0; const std::size_t k : running) exact_[k].explain(fresh_.col(i++).data());
      }
      correlate(running, [](const ExactPursuit<T>& of) { return of.residual(); });
      for (Index i = 0; const std::size_t k : running) exact_[k].refresh(fresh_.col(i++));
    }
    for (std::size_t k = 0; k < signals.size(); ++k) {
      this->enter(signals[k]);
      this->deliver(exact_[k].atoms(), exact_[k].coefficients(), signals[k]);
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

  const Index most_atoms_;
  std::conditional_t<std::same_as<T, double>, GramPursuit, std::monostate> by_gram_;
  std::vector<ExactPursuit<T>> exact_;  // as many as have been open at once
  std::vector<Index> open_;             // of the tile, those that the Gram matrix did not code
  Matrix<T> products_, vectors_, fresh_;
};

/// Signals of a part. It depends on the sizes alone: enough parts for threads, and each large, as it reads the whole dictionary.
Index signals_of_part(Index n_signals, Index n_atoms) {
  const Index most = std::clamp<Index>(n_signals / 32, 64, 256);
  return std::clamp<Index>(static_cast<Index>(entries_of_a_tile / static_cast<double>(n_atoms)), 1, most);
}

/// work(so many of the signals, pass)
template <Scalar T, class MakePass, class Work>
void for_each_part(std::span<const Index> signals, const DenseDictionary<T>& D, const Execution& execution,
                   const MakePass& make_pass, const Work& work) {
  const Index part = signals_of_part(std::ssize(signals), D.code_size());
  const Index n_parts = (std::ssize(signals) + part - 1) / part;
  for_each_tile(Partition{.tile = part, .n_tiles = n_parts, .n_lanes = n_parts}, std::ssize(signals), execution, make_pass,
                [&](Index first, Index n, auto& pass) {
                  work(signals.subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(n)), pass);
                });
}

/// Returns the signals that are left.
template <Scalar T>
std::vector<Index> code_in_single(std::span<const Index> signals, const PursuitTile<T>& tile, const PursuedAtoms<T>& atoms,
                                  Index most_atoms, const Execution& execution) {
  std::vector<char> is_open(signals.size());
  for_each_part<T>(
      signals, atoms.D, execution, [&] { return std::make_unique<SinglePass<T>>(tile, atoms, most_atoms); },
      [&](std::span<const Index> part, SinglePass<T>& pass) { pass.code(part, is_open); });
  std::vector<Index> open;
  for (const Index i : signals)
    if (is_open[static_cast<std::size_t>(i)] != 0) open.push_back(i);
  return open;
}

/// Codes of double precision as those of single, and their errors.
Codes<float> in_single(Codes<double>&& of, const ConstMatrixRef<float>& X, const DenseDictionary<float>& D) {
  Codes<float> result;
  result.atoms = std::move(of.atoms);
  result.values = of.values.cast<float>();
  result.dense = of.dense.cast<float>();
  result.error = std::move(of.error);
  result.n_nonzero = std::move(of.n_nonzero);
  result.status = std::move(of.status);
  for (Index i = 0; i < X.cols(); ++i) {
    Vector<double> r = X.col(i).cast<double>();
    const auto explain = [&](double z, Index j) {
      require(std::isfinite(z), "omp: the code of a signal overflows; scale signals or atoms");
      if (z != 0) r -= z * D.atoms().col(j).cast<double>();
    };
    if (result.are_lists())
      for (Index k = 0; k < result.n_nonzero(i); ++k) explain(result.values(k, i), result.atoms(k, i));
    else
      for (Index j = 0; j < result.dense.rows(); ++j) explain(result.dense(j, i), j);
    result.error(i) = r.squaredNorm();
  }
  return result;
}

template <class To, class From>
std::optional<Matrix<To>> cast_of(const std::optional<From>& A) {
  if (!A) return {};
  return A->template cast<To>();
}

/// The most atoms that a signal can have.
template <Scalar T>
Index most_atoms_of(const DenseDictionary<T>& D, const OmpOptions& options) {
  const Index most = std::min(D.code_size(), D.signal_size());
  return options.n_nonzero ? std::min<Index>(*options.n_nonzero, most) : most;
}

/// The codes of valid arguments, into the room that `result` has for them.
template <Scalar T>
void pursue_all(const ConstMatrixRef<T>& X, const DenseDictionary<T>& D, const OmpOptions& options, const OmpProducts<T>& known,
                Codes<T>& result) {
  const Index n_signals = X.cols(), m = D.code_size(), n = D.signal_size(), most_atoms = most_atoms_of(D, options);
  const Index expected = options.n_nonzero ? most_atoms : std::max<Index>(1, most_atoms / 4);
  PursuedAtoms<T> atoms = make_atoms<T>(D, options.selection);
  result.error.resize(n_signals);
  result.n_nonzero.resize(n_signals);
  result.status.resize(static_cast<std::size_t>(n_signals));
  const PursuitTile<T> tile(X, atoms, options, known, result);

  std::vector<Index> signals(static_cast<std::size_t>(n_signals));
  std::iota(signals.begin(), signals.end(), Index{0});
  const double entry = known.gram ? 4 : static_cast<double>(n);
  if (options.selection == Selection::omp && gram_pays<float>(entry, n, m, n_signals, expected)) {
    add_units(atoms);
    atoms.single_gram =
        known.gram ? unit_gram<float, T>(*known.gram, atoms, options.execution) : gram_of<float>(atoms.single, options.execution);
    signals = code_in_single(signals, tile, atoms, most_atoms, options.execution);
  }
  if (signals.empty()) return;
  if (!are_plain<T>(atoms.norms)) add_units(atoms);
  if constexpr (std::same_as<T, double>)
    if (gram_pays<double>(entry, n, m, std::ssize(signals), expected)) {
      add_units(atoms);
      atoms.gram = known.gram ? unit_gram<double, T>(*known.gram, atoms, options.execution)
                              : gram_of<double>(atoms.exact, options.execution);
    }
  if (std::ssize(signals) <= signals_of_part(std::ssize(signals), m)) atoms.n_threads = options.execution.n_threads;
  for_each_part<T>(
      signals, D, options.execution, [&] { return std::make_unique<ExactPass<T>>(tile, atoms, most_atoms); },
      [](std::span<const Index> part, ExactPass<T>& pass) { pass.code(part); });
}

enum class CodesAs { dense, lists };

template <Scalar T>
Codes<T> pursue(const ConstMatrixRef<T>& X, const DenseDictionary<T>& D, const OmpOptions& options, const OmpProducts<T>& known,
                CodesAs form) {
  options.validate();
  const StopScope scope(options.execution);
  require_signals<T>("omp", X, D);
  const Index n_signals = X.cols(), m = D.code_size();
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
      const DenseDictionary<double> dictionary(D.atoms().template cast<double>());
      return in_single(pursue<double>(X.template cast<double>(), dictionary, options, in_double, form), X, D);
    }
  Codes<T> codes;
  if (form == CodesAs::dense) {
    make_room("omp", "codes", m, n_signals, "pass fewer signals at a time", codes.dense);
  } else {
    const Index most_atoms = most_atoms_of(D, options);
    make_room("omp", "codes", most_atoms, n_signals, "pass fewer signals at a time", codes.values);
    codes.atoms.resize(most_atoms, n_signals);
  }
  pursue_all<T>(X, D, options, known, codes);
  return codes;
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
  Codes<T> codes = pursue<T>(X, D, options, known, CodesAs::dense);
  return {.codes = std::move(codes.dense),
          .error = std::move(codes.error),
          .n_nonzero = std::move(codes.n_nonzero),
          .status = std::move(codes.status)};
}

template <Scalar T>
OmpLists<T> omp_lists(const NonDeduced<ConstMatrixRef<T>>& X, const DenseDictionary<T>& D, const OmpOptions& options,
                      const NonDeduced<OmpProducts<T>>& known) {
  return pursue<T>(X, D, options, known, CodesAs::lists);
}

template <Scalar T>
CsrRows<T> to_csr(const OmpLists<T>& codes, Index n_atoms) {
  CsrRows<T> rows{.n_columns = n_atoms, .indptr = {0}, .indices = {}, .values = {}};
  const auto most = static_cast<std::size_t>(codes.n_nonzero.template cast<Index>().sum());
  rows.indptr.reserve(static_cast<std::size_t>(codes.n_nonzero.size()) + 1);
  rows.indices.resize(most);
  rows.values.resize(most);
  std::size_t end = 0;
  for (Index i = 0; i < codes.n_nonzero.size(); ++i) {
    const std::size_t begin = end;
    for (Index k = 0; k < codes.n_nonzero(i); ++k) {
      if (codes.values(k, i) == T(0)) continue;  // it underflowed
      std::size_t place = end++;
      for (; place > begin && rows.indices[place - 1] > codes.atoms(k, i); --place) {
        rows.indices[place] = rows.indices[place - 1];
        rows.values[place] = rows.values[place - 1];
      }
      rows.indices[place] = codes.atoms(k, i);
      rows.values[place] = codes.values(k, i);
    }
    rows.indptr.push_back(static_cast<std::int64_t>(end));
  }
  rows.indices.resize(end);
  rows.values.resize(end);
  return rows;
}

template CsrRows<float> to_csr<float>(const OmpLists<float>&, Index);
template CsrRows<double> to_csr<double>(const OmpLists<double>&, Index);
template OmpLists<float> omp_lists<float>(const ConstMatrixRef<float>&, const DenseDictionary<float>&, const OmpOptions&,
                                          const OmpProducts<float>&);
template OmpLists<double> omp_lists<double>(const ConstMatrixRef<double>&, const DenseDictionary<double>&, const OmpOptions&,
                                            const OmpProducts<double>&);
template OmpResult<float> omp<float>(const ConstMatrixRef<float>&, const DenseDictionary<float>&, const OmpOptions&,
                                     const OmpProducts<float>&);
template OmpResult<double> omp<double>(const ConstMatrixRef<double>&, const DenseDictionary<double>&, const OmpOptions&,
                                       const OmpProducts<double>&);

}  // namespace riata
