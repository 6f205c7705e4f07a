#include "riata/terms/total_variation.hpp"

#include "arrays.hpp"
#include "execution.hpp"
#include "module.hpp"

namespace riata::python {
namespace {

/// A number for all signals or one each, and factors per jump where they are given.
using PythonWeight = std::variant<double, Array1<double>>;

template <Scalar T>
Vector<T> to_entries(const Array1<double>& array) {
  return Eigen::Map<const Vector<double>>(array.data(), static_cast<Index>(array.size())).template cast<T>();
}

template <Scalar T>
TvWeight<T> to_weight(const PythonWeight& weight, const std::optional<Array1<double>>& jumps) {
  const auto* number = std::get_if<double>(&weight);
  return TvWeight<T>(number != nullptr ? Vector<T>(Vector<T>::Constant(1, static_cast<T>(*number)))
                                       : to_entries<T>(std::get<Array1<double>>(weight)),
                     jumps ? to_entries<T>(*jumps) : Vector<T>());
}

template <Scalar T>
void bind_total_variation_in(nb::module_& m) {
  m.def(
      "prox_tv",
      [](const Array2<T>& Y, const PythonWeight& weight, const std::optional<Array1<double>>& jumps,
         std::optional<int> n_threads) {
        const Execution execution = to_execution(n_threads);
        const TvWeight<T> weights = to_weight<T>(weight, jumps);
        return to_numpy(without_gil([&] { return prox_tv<T>(view<T>(Y), weights, execution); }));
      },
      array_arg("Y"), array_arg("weight"), array_arg("jump_weights").none(), nb::arg("n_threads").none());
  m.def(
      "prox_tv_vjp",
      [](const Array2<T>& Y, const PythonWeight& weight, const std::optional<Array1<double>>& jumps, const Array2<T>& cotangent,
         std::optional<int> n_threads) {
        const Execution execution = to_execution(n_threads);
        const TvWeight<T> weights = to_weight<T>(weight, jumps);
        TvDerivative<T> by = without_gil([&] {
          const Matrix<T> U = prox_tv<T>(view<T>(Y), weights, execution);
          return prox_tv_vjp<T>(U, weights, view<T>(cotangent), execution);
        });
        const bool is_number = std::holds_alternative<double>(weight);
        nb::object by_weight = is_number ? nb::cast(by.weight(0)) : to_numpy(std::move(by.weight));
        return nb::make_tuple(to_numpy(std::move(by.signals)), by_weight, to_numpy(std::move(by.jumps)));
      },
      array_arg("Y"), array_arg("weight"), array_arg("jump_weights").none(), array_arg("cotangent"), nb::arg("n_threads").none());
}

}  // namespace

void bind_total_variation(nb::module_& m) {
  bind_total_variation_in<float>(m);
  bind_total_variation_in<double>(m);
}

}  // namespace riata::python
