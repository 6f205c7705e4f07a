#include "riata/solvers/encode.hpp"

#include "arrays.hpp"
#include "execution.hpp"
#include "module.hpp"
#include "riata/solvers/certificate.hpp"

namespace riata::python {
namespace {

template <Scalar T>
nb::dict to_python(EncodeResult<T>&& result) {
  std::vector<signed char> status(result.status.size());
  for (std::size_t i = 0; i < status.size(); ++i) status[i] = static_cast<signed char>(result.status[i]);
  nb::dict fields;
  fields["codes"] = to_numpy(std::move(result.codes));
  fields["objective"] = to_numpy(std::move(result.objective));
  fields["gap"] = to_numpy(std::move(result.gap));
  fields["n_iter"] = to_numpy(std::move(result.n_iter));
  fields["status"] = to_numpy(std::move(status));
  fields["method"] = to_string(result.method);
  return fields;
}

template <Scalar T>
void bind_encode(nb::module_& m) {
  m.def(
      "encode",
      [](const Array2<T>& X, const Array2<T>& D, const PythonReg& reg, const std::string& method, double tol,
         int max_iter, const std::optional<Array2<T>>& init, bool positive,
         const std::optional<Array1<double>>& weights, std::optional<int> n_threads) {
        const EncodeOptions options{.method = parse_solver(method),
                                    .tol = tol,
                                    .max_iter = max_iter,
                                    .penalty = to_penalty(positive, weights),
                                    .execution = to_execution(n_threads)};
        const Reg weight = to_reg(reg);
        return to_python<T>(without_gil([&] {
          const Matrix<T> start = init ? Matrix<T>(view<T>(*init)) : Matrix<T>();
          return encode<T>(view<T>(X), to_dictionary<T>(D), weight, options, init ? &start : nullptr);
        }));
      },
      array_arg("X"), array_arg("D"), array_arg("reg"), nb::arg("method"), nb::arg("tol"),
      nb::arg("max_iter"), array_arg("init").none(), nb::arg("positive"), array_arg("weights").none(),
      nb::arg("n_threads").none());
}

/// One of lasso_objective, duality_gap, kkt_violation: they share their signature.
template <Scalar T, auto certificate>
void bind_certificate(nb::module_& m, const char* name) {
  m.def(
      name,
      [](const Array2<T>& X, const Array2<T>& D, const Array2<T>& Z, const PythonReg& reg, bool positive,
         const std::optional<Array1<double>>& weights, std::optional<int> n_threads) {
        const PenaltyOptions penalty = to_penalty(positive, weights);
        const Execution execution = to_execution(n_threads);
        const Reg weight = to_reg(reg);
        return to_numpy(without_gil([&] {
          return certificate(view<T>(X), to_dictionary<T>(D), view<T>(Z), weight, penalty, execution);
        }));
      },
      array_arg("X"), array_arg("D"), array_arg("Z"), array_arg("reg"), nb::arg("positive"),
      array_arg("weights").none(), nb::arg("n_threads").none());
}

template <Scalar T>
void bind_reg_max(nb::module_& m) {
  m.def(
      "reg_max",
      [](const Array2<T>& X, const Array2<T>& D, bool positive, const std::optional<Array1<double>>& weights,
         std::optional<int> n_threads) {
        const PenaltyOptions penalty = to_penalty(positive, weights);
        const Execution execution = to_execution(n_threads);
        return to_numpy(
            without_gil([&] { return reg_max<T>(view<T>(X), to_dictionary<T>(D), penalty, execution); }));
      },
      array_arg("X"), array_arg("D"), nb::arg("positive"), array_arg("weights").none(),
      nb::arg("n_threads").none());
}

template <Scalar T>
void bind_precision(nb::module_& m) {
  bind_encode<T>(m);
  bind_certificate<T, lasso_objective<T>>(m, "lasso_objective");
  bind_certificate<T, duality_gap<T>>(m, "duality_gap");
  bind_certificate<T, kkt_violation<T>>(m, "kkt_violation");
  bind_reg_max<T>(m);
}

}  // namespace

void bind_solvers(nb::module_& m) {
  const EncodeOptions options;
  nb::dict defaults;
  defaults["method"] = to_string(options.method);
  defaults["tol"] = options.tol;
  defaults["max_iter"] = options.max_iter;
  m.attr("defaults")["encode"] = defaults;

  bind_precision<float>(m);
  bind_precision<double>(m);
}

}  // namespace riata::python
