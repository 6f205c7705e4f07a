// What ISTA, FISTA, OISTA and backtracking share: a tile of signals that take steps together and leave one by one as their
// duality gap closes. Internal.
#pragma once

#include <vector>

#include "riata/core/stopping.hpp"
#include "riata/linalg/kernels.hpp"
#include "riata/solvers/tile_solver.hpp"

namespace riata {

template <Penalty P>
class ProximalTile : public TileSolver<typename P::scalar> {
 public:
  using T = typename P::scalar;

  void solve(SolverTile<T>& tile) final {
    open(tile);
    start();
    if (P::convex && !Z_.isZero(0)) {  // a start that may be good enough
      evaluate();
      retire(tile, 0, false);
    }
    for (int k = 1; k <= options_.max_iter && n_active_ > 0; ++k) {
      leave_if_stopped();
      step();
      const bool last = k == options_.max_iter, may_stand_still = !P::convex && k == 1;
      const bool due = last || may_stand_still || k % options_.check_every == 0;
      if (due || options_.record) evaluate();
      if (options_.record) record(tile);
      if (due) retire(tile, k, last);
    }
  }

 protected:
  double largest_norm() const { return certificate_.largest_norm(); }  // max_j ||D_j||
  explicit ProximalTile(const SharedProblem<P>& problem)
      : problem_(problem),
        D_(problem.D),
        penalty_(problem.penalty),
        options_(problem.options),
        certificate_(problem.D, problem.exact, problem.penalty, problem.options.tol) {}

  /// Prepares the method's own state for the n_active_ signals whose start is Z_.
  virtual void start() = 0;
  /// Moves every active column of Z_ by one iteration, and says in steps_ and accepted_ how.
  virtual void step() = 0;
  /// Of a penalty without a gap: did the last step leave the support of signal i as it was, and its code to options.tol?
  virtual bool is_fixed(Index /*i*/) const { return false; }
  /// Column `from` of the method's own state moves to column `to`.
  virtual void keep(Index /*from*/, Index /*to*/) {}

  /// residuals_ = w (D Y - X)
  void compute_residuals(const Matrix<T>& Y) {
    const Index n = n_active_;
    D_.apply(Y.leftCols(n), residuals_.leftCols(n));
    residuals_.leftCols(n) -= X_.leftCols(n);
    if (is_weighted()) residuals_.leftCols(n).array() *= weights_.leftCols(n).array();
  }

  /// 1/2 sum_t w_t (D y - x)_t^2 of signal i, from residuals_.
  double data_fit(Index i) const {
    const auto r = residuals_.col(i).template cast<double>();
    if (!is_weighted()) return 0.5 * r.squaredNorm();
    const auto w = weights_.col(i).template cast<double>().array();
    return 0.5 * (w > 0).select(r.array().square() / w, 0.0).sum();
  }

  /// gradients_ = D^T w (D Y - X)
  void compute_gradients(const Matrix<T>& Y) {
    compute_residuals(Y);
    D_.adjoint(residuals_.leftCols(n_active_), gradients_.leftCols(n_active_));
  }

  /// out_i = prox_{step reg g}( y_i - step gradient_i )
  void proximal_step(Index i, const Matrix<T>& Y, T step, Matrix<T>& out) const {
    gradient_step(Y.rows(), Y.col(i).data(), step, gradients_.col(i).data(), out.col(i).data());
    penalty_.prox(out.middleCols(i, 1), Vector<T>::Constant(1, step * reg_(i)));
  }

  bool is_weighted() const { return weights_.size() > 0; }

