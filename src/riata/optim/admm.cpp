#include "riata/optim/admm.hpp"

#include <Eigen/Cholesky>

#include "riata/core/check.hpp"
#include "riata/core/stopping.hpp"
#include "riata/optim/checkpoint.hpp"
#include "riata/optim/parameters.hpp"

namespace riata {
namespace {

/// (B + sigma (D - H)) (A + sigma I)^-1
Matrix<double> unconstrained(const Matrix<double>& A, const Matrix<double>& B, const Matrix<double>& D_minus_H, double sigma) {
  const double cubed = std::pow(static_cast<double>(A.rows()), 3);
  const Matrix<double> right = B + sigma * D_minus_H;
  return run_stoppable(cubed + 2 * static_cast<double>(right.size() * A.rows()), [A, right, sigma]() -> Matrix<double> {
    Eigen::MatrixXd shifted = A;
    shifted.diagonal().array() += sigma;
    return Eigen::LLT<Eigen::MatrixXd>(shifted).solve(right.transpose()).transpose();
  });
}

}  // namespace

template <Scalar T>
Asking<T, Outcome<T>> Admm<T>::step(Position<T> from) {
  require_atoms_among<T>(from.parameters, name());
  const Question<T> question{.at = from.parameters, .statistics = true, .coding = Coding::opening};
  const Sums<T> sums = co_await question;
  const Matrix<double> A = sums.statistics.at("A").template cast<double>(), B = sums.statistics.at("B").template cast<double>();
  Outcome<T> outcome{.parameters = from.parameters, .moved = true, .value = sums.value, .step = 1};
  constexpr double weight = 0.05, least = 1e-6;  // of the mean curvature of an atom: at first, and ever
  const double curvature = A.trace() / static_cast<double>(A.rows());
  Past past = past_;
  if (!(past.sigma > 0)) past.sigma = weight * curvature;
  if (past.sigma > 0) {  // some code is not zero
    const Matrix<double> before = from.parameters.at("dictionary").template cast<double>();
    if (past.H.size() == 0) past.H = Matrix<double>::Zero(before.rows(), before.cols());
    const Matrix<double> C = unconstrained(A, B, before - past.H, past.sigma);
    outcome.parameters.at("dictionary") = (C + past.H).template cast<T>();
    from.project(outcome.parameters);
    const Matrix<double> D = outcome.parameters.at("dictionary").template cast<double>();
    past.H += C - D;
    if (++past.n_steps % AdmmResiduals::every == 0) {
      double factor = AdmmResiduals::of<double>(C, D, before, past.H).factor();
      if (factor < 1 && past.sigma * factor < least * curvature) factor = 1;
      past.sigma *= factor;
      past.H /= factor;
    }
  }
  outcome.keep = [this, past = std::move(past)]() mutable { past_ = std::move(past); };
  co_return outcome;
}

template <Scalar T>
void Admm<T>::forget_atoms(const std::vector<Index>& atoms) {
  if (past_.H.size() == 0) return;
  for (const Index j : atoms) past_.H.col(j).setZero();
}

template <Scalar T>
NamedTensors Admm<T>::state() const {
  return {{"multipliers", to_tensor<double>(past_.H)},
          {"sigma", to_tensor(std::vector<double>{past_.sigma})},
          {"admm_steps", to_tensor(std::int64_t{past_.n_steps})}};
}

template <Scalar T>
void Admm<T>::restore(const NamedTensors& state, const Parameters<T>& parameters) {
  reset();
  const std::string where = "checkpoint";
  const std::int64_t n_steps = stored_integer(state, "admm_steps", 0, std::int64_t{1} << 53, where);
  if (n_steps == 0) return;
  const Matrix<T>& D = parameters.at("dictionary");
  past_ = {stored_matrix<double>(state, "multipliers", D.rows(), D.cols(), where), stored_numbers(state, "sigma", 1, where)[0],
           static_cast<Index>(n_steps)};
  require(past_.sigma > 0 && std::isfinite(past_.sigma), "{}: tensor 'sigma' is damaged", where);
}

template class Admm<float>;
template class Admm<double>;

}  // namespace riata
