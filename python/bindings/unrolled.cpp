#include "riata/unrolled/unrolled.hpp"

#include <nanobind/stl/set.h>

#include <set>

#include "arrays.hpp"
#include "execution.hpp"
#include "module.hpp"
#include "riata/unrolled/jacobian.hpp"
#include "riata/unrolled/stability.hpp"
#include "riata/unrolled/unrolled_encoder.hpp"

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
         std::optional<Array1<double>> steps, std::optional<double> lipschitz, bool return_extrapolated, bool positive,
         std::optional<Array1<double>> weights, std::optional<int> n_threads, const std::optional<Array2<T>>& init,
         const std::optional<Array2<T>>& mask) {
        const Network network{layers,   std::move(method),  std::move(steps), lipschitz, return_extrapolated,
                              positive, std::move(weights), n_threads};
        const UnrolledOptions options = network.options();
        const Reg weight = to_reg(reg);
        return to_numpy(without_gil([&] {
          const Matrix<T> start = init ? Matrix<T>(view<T>(*init)) : Matrix<T>();
          return unrolled_encode<T>(to_batch<T>(X, mask), to_dictionary<T>(D), weight, options, init ? &start : nullptr);
        }));
      },
      array_arg("X"), array_arg("D"), array_arg("reg"), nb::arg("layers"), nb::arg("method"), array_arg("steps").none(),
      nb::arg("lipschitz").none(), nb::arg("return_extrapolated"), nb::arg("positive"), array_arg("weights").none(),
      nb::arg("n_threads").none(), array_arg("init").none(), array_arg("mask").none());
}

template <Scalar T>
void bind_unrolled_encoder(nb::module_& m, const char* name) {
  using Encoder = UnrolledEncoder<T>;
  nb::class_<Encoder>(m, name)
      .def(
          "__init__",
          [](Encoder* self, const Array2<T>& D, int layers, std::string method, std::optional<Array1<double>> steps,
             std::optional<double> lipschitz, bool return_extrapolated, bool positive, std::optional<Array1<double>> weights,
             std::optional<int> n_threads) {
            const Network network{layers,   std::move(method),  std::move(steps), lipschitz, return_extrapolated,
                                  positive, std::move(weights), n_threads};
            new (self) Encoder(without_gil([&] { return Encoder(to_dictionary<T>(D), network.options()); }));
          },
          array_arg("D"), nb::arg("layers"), nb::arg("method"), array_arg("steps").none(), nb::arg("lipschitz").none(),
          nb::arg("return_extrapolated"), nb::arg("positive"), array_arg("weights").none(), nb::arg("n_threads").none())
      .def(
          "encode",
          [](Encoder& self, const Array1<T>& x, double reg) {
            Vector<T> code(self.n_atoms());
            without_gil([&] {
              const Execution execution = to_execution(std::nullopt);
              const StopScope scope(execution);
              self.encode(Eigen::Map<const Vector<T>>(x.data(), static_cast<Index>(x.size())), reg, code);
            });
            return to_numpy(std::move(code));
          },
          array_arg("x"), nb::arg("reg"));
}

template <Scalar T>
void bind_unrolled_gradient(nb::module_& m) {
  m.def(
      "unrolled_gradient",
      [](const Array2<T>& X, const Array2<T>& D, const PythonReg& reg, int layers, std::string method,
         std::optional<Array1<double>> steps, std::optional<double> lipschitz, bool return_extrapolated, bool positive,
         std::optional<Array1<double>> weights, std::optional<int> n_threads, const std::string& loss,
         std::optional<int> backprop, const std::string& reduction, const std::set<std::string>& wrt, bool return_codes,
         const std::optional<Array2<T>>& target, const std::optional<Array2<T>>& mask) {
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
          return unrolled_gradient<T>(to_batch<T>(X, mask), to_dictionary<T>(D), weight, options, wanted,
                                      target ? &goal : nullptr);
        });
        nb::dict fields;
        fields["value"] = result.value;
        fields["gradient"] = to_numpy_if(wanted.dictionary, std::move(result.parameters["dictionary"]));
        fields["codes"] = to_numpy_if(wanted.codes, std::move(result.codes));
        fields["step_gradient"] = to_numpy_if(wanted.steps, std::move(result.steps));
        if (wanted.reg && !weight.is_per_signal())
          fields["reg_gradient"] = result.reg(0);
        else
          fields["reg_gradient"] = to_numpy_if(wanted.reg, std::move(result.reg));
        fields["signal_gradient"] = to_numpy_if(wanted.signals, std::move(result.signals));
        return fields;
      },
      array_arg("X"), array_arg("D"), array_arg("reg"), nb::arg("layers"), nb::arg("method"), array_arg("steps").none(),
      nb::arg("lipschitz").none(), nb::arg("return_extrapolated"), nb::arg("positive"), array_arg("weights").none(),
      nb::arg("n_threads").none(), nb::arg("loss"), nb::arg("backprop").none(), nb::arg("reduction"), nb::arg("wrt"),
      nb::arg("return_codes"), array_arg("target").none(), array_arg("mask").none());
}

