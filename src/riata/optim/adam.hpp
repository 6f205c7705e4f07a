// Adam; Kingma and Ba (2015), Algorithm 1:
//
//   m <- b1 m + (1 - b1) g,   v <- b2 v + (1 - b2) g^2,   p <- p - rate (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps)
//
// m and v are kept in units of a power of two near the root mean square of the first gradient that is not zero, so that no
// square leaves the range of T. The unit of the loss does not matter unless eps is given: else it is 1e-8 of that root mean
// square.
#pragma once

#include <optional>

#include "riata/optim/update.hpp"

namespace riata {

struct AdamOptions {
  double rate = 1e-3;              ///< of names for which the phase has none, where it has none at all
  double b1 = 0.9;                 ///< in [0, 1)
  double b2 = 0.999;               ///< in [0, 1)
  std::optional<double> eps = {};  ///< > 0, in the gradient's unit; absent: 1e-8 of the first gradient's root mean square
  void validate() const;           ///< @throws std::invalid_argument naming the field, its value and the rule
};

/// Moves by the gradient, each name by its own rate, unverified; of the names of a phase that has rates, those alone.
template <Scalar T>
class Adam final : public Update<T> {
 public:
  explicit Adam(const AdamOptions& options = {}) : options_(options) { options_.validate(); }

  const char* name() const override { return "Adam"; }
  std::set<Piece> needs() const override { return {Piece::gradient}; }
  Asking<T, Outcome<T>> step(Position<T> from) override;
  void forget_atoms(const std::vector<Index>& atoms) override;
  void reset() override { moments_ = {}; }
  NamedTensors state() const override;
  void restore(const NamedTensors& state, const Parameters<T>& parameters) override;

 private:
  struct Moments {
    std::int64_t t = 0;
    double size = 0;  // the root mean square of the first gradient that is not zero; 0 before
    Parameters<T> m = {}, v = {};
  };
  /// Moves `parameters`; how far, at most.
  double move(Parameters<T>& parameters, const Position<T>& from, const Parameters<T>& gradient, Moments& moments) const;

  AdamOptions options_;
  Moments moments_;
};

}  // namespace riata
