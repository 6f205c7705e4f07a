#include "riata/solvers/joint.hpp"

#include "arrays.hpp"
#include "module.hpp"
#include "options.hpp"

namespace riata::python {
namespace {

template <Scalar T>
void bind_joint_in(nb::module_& m) {
  m.def(
      "joint_encode",
      [](const Array2<T>& X, const Array2<T>& D, const PythonReg& reg, const nb::dict& given) {
        const auto options = to_options<JointOptions>(given);
        const Reg weight = to_reg(reg);
        JointResult<T> result =
            without_gil([&] { return joint_encode<T>(view<T>(X), borrow_dictionary<T>(D), weight, options); });
        nb::dict fields;
        fields["codes"] = to_numpy(std::move(result.codes));
        fields["support"] = to_numpy(std::move(result.support));
        fields["reg"] = result.reg;
        fields["objective"] = result.objective;
        fields["gap"] = result.gap;
        fields["n_iter"] = result.n_iter;
        fields["status"] = to_string(result.status);
        return fields;
      },
      array_arg("X"), array_arg("D"), array_arg("reg"), nb::arg("options"));
  m.def(
      "joint_reg_max",
      [](const Array2<T>& X, const Array2<T>& D, Index group_size) {
        return without_gil([&] { return joint_reg_max<T>(view<T>(X), borrow_dictionary<T>(D), group_size); });
      },
      array_arg("X"), array_arg("D"), nb::arg("group_size"));
  m.def(
      "joint_certificate",
      [](const Array2<T>& X, const Array2<T>& D, const Array2<T>& Z, double reg, Index group_size) {
        const JointCertificate certificate =
            without_gil([&] { return joint_certificate<T>(view<T>(X), borrow_dictionary<T>(D), view<T>(Z), reg, group_size); });
        return nb::make_tuple(certificate.objective, certificate.gap);
      },
      array_arg("X"), array_arg("D"), array_arg("Z"), nb::arg("reg"), nb::arg("group_size"));
}

}  // namespace

void bind_joint(nb::module_& m) {
  describe_options<JointOptions>(m, "joint_encode");
  bind_joint_in<float>(m);
  bind_joint_in<double>(m);
}

}  // namespace riata::python
