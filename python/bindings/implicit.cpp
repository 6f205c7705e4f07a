#include "riata/solvers/implicit.hpp"

#include "arrays.hpp"
#include "module.hpp"
#include "options.hpp"

namespace riata::python {
namespace {

/// None: an empty one.
template <Scalar T>
Matrix<T> to_matrix(const std::optional<Array2<T>>& array) {
  return array ? Matrix<T>(view<T>(*array)) : Matrix<T>();
}

template <Scalar T>
void bind_implicit_gradient(nb::module_& m) {
  m.def(
      "implicit_gradient",
      [](const Array2<T>& X, const Array2<T>& D, const PythonReg& reg, const Array2<T>& cotangent,
         const std::optional<Array2<T>>& codes, const nb::dict& given) {
        const auto options = to_options<ImplicitOptions>(given);
        const Reg weight = to_reg(reg);
        auto result = without_gil([&] {
          return implicit_gradient<T>(view<T>(X), borrow_dictionary<T>(D), weight, view<T>(cotangent), options,
                                      view_if<T>(codes));
        });
        nb::dict fields;
        fields["dictionary"] = to_numpy(std::move(result.dictionary));
        fields["signals"] = to_numpy(std::move(result.signals));
        fields["reg"] = to_reg_gradient(weight, std::move(result.reg));
        fields["weights"] = to_numpy(std::move(result.weights));
        fields["codes"] = to_numpy(std::move(result.codes));
        return fields;
      },
      array_arg("X"), array_arg("D"), array_arg("reg"), array_arg("cotangent"), array_arg("codes").none(), nb::arg("options"));
}

template <Scalar T>
void bind_implicit_jvp(nb::module_& m) {
  m.def(
      "implicit_jvp",
      [](const Array2<T>& X, const Array2<T>& D, const PythonReg& reg, const std::optional<Array2<T>>& dX,
         const std::optional<Array2<T>>& dD, const std::optional<Array1<double>>& dreg, const std::optional<Array2<T>>& codes,
         const nb::dict& given) {
        const auto options = to_options<ImplicitOptions>(given);
        const Reg weight = to_reg(reg);
        return to_numpy(without_gil([&] {
          ImplicitDirection<T> direction{.dictionary = to_matrix<T>(dD), .signals = to_matrix<T>(dX)};
          if (dreg) direction.reg = Eigen::Map<const Vector<double>>(dreg->data(), static_cast<Index>(dreg->size()));
          return implicit_jvp<T>(view<T>(X), borrow_dictionary<T>(D), weight, direction, options, view_if<T>(codes));
        }));
      },
      array_arg("X"), array_arg("D"), array_arg("reg"), array_arg("dX").none(), array_arg("dD").none(), array_arg("dreg").none(),
      array_arg("codes").none(), nb::arg("options"));
}

template <Scalar T>
void bind_implicit_jacobian(nb::module_& m) {
  m.def(
      "implicit_jacobian",
      [](const Array1<T>& x, const Array2<T>& D, const PythonReg& reg, Index row, const nb::dict& given) {
        const auto options = to_options<ImplicitOptions>(given);
        const Reg weight = to_reg(reg);
        return to_numpy(without_gil([&] {
          const Eigen::Map<const Vector<T>> signal(x.data(), static_cast<Index>(x.size()));
          // NumPy sees the transpose.
          return Matrix<T>(implicit_jacobian<T>(signal, borrow_dictionary<T>(D), weight, row, options).transpose());
        }));
      },
      array_arg("x"), array_arg("D"), array_arg("reg"), nb::arg("row"), nb::arg("options"));
}

template <Scalar T>
void bind_hypergradient(nb::module_& m) {
  m.def(
      "hypergradient",
      [](const Array2<T>& X, const Array2<T>& D, const PythonReg& reg, const Array2<T>& X_held_out, const Array2<T>& D_held_out,
         const std::optional<Array2<T>>& codes, const nb::dict& given) {
        const auto options = to_options<ImplicitOptions>(given);
        const Reg weight = to_reg(reg);
        auto result = without_gil([&] {
          return hypergradient<T>(view<T>(X), borrow_dictionary<T>(D), weight, view<T>(X_held_out),
                                  borrow_dictionary<T>(D_held_out), options, view_if<T>(codes));
        });
        nb::dict fields;
        fields["value"] = result.value;
        fields["reg"] = to_reg_gradient(weight, std::move(result.reg));
        fields["weights"] = to_numpy(std::move(result.weights));
        return fields;
      },
      array_arg("X"), array_arg("D"), array_arg("reg"), array_arg("X_held_out"), array_arg("D_held_out"),
      array_arg("codes").none(), nb::arg("options"));
}

template <Scalar T>
void bind_implicit_in(nb::module_& m) {
  bind_implicit_gradient<T>(m);
  bind_implicit_jvp<T>(m);
  bind_implicit_jacobian<T>(m);
  bind_hypergradient<T>(m);
}

}  // namespace

void bind_implicit(nb::module_& m) {
  describe_options<ImplicitOptions>(m, "implicit_gradient");
  bind_implicit_in<float>(m);
  bind_implicit_in<double>(m);
}

}  // namespace riata::python
