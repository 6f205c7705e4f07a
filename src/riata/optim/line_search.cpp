#include "riata/optim/line_search.hpp"

#include <algorithm>
#include <cmath>

#include "riata/core/check.hpp"

namespace riata {

template <Scalar T>
typename LineSearch<T>::Outcome LineSearch<T>::step(Parameters<T>& parameters, const Parameters<T>& gradient, double value,
                                                    const Objective<T>& objective) {
  while (t_ >= options_.smallest * options_.unit) {
    const double step = options_.shrink * t_;
    Parameters<T> trial = parameters;
    for (const auto& [name, g] : gradient) trial.at(name) -= static_cast<T>(step) * g;
    objective.project(trial);
    const double trial_value = objective.evaluate(trial);
    if (trial_value < value) {
      parameters = std::move(trial);
      t_ = std::min(options_.grow * t_, options_.largest * options_.unit);
      return {true, trial_value, step};
    }
    t_ *= options_.shrink;
  }
  return {false, value, 0};
}

template <Scalar T>
NamedTensors LineSearch<T>::state() const {
  return {{"line_search.t", to_tensor(std::vector<double>{t_})}};
}

template <Scalar T>
void LineSearch<T>::restore(const NamedTensors& state) {
  const auto values = get_vector<double>(state, "line_search.t", "checkpoint");
  require(values.size() == 1 && std::isfinite(values[0]) && values[0] > 0, "checkpoint: tensor 'line_search.t' is damaged");
  t_ = values[0];
}

template class LineSearch<float>;
template class LineSearch<double>;

}  // namespace riata
