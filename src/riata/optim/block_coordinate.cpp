#include "riata/optim/block_coordinate.hpp"

#include <cmath>

#include "riata/core/check.hpp"
#include "riata/core/stopping.hpp"
#include "riata/optim/parameters.hpp"

namespace riata {

void BlockCoordinateOptions::validate() const {
  require(!forgetting || (*forgetting >= 0 && std::isfinite(*forgetting)),
          "block coordinate descent: forgetting = {}, must be >= 0 and finite", forgetting.value_or(0));
}

namespace {

/// Two sweeps over the atoms; codes hold for those before alone, and more sweeps gain nothing.
template <Scalar S>
void move_atoms(Matrix<S>& D, const Matrix<S>& A, const Matrix<S>& B, Constraint constraint) {
  const bool on_sphere = constraint == Constraint::unit_sphere;
  const S least = A.diagonal().maxCoeff() * S(1e-25);  // what is left of codes long ago has no digits
  for (int sweep = 0; sweep < 2; ++sweep)
    for (Index j = 0; j < D.cols(); ++j) {
      if (j % 64 == 0) leave_if_stopped();
      if (A(j, j) <= least) continue;
      Vector<S> d = D.col(j) + (B.col(j) - D * A.col(j)) / A(j, j);
      if (constraint == Constraint::non_negative) d = d.cwiseMax(S(0));
      if (d.isZero(0)) continue;  // an atom of zeros would have no code again
      const S norm = d.norm();
      if (norm > (on_sphere ? S(0) : S(1)))
        D.col(j) = d / norm;
      else if (!on_sphere)
        D.col(j) = d;
    }
}

}  // namespace

template <Scalar T>
Asking<T, Outcome<T>> BlockCoordinate<T>::step(Position<T> from) {
  require_atoms_among<T>(from.parameters, name());
  const Question<T> question{.at = from.parameters, .statistics = true};
  Sums<T> sums = co_await question;
  const Matrix<T>&A = sums.statistics.at("A"), &B = sums.statistics.at("B");
  Outcome<T> outcome{.parameters = from.parameters, .moved = true, .value = sums.value, .step = 1};
  Matrix<T>& D = outcome.parameters.at("dictionary");
  if (!options_.forgetting) {
    move_atoms(D, A, B, options_.constraint);
    co_return outcome;
  }
  RunningStatistics past = past_.with(sums.statistics, *options_.forgetting);
  Matrix<double> moved = D.template cast<double>();
  move_atoms(moved, past.A, past.B, options_.constraint);
  D = moved.template cast<T>();
  outcome.keep = [this, past = std::move(past)]() mutable { past_ = std::move(past); };
  co_return outcome;
}

template <Scalar T>
NamedTensors BlockCoordinate<T>::state() const {
  if (!options_.forgetting) return {};
  return past_.state();
}

template <Scalar T>
void BlockCoordinate<T>::restore(const NamedTensors& state, const Parameters<T>& parameters) {
  reset();
  if (!options_.forgetting) return;
  const Matrix<T>& D = parameters.at("dictionary");
  past_ = RunningStatistics::stored(state, D.cols(), D.rows(), D.cols(), "checkpoint");
}

template class BlockCoordinate<float>;
template class BlockCoordinate<double>;

}  // namespace riata
