#include "riata/unrolled/unrolled_encoder.hpp"

#include <mutex>

#include "riata/core/check.hpp"
#include "riata/operators/units.hpp"
#include "riata/unrolled/unrolled_layers.hpp"

namespace riata {
namespace {

constexpr Index most_gram_atoms = 8192;  // 0.5 GB of doubles

}  // namespace

template <Scalar T>
struct UnrolledEncoder<T>::Network {
  Network(const DenseDictionary<T>& dictionary, const UnrolledOptions& options)
      : given(dictionary.owned()),
        atoms(given),
        layers(options, atoms.dictionary(), atoms.exponent(),
               {.weighted = false, .gram_pays = atoms.dictionary().code_size() <= most_gram_atoms}),
        units(atoms.exponent(), RegUnit::linear),
        reg(1),
        pass(layers.make_pass(0, 1)) {}

  std::mutex mutex;  // of pass, units and reg
  DenseDictionary<T> given;
  UnitAtoms<T> atoms;
  const UnrolledLayers<T> layers;
  TileUnits<T> units;
  Vector<T> reg;
  std::unique_ptr<Pass<T>> pass;
  Matrix<T> from_zero;
};

template <Scalar T>
UnrolledEncoder<T>::UnrolledEncoder(const DenseDictionary<T>& D, const UnrolledOptions& options) {
  require_l1("UnrolledEncoder", options.penalty);
  network_ = std::make_unique<Network>(D, options);
}

template <Scalar T>
UnrolledEncoder<T>::~UnrolledEncoder() = default;
template <Scalar T>
UnrolledEncoder<T>::UnrolledEncoder(UnrolledEncoder&&) noexcept = default;
template <Scalar T>
UnrolledEncoder<T>& UnrolledEncoder<T>::operator=(UnrolledEncoder&&) noexcept = default;

template <Scalar T>
void UnrolledEncoder<T>::encode(const NonDeduced<ConstVectorRef<T>>& x, double reg, NonDeduced<VectorRef<T>> code) {
  Network& network = *network_;
  const T weight = require_signal<T>("UnrolledEncoder", network.given, x, reg, code);
  const std::lock_guard lock(network.mutex);
  network.reg(0) = weight;
  const ConstMatrixRef<T> X(x);
  network.units.open(X, network.reg);
  network.pass->forward({network.units.X(), network.units.reg()}, network.from_zero);
  code = network.pass->codes().col(0);
  network.units.leave(code);
}

template <Scalar T>
Index UnrolledEncoder<T>::n_features() const {
  return network_->given.signal_size();
}
template <Scalar T>
Index UnrolledEncoder<T>::n_atoms() const {
  return network_->given.code_size();
}

template class UnrolledEncoder<float>;
template class UnrolledEncoder<double>;

}  // namespace riata
