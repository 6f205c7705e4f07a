#include "riata/solvers/encode.hpp"

#include <filesystem>

#include "arrays.hpp"
#include "encode_result.hpp"
#include "module.hpp"
#include "options.hpp"
#include "riata/solvers/certificate.hpp"
#include "riata/solvers/encode_stream.hpp"
#include "riata/solvers/lars.hpp"
#include "riata/solvers/omp.hpp"

namespace riata::python {
namespace {

using python::to_python;  // beside those of this file

/// Of a function that has no struct of options for the two.
std::pair<PenaltyOptions, Execution> to_penalty(const nb::dict& given) {
  return {to_options<PenaltyOptions>(given), to_execution(nb::cast<std::optional<int>>(given["n_threads"]))};
}

template <Scalar T>
void bind_encode(nb::module_& m) {
  m.def(
      "encode",
      [](const Array2<T>& X, const Array2<T>& D, const PythonReg& reg, const std::optional<Array2<T>>& init,
         const std::optional<Array2<T>>& mask, const nb::dict& given) {
        const auto options = to_options<EncodeOptions>(given);
        const Reg weight = to_reg(reg);
        return to_python<T>(without_gil(
            [&] { return encode<T>(to_batch<T>(X, mask), borrow_dictionary<T>(D), weight, options, view_if<T>(init)); }));
      },
      array_arg("X"), array_arg("D"), array_arg("reg"), array_arg("init").none(), array_arg("mask").none(), nb::arg("options"));
}

/// The block's first signal, its codes as (values, indices, indptr), objective, gap, n_iter, status.
template <Scalar T>
nb::tuple to_python(CodeBlock<T>&& block) {
  return nb::make_tuple(block.first, to_python(std::move(block.codes)), to_numpy(std::move(block.objective)),
                        to_numpy(std::move(block.gap)), to_numpy(std::move(block.n_iter)), to_python(block.status));
}

/// X is an array or the name of a file, output the name of a file or a callable that takes a block.
template <Scalar T>
void bind_encode_stream(nb::module_& m) {
  using Signals = std::variant<Path, Array2<T>>;
  m.def(
      "encode_stream",
      [](const Signals& X, const Array2<T>& D, const PythonReg& reg, const nb::object& output, const nb::object& progress,
         const nb::dict& given) {
        auto options = to_options<StreamOptions>(given);
        if (!progress.is_none())
          options.progress = [&](Index n_done, Index n_signals) {
            const nb::gil_scoped_acquire gil;
            progress(n_done, n_signals);
          };
        const Reg weight = to_reg(reg);
        Path path;
        const bool to_file = nb::try_cast<Path>(output, path);
        const CodeSink<T> sink = [&](CodeBlock<T>&& block) {
          const nb::gil_scoped_acquire gil;
          output(to_python<T>(std::move(block)));
        };
        const auto code = [&](const auto& signals) {
          const DenseDictionary<T> dictionary = own_dictionary<T>(D);  // `output` may change D
          return to_file ? encode_stream<T>(signals, dictionary, weight, std::filesystem::path(path.name), options)
                         : encode_stream<T>(signals, dictionary, weight, sink, options);
        };
        const StreamReport report = without_gil([&] {
          const auto* file = std::get_if<Path>(&X);
          return file ? code(std::filesystem::path(file->name)) : code(view<T>(std::get<Array2<T>>(X)));
        });
        nb::dict fields;
        fields["n_signals"] = report.n_signals;
        fields["n_atoms"] = report.n_atoms;
        fields["n_nonzero"] = report.n_nonzero;
        fields["n_not_converged"] = report.n_not_converged;
        fields["objective"] = report.objective;
        fields["gap"] = report.gap;
        fields["method"] = to_string(report.method);
        return fields;
      },
      array_arg("X"), array_arg("D"), array_arg("reg"), nb::arg("output"), nb::arg("progress").none(), nb::arg("options"));
}

template <Scalar T>
void bind_lasso_path(nb::module_& m) {
  m.def(
      "lasso_path",
      [](const Array1<T>& x, const Array2<T>& D, const nb::dict& given) {
        const auto options = to_options<PathOptions>(given);
        const Eigen::Map<const Vector<T>> signal(x.data(), static_cast<Index>(x.size()));
        LassoPath<T> path = without_gil([&] { return lasso_path<T>(signal, borrow_dictionary<T>(D), options); });
        return nb::make_tuple(to_numpy(std::move(path.regs)), to_numpy(std::move(path.codes)), to_numpy(std::move(path.gap)),
                              to_string(path.status));
      },
      array_arg("x"), array_arg("D"), nb::arg("options"));
}

template <Scalar T>
void bind_omp(nb::module_& m) {
  m.def(
      "omp",
      [](const Array2<T>& X, const Array2<T>& D, const std::optional<Array2<T>>& gram, const std::optional<Array2<T>>& covariance,
         bool as_csr, const nb::dict& given) {
        const auto options = to_options<OmpOptions>(given);
        OmpProducts<T> known;
        if (gram) known.gram.emplace(view<T>(*gram));
        if (covariance) known.covariance.emplace(view<T>(*covariance));
        const auto dictionary = borrow_dictionary<T>(D);
        nb::dict fields;
        const auto tell = [&](auto& result) {
          fields["error"] = to_numpy(std::move(result.error));
          fields["n_nonzero"] = to_numpy(std::move(result.n_nonzero));
          fields["status"] = to_python(result.status);
        };
        if (as_csr) {
          CsrRows<T> rows;
          OmpLists<T> lists = without_gil([&] {
            auto codes = omp_lists<T>(view<T>(X), dictionary, options, known);
            rows = to_csr(codes, dictionary.code_size());
            return codes;
          });
          fields["codes"] = to_python(std::move(rows));
          tell(lists);
        } else {
          OmpResult<T> result = without_gil([&] { return omp<T>(view<T>(X), dictionary, options, known); });
          fields["codes"] = to_numpy(std::move(result.codes));
          tell(result);
        }
        return fields;
      },
      array_arg("X"), array_arg("D"), array_arg("gram").none(), array_arg("covariance").none(), nb::arg("as_csr"),
      nb::arg("options"));
}

template <Scalar T>
void bind_lars(nb::module_& m) {
  m.def(
      "lars",
      [](const Array2<T>& X, const Array2<T>& D, const nb::dict& given) {
        const auto options = to_options<LarsOptions>(given);
        LarsResult<T> result = without_gil([&] { return lars<T>(view<T>(X), borrow_dictionary<T>(D), options); });
        nb::dict fields;
        fields["codes"] = to_numpy(std::move(result.codes));
        fields["regs"] = to_numpy(std::move(result.regs));
        fields["gap"] = to_numpy(std::move(result.gap));
        fields["status"] = to_python(result.status);
        return fields;
      },
      array_arg("X"), array_arg("D"), nb::arg("options"));
}

/// One of lasso_objective, duality_gap, kkt_violation: they share their signature.
template <Scalar T, auto certificate>
void bind_certificate(nb::module_& m, const char* name) {
  m.def(
      name,
      [](const Array2<T>& X, const Array2<T>& D, const Array2<T>& Z, const PythonReg& reg, const std::optional<Array2<T>>& mask,
         const nb::dict& given) {
        const auto [penalty, execution] = to_penalty(given);
        const Reg weight = to_reg(reg);
        return to_numpy(without_gil(
            [&] { return certificate(to_batch<T>(X, mask), borrow_dictionary<T>(D), view<T>(Z), weight, penalty, execution); }));
      },
      array_arg("X"), array_arg("D"), array_arg("Z"), array_arg("reg"), array_arg("mask").none(), nb::arg("options"));
}

template <Scalar T>
void bind_reg_max(nb::module_& m) {
  m.def(
      "reg_max",
      [](const Array2<T>& X, const Array2<T>& D, const std::optional<Array2<T>>& mask, const nb::dict& given) {
        const auto [penalty, execution] = to_penalty(given);
        return to_numpy(
            without_gil([&] { return reg_max<T>(to_batch<T>(X, mask), borrow_dictionary<T>(D), penalty, execution); }));
      },
      array_arg("X"), array_arg("D"), array_arg("mask").none(), nb::arg("options"));
}

template <Scalar T>
void bind_solvers_in(nb::module_& m) {
  bind_encode<T>(m);
  bind_encode_stream<T>(m);
  bind_lasso_path<T>(m);
  bind_omp<T>(m);
  bind_lars<T>(m);
  bind_certificate<T, lasso_objective<T>>(m, "lasso_objective");
  bind_certificate<T, duality_gap<T>>(m, "duality_gap");
  bind_certificate<T, kkt_violation<T>>(m, "kkt_violation");
  bind_reg_max<T>(m);
}

}  // namespace

void bind_solvers(nb::module_& m) {
  describe_options<PenaltyOptions>(m, "reg_max");
  describe_options<EncodeOptions>(m, "encode");
  describe_options<StreamOptions>(m, "encode_stream");
  describe_options<PathOptions>(m, "lasso_path");
  describe_options<OmpOptions>(m, "omp");
  describe_options<LarsOptions>(m, "lars");
  bind_solvers_in<float>(m);
  bind_solvers_in<double>(m);
}

}  // namespace riata::python
