#include "riata/unrolled/unrolled.hpp"

#include <nanobind/stl/set.h>

#include <set>

#include "arrays.hpp"
#include "module.hpp"
#include "options.hpp"
#include "riata/unrolled/jacobian.hpp"
#include "riata/unrolled/stability.hpp"
#include "riata/unrolled/unrolled_encoder.hpp"

namespace riata::python {
namespace {

std::optional<int> backprop_of(const nb::dict& given) { return nb::cast<std::optional<int>>(given["backprop"]); }

template <Scalar T>
void bind_unrolled_encode(nb::module_& m) {
  m.def(
      "unrolled_encode",
      [](const Array2<T>& X, const Array2<T>& D, const PythonReg& reg, const std::optional<Array2<T>>& init,
         const std::optional<Array2<T>>& mask, const nb::dict& given) {
        const auto options = to_options<UnrolledOptions>(given);
        const Reg weight = to_reg(reg);
        return to_numpy(without_gil([&] {
          return unrolled_encode<T>(to_batch<T>(X, mask), borrow_dictionary<T>(D), weight, options, view_if<T>(init));
        }));
      },
      array_arg("X"), array_arg("D"), array_arg("reg"), array_arg("init").none(), array_arg("mask").none(), nb::arg("options"));
}

template <Scalar T>
void bind_unrolled_encoder(nb::module_& m, const char* name) {
  using Encoder = UnrolledEncoder<T>;
  nb::class_<Encoder>(m, name)
      .def(
          "__init__",
          [](Encoder* self, const Array2<T>& D, const nb::dict& given) {
            const auto options = to_options<UnrolledOptions>(given);
            new (self) Encoder(without_gil([&] { return Encoder(own_dictionary<T>(D), options); }));
          },
          array_arg("D"), nb::arg("options"))
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
      [](const Array2<T>& X, const Array2<T>& D, const PythonReg& reg, const std::set<std::string>& wrt, bool return_codes,
         const std::optional<Array2<T>>& targets, const std::optional<Array2<T>>& mask, const nb::dict& given) {
        const auto options = to_options<UnrolledOptions>(given);
        auto wanted = to_options<GradientOptions>(given);
        wanted.dictionary = wrt.contains("dictionary");
        wanted.steps = wrt.contains("steps");
        wanted.reg = wrt.contains("reg");
        wanted.signals = wrt.contains("signals");
        wanted.codes = return_codes;
        const Reg weight = to_reg(reg);
        auto result = without_gil([&] {
          return unrolled_gradient<T>(to_batch<T>(X, mask), borrow_dictionary<T>(D), weight, options, wanted,
                                      view_if<T>(targets));
        });
        nb::dict fields;
        fields["value"] = result.value;
        fields["dictionary"] = to_numpy_if(wanted.dictionary, std::move(result.parameters["dictionary"]));
        fields["codes"] = to_numpy_if(wanted.codes, std::move(result.codes));
        fields["steps"] = to_numpy_if(wanted.steps, std::move(result.steps));
        fields["reg"] = wanted.reg ? to_reg_gradient(weight, std::move(result.reg)) : nb::none();
        fields["signals"] = to_numpy_if(wanted.signals, std::move(result.signals));
        return fields;
      },
      array_arg("X"), array_arg("D"), array_arg("reg"), nb::arg("wrt"), nb::arg("return_codes"), array_arg("targets").none(),
      array_arg("mask").none(), nb::arg("options"));
}

template <Scalar T>
void bind_unrolled_vjp(nb::module_& m) {
  m.def(
      "unrolled_vjp",
      [](const Array2<T>& X, const Array2<T>& D, const PythonReg& reg, const Array2<T>& cotangent, const nb::dict& given) {
        const auto options = to_options<UnrolledOptions>(given);
        const Reg weight = to_reg(reg);
        auto result = without_gil([&, backprop = backprop_of(given)] {
          return unrolled_vjp<T>(view<T>(X), borrow_dictionary<T>(D), weight, view<T>(cotangent), options, backprop);
        });
        nb::dict fields;
        fields["dictionary"] = to_numpy(std::move(result.parameters["dictionary"]));
        fields["signals"] = to_numpy(std::move(result.signals));
        fields["reg"] = to_numpy(std::move(result.reg));
        return fields;
      },
      array_arg("X"), array_arg("D"), array_arg("reg"), array_arg("cotangent"), nb::arg("options"));
}

template <Scalar T>
void bind_code_jacobian(nb::module_& m) {
  m.def(
      "code_jacobian",
      [](const Array1<T>& x, const Array2<T>& D, const PythonReg& reg, Index row, const nb::dict& given) {
        const auto options = to_options<UnrolledOptions>(given);
        const Reg weight = to_reg(reg);
        return to_numpy(without_gil([&, backprop = backprop_of(given)] {
          const Eigen::Map<const Vector<T>> signal(x.data(), static_cast<Index>(x.size()));
          // NumPy sees the transpose.
          return Matrix<T>(code_jacobian<T>(signal, borrow_dictionary<T>(D), weight, row, options, backprop).transpose());
        }));
      },
      array_arg("x"), array_arg("D"), array_arg("reg"), nb::arg("row"), nb::arg("options"));
}

template <Scalar T>
void bind_unrolled_stability(nb::module_& m) {
  m.def(
      "unrolled_stability",
      [](const Array2<T>& X, const Array2<T>& D, const PythonReg& reg, const nb::dict& given) {
        const auto options = to_options<StabilityOptions>(given);
        const Reg weight = to_reg(reg);
        auto result = without_gil([&] { return unrolled_stability<T>(view<T>(X), borrow_dictionary<T>(D), weight, options); });
        nb::dict fields;
        fields["unstable"] = to_numpy(std::move(result.unstable));
        fields["growth"] = to_numpy(std::move(result.growth));
        fields["safe_backprop"] = to_numpy(std::move(result.safe_backprop));
        fields["errors"] = to_numpy_if(options.return_errors, std::move(result.errors));
        return fields;
      },
      array_arg("X"), array_arg("D"), array_arg("reg"), nb::arg("options"));
}

template <Scalar T>
void bind_unrolled_in(nb::module_& m) {
  bind_unrolled_encode<T>(m);
  bind_unrolled_gradient<T>(m);
  bind_unrolled_vjp<T>(m);
  bind_code_jacobian<T>(m);
  bind_unrolled_stability<T>(m);
}

}  // namespace

void bind_unrolled(nb::module_& m) {
  describe_options<UnrolledOptions>(m, "unrolled_encode");
  describe_options<GradientOptions>(m, "unrolled_gradient");
  describe_options<StabilityOptions>(m, "unrolled_stability");
  bind_unrolled_encoder<float>(m, "UnrolledEncoderFloat32");
  bind_unrolled_encoder<double>(m, "UnrolledEncoderFloat64");
  bind_unrolled_in<float>(m);
  bind_unrolled_in<double>(m);
}

}  // namespace riata::python
