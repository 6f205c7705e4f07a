#include "riata/optim/block_coordinate.hpp"

#include <cmath>

#include "riata/core/check.hpp"
#include "riata/optim/checkpoint.hpp"

namespace riata {

void BlockCoordinateOptions::validate() const {
  require(!forgetting || (*forgetting >= 0 && std::isfinite(*forgetting)),
          "block coordinate descent: forgetting = {}, must be >= 0 and finite", forgetting.value_or(0));
}

template <Scalar T>
Asking<T, Outcome<T>> BlockCoordinate<T>::step(Position<T> from) {
  require(from.parameters.contains("dictionary"), "{} moves atoms, the parameter 'dictionary', which is not among the parameters",
          name());
  const bool on_sphere = options_.constraint == Constraint::unit_sphere;
  constexpr int sweeps = 2;  // codes hold for these atoms alone; more sweeps on them gain nothing
  const Question<T> question{.at = from.parameters, .statistics = true};
  Sums<T> sums = co_await question;
  Matrix<T>&A = sums.statistics.at("A"), &B = sums.statistics.at("B");
  const Index t = past_.t + 1;
  if (past_.A.size() > 0) {
    const T b = static_cast<T>(std::pow(1 - 1 / static_cast<double>(t), *options_.forgetting));
    A += b * past_.A;
    B += b * past_.B;
  }
  Outcome<T> outcome{.parameters = from.parameters, .moved = true, .value = sums.value, .step = 1};
  Matrix<T>& D = outcome.parameters.at("dictionary");
  for (int sweep = 0; sweep < sweeps; ++sweep)
    for (Index j = 0; j < D.cols(); ++j) {
      if (A(j, j) == T(0)) continue;
      const Vector<T> d = D.col(j) + (B.col(j) - D * A.col(j)) / A(j, j);
      const T norm = d.norm();
      if (norm > (on_sphere ? T(0) : T(1)))
        D.col(j) = d / norm;
      else if (!on_sphere)
        D.col(j) = d;
    }
  if (options_.forgetting)
    outcome.keep = [this, past = Past{t, std::move(A), std::move(B)}]() mutable { past_ = std::move(past); };
  co_return outcome;
}

template <Scalar T>
void BlockCoordinate<T>::forget_atoms(const std::vector<Index>& atoms) {
  if (past_.A.size() == 0) return;
  for (const Index j : atoms) {
    past_.A.row(j).setZero();
    past_.A.col(j).setZero();
    past_.B.col(j).setZero();
  }
}

template <Scalar T>
NamedTensors BlockCoordinate<T>::state() const {
  if (!options_.forgetting) return {};
  return {{"A", to_tensor<T>(past_.A)}, {"B", to_tensor<T>(past_.B)}, {"batches", to_tensor(std::int64_t{past_.t})}};
}

template <Scalar T>
void BlockCoordinate<T>::restore(const NamedTensors& state, const Parameters<T>& parameters) {
  reset();
  if (!options_.forgetting) return;
  const std::string where = "checkpoint";
  const std::int64_t t = stored_integer(state, "batches", 0, std::int64_t{1} << 53, where);
  if (t == 0) return;
  const Matrix<T>& D = parameters.at("dictionary");
  past_ = {static_cast<Index>(t), stored_matrix<T>(state, "A", D.cols(), D.cols(), where),
           stored_matrix<T>(state, "B", D.rows(), D.cols(), where)};
}

template class BlockCoordinate<float>;
template class BlockCoordinate<double>;

}  // namespace riata
