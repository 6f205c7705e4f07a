#include "riata/optim/stochastic_line_search.hpp"

#include <algorithm>
#include <cmath>

#include "riata/core/check.hpp"
#include "riata/optim/parameters.hpp"

namespace riata {

void StochasticLineSearchOptions::validate() const {
  const auto is = [](const char* name, double value, bool holds, const char* rule) {
    require(holds, "the stochastic line search: {} = {}, must be {}", name, value, rule);
  };
  is("largest", largest, largest > 0 && std::isfinite(largest), "> 0 and finite");
  is("smallest", smallest, smallest > 0 && smallest < 1, "> 0 and < 1");
  is("slope", slope, slope >= 0 && slope < 1, ">= 0 and < 1");
  is("shrink", shrink, shrink > 0 && shrink < 1, "> 0 and < 1");
  is("decay", decay, decay > 0 && decay <= 1, "> 0 and <= 1");
  is("per_epoch", static_cast<double>(per_epoch), per_epoch >= 1, ">= 1");
}

template <Scalar T>
void StochasticLineSearch<T>::reset() {
  unit_ = eta_ = 0;
  taken_ = 0;
}

template <Scalar T>
Asking<T, Outcome<T>> StochasticLineSearch<T>::step(Position<T> from) {
  Question<T> slope{.at = from.parameters, .gradient = from.moves, .coding = Coding::opening};
  const Sums<T> here = co_await std::move(slope);
  const Parameters<T>& g = here.gradient;
  bool is_finite = std::isfinite(here.value);
  for (const auto& [name, values] : g) is_finite = is_finite && values.allFinite();
  require(is_finite, "{}: the objective or its gradient is not finite after {} {}; are the signals or reg too large?", from.who,
          from.n_steps, from.steps);
  Parameters<T> along = g;
  if (!options_.euclidean) from.make_tangent(from.parameters, along);
  const auto [size, sum] = scaled_squares(along, [](const std::string&) { return 1; });

  double unit = unit_, eta_next = eta_;
  Outcome<T> outcome{.value = here.value};
  const double relative = size > 0 ? here.value / size / size / sum : 0;
  if (unit == 0) unit = options_.relative ? relative : 1;
  if (!std::isfinite(unit)) unit = 0;  // of a gradient that is nearly zero
  const double largest = options_.largest * unit, per_epoch = static_cast<double>(options_.per_epoch);
  const bool begins = taken_ < options_.per_epoch || eta_ == 0;
  double eta = begins ? largest : std::min(largest, std::pow(options_.decay, 1 / per_epoch) * eta_ / options_.shrink);
  for (; size > 0 && eta > 0 && eta >= options_.smallest * largest; eta *= options_.shrink) {
    Question<T> trial{.at = from.parameters};
    for (const auto& [name, values] : g) trial.at.at(name) -= static_cast<T>(eta) * values;
    from.project(trial.at);
    bool fits = true;
    for (const auto& [name, values] : trial.at) fits = fits && values.allFinite();
    if (!fits) continue;
    if (trial.at == from.parameters) break;  // nor will shorter steps move anything
    const Sums<T> there = co_await trial;
    const double least = options_.slope * (eta * size) * size * sum;
    if (!(there.value < here.value && there.value <= here.value - least)) continue;
    outcome = {.parameters = std::move(trial.at), .moved = true, .value = there.value, .step = eta};
    eta_next = eta;
    break;
  }
  outcome.keep = [this, unit, eta_next] {
    unit_ = unit;
    eta_ = eta_next;
    ++taken_;
  };
  co_return outcome;
}

template <Scalar T>
NamedTensors StochasticLineSearch<T>::state() const {
  return {{"search", to_tensor(std::vector<double>{unit_, eta_, static_cast<double>(taken_)})}};
}

template <Scalar T>
void StochasticLineSearch<T>::restore(const NamedTensors& state, const Parameters<T>&) {
  const auto numbers = get_vector<double>(state, "search", "checkpoint");
  bool is_sound = numbers.size() == 3;
  for (const double number : numbers) is_sound = is_sound && std::isfinite(number) && number >= 0;
  require(is_sound && numbers[2] <= 0x1p53, "checkpoint: tensor 'search' is damaged");
  unit_ = numbers[0];
  eta_ = numbers[1];
  taken_ = static_cast<Index>(numbers[2]);
}

template class StochasticLineSearch<float>;
template class StochasticLineSearch<double>;

}  // namespace riata
