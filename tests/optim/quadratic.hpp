// A function with known curvatures for the tests of optimisers, which remembers where it was evaluated.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "riata/optim/line_search.hpp"
#include "support/random_arrays.hpp"

namespace riata::testing {

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
  SearchObjective<T> objective() {
    SearchObjective<T> f;
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
