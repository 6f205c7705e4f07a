// Names of parameters in sentences; sizes of gradients: named packs of arrays with the names that move.
#pragma once

#include <algorithm>
#include <string>

#include "riata/core/check.hpp"
#include "riata/core/parameters.hpp"

namespace riata {

/// "dictionary, steps"
template <Scalar T>
std::string names_in(const Parameters<T>& parameters) {
  std::string names;
  for (const auto& [name, values] : parameters) names += (names.empty() ? "" : ", ") + name;
  return names;
}

/// sum_k w_k ||g_k||^2 = largest^2 sum, with no square that could leave the range of numbers.
struct ScaledSquares {
  double largest = 0, sum = 0;
};
template <Scalar T>
ScaledSquares scaled_squares(const Parameters<T>& gradient, const auto& weight_of) {
  ScaledSquares squares;
  double& largest = squares.largest;
  for (const auto& [name, g] : gradient) largest = std::max(largest, static_cast<double>(g.cwiseAbs().maxCoeff()));
  if (largest == 0) return squares;
  for (const auto& [name, g] : gradient) squares.sum += weight_of(name) * (g.template cast<double>() / largest).squaredNorm();
  return squares;
}

/// For updates that move atoms, the columns of a matrix: refuses where there are none. `name`: the update's.
template <Scalar T>
void require_atoms_among(const Parameters<T>& parameters, const char* name) {
  require(parameters.contains("dictionary"), "{} moves atoms, the parameter 'dictionary', which is not among the parameters",
          name);
}

}  // namespace riata
