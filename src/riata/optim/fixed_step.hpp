// A step of the same length each time:   p <- project(p - rate g)
#pragma once

#include "riata/optim/update.hpp"

namespace riata {

/// Unverified, for directions that have a length of their own.
template <Scalar T>
class FixedStep final : public Update<T> {
 public:
  /// @throws std::invalid_argument unless rate > 0 and finite
  explicit FixedStep(double rate);

  const char* name() const override { return "the fixed step"; }
  std::set<Piece> needs() const override { return {Piece::gradient}; }
  Asking<T, Outcome<T>> step(Position<T> from) override;

 private:
  double rate_;
};

}  // namespace riata
