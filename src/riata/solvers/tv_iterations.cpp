#include "riata/solvers/tv_iterations.hpp"

#include <Eigen/Cholesky>
#include <algorithm>
#include <cmath>
#include <limits>

#include "riata/core/check.hpp"
#include "riata/core/stopping.hpp"
#include "riata/linalg/blas.hpp"
#include "riata/linalg/decompositions.hpp"
#include "riata/linalg/gram_matrix.hpp"
#include "riata/linalg/kernels.hpp"
#include "riata/solvers/tv_problem.hpp"
#include "riata/terms/total_variation.hpp"

namespace riata {
namespace {

/// The signals of a tile that are not done, and what their iteration carries on.
class TvTileIteration {
 public:
  TvTileIteration(const TvIterations& shared, const ConstMatrixRef<double>& X, const ConstMatrixRef<double>& weights,
                  const Vector<double>& reg, const Matrix<double>& U)
      : A_(shared.A),
        a_(shared.response),
        method_(shared.options.method),
        L_(shared.lipschitz),
        inverse_(shared.inverse),
        X_(X),
        weights_(weights),
        U_(U),
        reg_(reg) {
    const bool is_proximal = method_ == TvSolver::pgd || method_ == TvSolver::apgd;
    if (is_proximal)
      Y_ = U;
    else
      V_.setZero(U.rows() - 1, U.cols());
    if (method_ == TvSolver::dual) Y_ = V_;
    if (method_ == TvSolver::admm) J_ = V_;
    if (inverse_ != nullptr) {
      correlations_.resize(U.rows(), U.cols());
      A_.adjoint(X_, correlations_);
    }
    t_.setOnes(U.cols());
  }

  const Matrix<double>& X() const { return X_; }
  const Matrix<double>& weights() const { return weights_; }
  const Matrix<double>& U() const { return U_; }
  const Vector<double>& reg() const { return reg_; }

  void step() {
    switch (method_) {
      case TvSolver::condat_vu:
        return primal_dual_step();
      case TvSolver::dual:
        return dual_step();
      case TvSolver::admm:
        return admm_step();
      default:
        return proximal_step();
    }
  }

  /// U of what "dual" and "admm" iterate on.
  void recover() {
    if (method_ == TvSolver::dual) U_ = minimiser_of(V_);
    if (method_ == TvSolver::admm) integrate();
  }

  void keep(const std::vector<Index>& columns) {
    for (Matrix<double>* M : {&X_, &weights_, &U_, &Y_, &V_, &J_, &correlations_})
      if (M->size() > 0) *M = Matrix<double>((*M)(Eigen::all, columns));
    reg_ = Vector<double>(reg_(columns));
    t_ = Vector<double>(t_(columns));
  }

 private:
  /// A^T W (A u - x)
  const Matrix<double>& gradient(const Matrix<double>& at) {
    residual_.resize(X_.rows(), X_.cols());
    A_.apply(at, residual_);
    residual_ -= X_;
    if (weights_.size() > 0) residual_ = residual_.cwiseProduct(weights_);
    gradient_.resize(at.rows(), at.cols());
    A_.adjoint(residual_, gradient_);
    return gradient_;
  }

  void proximal_step() {
    next_ = Y_ - gradient(Y_) / L_;
    g_.prox(next_, Thresholds<double>(reg_ / L_));
    for (Index i = 0; i < next_.cols() && method_ == TvSolver::apgd; ++i) accelerate(i, U_.col(i), Y_.col(i), next_.col(i));
    if (method_ == TvSolver::pgd) Y_ = U_ = next_;
  }

  /// u+ = u - tau (grad + nabla^T v),  v+ = clip(v + sigma nabla (2 u+ - u), reg)
  void primal_dual_step() {
    const double tau = 1 / L_, sigma = L_ / 8;  // 1 / tau >= L / 2 + 4 sigma, and ||nabla||^2 < 4
    next_ = U_ - tau * (gradient(U_) + adjoint_of_jumps(V_));
    V_ += sigma * jumps_of(2 * next_ - U_);
    clip(V_);
    U_ = next_;
  }

  /// y <- after + momentum (after - before), before <- after, with FISTA's momentum of signal i, which turns to 0 uphill.
  void accelerate(Index i, Eigen::Ref<Vector<double>> before, Eigen::Ref<Vector<double>> y,
                  const Eigen::Ref<const Vector<double>>& after) {
    if ((y - after).dot(after - before) > 0) t_(i) = 1;
    const double t = (1 + std::sqrt(1 + 4 * t_(i) * t_(i))) / 2;
    y = after + (t_(i) - 1) / t * (after - before);
    before = after;
    t_(i) = t;
  }

  /// nabla u
  static Matrix<double> jumps_of(const Matrix<double>& U) { return U.bottomRows(U.rows() - 1) - U.topRows(U.rows() - 1); }
  /// nabla^T v
  static Matrix<double> adjoint_of_jumps(const Matrix<double>& V) {
    Matrix<double> out = Matrix<double>::Zero(V.rows() + 1, V.cols());
    out.topRows(V.rows()) -= V;
    out.bottomRows(V.rows()) += V;
    return out;
  }
  void clip(Matrix<double>& V) const {
    for (Index i = 0; i < V.cols(); ++i) V.col(i) = V.col(i).cwiseMax(-reg_(i)).cwiseMin(reg_(i));
  }

