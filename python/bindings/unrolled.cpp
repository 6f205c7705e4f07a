#include "riata/unrolled/unrolled.hpp"

#include <nanobind/stl/set.h>

#include <set>

#include "arrays.hpp"
#include "execution.hpp"
#include "module.hpp"

namespace riata::python {
namespace {

/// The network's arguments, in the order in which both functions take them.
struct Network {
  int layers;
  std::string method;
  std::optional<Array1<double>> steps;
  std::optional<double> lipschitz;
  bool return_extrapolated;
  bool positive;
  std::optional<Array1<double>> weights;
  std::optional<int> n_threads;

  UnrolledOptions options() const {
    return {.layers = layers,
            .method = parse_layers(method),
            .steps = to_vector<double>(steps),
            .lipschitz = lipschitz,
            .return_extrapolated = return_extrapolated,
            .penalty = to_penalty(positive, weights),
            .execution = to_execution(n_threads)};
  }
};

template <Scalar T>
void bind_unrolled_encode(nb::module_& m) {
  m.def(
      "unrolled_encode",
      [](const Array2<T>& X, const Array2<T>& D, const PythonReg& reg, int layers, std::string method,
         std::optional<Array1<double>> steps, std::optional<double> lipschitz, bool return_extrapolated,
         bool positive, std::optional<Array1<double>> weights, std::optional<int> n_threads,
         const std::optional<Array2<T>>& init) {
        const Network network{layers,   std::move(method),  std::move(steps), lipschitz, return_extrapolated,
                              positive, std::move(weights), n_threads};
        const UnrolledOptions options = network.options();
        const Reg weight = to_reg(reg);
        return to_numpy(without_gil([&] {
          const Matrix<T> start = init ? Matrix<T>(view<T>(*init)) : Matrix<T>();
          return unrolled_encode<T>(view<T>(X), to_dictionary<T>(D), weight, options,
                                    init ? &start : nullptr);
        }));
      },
      array_arg("X"), array_arg("D"), array_arg("reg"), nb::arg("layers"), nb::arg("method"),
      array_arg("steps").none(), nb::arg("lipschitz").none(), nb::arg("return_extrapolated"),
      nb::arg("positive"), array_arg("weights").none(), nb::arg("n_threads").none(),
      array_arg("init").none());
}

template <Scalar T>
void bind_unrolled_gradient(nb::module_& m) {
  m.def(
      "unrolled_gradient",
      [](const Array2<T>& X, const Array2<T>& D, const PythonReg& reg, int layers, std::string method,
         std::optional<Array1<double>> steps, std::optional<double> lipschitz, bool return_extrapolated,
         bool positive, std::optional<Array1<double>> weights, std::optional<int> n_threads,
         const std::string& loss, std::optional<int> backprop, const std::string& reduction,
         const std::set<std::string>& wrt, bool return_codes, const std::optional<Array2<T>>& target) {
        const Network network{layers,   std::move(method),  std::move(steps), lipschitz, return_extrapolated,
                              positive, std::move(weights), n_threads};
        const UnrolledOptions options = network.options();
        const GradientOptions wanted{.loss = parse_loss(loss),
                                     .backprop = backprop,
                                     .reduction = parse_reduction(reduction),
                                     .dictionary = wrt.contains("dictionary"),
                                     .steps = wrt.contains("steps"),
                                     .reg = wrt.contains("reg"),
                                     .signals = wrt.contains("signals"),
                                     .codes = return_codes};
        const Reg weight = to_reg(reg);
        auto result = without_gil([&] {
          // `target` is not written to and lives as long as the call, but the library wants a matrix: one
          // copy.
          const Matrix<T> goal = target ? Matrix<T>(view<T>(*target)) : Matrix<T>();
          return unrolled_gradient<T>(view<T>(X), to_dictionary<T>(D), weight, options, wanted,
                                      target ? &goal : nullptr);
        });
        nb::dict fields;
        fields["value"] = result.value;
        fields["gradient"] = to_numpy_if(wanted.dictionary, std::move(result.dictionary));
        fields["codes"] = to_numpy_if(wanted.codes, std::move(result.codes));
        fields["step_gradient"] = to_numpy_if(wanted.steps, std::move(result.steps));
        if (wanted.reg && !weight.is_per_signal())
          fields["reg_gradient"] = result.reg(0);
        else
          fields["reg_gradient"] = to_numpy_if(wanted.reg, std::move(result.reg));
        fields["signal_gradient"] = to_numpy_if(wanted.signals, std::move(result.signals));
        return fields;
      },
      array_arg("X"), array_arg("D"), array_arg("reg"), nb::arg("layers"), nb::arg("method"),
      array_arg("steps").none(), nb::arg("lipschitz").none(), nb::arg("return_extrapolated"),
      nb::arg("positive"), array_arg("weights").none(), nb::arg("n_threads").none(), nb::arg("loss"),
      nb::arg("backprop").none(), nb::arg("reduction"), nb::arg("wrt"), nb::arg("return_codes"),
      array_arg("target").none());
}

}  // namespace

void bind_unrolled(nb::module_& m) {
  bind_unrolled_encode<float>(m);
  bind_unrolled_encode<double>(m);
  bind_unrolled_gradient<float>(m);
  bind_unrolled_gradient<double>(m);
}

}  // namespace riata::python
