// ISTA and FISTA on a tile of signals:   min_z  1/2 ||x - D z||^2 + reg g(z)
//
//   ISTA    z_{k+1} = prox_{reg g / L}( z_k - D^T (D z_k - x) / L )
//   FISTA   z_{k+1} = the same at y_k,   t_{k+1} = (1 + sqrt(1 + 4 t_k^2)) / 2,
//           y_{k+1} = z_{k+1} + (t_k - 1) / t_{k+1} (z_{k+1} - z_k)
//
// Beck and Teboulle, SIAM J. Imaging Sci. 2(1), 2009, equations (4.1)-(4.3), cited as BT09. Gradient restart of
// O'Donoghue and Candes (2015), signal by signal. Signals leave the tile as their duality gap closes.
// Cost per iteration and signal: 4 n m flops; a gap evaluation, every check_every iterations, costs the same in double.
#include <cmath>

#include "riata/linalg/kernels.hpp"
#include "riata/solvers/tile_solver.hpp"

namespace riata {
namespace {

template <Scalar T>
class ProximalGradient final : public TileSolver<T> {
 public:
  ProximalGradient(const SharedProblem<T>& problem, double lipschitz)
      : D_(problem.D),
        penalty_(problem.penalty),
        options_(problem.options),
        accelerate_(options_.method == Solver::fista),
        step_(lipschitz > 0 ? static_cast<T>(1 / lipschitz) : T(1)),
        certificate_(problem.D_double, problem.penalty) {}

  void solve(SolverTile<T>& tile) override {
    start(tile);
    for (int k = 1; k <= options_.max_iter && n_active_ > 0; ++k) {
      step_and_shrink();                      // z = prox(y - step D^T (D y - x))    BT09 (4.1)
      extrapolate();                          // t, y                                BT09 (4.2), (4.3)
      const bool last = k == options_.max_iter;
      if (last || k % options_.check_every == 0) retire(tile, k, last);
    }
  }

 private:
  void start(const SolverTile<T>& tile) {
    n_active_ = tile.X.cols();
    X_ = tile.X;
    Y_ = Z_ = previous_ = tile.Z;
    reg_ = tile.reg;
    target_ = tile.target;
    residuals_.resize(X_.rows(), n_active_);
    gradients_.resize(Z_.rows(), n_active_);
    t_ = Vector<double>::Ones(n_active_);
    column_ = Eigen::Matrix<Index, Eigen::Dynamic, 1>::LinSpaced(n_active_, 0, n_active_ - 1);
  }

  void step_and_shrink() {
    const Index n = n_active_;
    D_.apply(Y_.leftCols(n), residuals_.leftCols(n));
    residuals_.leftCols(n) -= X_.leftCols(n);
    D_.adjoint(residuals_.leftCols(n), gradients_.leftCols(n));
    previous_.swap(Z_);
    gradient_step(n * Y_.rows(), Y_.data(), step_, gradients_.data(), Z_.data());
    penalty_.prox(Z_.leftCols(n), step_ * reg_.head(n));
  }

  void extrapolate() {
    if (!accelerate_) {
      Y_.leftCols(n_active_) = Z_.leftCols(n_active_);
      return;
    }
    for (Index i = 0; i < n_active_; ++i) {
      const auto z = Z_.col(i), z_before = previous_.col(i);
      const bool uphill = (Y_.col(i) - z).dot(z - z_before) > T(0);
      const double t = options_.restart && uphill ? 1.0 : t_(i);
      t_(i) = (1 + std::sqrt(1 + 4 * t * t)) / 2;
      riata::extrapolate(z.size(), z.data(), z_before.data(), static_cast<T>((t - 1) / t_(i)), Y_.col(i).data());
    }
  }

  /// Hands over the signals whose gap has closed (at the last iteration: all) and closes the ranks.
  void retire(SolverTile<T>& tile, int k, bool all) {
    certificate_.evaluate(X_.leftCols(n_active_), Z_.leftCols(n_active_), reg_.head(n_active_));
    for (Index i = n_active_ - 1; i >= 0; --i) {
      if (!all && certificate_.gap(i) > target_(i)) continue;
      tile.Z.col(column_(i)) = Z_.col(i);
      tile.n_iter(column_(i)) = k;
      const Index last = --n_active_;
      if (i == last) continue;
      for (Matrix<T>* A : {&X_, &Y_, &Z_, &previous_}) A->col(i) = A->col(last);
      reg_(i) = reg_(last);
      target_(i) = target_(last);
      t_(i) = t_(last);
      column_(i) = column_(last);
    }
  }

  const DenseDictionary<T>& D_;
  const L1<T>& penalty_;
  const EncodeOptions& options_;
  const bool accelerate_;
  const T step_;
  TileCertificate<T> certificate_;
  Matrix<T> X_, Y_, Z_, previous_, residuals_, gradients_;  // the first n_active_ columns count
  Vector<T> reg_;
  Vector<double> target_, t_;
  Eigen::Matrix<Index, Eigen::Dynamic, 1> column_;  // where each active signal stood in the tile
  Index n_active_ = 0;
};

}  // namespace

template <Scalar T>
std::unique_ptr<TileSolver<T>> make_proximal_gradient(const SharedProblem<T>& problem, double lipschitz) {
  return std::make_unique<ProximalGradient<T>>(problem, lipschitz);
}
template std::unique_ptr<TileSolver<float>> make_proximal_gradient(const SharedProblem<float>&, double);
template std::unique_ptr<TileSolver<double>> make_proximal_gradient(const SharedProblem<double>&, double);

}  // namespace riata