  /// (A^T A)^-1 (A^T x - nabla^T v)
  const Matrix<double>& minimiser_of(const Matrix<double>& V) {
    next_ = correlations_ - adjoint_of_jumps(V);
    gradient_.resize(next_.rows(), next_.cols());
    multiply<double>(inverse_->matrix, next_, gradient_);
    return gradient_;
  }

  /// v+ = clip(y + tau nabla u(y), reg), accelerated
  void dual_step() {
    Matrix<double> after = Y_ + inverse_->step * jumps_of(minimiser_of(Y_));
    clip(after);
    for (Index i = 0; i < after.cols(); ++i) accelerate(i, V_.col(i), Y_.col(i), after.col(i));
  }

  /// u = (A^T A + rho nabla^T nabla)^-1 (A^T x + rho nabla^T (j - v)),  j = ST(nabla u + v, reg / rho),  v += nabla u - j
  void admm_step() {
    next_ = correlations_ + inverse_->rho * adjoint_of_jumps(J_ - V_);
    multiply<double>(inverse_->matrix, next_, U_);
    V_ += jumps_of(U_);
    J_ = V_;
    for (Index i = 0; i < J_.cols(); ++i) soft_threshold(J_.rows(), reg_(i) / inverse_->rho, J_.col(i).data());
    V_ -= J_;
  }

  /// U whose jumps are those of ADMM, with the best offset.
  void integrate() {
    U_.row(0).setZero();
    for (Index t = 0; t < J_.rows(); ++t) U_.row(t + 1) = U_.row(t) + J_.row(t);
    const double square = fixed_order_dot(a_.size(), a_.data(), a_.data());
    if (!(square > 0)) return;
    residual_.resize(X_.rows(), X_.cols());
    A_.apply(U_, residual_);
    residual_ = X_ - residual_;
    for (Index i = 0; i < U_.cols(); ++i)
      U_.col(i).array() += fixed_order_dot(a_.size(), a_.data(), residual_.col(i).data()) / square;
  }

  const Dictionary<double>& A_;
  const Vector<double>& a_;
  const TvSolver method_;
  const double L_;
  const TvInverse* const inverse_;
  Matrix<double> X_, weights_, U_, Y_, V_, J_, correlations_, residual_, gradient_, next_;
  Vector<double> reg_, t_;
  TotalVariation<double> g_;
};

}  // namespace

TvInverse::TvInverse(const Dictionary<double>& A, const Vector<double>& response, double lipschitz, TvSolver method)
    : rho(lipschitz / 4), step(0) {
  const Matrix<double> atoms = matrix_of(A);
  const Index k = atoms.cols();
  matrix.resize(k, k);
  gram_matrix<double>(atoms, matrix, {.n_threads = 1});
  if (method == TvSolver::dual) {
    const SymmetricEigen eigen = symmetric_eigen(matrix);
    const double least = eigen.values(0);
    require(least > 1e-12 * eigen.values(k - 1),
            "tv_solve: method = 'dual' needs an operator whose columns do not depend on each other; choose 'apgd' or 'admm'");
    matrix = eigen.vectors * eigen.values.cwiseInverse().asDiagonal() * eigen.vectors.transpose();
    step = least / 4;
    return;
  }
  for (Index t = 0; t + 1 < k; ++t) {
    matrix(t, t) += rho;
    matrix(t + 1, t + 1) += rho;
    matrix(t, t + 1) -= rho;
    matrix(t + 1, t) -= rho;
  }
  if (response.isZero(0)) matrix.array() += rho / static_cast<double>(k);  // of the offset, which then means nothing
  const auto size = static_cast<double>(k);
  matrix = run_stoppable(2 * size * size * size, [given = std::move(matrix)] {
    return Matrix<double>(Eigen::LLT<Matrix<double>>(given).solve(Matrix<double>::Identity(given.rows(), given.cols())));
  });
}

void TvIterations::solve(const ConstMatrixRef<double>& X, const ConstMatrixRef<double>& weights, const Vector<double>& reg,
                         const Vector<double>& target, Matrix<double>& U, Vector<int>& n_iter) const {
  TvTileCertificate certificate(A, response, std::sqrt(lipschitz));
  TvTileIteration open(*this, X, weights, reg, U);
  std::vector<Index> places(static_cast<std::size_t>(X.cols()));  // of those that are not done
  for (Index i = 0; i < X.cols(); ++i) places[static_cast<std::size_t>(i)] = i;
  n_iter.setZero(X.cols());
  for (int k = 0; !places.empty(); ++k) {
    leave_if_stopped();
    if (k > 0) open.step();
    if (k % options.check_every != 0 && k < options.max_iter) continue;
    if (k > 0) open.recover();
    certificate.evaluate(open.X(), open.U(), open.reg(), open.weights());
    std::vector<Index> going, columns;
    for (Index c = 0; c < std::ssize(places); ++c) {
      const Index i = places[static_cast<std::size_t>(c)];
      if (certificate.gap(c) <= target(i) || k >= options.max_iter) {
        U.col(i) = open.U().col(c);
        n_iter(i) = k;
      } else {
        going.push_back(i);
        columns.push_back(c);
      }
    }
    if (going.size() < places.size() && !going.empty()) open.keep(columns);
    places = std::move(going);
  }
}

}  // namespace riata
