#include "riata/unrolled/unrolled_encoder.hpp"

#include <algorithm>
#include <cmath>
#include <mutex>
#include <optional>
#include <stdexcept>

#include "riata/core/check.hpp"
#include "riata/operators/units.hpp"
#include "riata/unrolled/adaptive_pass.hpp"
#include "riata/unrolled/tangents.hpp"

namespace riata {
namespace {

constexpr Index most_gram_atoms = 8192;  // 0.5 GB of doubles

}  // namespace

template <Scalar T>
struct UnrolledEncoder<T>::Network {
  Network(const DenseDictionary<T>& dictionary, const UnrolledOptions& options)
      : given(dictionary),
        atoms(given),
        D(dynamic_cast<const DenseDictionary<T>&>(atoms.dictionary())),
        penalty(options.penalty, D.code_size()),
        schedule(make_schedule(in_unit(options, atoms.exponent()), options.lipschitz ? 0 : D.squared_norm())),
        return_extrapolated(options.return_extrapolated),
        units(atoms.exponent(), RegUnit::linear),
        reg(1) {
    const bool any_negative = std::ranges::any_of(options.steps, [](double s) { return s < 0; });
    if (!any_negative && D.code_size() <= most_gram_atoms) gram.emplace(D.atoms(), penalty);
    pass.emplace(D, penalty, gram ? &*gram : nullptr, schedule, 0, 1);
  }

  static UnrolledOptions in_unit(UnrolledOptions options, int f) {
    if (options.lipschitz) options.lipschitz = std::ldexp(*options.lipschitz, -2 * f);
    return options;
  }

  std::mutex mutex;  // of pass, units and reg
  DenseDictionary<T> given;
  UnitAtoms<T> atoms;
  const DenseDictionary<T>& D;
  L1<T> penalty;
  LayerSchedule schedule;
  bool return_extrapolated;
  TileUnits<T> units;
  std::optional<GramProblem<T>> gram;
  std::optional<AdaptivePass<T>> pass;
  Vector<T> reg;
  Matrix<T> from_zero;
};

template <Scalar T>
UnrolledEncoder<T>::UnrolledEncoder(const DenseDictionary<T>& D, const UnrolledOptions& options) {
  options.validate();
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
  require(x.size() == n_features(), "UnrolledEncoder: x has {} entries, expected the atoms' {}", x.size(), n_features());
  require(code.size() == n_atoms(), "UnrolledEncoder: code has {} entries, expected one per atom, {}", code.size(), n_atoms());
  if (!is_in_range<T>(x)) {
    require_finite("UnrolledEncoder", "x", x, {nullptr, "feature"});
    refuse("UnrolledEncoder: x has an entry whose square overflows; scale x and reg down");
  }
  require(std::isfinite(static_cast<T>(reg)) && static_cast<T>(reg) > T(0), "reg = {}, must be > 0 and finite", reg);
  Network& network = *network_;
  const std::lock_guard lock(network.mutex);
  network.reg(0) = static_cast<T>(reg);
  const ConstMatrixRef<T> X(x);
  network.units.open(X, network.reg);
  network.pass->forward(network.units.X(), network.units.reg(), 0, network.from_zero);
  if (network.return_extrapolated)
    code = network.pass->extrapolated().col(0);
  else
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
