// ISTA and FISTA on a tile of signals:   min_z  1/2 ||x - D z||^2 + reg g(z)
//
//   ISTA    z_{k+1} = prox_{reg g / L}( z_k - D^T (D z_k - x) / L )
//   FISTA   z_{k+1} = the same at y_k,   t_{k+1} = (1 + sqrt(1 + 4 t_k^2)) / 2,
//           y_{k+1} = z_{k+1} + (t_k - 1) / t_{k+1} (z_{k+1} - z_k)
//
// Beck and Teboulle, SIAM J. Imaging Sci. 2(1), 2009, equations (4.1)-(4.3), cited as BT09. Other momenta: Chambolle and
// Dossal (2015), (k - 1) / (k + a); Liang, Luo and Schoenlieb (2022), 1. Restarts of O'Donoghue and Candes (2015), signal by
// signal. Signals leave the tile as their duality gap closes.
// With the l0 penalty ISTA is iterative hard thresholding (Blumensath and Davies, 2008); a signal then leaves at a fixed point.
// Cost per iteration and signal: 4 n m flops; a gap evaluation, every check_every iterations, costs the same in double.
#include <algorithm>
#include <cmath>
#include <limits>

#include "riata/solvers/proximal_tile.hpp"

namespace riata {
namespace {

template <Penalty P>
class ProximalGradient final : public ProximalTile<P> {
 public:
  using T = typename P::scalar;

  ProximalGradient(const SharedProblem<P>& problem, double lipschitz)
      : ProximalTile<P>(problem),
        accelerate_(problem.options.method == Solver::fista),
        step_(lipschitz > 0 ? static_cast<T>(1 / lipschitz) : T(1)),
        atom_over_norm_(this->largest_norm() * std::sqrt(static_cast<double>(step_))) {}

 private:
  using ProximalTile<P>::D_, ProximalTile<P>::penalty_, ProximalTile<P>::options_, ProximalTile<P>::Z_, ProximalTile<P>::reg_,
      ProximalTile<P>::n_active_, ProximalTile<P>::gradients_;

  void start() override {
    Y_ = previous_ = Z_;
    t_ = Vector<double>::Ones(n_active_);
    objective_ = Vector<double>::Constant(n_active_, std::numeric_limits<double>::infinity());
    this->steps_.setConstant(step_);
  }

  void step() override {
    step_and_shrink();  // z = prox(y - step D^T (D y - x))    BT09 (4.1)
    extrapolate();      // t, y                                BT09 (4.2), (4.3)
  }

  void step_and_shrink() {
    const Index n = n_active_;
    this->compute_gradients(Y_);
    previous_.swap(Z_);
    gradient_step(n * Y_.rows(), Y_.data(), step_, gradients_.data(), Z_.data());
    penalty_.prox(Z_.leftCols(n), step_ * reg_.head(n));
  }

  void extrapolate() {
    if (!accelerate_) {
      Y_.leftCols(n_active_) = Z_.leftCols(n_active_);
      return;
    }
    if (options_.restart == Restart::objective) this->compute_residuals(Z_);
    for (Index i = 0; i < n_active_; ++i) {
      const auto z = Z_.col(i), z_before = previous_.col(i);
      if (restarts(i)) t_(i) = 1;
      riata::extrapolate(z.size(), z.data(), z_before.data(), static_cast<T>(advance_momentum(t_(i))), Y_.col(i).data());
    }
  }

  /// Does the momentum of signal i lead it astray? With Restart::objective, residuals_ holds w (D z - x).
  bool restarts(Index i) {
    const auto z = Z_.col(i);
    switch (options_.restart) {
      case Restart::never:
        return false;
      case Restart::gradient:
        return (Y_.col(i) - z).dot(z - previous_.col(i)) > T(0);
      case Restart::objective:
        const double before = objective_(i);
        objective_(i) = this->data_fit(i) + static_cast<double>(reg_(i)) * penalty_.value(z);
        return objective_(i) > before;
    }
    return false;
  }

  /// The momentum after an iteration with t (1 after a restart); t moves on.
  double advance_momentum(double& t) const {
    const double before = t;
    switch (options_.momentum) {
      case Momentum::beck_teboulle:
        t = (1 + std::sqrt(1 + 4 * t * t)) / 2;
        return (before - 1) / t;
      case Momentum::chambolle_dossal:
        t += 1;
        return (before - 1) / (before + options_.momentum_delay);
      case Momentum::greedy:
        t = 2;
        return before > 1 ? 1 : 0;
    }
    return 0;
  }

  /// Rounding moves a code by its last digits, and by what it does to D z: u sqrt(k) sum_j |z_j| ||D_j||, over ||D||_2.
  bool is_fixed(Index i) const override {
    const auto z = Z_.col(i), z_before = previous_.col(i);
    if (((z.array() != T(0)) != (z_before.array() != T(0))).any()) return false;
    constexpr double u = static_cast<double>(std::numeric_limits<T>::epsilon());
    const double n_active = static_cast<double>((z.array() != T(0)).count());
    const double of_sums = u * std::sqrt(n_active) * static_cast<double>(z.template lpNorm<1>()) * atom_over_norm_;
    const double tolerated = std::max(options_.tol, 4 * u) * static_cast<double>(z.norm());
    return static_cast<double>((z - z_before).norm()) <= std::max(tolerated, 2 * of_sums);
  }

  void keep(Index from, Index to) override {
    Y_.col(to) = Y_.col(from);
    previous_.col(to) = previous_.col(from);
    t_(to) = t_(from);
    objective_(to) = objective_(from);
  }

  const bool accelerate_;
  const T step_;
  const double atom_over_norm_;  // max_j ||D_j|| / ||D||_2
  Matrix<T> Y_, previous_;
  Vector<double> t_, objective_;
};

}  // namespace

template <Penalty P>
std::unique_ptr<TileSolver<typename P::scalar>> make_proximal_gradient(const SharedProblem<P>& problem, double lipschitz) {
  return std::make_unique<ProximalGradient<P>>(problem, lipschitz);
}

#define RIATA_INSTANTIATE(T)                                                                                \
  template std::unique_ptr<TileSolver<T>> make_proximal_gradient(const SharedProblem<L1<T>>&, double);      \
  template std::unique_ptr<TileSolver<T>> make_proximal_gradient(const SharedProblem<GroupL1<T>>&, double); \
  template std::unique_ptr<TileSolver<T>> make_proximal_gradient(const SharedProblem<L0<T>>&, double);      \
  template std::unique_ptr<TileSolver<T>> make_proximal_gradient(const SharedProblem<Given<T>>&, double);
RIATA_INSTANTIATE(float)
RIATA_INSTANTIATE(double)
#undef RIATA_INSTANTIATE

}  // namespace riata
