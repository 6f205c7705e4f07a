// A function with known curvatures for the tests of optimisers, which remembers where it was evaluated.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "riata/optim/adam.hpp"
#include "riata/optim/line_search.hpp"
#include "support/random_arrays.hpp"

namespace riata::testing {

/// A function as updates ask for it.
template <Scalar T>
struct Asked {
  std::function<void(Parameters<T>&)> project;
  std::function<double(const Parameters<T>&)> evaluate;
  std::function<Parameters<T>(const Parameters<T>&)> gradient;
  std::function<double(const Parameters<T>&)> evaluate_afresh = {};  ///< where `evaluate` holds codes; or empty

  Sums<T> answer(const Question<T>& question) const {
    if (!question.gradient.empty()) return {.gradient = gradient(question.at)};
    return {.value = question.coding == Coding::held ? evaluate(question.at) : evaluate_afresh(question.at)};
  }
};

inline std::set<std::string> names_of(const auto& pack) {
  std::set<std::string> names;
  for (const auto& [name, unused] : pack) names.insert(name);
  return names;
}

/// One step of an update from parameters, whose gradient and value there are given.
template <Scalar T>
Outcome<T> one_step(LineSearch<T>& search, Parameters<T>& p, const Parameters<T>& gradient, double value, const Asked<T>& f,
                    double tol = 0) {
  const std::set<std::string> moves = names_of(gradient);
  bool is_first = true;
  Outcome<T> outcome = answered<T, Outcome<T>>(search.step({.parameters = p,
                                                            .moves = moves,
                                                            .project = f.project,
                                                            .value = value,
                                                            .tol = tol,
                                                            .holds_codes = f.evaluate_afresh != nullptr}),
                                               [&](const Question<T>& question) -> Sums<T> {
                                                 if (std::exchange(is_first, false)) return {.gradient = gradient};
                                                 return f.answer(question);
                                               });
  outcome.keep();
  if (outcome.moved) p = outcome.parameters;
  return outcome;
}
template <Scalar T>
void one_step(Adam<T>& adam, Parameters<T>& p, const Parameters<T>& gradient, const std::map<std::string, double>& rates) {
  const std::set<std::string> moves = names_of(gradient);
  Outcome<T> outcome = answered<T, Outcome<T>>(adam.step({.parameters = p, .moves = moves, .rates = rates}),
                                               [&](const Question<T>&) -> Sums<T> { return {.gradient = gradient}; });
  outcome.keep();
  p = outcome.parameters;
}

/// F(p) = constant + 1/2 sum_k a_k ||p_k - q_k||^2 + coupling/2 (sum of all entries)^2
template <Scalar T>
struct Quadratic {
  std::map<std::string, double> curvature;  // a
  Parameters<T> minimum;                    // q
  double constant = 0, coupling = 0;
  std::vector<Parameters<T>> tried = {};  // by the objective, in order

  double value(const Parameters<T>& p) const {
    double value = constant, sum = 0;
    for (const auto& [name, entries] : p) {
      value += 0.5 * curvature.at(name) * (entries - minimum.at(name)).template cast<double>().squaredNorm();
      sum += static_cast<double>(entries.sum());
    }
    return value + 0.5 * coupling * sum * sum;
  }
  Parameters<T> gradient(const Parameters<T>& p) const {
    T sum = 0;
    for (const auto& [name, entries] : p) sum += entries.sum();
    Parameters<T> g;
    for (const auto& [name, entries] : p) {
      g[name] = static_cast<T>(curvature.at(name)) * (entries - minimum.at(name));
      g[name].array() += static_cast<T>(coupling) * sum;
    }
    return g;
  }
  Asked<T> objective() {
    Asked<T> f;
    f.project = [](Parameters<T>&) {};
    f.evaluate = [this](const Parameters<T>& p) {
      tried.push_back(p);
      return value(p);
    };
    f.gradient = [this](const Parameters<T>& p) { return gradient(p); };
    return f;
  }
};

}  // namespace riata::testing
