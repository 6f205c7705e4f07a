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
// search has ended, and that is the certificate: no block alone lowers the loss by 1e-4 of it. Where a direction holds codes,
// these looks code anew.
#pragma once

#include "riata/optim/update.hpp"

namespace riata {

struct LineSearchOptions {
  double first = 1;         ///< t at the start of a phase
  double largest = 1e10;    ///< t never exceeds this
  double smallest = 1e-16;  ///< the search gives up once t falls below this: the loss would move by less than its rounding
  double shrink = 0.5;      ///< factor between trials, in (0, 1)
  double grow = 10;         ///< factor after an accepted step, >= 1
  bool relative = true;     ///< the first three in units of loss / <g, W g>; false: as they are, for directions with a length
  void validate() const;    ///< @throws std::invalid_argument naming the field, its value and the rule
};

template <Scalar T>
class LineSearch final : public Update<T> {
 public:
  explicit LineSearch(const LineSearchOptions& options) : options_(options) { options_.validate(); }

  const char* name() const override { return "the line search"; }
  std::set<Piece> needs() const override { return {Piece::value, Piece::gradient}; }
  bool verifies() const override { return true; }

  /// A joint step that lowers the loss by less than `tol` of it is the last, unless a block alone lowers it by 1e-4; above 1e-4
  /// `tol` has the last word. Where batches change, a step that is refused is all there is to it: no block is searched alone
  /// then.
  Asking<T, Outcome<T>> step(Position<T> from) override;

  /// Does a block alone lower the loss by 1e-4 of it?
  Asking<T, bool> can_fall(Position<T> from) const;

  void reset() override;
  NamedTensors state() const override;
  void restore(const NamedTensors& state, const Parameters<T>& parameters) override;

 private:
  using Weights = std::map<std::string, double>;  // W by block; empty: ones
  struct Trial {
    Parameters<T> parameters;
    double value, t;
  };
  struct Look {
    std::optional<Trial> best;
    Weights weights;
  };

  double unit_of(double value, const Parameters<T>& gradient, const Weights& weights) const;
  Asking<T, std::optional<Trial>> search(const Position<T>& from, const Parameters<T>& gradient, const Weights& weights, double t,
                                         double smallest, double below, Coding coding) const;
  Asking<T, Look> look(const Position<T>& from, const Parameters<T>& gradient, const Weights& weights, double value, double least,
                       double last) const;

  LineSearchOptions options_;
  std::optional<double> t_;  // absent at the start of a phase
  Weights weights_;
};

}  // namespace riata
