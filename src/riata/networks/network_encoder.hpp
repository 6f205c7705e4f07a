// A network for signals that come one at a time: its layers are set up once, and run on the calling thread.
#pragma once

#include <memory>
#include <optional>

#include "riata/networks/network.hpp"

namespace riata {

/// What one code is worth; the fields of EncodeResult.
struct CodeCertificate {
  double objective, gap;
  int n_iter;
  Status status;
};

template <Scalar T>
class NetworkEncoder {
 public:
  /// Keeps the network. `n_layers`: the first layers alone. With `guards`, also empty ones, codes are certified.
  /// @throws std::invalid_argument unless 1 <= n_layers <= those of the network, and for bad guards
  explicit NetworkEncoder(Network<T> network, std::optional<int> n_layers = {}, const std::optional<NetworkGuards>& guards = {});
  ~NetworkEncoder();
  NetworkEncoder(NetworkEncoder&&) noexcept;
  NetworkEncoder& operator=(NetworkEncoder&&) noexcept;

  /// The code of x (n_features) into `code` (n_atoms), equal to Network::encode()'s, or encode_certified()'s, but for rounding;
  /// what it is worth if there are guards. Calls from several threads wait for one another.
  /// @throws std::invalid_argument if a size is wrong, x is not finite, reg is not finite and > 0, or the network diverges
  std::optional<CodeCertificate> encode(const NonDeduced<ConstVectorRef<T>>& x, double reg, NonDeduced<VectorRef<T>> code);

  const Network<T>& network() const;

 private:
  struct Prepared;
  std::unique_ptr<Prepared> prepared_;
};

}  // namespace riata
