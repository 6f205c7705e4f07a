// ISTA with backtracking on a tile of signals:   min_z  1/2 ||x - D z||^2 + reg g(z)
//
//   y = prox_{step reg g}( z - step D^T (D z - x) ),   step <- shrink * step   until   ||D (y - z)||^2 <= ||y - z||^2 / step
//
// which for this data fit f is Beck and Teboulle's (2009) f(y) <= f(z) + <grad f(z), y - z> + 1/(2 step) ||y - z||^2, written
// without large numbers to subtract. No norm of a matrix D is computed.
// A trial starts from the last accepted step / shrink, so steps follow the curvature where the codes are (they may exceed
// 1 / ||D||_2^2); with options.first_step from that one every time, as the published code of Ablin et al. (2019) does.
// Cost per iteration and signal: 4 n m flops, and per trial m plus n per atom that moves.
#include <limits>

#include "riata/core/stopping.hpp"
#include "riata/solvers/proximal_tile.hpp"

namespace riata {
namespace {

template <Penalty P>
class Backtracking final : public ProximalTile<P> {
 public:
  using T = typename P::scalar;

  explicit Backtracking(const SharedProblem<P>& problem) : ProximalTile<P>(problem) {
    // ||D_j||^2 <= ||D||_2^2 <= sum_j ||D_j||^2: at the last bound any step may be taken. What is no matrix gives ||D||_2^2.
    double largest = 0, sum = 0;
    if (problem.exact->matrix()) {
      const Vector<double> atoms = atom_norms(*problem.exact).cwiseAbs2();
      largest = atoms.maxCoeff();
      sum = atoms.sum();
    } else {
      largest = sum = problem.D.squared_norm();
    }
    longest_ = static_cast<T>(
        std::min<double>(problem.options.first_step.value_or(largest > 0 ? 1 / largest : 1), std::numeric_limits<T>::max()));
    safe_ = static_cast<T>(sum > 0 ? 1 / sum : 1);
  }

 private:
  using ProximalTile<P>::Z_, ProximalTile<P>::steps_, ProximalTile<P>::options_, ProximalTile<P>::n_active_;

  void start() override {
    Y_ = Z_;
    steps_.setConstant(longest_ * static_cast<T>(options_.shrink));
  }

  void step() override {
    this->compute_gradients(Z_);
    const auto shrink = static_cast<T>(options_.shrink);
    for (Index i = 0; i < n_active_; ++i) {
      leave_if_stopped();
      const T first = options_.first_step ? longest_ : steps_(i) / shrink;
      T step = first;
      this->proximal_step(i, Z_, step, Y_);
      while (step > safe_ && !(this->curvature(i, Y_, Z_) * static_cast<double>(step) <= 1)) {
        step *= shrink;
        this->proximal_step(i, Z_, step, Y_);
      }
      steps_(i) = step;
      this->accepted_[static_cast<std::size_t>(i)] = step == first;
    }
    Z_.swap(Y_);
  }

  void keep(Index from, Index to) override { steps_(to) = steps_(from); }

  T longest_, safe_;
  Matrix<T> Y_;
};

}  // namespace

template <Penalty P>
std::unique_ptr<TileSolver<typename P::scalar>> make_backtracking(const SharedProblem<P>& problem) {
  return std::make_unique<Backtracking<P>>(problem);
}

#define RIATA_INSTANTIATE(T)                                                                   \
  template std::unique_ptr<TileSolver<T>> make_backtracking(const SharedProblem<L1<T>>&);      \
  template std::unique_ptr<TileSolver<T>> make_backtracking(const SharedProblem<GroupL1<T>>&); \
  template std::unique_ptr<TileSolver<T>> make_backtracking(const SharedProblem<Given<T>>&);
RIATA_INSTANTIATE(float)
RIATA_INSTANTIATE(double)
#undef RIATA_INSTANTIATE

}  // namespace riata