template <Scalar T>
void bind_unrolled_vjp(nb::module_& m) {
  m.def(
      "unrolled_vjp",
      [](const Array2<T>& X, const Array2<T>& D, const PythonReg& reg, const Array2<T>& cotangent, int layers, std::string method,
         std::optional<double> lipschitz, bool positive, std::optional<Array1<double>> weights, std::optional<int> n_threads,
         std::optional<int> backprop) {
        const UnrolledOptions options =
            Network{layers, std::move(method), {}, lipschitz, false, positive, std::move(weights), n_threads}.options();
        const Reg weight = to_reg(reg);
        auto result = without_gil(
            [&] { return unrolled_vjp<T>(view<T>(X), to_dictionary<T>(D), weight, view<T>(cotangent), options, backprop); });
        nb::dict fields;
        fields["dictionary"] = to_numpy(std::move(result.parameters["dictionary"]));
        fields["signals"] = to_numpy(std::move(result.signals));
        fields["reg"] = to_numpy(std::move(result.reg));
        return fields;
      },
      array_arg("X"), array_arg("D"), array_arg("reg"), array_arg("cotangent"), nb::arg("layers"), nb::arg("method"),
      nb::arg("lipschitz").none(), nb::arg("positive"), array_arg("weights").none(), nb::arg("n_threads").none(),
      nb::arg("backprop").none());
}

template <Scalar T>
void bind_code_jacobian(nb::module_& m) {
  m.def(
      "code_jacobian",
      [](const Array1<T>& x, const Array2<T>& D, const PythonReg& reg, Index row, int layers, std::string method,
         std::optional<Array1<double>> steps, std::optional<double> lipschitz, bool return_extrapolated, bool positive,
         std::optional<Array1<double>> weights, std::optional<int> n_threads, std::optional<int> backprop) {
        const Network network{layers,   std::move(method),  std::move(steps), lipschitz, return_extrapolated,
                              positive, std::move(weights), n_threads};
        const UnrolledOptions options = network.options();
        const Reg weight = to_reg(reg);
        return to_numpy(without_gil([&] {
          const Eigen::Map<const Vector<T>> signal(x.data(), static_cast<Index>(x.size()));
          // NumPy sees the transpose.
          return Matrix<T>(code_jacobian<T>(signal, to_dictionary<T>(D), weight, row, options, backprop).transpose());
        }));
      },
      array_arg("x"), array_arg("D"), array_arg("reg"), nb::arg("row"), nb::arg("layers"), nb::arg("method"),
      array_arg("steps").none(), nb::arg("lipschitz").none(), nb::arg("return_extrapolated"), nb::arg("positive"),
      array_arg("weights").none(), nb::arg("n_threads").none(), nb::arg("backprop").none());
}

template <Scalar T>
void bind_unrolled_stability(nb::module_& m) {
  m.def(
      "unrolled_stability",
      [](const Array2<T>& X, const Array2<T>& D, const PythonReg& reg, int layers, std::string method,
         std::optional<Array1<double>> steps, std::optional<double> lipschitz, bool return_extrapolated, bool positive,
         std::optional<Array1<double>> weights, std::optional<int> n_threads, std::optional<int> directions, double tol,
         bool return_errors) {
        const Network network{layers,   std::move(method),  std::move(steps), lipschitz, return_extrapolated,
                              positive, std::move(weights), n_threads};
        const StabilityOptions options{
            .network = network.options(), .directions = directions, .tol = tol, .return_errors = return_errors};
        const Reg weight = to_reg(reg);
        auto result = without_gil([&] { return unrolled_stability<T>(view<T>(X), to_dictionary<T>(D), weight, options); });
        nb::dict fields;
        fields["unstable"] = to_numpy(std::move(result.unstable));
        fields["growth"] = to_numpy(std::move(result.growth));
        fields["safe_backprop"] = to_numpy(std::move(result.safe_backprop));
        fields["errors"] = to_numpy_if(return_errors, std::move(result.errors));
        return fields;
      },
      array_arg("X"), array_arg("D"), array_arg("reg"), nb::arg("layers"), nb::arg("method"), array_arg("steps").none(),
      nb::arg("lipschitz").none(), nb::arg("return_extrapolated"), nb::arg("positive"), array_arg("weights").none(),
      nb::arg("n_threads").none(), nb::arg("directions").none(), nb::arg("tol"), nb::arg("return_errors"));
}

template <Scalar T>
void bind_derivatives(nb::module_& m) {
  bind_unrolled_vjp<T>(m);
  bind_code_jacobian<T>(m);
  bind_unrolled_stability<T>(m);
}

}  // namespace

void bind_unrolled(nb::module_& m) {
  bind_unrolled_encode<float>(m);
  bind_unrolled_encode<double>(m);
  bind_unrolled_encoder<float>(m, "UnrolledEncoderFloat32");
  bind_unrolled_encoder<double>(m, "UnrolledEncoderFloat64");
  bind_unrolled_gradient<float>(m);
  bind_unrolled_gradient<double>(m);
  bind_derivatives<float>(m);
  bind_derivatives<double>(m);
}

}  // namespace riata::python
