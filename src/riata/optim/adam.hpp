// Adam; Kingma and Ba (2015), Algorithm 1:
//
//   m <- b1 m + (1 - b1) g,   v <- b2 v + (1 - b2) g^2,   p <- p - rate (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps)
//
// m and v are kept in units of a power of two near the root mean square of the first gradient that is not zero, so that no
// square leaves the range of T. The unit of the loss does not matter unless eps is given: else it is 1e-8 of that root mean square.
#pragma once

#include <optional>

#include "riata/core/tensors.hpp"
#include "riata/optim/parameters.hpp"

namespace riata {

struct AdamOptions {
  double b1 = 0.9;                 ///< in [0, 1)
  double b2 = 0.999;               ///< in [0, 1)
  std::optional<double> eps = {};  ///< > 0, in the gradient's unit; absent: 1e-8 of the first gradient's root mean square
};

template <Scalar T>
class Adam {
 public:
  explicit Adam(const AdamOptions& options = {}) : options_(options) {}

  /// Moves what the gradient names, each by its own rate; a name without one does not move.
  void step(Parameters<T>& parameters, const Parameters<T>& gradient, const std::map<std::string, double>& rates);

  void reset();
  NamedTensors state() const;
  /// @throws std::invalid_argument if the state is not that of such parameters
  void restore(const NamedTensors& state, const Parameters<T>& parameters);

 private:
  AdamOptions options_;
  std::int64_t t_ = 0;
  double size_ = 0;  // the root mean square of the first gradient that is not zero; 0 before
  Parameters<T> m_, v_;
};

}  // namespace riata
