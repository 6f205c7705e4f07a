#include "riata/networks/network_encoder.hpp"

#include <cmath>

#include "riata/core/check.hpp"
#include "riata/networks/network_pass.hpp"
#include "riata/operators/units.hpp"

namespace riata {

template <Scalar T>
struct NetworkEncoder<T>::Prepared {
  Prepared(Network<T>&& net, int n_layers)
      : network(std::move(net)),
        pass(find_network_kind<T>(network.kind()), network.model(), network.parameters(), n_layers, false, 1),
        reg(1) {}

  const Network<T> network;
  NetworkPass<T> pass;
  Vector<T> reg;
  const Matrix<T> from_zero;
};

template <Scalar T>
NetworkEncoder<T>::NetworkEncoder(Network<T> network, std::optional<int> n_layers) {
  const int depth = n_layers.value_or(network.n_layers());
  require(depth >= 1 && depth <= network.n_layers(), "NetworkEncoder: n_layers = {}, must be between 1 and the network's {}",
          depth, network.n_layers());
  prepared_ = std::make_unique<Prepared>(std::move(network), depth);
}

template <Scalar T>
NetworkEncoder<T>::~NetworkEncoder() = default;
template <Scalar T>
NetworkEncoder<T>::NetworkEncoder(NetworkEncoder&&) noexcept = default;
template <Scalar T>
NetworkEncoder<T>& NetworkEncoder<T>::operator=(NetworkEncoder&&) noexcept = default;

template <Scalar T>
void NetworkEncoder<T>::encode(const NonDeduced<ConstVectorRef<T>>& x, double reg, NonDeduced<VectorRef<T>> code) {
  const DenseDictionary<T>& D = network().dictionary();
  require(x.size() == D.signal_size(), "NetworkEncoder: x has {} entries, expected the atoms' {}", x.size(), D.signal_size());
  require(code.size() == D.code_size(), "NetworkEncoder: code has {} entries, expected one per atom, {}", code.size(),
          D.code_size());
  require(is_in_range<T>(x), "NetworkEncoder: x has an entry that is not finite, or larger than its square can be");
  require(std::isfinite(reg) && reg > 0, "reg = {}, must be > 0 and finite", reg);
  prepared_->reg(0) = static_cast<T>(reg);
  prepared_->pass.forward({.X = x, .reg = prepared_->reg}, prepared_->from_zero);
  code = prepared_->pass.codes().col(0);
}

template <Scalar T>
const Network<T>& NetworkEncoder<T>::network() const {
  return prepared_->network;
}

template class NetworkEncoder<float>;
template class NetworkEncoder<double>;

}  // namespace riata
