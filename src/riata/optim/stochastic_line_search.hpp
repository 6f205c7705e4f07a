// Projected gradient on mini-batches, each with a line search of its own; Malezieux, Moreau and Kowalski (2022), section 4, after
// Vaswani, Mishkin, Laradji, Schmidt, Gidel and Lacoste-Julien (2019):
//
//   p' = project(p - eta g)   until   loss_b(p') <= loss_b(p) - c eta ||g_tan||^2,   else eta <- shrink eta
//
// where loss_b is the loss of the batch, and g_tan is g without its part across the constraint (along the atoms on the sphere),
// which lowers nothing (of parameters other than atoms all of g). Searches begin at the largest eta in the first epoch, then at
//
//   min(largest, decay^(1 / iterations per epoch) eta / shrink),   eta the last accepted.
//
// Departure from the published code: that holds c eta ||g||^2 against the decrease, of which the radial part never comes; near
// a stationary point all steps are then refused. `euclidean` replays it.
//
// Units. eta is in units of loss_b / ||g_tan||^2 at the first batch of a phase, so that nothing depends on the unit of the signals
// or on whether losses are sums or means; the published ones are numbers (relative = false).
#pragma once

#include "riata/optim/update.hpp"

namespace riata {

struct StochasticLineSearchOptions {
  double largest = 1;       ///< eta never exceeds this
  double smallest = 1e-20;  ///< of `largest`: the batch is left as it is once eta falls below
  double slope = 5e-3;      ///< c; published: 10 / batch size
  double shrink = 0.5;      ///< factor between trials, in (0, 1)
  double decay = 0.5;       ///< of eta from one epoch to the next, in (0, 1]
  Index per_epoch = 1;      ///< iterations that see as many signals as there are
  bool relative = true;
  bool euclidean = false;
  void validate() const;  ///< @throws std::invalid_argument naming the field, its value and the rule
};

template <Scalar T>
class StochasticLineSearch final : public Update<T> {
 public:
  explicit StochasticLineSearch(const StochasticLineSearchOptions& options) : options_(options) { options_.validate(); }

  const char* name() const override { return "the stochastic line search"; }
  std::set<Piece> needs() const override { return {Piece::value, Piece::gradient}; }
  bool verifies() const override { return true; }
  Asking<T, Outcome<T>> step(Position<T> from) override;

  void reset() override;
  NamedTensors state() const override;
  void restore(const NamedTensors& state, const Parameters<T>& parameters) override;

 private:
  StochasticLineSearchOptions options_;
  double unit_ = 0;  // 0: not known yet
  double eta_ = 0;   // the last accepted, 0: none
  Index taken_ = 0;  // iterations of the phase
};

}  // namespace riata
