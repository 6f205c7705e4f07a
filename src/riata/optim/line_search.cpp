#include "riata/optim/line_search.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "riata/core/check.hpp"
#include "riata/optim/parameters.hpp"

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

double weight_in(const std::map<std::string, double>& weights, const std::string& name) {
  const auto found = weights.find(block_of(name));
  return found == weights.end() ? 1 : found->second;
}

template <Scalar T>
bool is_finite(const Parameters<T>& pack) {
  return std::ranges::all_of(pack, [](const auto& array) { return array.second.allFinite(); });
}

}  // namespace

void LineSearchOptions::validate() const {
  const auto is = [](const char* name, double value, bool holds, const char* rule) {
    require(holds, "the line search: {} = {}, must be {}", name, value, rule);
  };
  is("first", first, first > 0 && std::isfinite(first), "> 0 and finite");
  is("largest", largest, largest > 0, "> 0");
  is("smallest", smallest, smallest >= 0, ">= 0");
  is("shrink", shrink, shrink > 0 && shrink < 1, "> 0 and < 1");
  is("grow", grow, grow >= 1 && std::isfinite(grow), ">= 1 and finite");
}

template <Scalar T>
void LineSearch<T>::reset() {
  t_.reset();
  weights_.clear();
}

/// loss / <g, W g>, with no square that could overflow; infinite where W g is zero.
template <Scalar T>
double LineSearch<T>::unit_of(double value, const Parameters<T>& gradient, const Weights& weights) const {
  if (!options_.relative) return 1;
  const auto [largest, sum] = scaled_squares(gradient, [&](const std::string& name) { return weight_in(weights, name); });
  return largest == 0 ? std::numeric_limits<double>::infinity() : value / largest / largest / sum;
}

/// The first of t, shrink t, ... whose step brings the loss below `below`.
template <Scalar T>
Asking<T, std::optional<typename LineSearch<T>::Trial>> LineSearch<T>::search(const Position<T>& from,
                                                                              const Parameters<T>& gradient,
                                                                              const Weights& weights, double t, double smallest,
                                                                              double below, Coding coding) const {
  if (!std::isfinite(t)) co_return {};
  for (; t > 0 && t >= smallest; t *= options_.shrink) {
    Question<T> trial{.at = from.parameters, .coding = coding};
    for (const auto& [name, g] : gradient)
      if (const double weight = weight_in(weights, name); weight > 0)
        trial.at.at(name) -= static_cast<T>(options_.shrink * t * weight) * g;
    from.project(trial.at);
    if (!is_finite(trial.at)) continue;
    const Sums<T> answer = co_await trial;
    if (answer.value < below) co_return Trial{std::move(trial.at), answer.value, t};
  }
  co_return {};
}

/// Of each block alone the first step that lowers the loss by `least` of it, halved as long as that lowers it further. With
/// `least` = 0, at the start of a phase, from options_.first and at codes that may be held.
///
/// Where every answer is coded anew, the search begins near `last`, the t of the last step, but not below what a linear loss
/// needs to fall by `least`, and goes on to both sides, by the same halvings, as long as the loss falls.
template <Scalar T>
Asking<T, typename LineSearch<T>::Look> LineSearch<T>::look(const Position<T>& from, const Parameters<T>& gradient,
                                                            const Weights& weights, double value, double least,
                                                            double last) const {
  const Weights ones;
  const bool starts = least == 0, afresh = !starts && from.holds_codes;
  const Coding coding = afresh ? Coding::look : Coding::held;
  const double first = starts ? options_.first : first_alone, smallest = std::max(options_.smallest, least * smallest_alone);
  const double below = (1 - least) * value;
  Look found;
  const auto blocks = blocks_of(gradient);
  const std::array<double, 2> factors{1 / options_.shrink, options_.shrink};
  for (const auto& [block, g] : blocks) {
    const double unit = unit_of(value, g, ones);
    const double near = afresh && std::isfinite(unit) ? last * weight_in(weights, block) : 0;
    const double linear = least / options_.shrink * unit;
    double t_first = first * unit;
    while (near > 0 && options_.shrink * t_first >= std::max(near, linear)) t_first *= options_.shrink;
    const double t_last = near > 0 ? linear : smallest * unit;
    std::optional<Trial> trial = co_await search(from, g, ones, t_first, t_last, near > 0 ? value : below, coding);
    for (const double factor : factors) {
      if (factor > 1 && near == 0) continue;
      bool moved = false;
      while (trial && factor * trial->t <= first * unit) {
        const double t = factor * trial->t;
        std::optional<Trial> other = co_await search(from, g, ones, t, t, trial->value, coding);
        if (!other) break;
        trial = std::move(other);
        moved = true;
      }
      if (moved) break;
    }
    if (trial && trial->value >= below) trial.reset();
    found.weights[block] = trial ? options_.shrink * trial->t : 0;
    if (trial && (!found.best || trial->value < found.best->value)) found.best = std::move(trial);
  }
  co_return found;
}

