// A network for signals that come one at a time: its layers are set up once, and run on the calling thread.
#pragma once

#include <memory>
#include <optional>

#include "riata/networks/network.hpp"

namespace riata {

template <Scalar T>
class NetworkEncoder {
 public:
  /// Keeps the network. `n_layers`: the first layers alone.
  /// @throws std::invalid_argument unless 1 <= n_layers <= those of the network
  explicit NetworkEncoder(Network<T> network, std::optional<int> n_layers = {});
  ~NetworkEncoder();
  NetworkEncoder(NetworkEncoder&&) noexcept;
  NetworkEncoder& operator=(NetworkEncoder&&) noexcept;

  /// The code of x (n_features) into `code` (n_atoms), equal to Network::encode()'s but for rounding. One call at a time.
  /// @throws std::invalid_argument if a size is wrong, x is not finite, or reg is not finite and > 0
  void encode(const NonDeduced<ConstVectorRef<T>>& x, double reg, NonDeduced<VectorRef<T>> code);

  const Network<T>& network() const;

 private:
  struct Prepared;
  std::unique_ptr<Prepared> prepared_;
};

}  // namespace riata
