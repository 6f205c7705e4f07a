#include "riata/optim/block_coordinate.hpp"

#include "riata/core/check.hpp"

namespace riata {

template <Scalar T>
Asking<T, Outcome<T>> BlockCoordinate<T>::step(Position<T> from) {
  require(from.parameters.contains("dictionary"), "{} moves atoms, the parameter 'dictionary', which is not among the parameters",
          name());
  constexpr int sweeps = 2;  // codes hold for these atoms alone; more sweeps on them gain nothing
  const Question<T> question{.at = from.parameters, .statistics = true};
  const Sums<T> sums = co_await question;
  const Matrix<T>&A = sums.statistics.at("A"), &B = sums.statistics.at("B");
  Outcome<T> outcome{.parameters = from.parameters, .moved = true, .value = sums.value, .step = 1};
  Matrix<T>& D = outcome.parameters.at("dictionary");
  for (int sweep = 0; sweep < sweeps; ++sweep)
    for (Index j = 0; j < D.cols(); ++j) {
      if (A(j, j) == T(0)) continue;
      const Vector<T> d = D.col(j) + (B.col(j) - D * A.col(j)) / A(j, j);
      if (const T norm = d.norm(); norm > 0) D.col(j) = d / norm;
    }
  co_return outcome;
}

template class BlockCoordinate<float>;
template class BlockCoordinate<double>;

}  // namespace riata
