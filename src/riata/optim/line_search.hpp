// Projected gradient with the line search of Malezieux, Moreau and Kowalski (2022, published code):
//
//   try p' = project(p - (t/2) g), p - (t/4) g, ...  until loss(p') < loss(p);   then t <- min(10 t, largest)
//
// where t starts, in each iteration, from what the last one left. Simple decrease, no slope condition. A step counts only
// if the loss was evaluated at the very parameters that are returned; otherwise p is untouched, bit for bit.
#pragma once

#include <set>

#include "riata/core/tensors.hpp"
#include "riata/optim/parameters.hpp"

namespace riata {

struct LineSearchOptions {
  double first = 1;         ///< t at the start of a phase
  double largest = 1e4;     ///< t never exceeds this
  double smallest = 1e-20;  ///< the search gives up once t falls below this
  double shrink = 0.5;      ///< factor between trials, in (0, 1)
  double grow = 10;         ///< factor after an accepted step, >= 1
  double unit = 1;          ///< multiplies first, largest and smallest: the number of signals when the loss is their mean
};

template <Scalar T>
class LineSearch {
 public:
  explicit LineSearch(const LineSearchOptions& options) : options_(options) { reset(); }

  static std::set<Piece> needs() { return {Piece::value, Piece::gradient}; }

  struct Outcome {
    bool accepted = false;
    double value = 0;  ///< the loss at the new parameters, or the old value
    double step = 0;   ///< the accepted step, or 0
  };

  /// Moves `parameters` against `gradient`, whose loss is `value`.
  Outcome step(Parameters<T>& parameters, const Parameters<T>& gradient, double value, const Objective<T>& objective);

  void reset() { t_ = options_.first * options_.unit; }
  NamedTensors state() const;
  void restore(const NamedTensors& state);

 private:
  LineSearchOptions options_;
  double t_;
};

}  // namespace riata