  /// ||D d||^2 / ||d||^2, weighted, of d = y_i - z_i, in double; 0 where d = 0. Summed over the few atoms that move, so that a
  /// small d has an exact image.
  double curvature(Index i, const Matrix<T>& Y, const Matrix<T>& Z) {
    image_.setZero(D_.signal_size());
    double norm_sq = 0;
    const auto D = problem_.exact->matrix();
    if (!D) {
      const Vector<double> d = Y.col(i).template cast<double>() - Z.col(i).template cast<double>();
      problem_.exact->apply(d, image_);
      norm_sq = d.squaredNorm();
      return norm_sq > 0 ? weighted_square(i) / norm_sq : 0;
    }
    for (Index j = 0; j < Y.rows(); ++j) {
      const double d = static_cast<double>(Y(j, i)) - static_cast<double>(Z(j, i));
      if (d == 0) continue;
      norm_sq += d * d;
      add_scaled(image_.size(), d, D->col(j).data(), image_.data());
    }
    return norm_sq > 0 ? weighted_square(i) / norm_sq : 0;
  }

  const SharedProblem<P>& problem_;
  const Dictionary<T>& D_;
  const P& penalty_;
  const EncodeOptions& options_;
  Matrix<T> X_, Z_, residuals_, gradients_;  // the first n_active_ columns count
  Matrix<T> weights_;                        // likewise; or 0 x 0
  Vector<T> reg_, steps_;
  std::vector<bool> accepted_;
  Index n_active_ = 0;

 private:
  void open(SolverTile<T>& tile) {
    n_active_ = tile.X.cols();
    X_ = tile.X;
    weights_ = tile.weights;
    Z_ = tile.Z;
    reg_ = tile.reg;
    target_ = tile.target;
    residuals_.resize(X_.rows(), n_active_);
    gradients_.resize(Z_.rows(), n_active_);
    steps_.resize(n_active_);
    accepted_.assign(static_cast<std::size_t>(n_active_), true);
    column_ = Vector<Index>::LinSpaced(n_active_, 0, n_active_ - 1);
    if (options_.record) tile.trace.resize(static_cast<std::size_t>(n_active_));
  }

  void evaluate() {
    const Index n = n_active_;
    certificate_.evaluate(X_.leftCols(n), Z_.leftCols(n), reg_.head(n), weights_.leftCols(is_weighted() ? n : 0));
  }

  /// Of image_, with the weights of signal i.
  double weighted_square(Index i) const {
    return is_weighted() ? image_.cwiseAbs2().dot(weights_.col(i).template cast<double>()) : image_.squaredNorm();
  }

  void record(SolverTile<T>& tile) const {
    for (Index i = 0; i < n_active_; ++i) {
      StepTrace& trace = tile.trace[static_cast<std::size_t>(column_(i))];
      trace.objective.push_back(certificate_.objective(i));
      trace.step.push_back(static_cast<double>(steps_(i)));
      trace.accepted.push_back(accepted_[static_cast<std::size_t>(i)]);
    }
  }

  /// Hands over the signals whose gap has closed or that have come to rest (at the last iteration: all) and closes the ranks.
  void retire(SolverTile<T>& tile, int k, bool all) {
    for (Index i = n_active_ - 1; i >= 0; --i) {
      const bool fixed = !P::convex && is_fixed(i);
      if (!all && (P::convex ? certificate_.gap(i) > target_(i) : !fixed)) continue;
      tile.is_fixed[static_cast<std::size_t>(column_(i))] = fixed;
      tile.Z.col(column_(i)) = Z_.col(i);
      tile.n_iter(column_(i)) = k;
      tile.objective(column_(i)) = certificate_.objective(i);
      tile.gap(column_(i)) = certificate_.gap(i);
      const Index last = --n_active_;
      if (i == last) continue;
      X_.col(i) = X_.col(last);
      if (is_weighted()) weights_.col(i) = weights_.col(last);
      Z_.col(i) = Z_.col(last);
      reg_(i) = reg_(last);
      target_(i) = target_(last);
      column_(i) = column_(last);
      keep(last, i);
    }
  }

  TileCertificate<P> certificate_;
  Vector<double> target_, image_;
  Vector<Index> column_;  // where each active signal stood in the tile
};

}  // namespace riata
