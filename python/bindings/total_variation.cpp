#include "riata/terms/total_variation.hpp"

#include "arrays.hpp"
#include "encode_result.hpp"
#include "execution.hpp"
#include "module.hpp"
#include "operator.hpp"
#include "options.hpp"
#include "riata/solvers/tv_solve.hpp"

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
void bind_tv_solve(nb::module_& m) {
  m.def(
      "tv_solve",
      [](const Array2<T>& X, const PythonOperator<T>& given, const PythonReg& reg, const std::optional<Array2<T>>& mask,
         const nb::dict& given_options) {
        const auto options = to_options<TvOptions>(given_options);
        const Reg weight = to_reg(reg);
        TvResult<T> result = without_gil([&] {
          return tv_solve<T>(view<T>(X), *to_operator<T>(given, static_cast<Index>(X.shape(1))), weight, options,
                             view_if<T>(mask));
        });
        nb::dict fields;
        fields["signals"] = to_numpy(std::move(result.signals));
        fields["reg"] = to_numpy(std::move(result.reg));
        fields["objective"] = to_numpy(std::move(result.objective));
        fields["gap"] = to_numpy(std::move(result.gap));
        fields["n_iter"] = to_numpy(std::move(result.n_iter));
        fields["status"] = to_python(result.status);
        fields["method"] = to_string(result.method);
        return fields;
      },
      array_arg("X"), array_arg("operator"), array_arg("reg"), array_arg("mask").none(), nb::arg("options"));
  m.def(
      "tv_reg_max",
      [](const Array2<T>& X, const PythonOperator<T>& given, const std::optional<Array2<T>>& mask) {
        return to_numpy(without_gil(
            [&] { return tv_reg_max<T>(view<T>(X), *to_operator<T>(given, static_cast<Index>(X.shape(1))), view_if<T>(mask)); }));
      },
      array_arg("X"), array_arg("operator"), array_arg("mask").none());
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
  describe_options<TvOptions>(m, "tv_solve");
  bind_total_variation_in<float>(m);
  bind_total_variation_in<double>(m);
  bind_tv_solve<float>(m);
  bind_tv_solve<double>(m);
}

}  // namespace riata::python
