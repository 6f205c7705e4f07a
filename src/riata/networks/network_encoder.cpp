#include "riata/networks/network_encoder.hpp"

#include <mutex>

#include "riata/core/check.hpp"
#include "riata/networks/certified_pass.hpp"

namespace riata {

template <Scalar T>
struct NetworkEncoder<T>::Prepared {
  Prepared(Network<T>&& net, int layers, const std::optional<NetworkGuards>& wanted)
      : network(std::move(net)), n_layers(layers), guards(wanted), reg(1) {
    if (guards) {
      shared.emplace(network, n_layers, guards->safeguard, many);
      certified.emplace(*shared, 1);
      if (guards->finish) finisher.emplace(network, *guards->finish, Execution{.n_threads = 1});
    } else {
      plain = make_pass(find_network_kind<T>(network.kind()), network.model(), network.parameters(),
                        {.n_layers = n_layers, .stored = 0, .tile = 1});
    }
  }

  static constexpr Index many = 1000;  // signals, that will come one by one

  std::mutex mutex;  // of all that moves
  const Network<T> network;
  const int n_layers;
  const std::optional<NetworkGuards> guards;
  std::unique_ptr<Pass<T>> plain;
  std::optional<CertifiedNetwork<T>> shared;
  std::optional<CertifiedPass<T>> certified;
  std::optional<Finisher<T>> finisher;
  CertifiedCodes<T> codes{network.model().n_atoms(), 1};
  Vector<T> reg;
  const Matrix<T> from_zero;
};

template <Scalar T>
NetworkEncoder<T>::NetworkEncoder(Network<T> network, std::optional<int> n_layers, const std::optional<NetworkGuards>& guards) {
  const int depth = n_layers.value_or(network.n_layers());
  require(depth >= 1 && depth <= network.n_layers(), "NetworkEncoder: n_layers = {}, must be between 1 and the network's {}",
          depth, network.n_layers());
  if (guards) guards->validate();
  prepared_ = std::make_unique<Prepared>(std::move(network), depth, guards);
}

template <Scalar T>
NetworkEncoder<T>::~NetworkEncoder() = default;
template <Scalar T>
NetworkEncoder<T>::NetworkEncoder(NetworkEncoder&&) noexcept = default;
template <Scalar T>
NetworkEncoder<T>& NetworkEncoder<T>::operator=(NetworkEncoder&&) noexcept = default;

template <Scalar T>
std::optional<CodeCertificate> NetworkEncoder<T>::encode(const NonDeduced<ConstVectorRef<T>>& x, double reg,
                                                         NonDeduced<VectorRef<T>> code) {
  Prepared& prepared = *prepared_;
  const T weight = require_signal<T>("NetworkEncoder", network().dictionary(), x, reg, code);
  const std::lock_guard lock(prepared.mutex);
  prepared.reg(0) = weight;
  const TileInput<T> input{.X = x, .reg = prepared.reg};
  const auto require_known = [&](bool is_known) {
    require(is_known,
            "NetworkEncoder: the network diverges: what it gives after {} layers is not finite; safeguard or finish "
            "gives another code",
            prepared.n_layers);
  };
  if (prepared.plain) {
    prepared.plain->forward(input, prepared.from_zero);
    code = prepared.plain->codes().col(0);
    require_known(code.allFinite());
    return {};
  }
  CertifiedCodes<T>& codes = prepared.codes;
  prepared.certified->forward(input, prepared.from_zero, codes.tile(0, 1));
  codes.judge(prepared.guards->finish.value_or(0));
  codes.result.n_iter(0) = 0;
  if (prepared.finisher) prepared.finisher->finish(SeenBatch<T>("encode", x), prepared.reg, codes);
  require_known(codes.is_known(0));
  const EncodeResult<T>& result = codes.result;
  code = result.codes.col(0);
  return CodeCertificate{
      .objective = result.objective(0), .gap = result.gap(0), .n_iter = result.n_iter(0), .status = result.status[0]};
}

template <Scalar T>
const Network<T>& NetworkEncoder<T>::network() const {
  return prepared_->network;
}

template class NetworkEncoder<float>;
template class NetworkEncoder<double>;

}  // namespace riata
