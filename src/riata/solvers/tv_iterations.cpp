#include "riata/solvers/tv_iterations.hpp"

#include <algorithm>
#include <cmath>

#include "riata/core/stopping.hpp"
#include "riata/solvers/tv_problem.hpp"
#include "riata/terms/total_variation.hpp"

namespace riata {
namespace {

/// The signals of a tile that are not done, and what their iteration carries on.
class TvTileIteration {
 public:
  TvTileIteration(const TvIterations& shared, const ConstMatrixRef<double>& X, const ConstMatrixRef<double>& weights,
                  const Vector<double>& reg, const Matrix<double>& U)
      : A_(shared.A), method_(shared.options.method), L_(shared.lipschitz), X_(X), weights_(weights), U_(U), reg_(reg) {
    if (method_ == TvSolver::condat_vu)
      V_.setZero(U.rows() - 1, U.cols());
    else
      Y_ = U;
    t_.setOnes(U.cols());
  }

  const Matrix<double>& X() const { return X_; }
  const Matrix<double>& weights() const { return weights_; }
  const Matrix<double>& U() const { return U_; }
  const Vector<double>& reg() const { return reg_; }

  void step() { method_ == TvSolver::condat_vu ? primal_dual_step() : proximal_step(); }

  void keep(const std::vector<Index>& columns) {
    for (Matrix<double>* M : {&X_, &weights_, &U_, &Y_, &V_})
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
    for (Index i = 0; i < next_.cols(); ++i) {
      auto u = U_.col(i), y = Y_.col(i), after = next_.col(i);
      double momentum = 0;
      if (method_ == TvSolver::apgd) {
        if ((y - after).dot(after - u) > 0) t_(i) = 1;  // uphill: forget the momentum
        const double t = (1 + std::sqrt(1 + 4 * t_(i) * t_(i))) / 2;
        momentum = (t_(i) - 1) / t;
        t_(i) = t;
      }
      y = after + momentum * (after - u);
      u = after;
    }
  }

  /// u+ = u - tau (grad + nabla^T v),  v+ = clip(v + sigma nabla (2 u+ - u), reg)
  void primal_dual_step() {
    const double tau = 1 / L_, sigma = L_ / 8;  // 1 / tau >= L / 2 + 4 sigma, and ||nabla||^2 < 4
    const Index n_jumps = V_.rows();
    next_ = U_ - tau * gradient(U_);
    next_.topRows(n_jumps) += tau * V_;
    next_.bottomRows(n_jumps) -= tau * V_;
    U_ = 2 * next_ - U_;
    V_ += sigma * (U_.bottomRows(n_jumps) - U_.topRows(n_jumps));
    for (Index i = 0; i < V_.cols(); ++i) V_.col(i) = V_.col(i).cwiseMax(-reg_(i)).cwiseMin(reg_(i));
    U_ = next_;
  }

  const Dictionary<double>& A_;
  const TvSolver method_;
  const double L_;
  Matrix<double> X_, weights_, U_, Y_, V_, residual_, gradient_, next_;
  Vector<double> reg_, t_;
  TotalVariation<double> g_;
};

}  // namespace

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
