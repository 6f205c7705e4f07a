// Batch orthogonal matching pursuit on the Gram matrix, of unit atoms d_j = D_j / ||D_j||:
//
//   k = argmax_j |alpha_j|,  I <- I + k,  G_II = L L^T,  gamma = G_II^-1 alpha0_I,
//   alpha = alpha0 - G_I gamma,  ||r||^2 = ||x||^2 - gamma^T alpha0_I,      alpha0 = d^T x,  alpha = d^T r,  G = d^T d
//
// Rubinstein, Zibulevsky and Elad (2008), Algorithm 1 and 2, cited as R08; L grows by one row per atom.
// Departures: an atom within 1e-4 of the span of those chosen is passed over (with it, G_II would be singular to rounding);
// the final code is refined once with correlations of the residual itself; an error stop near the rounding of the
// recursion for ||r||^2 is decided by the residual itself.
// Cost per signal and atom: m |I| for alpha, |I|^2 for L and gamma. All in double.
#include "riata/solvers/omp.hpp"

#include <Eigen/Core>
#include <algorithm>
#include <cmath>

#include "riata/core/check.hpp"
#include "riata/core/stopping.hpp"
#include "riata/core/sweep.hpp"
#include "riata/linalg/blas.hpp"
#include "riata/operators/units.hpp"
#include "riata/solvers/tile_certificate.hpp"

namespace riata {
namespace {

class Pursuit {
 public:
  /// `atoms` have norm 1 (or 0), `gram` is theirs. Borrows both.
  Pursuit(const Matrix<double>& atoms, const Matrix<double>& gram, Index most_atoms)
      : d_(atoms), G_(gram), most_(std::min({most_atoms, atoms.rows(), atoms.cols()})), L_(most_, most_) {}

  /// Codes one signal, given alpha0 = d^T x, until ||r||^2 <= `target`.
  void run(const Vector<double>& x, const ConstVectorRef<double>& alpha0, double target) {
    const double x_sq = x.squaredNorm(), nothing = 1e-14 * std::sqrt(x_sq);
    I_.clear();
    gamma_.resize(0);
    alpha_ = alpha0;
    passed_over_.assign(static_cast<std::size_t>(alpha0.size()), false);
    while (std::ssize(I_) < most_ && !is_met(x, x_sq, target)) {
      leave_if_stopped();
      Index k = -1;
      double largest = nothing;
      for (Index j = 0; j < alpha_.size(); ++j)  // R08 line 5
        if (!passed_over_[static_cast<std::size_t>(j)] && std::abs(alpha_(j)) > largest) largest = std::abs(alpha_(j)), k = j;
      if (k < 0) break;
      passed_over_[static_cast<std::size_t>(k)] = true;
      if (!append(k)) continue;
      const Vector<double> alpha0_I = alpha0(I_);
      gamma_ = solve(alpha0_I);  // R08 line 13
      alpha_ = alpha0;
      for (std::size_t i = 0; i < I_.size(); ++i) alpha_.noalias() -= gamma_(static_cast<Index>(i)) * G_.col(I_[i]);
      x_fitted_ = gamma_.dot(alpha0_I);
    }
    for (int pass = 0; pass < 2 && !I_.empty(); ++pass) {
      const Vector<double> r = residual(x);
      Vector<double> c(std::ssize(I_));
      for (std::size_t i = 0; i < I_.size(); ++i) c(static_cast<Index>(i)) = d_.col(I_[i]).dot(r);
      gamma_ += solve(c);
    }
  }

  const std::vector<Index>& atoms() const { return I_; }
  const Vector<double>& coefficients() const { return gamma_; }  ///< of the unit atoms

 private:
  /// ||r||^2 <= target, by the recursion where it can tell.
  bool is_met(const Vector<double>& x, double x_sq, double target) const {
    const double error = x_sq - (I_.empty() ? 0 : x_fitted_), rounding = 1e-12 * x_sq;
    if (std::abs(error - target) > rounding) return error <= target;
    return residual(x).squaredNorm() <= target;
  }

  Vector<double> residual(const Vector<double>& x) const {
    Vector<double> r = x;
    for (std::size_t i = 0; i < I_.size(); ++i) r -= gamma_(static_cast<Index>(i)) * d_.col(I_[i]);
    return r;
  }