template <Scalar T>
Asking<T, bool> LineSearch<T>::can_fall(Position<T> from) const {
  const Question<T> here{.at = from.parameters}, slope{.at = from.parameters, .gradient = from.moves};
  const Sums<T> at = co_await here, down = co_await slope;
  const Look found = co_await look(from, down.gradient, weights_, at.value, enough, 0);
  co_return found.best.has_value();
}

template <Scalar T>
Asking<T, Outcome<T>> LineSearch<T>::step(Position<T> from) {
  double value = from.value.value_or(0);
  if (!from.value) {
    const Question<T> here{.at = from.parameters, .coding = Coding::opening};
    const Sums<T> answer = co_await here;
    value = answer.value;
    require(std::isfinite(value), "{}: the objective is {} after {} {}; are the signals or reg too large?", from.who, value,
            from.n_steps, from.steps);
  }
  Question<T> slope{.at = from.parameters, .gradient = from.moves};
  const Sums<T> down = co_await std::move(slope);
  const Parameters<T>& gradient = down.gradient;
  for (const auto& [name, g] : gradient)
    require(g.allFinite(), "{}: the gradient by '{}' is not finite after {} {}; are the signals or reg too large?", from.who,
            name, from.n_steps, from.steps);

  std::optional<double> t_next = t_;
  Weights weights = weights_;
  Outcome<T> outcome{.value = value};
  const auto ended = [&] {
    outcome.keep = [this, t_next, weights] {
      t_ = t_next;
      weights_ = weights;
    };
    return std::move(outcome);
  };
  double last = t_.value_or(0) / options_.grow;
  const bool one_block = blocks_of(gradient).size() < 2;
  if (!t_next && !one_block) {
    Look start = co_await look(from, gradient, weights, value, 0, 0);
    if (start.best) {
      weights = std::move(start.weights);
      t_next = 1 / options_.shrink;
    }
  }
  const double unit = unit_of(value, gradient, weights), largest = options_.largest * unit;
  double t = std::min(t_next.value_or(options_.first * unit), largest);
  bool was_held_back = false;
  std::optional<Trial> trial = co_await search(from, gradient, weights, t, options_.smallest * unit, value, Coding::held);
  if (trial) {
    was_held_back = trial->t < t;
    last = trial->t;
    t = std::min(options_.grow * trial->t, largest);
    double longest = weights.empty() ? 1 : 0;
    for (const auto& [block, weight] : weights) longest = std::max(longest, weight);
    outcome = {.parameters = std::move(trial->parameters),
               .moved = true,
               .value = trial->value,
               .step = options_.shrink * trial->t * longest};
  }
  if (std::isfinite(t)) t_next = t;  // no gradient, no unit
  if (!from.is_fixed) co_return ended();
  const double decrease = value - outcome.value;
  const bool is_slow = outcome.moved && decrease < from.tol * value;
  const bool crawls = was_held_back && decrease < crawl * value && !one_block;
  if (outcome.moved && !is_slow && !crawls) co_return ended();

  const double least = is_slow ? enough : std::min(enough, std::max(from.tol, fine));
  Question<T> here{.at = outcome.moved ? outcome.parameters : from.parameters, .coding = Coding::look};
  const Position<T> there = from.moved_to(here.at);
  double before = outcome.value;
  if (from.holds_codes) {
    const Sums<T> answer = co_await here;
    before = answer.value;
  }
  Parameters<T> anew = gradient;
  if (outcome.moved) {
    here.coding = Coding::held;
    here.gradient = from.moves;
    Sums<T> answer = co_await here;
    anew = std::move(answer.gradient);
  }
  Look found = co_await look(there, anew, weights, before, least, last);
  outcome.certified = !found.best;
  const bool tol_ends = from.tol > enough && (is_slow || !found.best || before - found.best->value < from.tol * before);
  outcome.ends_phase = outcome.certified || tol_ends;
  if (outcome.ends_phase) co_return ended();
  outcome.parameters = std::move(found.best->parameters);
  outcome.moved = true;
  outcome.value = found.best->value;
  outcome.step = options_.shrink * found.best->t;
  weights = std::move(found.weights);
  t_next = 1 / options_.shrink;
  co_return ended();
}

template <Scalar T>
NamedTensors LineSearch<T>::state() const {
  NamedTensors tensors{{"line_search.t", to_tensor(t_ ? std::vector<double>{*t_} : std::vector<double>{})}};
  for (const auto& [block, weight] : weights_) tensors[weight_key + block] = to_tensor(std::vector<double>{weight});
  return tensors;
}

template <Scalar T>
void LineSearch<T>::restore(const NamedTensors& state, const Parameters<T>&) {
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
