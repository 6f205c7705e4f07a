#include "riata/solvers/encode.hpp"

#include <filesystem>

#include "arrays.hpp"
#include "encode_result.hpp"
#include "execution.hpp"
#include "module.hpp"
#include "paths.hpp"
#include "riata/solvers/certificate.hpp"
#include "riata/solvers/encode_stream.hpp"
#include "riata/solvers/lars.hpp"
#include "riata/solvers/omp.hpp"

namespace riata::python {
namespace {

using python::to_python;  // beside those of this file

template <Scalar T>
void bind_encode(nb::module_& m) {
  m.def(
      "encode",
      [](const Array2<T>& X, const Array2<T>& D, const PythonReg& reg, const std::string& method, double tol, int max_iter,
         const std::optional<Array2<T>>& init, bool positive, const std::optional<Array1<double>>& weights,
         const std::string& penalty, std::optional<double> l1_ratio, const std::optional<Array1<std::int64_t>>& groups,
         const std::string& momentum, double momentum_delay, const std::string& restart, const std::string& support_norm,
         double shrink, std::optional<double> first_step, bool record, std::optional<int> n_threads,
         const std::optional<Array2<T>>& mask) {
        const EncodeOptions options{.method = parse_solver(method),
                                    .tol = tol,
                                    .max_iter = max_iter,
                                    .momentum = parse_momentum(momentum),
                                    .momentum_delay = momentum_delay,
                                    .restart = parse_restart(restart),
                                    .support_norm = parse_support_norm(support_norm),
                                    .shrink = shrink,
                                    .first_step = first_step,
                                    .record = record,
                                    .penalty = to_penalty(positive, weights, penalty, l1_ratio, groups),
                                    .execution = to_execution(n_threads)};
        const Reg weight = to_reg(reg);
        return to_python<T>(without_gil([&] {
          const Matrix<T> start = init ? Matrix<T>(view<T>(*init)) : Matrix<T>();
          return encode<T>(to_batch<T>(X, mask), to_dictionary<T>(D), weight, options, init ? &start : nullptr);
        }));
      },
      array_arg("X"), array_arg("D"), array_arg("reg"), nb::arg("method"), nb::arg("tol"), nb::arg("max_iter"),
      array_arg("init").none(), nb::arg("positive"), array_arg("weights").none(), nb::arg("penalty"), nb::arg("l1_ratio").none(),
      array_arg("groups").none(), nb::arg("momentum"), nb::arg("momentum_delay"), nb::arg("restart"), nb::arg("support_norm"),
      nb::arg("shrink"), nb::arg("first_step").none(), nb::arg("record"), nb::arg("n_threads").none(), array_arg("mask").none());
}

/// The block's first signal, its codes as (values, indices, indptr), objective, gap, n_iter, status.
template <Scalar T>
nb::tuple to_python(CodeBlock<T>&& block) {
  return nb::make_tuple(block.first,
                        nb::make_tuple(to_numpy(std::move(block.codes.values)), to_numpy(std::move(block.codes.indices)),
                                       to_numpy(std::move(block.codes.indptr))),
                        to_numpy(std::move(block.objective)), to_numpy(std::move(block.gap)), to_numpy(std::move(block.n_iter)),
                        to_python(block.status));
}

/// X is an array or the name of a file, output the name of a file or a callable that takes a block.
template <Scalar T>
void bind_encode_stream(nb::module_& m) {
  using Signals = std::variant<Path, Array2<T>>;
  m.def(
      "encode_stream",
      [](const Signals& X, const Array2<T>& D, const PythonReg& reg, const nb::object& output, const std::string& method,
         double tol, int max_iter, std::optional<Index> block_size, bool positive, const std::optional<Array1<double>>& weights,
         const std::string& penalty, std::optional<double> l1_ratio, const std::optional<Array1<std::int64_t>>& groups,
         const std::string& momentum, double momentum_delay, const std::string& restart, const std::string& support_norm,
         double shrink, std::optional<double> first_step, const nb::object& progress, std::optional<int> n_threads) {
        StreamOptions options{.encode = {.method = parse_solver(method),
                                         .tol = tol,
                                         .max_iter = max_iter,
                                         .momentum = parse_momentum(momentum),
                                         .momentum_delay = momentum_delay,
                                         .restart = parse_restart(restart),
                                         .support_norm = parse_support_norm(support_norm),
                                         .shrink = shrink,
                                         .first_step = first_step,
                                         .penalty = to_penalty(positive, weights, penalty, l1_ratio, groups),
                                         .execution = to_execution(n_threads)},
                              .block_size = block_size};
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
          const DenseDictionary<T> dictionary = to_dictionary<T>(D);
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
      array_arg("X"), array_arg("D"), array_arg("reg"), nb::arg("output"), nb::arg("method"), nb::arg("tol"), nb::arg("max_iter"),
      nb::arg("block_size").none(), nb::arg("positive"), array_arg("weights").none(), nb::arg("penalty"),
      nb::arg("l1_ratio").none(), array_arg("groups").none(), nb::arg("momentum"), nb::arg("momentum_delay"), nb::arg("restart"),
      nb::arg("support_norm"), nb::arg("shrink"), nb::arg("first_step").none(), nb::arg("progress").none(),
      nb::arg("n_threads").none());
}

template <Scalar T>
void bind_lasso_path(nb::module_& m) {
  m.def(
      "lasso_path",
      [](const Array1<T>& x, const Array2<T>& D, double reg_min, int max_knots, bool positive,
         const std::optional<Array1<double>>& weights) {
        const PathOptions options{.reg_min = reg_min, .max_knots = max_knots, .penalty = to_penalty(positive, weights)};
        const Eigen::Map<const Vector<T>> signal(x.data(), static_cast<Index>(x.size()));
        LassoPath<T> path = without_gil([&] { return lasso_path<T>(signal, to_dictionary<T>(D), options); });
        return nb::make_tuple(to_numpy(std::move(path.regs)), to_numpy(std::move(path.codes)), to_numpy(std::move(path.gap)),
                              to_string(path.status));
      },
      array_arg("x"), array_arg("D"), nb::arg("reg_min"), nb::arg("max_knots"), nb::arg("positive"), array_arg("weights").none());
}

template <Scalar T>
void bind_omp(nb::module_& m) {
  m.def(
      "omp",
      [](const Array2<T>& X, const Array2<T>& D, std::optional<int> n_nonzero, std::optional<double> tol,
         std::optional<int> n_threads) {
        const OmpOptions options{.n_nonzero = n_nonzero, .tol = tol, .execution = to_execution(n_threads)};
        OmpResult<T> result = without_gil([&] { return omp<T>(view<T>(X), to_dictionary<T>(D), options); });
        nb::dict fields;
        fields["codes"] = to_numpy(std::move(result.codes));
        fields["error"] = to_numpy(std::move(result.error));
        fields["n_nonzero"] = to_numpy(std::move(result.n_nonzero));
        fields["status"] = to_python(result.status);
        return fields;
      },
      array_arg("X"), array_arg("D"), nb::arg("n_nonzero").none(), nb::arg("tol").none(), nb::arg("n_threads").none());
}

/// One of lasso_objective, duality_gap, kkt_violation: they share their signature.
template <Scalar T, auto certificate>
void bind_certificate(nb::module_& m, const char* name) {
  m.def(
      name,
      [](const Array2<T>& X, const Array2<T>& D, const Array2<T>& Z, const PythonReg& reg, bool positive,
         const std::optional<Array1<double>>& weights, const std::string& penalty, std::optional<double> l1_ratio,
         const std::optional<Array1<std::int64_t>>& groups, std::optional<int> n_threads, const std::optional<Array2<T>>& mask) {
        const PenaltyOptions options = to_penalty(positive, weights, penalty, l1_ratio, groups);
        const Execution execution = to_execution(n_threads);
        const Reg weight = to_reg(reg);
        return to_numpy(without_gil(
            [&] { return certificate(to_batch<T>(X, mask), to_dictionary<T>(D), view<T>(Z), weight, options, execution); }));
      },
      array_arg("X"), array_arg("D"), array_arg("Z"), array_arg("reg"), nb::arg("positive"), array_arg("weights").none(),
      nb::arg("penalty"), nb::arg("l1_ratio").none(), array_arg("groups").none(), nb::arg("n_threads").none(),
      array_arg("mask").none());
}

template <Scalar T>
void bind_reg_max(nb::module_& m) {
  m.def(
      "reg_max",
      [](const Array2<T>& X, const Array2<T>& D, bool positive, const std::optional<Array1<double>>& weights,
         const std::string& penalty, std::optional<double> l1_ratio, const std::optional<Array1<std::int64_t>>& groups,
         std::optional<int> n_threads, const std::optional<Array2<T>>& mask) {
        const PenaltyOptions options = to_penalty(positive, weights, penalty, l1_ratio, groups);
        const Execution execution = to_execution(n_threads);
        return to_numpy(without_gil([&] { return reg_max<T>(to_batch<T>(X, mask), to_dictionary<T>(D), options, execution); }));
      },
      array_arg("X"), array_arg("D"), nb::arg("positive"), array_arg("weights").none(), nb::arg("penalty"),
      nb::arg("l1_ratio").none(), array_arg("groups").none(), nb::arg("n_threads").none(), array_arg("mask").none());
}

template <Scalar T>
void bind_precision(nb::module_& m) {
  bind_encode<T>(m);
  bind_encode_stream<T>(m);
  bind_lasso_path<T>(m);
  bind_omp<T>(m);
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
  defaults["momentum_delay"] = options.momentum_delay;
  defaults["shrink"] = options.shrink;
  defaults["record"] = options.record;
  defaults["penalty"] = to_string(options.penalty.kind);
  m.attr("defaults")["encode"] = defaults;
  nb::dict stream_defaults = nb::steal<nb::dict>(PyDict_Copy(defaults.ptr()));
  nb::del(stream_defaults["record"]);
  m.attr("defaults")["encode_stream"] = stream_defaults;
  const PathOptions path;
  nb::dict path_defaults;
  path_defaults["reg_min"] = path.reg_min;
  path_defaults["max_knots"] = path.max_knots;
  m.attr("defaults")["lasso_path"] = path_defaults;

  bind_precision<float>(m);
  bind_precision<double>(m);
}

}  // namespace riata::python
