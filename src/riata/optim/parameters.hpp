// What an optimiser moves: named arrays. A gradient is a pack with the names that move.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "riata/core/types.hpp"

namespace riata {

template <Scalar T>
using Parameters = std::map<std::string, Matrix<T>>;

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
