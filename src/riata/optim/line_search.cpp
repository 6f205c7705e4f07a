#include "riata/optim/line_search.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "riata/core/check.hpp"

namespace riata {
namespace {

// In units of the loss: what a block alone must lower it by, unless a stalled search may ask for less; a step of all blocks that
// lowers it by less is held back by one of them.
constexpr double enough = 1e-4, fine = 1e-9, crawl = 1e-8;
// Of a block alone, in units of loss / ||g||^2: the first t, and the last, over what it must lower the loss by.
constexpr double first_alone = 64, smallest_alone = 1e-3;
const std::string weight_key = "line_search.weight.";

std::string block_of(const std::string& name) { return name.substr(name.rfind('.') + 1); }

template <Scalar T>
std::map<std::string, Parameters<T>> blocks_of(const Parameters<T>& gradient) {
  std::map<std::string, Parameters<T>> blocks;
  for (const auto& [name, g] : gradient) blocks[block_of(name)][name] = g;
  return blocks;
}

}  // namespace

template <Scalar T>
void LineSearch<T>::reset() {
  t_.reset();
  weights_.clear();
}

template <Scalar T>
double LineSearch<T>::weight_of(const std::string& name) const {
  const auto found = weights_.find(block_of(name));
  return found == weights_.end() ? 1 : found->second;
}

/// loss / <g, W g>, with no square that could overflow; infinite where W g is zero.
template <Scalar T>
double LineSearch<T>::unit_of(double value, const Parameters<T>& gradient) const {
  if (!options_.relative) return 1;
  const auto [largest, sum] = scaled_squares(gradient, [this](const std::string& name) { return weight_of(name); });
  return largest == 0 ? std::numeric_limits<double>::infinity() : value / largest / largest / sum;
}

/// The first of t, shrink t, ... whose step brings the loss below `below`.
template <Scalar T>
std::optional<typename LineSearch<T>::Trial> LineSearch<T>::search(const Parameters<T>& from, const Parameters<T>& gradient,
                                                                   double t, double smallest, double below,
                                                                   const SearchObjective<T>& objective,
                                                                   const Evaluate& evaluate) const {
  if (!std::isfinite(t)) return {};
  for (; t > 0 && t >= smallest; t *= options_.shrink) {
    Trial trial{from, 0, t};
    for (const auto& [name, g] : gradient)
      if (const double weight = weight_of(name); weight > 0)
        trial.parameters.at(name) -= static_cast<T>(options_.shrink * t * weight) * g;
    objective.project(trial.parameters);
    if (!std::ranges::all_of(trial.parameters, [](const auto& array) { return array.second.allFinite(); })) continue;
    trial.value = evaluate(trial.parameters);
    if (trial.value < below) return trial;
  }
  return {};
}

/// Of each block alone the first step that lowers the loss by `least` of it, halved as long as that lowers it further. With
/// `least` = 0, at the start of a phase, from options_.first and where `evaluate` holds codes.
///
/// Where every evaluation codes anew, the search begins near `last`, the t of the last step, but not below what a linear loss
/// needs to fall by `least`, and goes on to both sides, by the same halvings, as long as the loss falls.
template <Scalar T>
typename LineSearch<T>::Look LineSearch<T>::look(const Parameters<T>& from, const Parameters<T>& gradient, double value,
                                                 double least, const SearchObjective<T>& objective, double last) const {
  const LineSearch alone(options_);  // W = 1
  const bool starts = least == 0, afresh = !starts && objective.evaluate_afresh;
  const Evaluate& evaluate = afresh ? objective.evaluate_afresh : objective.evaluate;
  const double first = starts ? options_.first : first_alone, smallest = std::max(options_.smallest, least * smallest_alone);
  const double below = (1 - least) * value;
  Look found;
  for (const auto& [block, g] : blocks_of(gradient)) {
    const double unit = alone.unit_of(value, g);
    const double near = afresh && std::isfinite(unit) ? last * weight_of(block) : 0, linear = least / options_.shrink * unit;
    double t_first = first * unit;
    while (near > 0 && options_.shrink * t_first >= std::max(near, linear)) t_first *= options_.shrink;
    auto trial = near > 0 ? alone.search(from, g, t_first, linear, value, objective, evaluate)
                          : alone.search(from, g, t_first, smallest * unit, below, objective, evaluate);
    const auto move_on = [&](double factor) {
      bool moved = false;
      while (trial && factor * trial->t <= first * unit) {
        const double t = factor * trial->t;
        auto other = alone.search(from, g, t, t, trial->value, objective, evaluate);
        if (!other) break;
        trial = std::move(other);
        moved = true;
      }
      return moved;
    };
    if (near == 0 || !move_on(1 / options_.shrink)) move_on(options_.shrink);
    if (trial && trial->value >= below) trial.reset();
    found.weights[block] = trial ? options_.shrink * trial->t : 0;
    if (trial && (!found.best || trial->value < found.best->value)) found.best = std::move(trial);
  }
  return found;
}

template <Scalar T>
bool LineSearch<T>::can_fall(const Parameters<T>& parameters, const Parameters<T>& gradient, double value,
                             const SearchObjective<T>& objective) const {
  return look(parameters, gradient, value, enough, objective, 0).best.has_value();
}

template <Scalar T>
typename LineSearch<T>::Outcome LineSearch<T>::step(Parameters<T>& parameters, const Parameters<T>& gradient, double value,
                                                    const SearchObjective<T>& objective, double tol) {
  Outcome outcome{.value = value};
  double last = t_.value_or(0) / options_.grow;
  if (!t_ && blocks_of(gradient).size() > 1) {
    if (Look start = look(parameters, gradient, value, 0, objective, 0); start.best) {
      weights_ = std::move(start.weights);
      t_ = 1 / options_.shrink;
    }
  }
  const double unit = unit_of(value, gradient), largest = options_.largest * unit;
  double t = std::min(t_.value_or(options_.first * unit), largest);
  bool was_held_back = false;
  if (auto trial = search(parameters, gradient, t, options_.smallest * unit, value, objective, objective.evaluate)) {
    was_held_back = trial->t < t;
    last = trial->t;
    t = std::min(options_.grow * trial->t, largest);
    parameters = std::move(trial->parameters);
    double longest = weights_.empty() ? 1 : 0;
    for (const auto& [block, weight] : weights_) longest = std::max(longest, weight);
    outcome = {.accepted = true, .value = trial->value, .step = options_.shrink * trial->t * longest};
  }
  if (std::isfinite(t)) t_ = t;  // no gradient, no unit
  const double decrease = value - outcome.value;
  const bool is_slow = outcome.accepted && decrease < tol * value;
  const bool crawls = was_held_back && decrease < crawl * value && blocks_of(gradient).size() > 1;
  if (outcome.accepted && !is_slow && !crawls) return outcome;

  const double least = is_slow ? enough : std::min(enough, std::max(tol, fine));
  const double before = objective.evaluate_afresh ? objective.evaluate_afresh(parameters) : outcome.value;
  Look found = look(parameters, outcome.accepted ? objective.gradient(parameters) : gradient, before, least, objective, last);
  outcome.certified = !found.best;
  const bool tol_ends = tol > enough && (is_slow || !found.best || before - found.best->value < tol * before);
  outcome.ended = outcome.certified || tol_ends;
  if (outcome.ended) return outcome;
  parameters = std::move(found.best->parameters);
  outcome.accepted = true;
  outcome.value = found.best->value;
  outcome.step = options_.shrink * found.best->t;
  weights_ = std::move(found.weights);
  t_ = 1 / options_.shrink;
  return outcome;
}

template <Scalar T>
NamedTensors LineSearch<T>::state() const {
  NamedTensors tensors{{"line_search.t", to_tensor(t_ ? std::vector<double>{*t_} : std::vector<double>{})}};
  for (const auto& [block, weight] : weights_) tensors[weight_key + block] = to_tensor(std::vector<double>{weight});
  return tensors;
}

template <Scalar T>
void LineSearch<T>::restore(const NamedTensors& state) {
  reset();
  const auto number = [&](const std::string& name) {
    const auto values = get_vector<double>(state, name, "checkpoint");
    require(values.size() == 1 && std::isfinite(values[0]) && values[0] >= 0, "checkpoint: tensor '{}' is damaged", name);
    return values[0];
  };
  if (!get_vector<double>(state, "line_search.t", "checkpoint").empty()) t_ = number("line_search.t");
  for (const auto& [name, unused] : state)
    if (name.starts_with(weight_key)) weights_[name.substr(weight_key.size())] = number(name);
}

template class LineSearch<float>;
template class LineSearch<double>;

}  // namespace riata
