// The forward pass of unrolled_encode() for signals that come one at a time: what depends on the dictionary alone, the Gram
// matrix first of all, is set up once, and a call allocates nothing. With given steps this is a trained Step-LISTA network.
#pragma once

#include <memory>

#include "riata/unrolled/unrolled.hpp"

namespace riata {

template <Scalar T>
class UnrolledEncoder {
 public:
  /// Copies the dictionary. `options.execution` does not matter: all runs on the calling thread.
  /// @throws std::invalid_argument as unrolled_encode()
  explicit UnrolledEncoder(const DenseDictionary<T>& D, const UnrolledOptions& options = {});
  ~UnrolledEncoder();
  UnrolledEncoder(UnrolledEncoder&&) noexcept;
  UnrolledEncoder& operator=(UnrolledEncoder&&) noexcept;

  /// The code of x (n_features) into `code` (n_atoms), equal to unrolled_encode()'s but for rounding. Calls from several
  /// threads wait for one another.
  /// @throws std::invalid_argument if a size is wrong, x is not finite, or reg is not finite and > 0
  void encode(const NonDeduced<ConstVectorRef<T>>& x, double reg, NonDeduced<VectorRef<T>> code);

  Index n_features() const;
  Index n_atoms() const;

 private:
  struct Network;
  std::unique_ptr<Network> network_;
};

}  // namespace riata
