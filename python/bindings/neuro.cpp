#include "riata/neuro/sparse_inverse.hpp"

#include "arrays.hpp"
#include "module.hpp"
#include "options.hpp"
#include "riata/neuro/hrf.hpp"
#include "riata/neuro/whitening.hpp"

namespace riata::python {
namespace {

/// Here rows are channels or sources in Python too, so the array is turned, not seen as it lies.
Matrix<double> turned(const Array2<double>& array) { return view<double>(array).transpose(); }

}  // namespace

void bind_neuro(nb::module_& m) {
  describe_options<SparseInverseOptions>(m, "sparse_inverse");
  m.def(
      "sparse_inverse",
      [](const Array2<double>& M, const Array2<double>& G, const Array2<double>& noise_cov, const PythonReg& reg,
         const nb::dict& given) {
        const auto options = to_options<SparseInverseOptions>(given);
        const Reg weight = to_reg(reg);
        SparseInverseResult result =
            without_gil([&] { return sparse_inverse(turned(M), turned(G), turned(noise_cov), weight, options); });
        nb::dict fields;
        fields["sources"] = to_numpy(Matrix<double>(result.sources.transpose()));
        fields["active"] = to_numpy(std::move(result.active));
        fields["reg"] = result.reg;
        fields["objective"] = result.objective;
        fields["gap"] = result.gap;
        fields["gap_rel"] = result.gap_rel;
        fields["rank"] = result.whitener.rows();
        fields["whitener"] = to_numpy(Matrix<double>(result.whitener.transpose()));
        fields["depth_weights"] = to_numpy(std::move(result.depth_weights));
        fields["n_iter"] = result.n_iter;
        fields["status"] = to_string(result.status);
        return fields;
      },
      array_arg("M"), array_arg("G"), array_arg("noise_cov"), array_arg("reg"), nb::arg("options"));
  m.def(
      "hrf",
      [](double tr, const std::string& model, double dilation) {
        return to_numpy(hrf(tr, parse<HrfModel>(model, "model"), dilation));
      },
      nb::arg("tr"), nb::arg("model"), nb::arg("dilation"));
  m.def(
      "whitener",
      [](const Array2<double>& noise_cov, const std::vector<std::string>& channel_types, double rank_tol) {
        return to_numpy(
            Matrix<double>(without_gil([&] { return whitener(turned(noise_cov), channel_types, rank_tol); }).transpose()));
      },
      array_arg("noise_cov"), nb::arg("channel_types"), nb::arg("rank_tol"));
}

}  // namespace riata::python