  /// One more row of L (R08 lines 7-10). False if the atom lies nearly in the span of those chosen.
  bool append(Index k) {
    const Index n = std::ssize(I_);
    Vector<double> w(n);
    for (Index i = 0; i < n; ++i) w(i) = G_(I_[static_cast<std::size_t>(i)], k);
    if (n > 0) L_.topLeftCorner(n, n).triangularView<Eigen::Lower>().solveInPlace(w);
    const double distance_sq = G_(k, k) - w.squaredNorm();
    if (!(distance_sq > nearness * nearness)) return false;
    L_.row(n).head(n) = w.transpose();
    L_(n, n) = std::sqrt(distance_sq);
    I_.push_back(k);
    return true;
  }

  Vector<double> solve(const Vector<double>& b) const {
    const auto L = L_.topLeftCorner(b.size(), b.size());
    const Vector<double> y = L.triangularView<Eigen::Lower>().solve(b);
    return L.transpose().triangularView<Eigen::Upper>().solve(y);
  }

  static constexpr double nearness = 1e-4;

  const Matrix<double>& d_;
  const Matrix<double>& G_;
  const Index most_;
  Matrix<double> L_;
  std::vector<Index> I_;
  std::vector<bool> passed_over_;
  Vector<double> alpha_, gamma_;
  double x_fitted_ = 0;  // ||x||^2 - ||r||^2
};

}  // namespace

void OmpOptions::validate() const {
  require(n_nonzero || tol, "omp: give n_nonzero, tol or both; without either nothing stops the pursuit");
  check_options(*this);
}

template <Scalar T>
OmpResult<T> omp(const NonDeduced<ConstMatrixRef<T>>& X, const DenseDictionary<T>& D, const OmpOptions& options) {
  options.validate();
  const StopScope scope(options.execution);
  require_signals<T>("omp", X, D);
  const Index n_signals = X.cols(), n_atoms = D.code_size();
  const Matrix<double> dictionary = D.atoms().template cast<double>();
  Matrix<double> atoms = dictionary, gram(n_atoms, n_atoms);
  Vector<double> norms(n_atoms);
  for (Index j = 0; j < n_atoms; ++j) {
    norms(j) = atoms.col(j).stableNorm();
    if (norms(j) > 0) atoms.col(j) /= norms(j);
  }
  multiply_transposed<double>(atoms, atoms, gram);

  OmpResult<T> result{.codes = Matrix<T>::Zero(n_atoms, n_signals),
                      .error = Vector<double>(n_signals),
                      .n_nonzero = Vector<int>(n_signals),
                      .status = std::vector<Status>(static_cast<std::size_t>(n_signals))};
  constexpr Index tile_size = 32;
  for_each_tile(tile_size, n_signals, options.execution, [&](Index first, Index n, int) {
    TileUnits<double> units(0, RegUnit::linear);
    const Matrix<double> X_given = X.middleCols(first, n).template cast<double>();
    units.open(X_given, Vector<double>::Zero(n).eval());
    const Matrix<double> X_tile = units.X();
    Matrix<double> alpha0(n_atoms, n);
    multiply_transposed<double>(atoms, X_tile, alpha0);
    Pursuit pursuit(atoms, gram, options.n_nonzero ? *options.n_nonzero : n_atoms);
    for (Index i = 0; i < n; ++i) {
      const Vector<double> x = X_tile.col(i);
      const double target = options.tol ? *options.tol * x.squaredNorm() : -1;
      pursuit.run(x, alpha0.col(i), target);
      Vector<double> r = x;
      for (std::size_t k = 0; k < pursuit.atoms().size(); ++k) {
        const Index j = pursuit.atoms()[k];
        const auto z = static_cast<T>(std::ldexp(pursuit.coefficients()(static_cast<Index>(k)) / norms(j), units.signal(i)));
        require(std::isfinite(z), "omp: the code of a signal overflows; scale signals or atoms");
        result.codes(j, first + i) = z;
        r -= std::ldexp(static_cast<double>(z), -units.signal(i)) * dictionary.col(j);
      }
      result.error(first + i) = std::ldexp(r.squaredNorm(), units.objective(i));
      result.n_nonzero(first + i) = static_cast<int>(pursuit.atoms().size());
      const bool missed = options.tol && r.squaredNorm() > target + 1e-13 * x.squaredNorm();
      result.status[static_cast<std::size_t>(first + i)] = missed ? Status::max_iter_reached : Status::converged;
    }
  });
  return result;
}
template OmpResult<float> omp<float>(const ConstMatrixRef<float>&, const DenseDictionary<float>&, const OmpOptions&);
template OmpResult<double> omp<double>(const ConstMatrixRef<double>&, const DenseDictionary<double>&, const OmpOptions&);

}  // namespace riata
