#include "riata/optim/fixed_step.hpp"

#include <cmath>

#include "riata/core/check.hpp"

namespace riata {

template <Scalar T>
FixedStep<T>::FixedStep(double rate) : rate_(rate) {
  require(rate > 0 && std::isfinite(rate), "the fixed step: rate = {}, must be > 0 and finite", rate);
}

template <Scalar T>
Asking<T, Outcome<T>> FixedStep<T>::step(Position<T> from) {
  Question<T> slope{.at = from.parameters, .gradient = from.moves, .coding = Coding::opening};
  const Sums<T> down = co_await std::move(slope);
  Outcome<T> outcome{.parameters = from.parameters, .moved = true, .value = down.value, .step = rate_};
  for (const auto& [name, g] : down.gradient) outcome.parameters.at(name) -= static_cast<T>(rate_) * g;
  from.project(outcome.parameters);
  for (const auto& [name, values] : outcome.parameters)
    require(std::isfinite(down.value) && values.allFinite(),
            "learning_rate = {}: the loss is not finite after {} {}; use a smaller one", rate_, from.n_steps, from.steps);
  co_return outcome;
}

template class FixedStep<float>;
template class FixedStep<double>;

}  // namespace riata
