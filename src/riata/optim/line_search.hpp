// Projected gradient with the line search of Malezieux, Moreau and Kowalski (2022, published code):
//
//   try p' = project(p - (t/2) W g), p - (t/4) W g, ...  until loss(p') < loss(p);   then t <- grow t
//
// where t starts, in each iteration, from what the last one left. Simple decrease, no slope condition. A step counts only
// if the loss was evaluated at the very parameters that are returned; otherwise p is untouched, bit for bit.
//
// Units. The limits of t are in units of loss / <g, W g>, the step after which the loss would vanish if it were linear; the
// published ones are numbers, which suit signals of norm near 1. So nothing depends on the unit of the signals.
//
// Blocks. W is one number per block (arrays whose names end alike, after the last dot): the step that lowers the loss most, among
// halvings, where it moves alone at the start of a phase. Where no joint step lowers the loss (or too little: see `tol`), each
// is searched alone again, for 1e-9 of the loss, or 1e-4 where `tol` ended the joint search. The best such step is taken and they
// are the new W, 0 where there is none: a block that only rises, at a kink, holds nothing back. If there is none at all the
// search has ended, and that is the certificate: no block alone lowers the loss by 1e-4 of it.
#pragma once

#include <optional>
#include <set>

#include "riata/core/status.hpp"
#include "riata/core/tensors.hpp"
#include "riata/optim/parameters.hpp"

namespace riata {

/// How a run is said to have ended whose search has, certified or not.
inline Status status_of_end(bool certified) { return certified ? Status::converged : Status::stalled; }

/// What a search asks besides, before it ends.
template <Scalar T>
struct SearchObjective : Objective<T> {
  std::function<Parameters<T>(const Parameters<T>&)> gradient;       ///< at parameters just evaluated
  std::function<double(const Parameters<T>&)> evaluate_afresh = {};  ///< the loss, where `evaluate` holds codes; or empty
};

struct LineSearchOptions {
  double first = 1;         ///< t at the start of a phase
  double largest = 1e10;    ///< t never exceeds this
  double smallest = 1e-16;  ///< the search gives up once t falls below this: the loss would move by less than its rounding
  double shrink = 0.5;      ///< factor between trials, in (0, 1)
  double grow = 10;         ///< factor after an accepted step, >= 1
  bool relative = true;     ///< the first three in units of loss / <g, W g>; false: as they are, for directions with a length
};

template <Scalar T>
class LineSearch {
 public:
  explicit LineSearch(const LineSearchOptions& options) : options_(options) {}

  static std::set<Piece> needs() { return {Piece::value, Piece::gradient}; }

  struct Outcome {
    bool accepted = false;
    double value = 0;        ///< the loss at the new parameters, or the old value
    double step = 0;         ///< the accepted step, or 0
    bool ended = false;      ///< no step is left to take
    bool certified = false;  ///< ended, and no block alone lowers the loss by 1e-4 of it
  };

  /// Moves `parameters` against `gradient`, whose loss is `value`. A joint step that lowers the loss by less than `tol` of it is
  /// the last, unless a block alone lowers it by 1e-4; above 1e-4 `tol` has the last word.
  Outcome step(Parameters<T>& parameters, const Parameters<T>& gradient, double value, const SearchObjective<T>& objective,
               double tol = 0);

  /// Does a block alone lower the loss by 1e-4 of it?
  bool can_fall(const Parameters<T>& parameters, const Parameters<T>& gradient, double value,
                const SearchObjective<T>& objective) const;

  void reset();
  NamedTensors state() const;
  void restore(const NamedTensors& state);

 private:
  struct Trial {
    Parameters<T> parameters;
    double value, t;
  };
  struct Look {
    std::optional<Trial> best;
    std::map<std::string, double> weights;
  };
  using Evaluate = std::function<double(const Parameters<T>&)>;

  double weight_of(const std::string& name) const;
  double unit_of(double value, const Parameters<T>& gradient) const;
  std::optional<Trial> search(const Parameters<T>& from, const Parameters<T>& gradient, double t, double smallest, double below,
                              const SearchObjective<T>& objective, const Evaluate& evaluate) const;
  Look look(const Parameters<T>& from, const Parameters<T>& gradient, double value, double least,
            const SearchObjective<T>& objective, double last) const;

  LineSearchOptions options_;
  std::optional<double> t_;                // absent at the start of a phase
  std::map<std::string, double> weights_;  // W; empty: ones
};

}  // namespace riata
