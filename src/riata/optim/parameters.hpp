// What an optimiser moves: named arrays. A gradient is a pack with the names that move.
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <string>

#include "riata/core/parameters.hpp"

namespace riata {

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

/// What passes between a direction and an update; a pair that does not fit is refused when the learner is built.
enum class Piece { value, gradient, statistics, codes };
const char* to_string(Piece piece);

/// What an update may ask of the world: put parameters onto their constraint set, and value the loss there.
template <Scalar T>
struct Objective {
  std::function<void(Parameters<T>&)> project;
  std::function<double(const Parameters<T>&)> evaluate;
};

}  // namespace riata
