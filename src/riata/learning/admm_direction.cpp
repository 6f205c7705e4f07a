#include "riata/learning/admm_direction.hpp"

#include <Eigen/Cholesky>
#include <cmath>
#include <utility>
#include <vector>

#include "riata/core/check.hpp"
#include "riata/core/stopping.hpp"
#include "riata/core/sweep.hpp"
#include "riata/linalg/blas.hpp"
#include "riata/optim/admm.hpp"
#include "riata/optim/checkpoint.hpp"
#include "riata/solvers/certificate.hpp"
#include "riata/terms/l1.hpp"

namespace riata {
namespace {

/// (D^T D + rho I)^-1, by the smaller of the two matrices that it takes.
template <Scalar T>
class ShiftedGram {
 public:
  ShiftedGram(const MatrixView<T>& D, double rho) : D_(D), rho_(static_cast<T>(rho)), is_wide_(D.rows() < D.cols()) {
    Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic> shifted;
    if (is_wide_)
      shifted = D * D.transpose();
    else
      shifted = D.transpose() * D;
    shifted.diagonal().array() += rho_;
    factor_.compute(shifted);
  }
  void solve(MatrixRef<T> V) const {
    if (!is_wide_) {
      V = factor_.solve(V.eval());
      return;
    }
    Matrix<T> W(D_.rows(), V.cols()), explained(V.rows(), V.cols());
    multiply<T>(D_, V, W);
    W = factor_.solve(W.eval());
    multiply_transposed<T>(D_, W, explained);
    V = (V - explained) / rho_;
  }

 private:
  const MatrixView<T> D_;
  const T rho_;
  const bool is_wide_;
  Eigen::LLT<Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic>> factor_;
};

}  // namespace

template <Scalar T>
AdmmDirection<T>::AdmmDirection(const Dictionary<T>& D, double reg, const PenaltyOptions& penalty, Reduction reduction)
    : D_(D.at({})), reg_(reg), penalty_(penalty), reduction_(reduction) {
  require_matrix(*D_, "method 'admm'");
  require(penalty.kind == PenaltyKind::l1 || penalty.kind == PenaltyKind::elastic_net,
          "method 'admm' is for the penalties 'l1' and 'elastic_net', not for '{}'", to_string(penalty.kind));
}

template <Scalar T>
typename AdmmDirection<T>::Iterate AdmmDirection<T>::stepped(Iterate from, const ConstMatrixRef<T>& X, const MatrixView<T>& D,
                                                             const Execution& execution) const {
  constexpr T relaxation = T(1.8);
  constexpr Index block = 512;  // signals whose codes move at once
  const Index m = D.cols(), n = X.cols();
  if (from.Y.cols() != n) from = {.Y = Matrix<T>::Zero(m, n), .U = Matrix<T>::Zero(m, n)};
  const ShiftedGram<T> inverse(D, from.rho);
  const L1<T> penalty(penalty_, m);
  const T rho = static_cast<T>(from.rho), threshold = static_cast<T>(reg_ / from.rho);
  std::vector<AdmmResiduals> parts(static_cast<std::size_t>((n + block - 1) / block));
  for_each_tile(block, n, execution, [&](Index first, Index count, int) {
    auto Y = from.Y.middleCols(first, count), U = from.U.middleCols(first, count);
    Matrix<T> Z(m, count);
    multiply_transposed<T>(D, X.middleCols(first, count), Z);
    Z += rho * (Y - U);
    inverse.solve(Z);
    Matrix<T> moved = relaxation * Z + (1 - relaxation) * Y + U;
    U = moved;
    penalty.prox(moved, Vector<T>::Constant(count, threshold).eval());
    U -= moved;
    parts[static_cast<std::size_t>(first / block)] = AdmmResiduals::of<T>(Z, moved, Y, U);
    Y = moved;
  });
  AdmmResiduals all;
  for (const AdmmResiduals& part : parts) all += part;
  constexpr double least = 1e-3, most = 1e6;  // rho, of unit atoms
  double factor = ++from.n_steps % AdmmResiduals::every == 0 ? all.factor() : 1;
  if (from.rho * factor < least || from.rho * factor > most) factor = 1;
  from.rho *= factor;
  from.U /= static_cast<T>(factor);
  return from;
}

template <Scalar T>
Sums<T> AdmmDirection<T>::look(const Sample<T>& sample, const Question<T>& question, const Execution& execution) {
  require(!sample.batch.is_weighted(), "method 'admm' takes no mask");
  const StopScope scope(execution);
  const ConstMatrixRef<T>& X = sample.batch.X;
  const auto D = D_->at(question.at);
  if (question.coding == Coding::opening) now_ = stepped(kept_, X, *D->matrix(), execution);
  Sums<T> sums;
  sums.value = lasso_objective<T>(sample.batch, *D, now_.Y, reg_, penalty_, execution).sum();
  if (reduction_ == Reduction::mean) sums.value /= static_cast<double>(X.cols());
  if (question.statistics) sums.statistics = statistics_of<T>(sample.batch, now_.Y);
  if (question.usage) sums.usage = now_.Y.template cast<double>().rowwise().squaredNorm();
  if (question.codes) sums.codes = now_.Y;
  return sums;
}

template <Scalar T>
NamedTensors AdmmDirection<T>::state() const {
  return {{"direction.codes", to_tensor<T>(kept_.Y)},
          {"direction.multipliers", to_tensor<T>(kept_.U)},
          {"direction.rho", to_tensor(std::vector<double>{kept_.rho})},
          {"direction.steps", to_tensor(std::int64_t{kept_.n_steps})}};
}

template <Scalar T>
void AdmmDirection<T>::restore(const NamedTensors& state, const Sample<T>& sample, const Parameters<T>&,
                               const std::string& where) {
  const std::int64_t n_steps = stored_integer(state, "direction.steps", 0, std::int64_t{1} << 53, where);
  kept_ = now_ = {};
  if (n_steps == 0) return;
  const Index m = D_->code_size(), n = sample.batch.size();
  kept_ = {.Y = stored_matrix<T>(state, "direction.codes", m, n, where),
           .U = stored_matrix<T>(state, "direction.multipliers", m, n, where),
           .rho = stored_numbers(state, "direction.rho", 1, where)[0],
           .n_steps = static_cast<Index>(n_steps)};
  require(kept_.rho > 0 && std::isfinite(kept_.rho), "{}: tensor 'direction.rho' is damaged", where);
}

template class AdmmDirection<float>;
template class AdmmDirection<double>;

}  // namespace riata
