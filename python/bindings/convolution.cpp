#include "convolution.hpp"

#include "arrays.hpp"
#include "encode_result.hpp"
#include "module.hpp"
#include "options.hpp"
#include "riata/learning/pattern_events.hpp"
#include "riata/solvers/certificate.hpp"
#include "riata/solvers/conv_encode.hpp"

namespace riata::python {
namespace {

/// Per pattern (trials, times, amplitudes).
nb::list events_to_python(const std::vector<std::vector<PatternEvent>>& events) {
  nb::list per_atom;
  for (const auto& of_atom : events) {
    std::vector<std::int64_t> trials, times;
    std::vector<double> amplitudes;
    for (const PatternEvent& event : of_atom) {
      trials.push_back(event.trial);
      times.push_back(event.time);
      amplitudes.push_back(event.amplitude);
    }
    per_atom.append(nb::make_tuple(to_numpy(std::move(trials)), to_numpy(std::move(times)), to_numpy(std::move(amplitudes))));
  }
  return per_atom;
}

template <Scalar T>
void bind_convolution_in(nb::module_& m) {
  m.def(
      "conv_encode",
      [](const Array2<T>& X, const Array2<T>& atoms, const std::optional<Array2<T>>& u, Index n_channels,
         const std::string& boundary, const PythonReg& reg, bool as_csr, const nb::dict& given) {
        const auto options = to_options<ConvEncodeOptions>(given);
        const Reg weight = to_reg(reg);
        const auto D = make_convolution<T>(atoms, u, n_channels, static_cast<Index>(X.shape(1)) / n_channels, boundary);
        CsrRows<T> rows;
        ConvEncodeResult<T> result = without_gil([&] {
          auto coded = conv_encode<T>(view<T>(X), D, weight, options);
          if (as_csr) {
            rows = activations_to_csr<T>(coded.codes, D);
            coded.codes.resize(0, 0);
          }
          return coded;
        });
        nb::dict fields;
        fields["codes"] = as_csr ? to_python(std::move(rows)) : to_numpy(std::move(result.codes));
        fields["objective"] = to_numpy(std::move(result.objective));
        fields["gap"] = to_numpy(std::move(result.gap));
        fields["n_updates"] = to_numpy(std::vector<std::int64_t>(result.n_updates.begin(), result.n_updates.end()));
        fields["status"] = to_python(result.status);
        return fields;
      },
      array_arg("X"), array_arg("atoms"), array_arg("u").none(), nb::arg("n_channels"), nb::arg("boundary"), array_arg("reg"),
      nb::arg("as_csr"), nb::arg("options"));
  m.def(
      "conv_reg_max",
      [](const Array2<T>& X, const Array2<T>& atoms, const std::optional<Array2<T>>& u, Index n_channels,
         const std::string& boundary, bool positive) {
        return to_numpy(without_gil([&] {
          const auto D = make_convolution<T>(atoms, u, n_channels, static_cast<Index>(X.shape(1)) / n_channels, boundary);
          return reg_max<T>(view<T>(X), D, {.positive = positive});
        }));
      },
      array_arg("X"), array_arg("atoms"), array_arg("u").none(), nb::arg("n_channels"), nb::arg("boundary"), nb::arg("positive"));
  m.def(
      "conv_decode",
      [](const Array2<T>& Z, const Array2<T>& atoms, const std::optional<Array2<T>>& u, Index n_channels, Index n_times,
         const std::string& boundary) {
        return to_numpy(without_gil([&] {
          const auto D = make_convolution<T>(atoms, u, n_channels, n_times, boundary);
          Matrix<T> X(D.signal_size(), static_cast<Index>(Z.shape(0)));
          D.apply(view<T>(Z), X);
          return X;
        }));
      },
      array_arg("Z"), array_arg("atoms"), array_arg("u").none(), nb::arg("n_channels"), nb::arg("n_times"), nb::arg("boundary"));
  m.def(
      "pattern_events",
      [](const Array2<T>& Z, const Array2<T>& atoms, const std::optional<Array2<T>>& u, Index n_channels, Index n_times,
         const std::string& boundary, double min_amplitude) {
        return events_to_python(without_gil([&] {
          return pattern_events<T>(view<T>(Z), make_convolution<T>(atoms, u, n_channels, n_times, boundary), min_amplitude);
        }));
      },
      array_arg("Z"), array_arg("atoms"), array_arg("u").none(), nb::arg("n_channels"), nb::arg("n_times"), nb::arg("boundary"),
      nb::arg("min_amplitude"));
  m.def(
      "explained_variance",
      [](const Array2<T>& X, const Array2<T>& Z, const Array2<T>& atoms, const std::optional<Array2<T>>& u, Index n_channels,
         const std::string& boundary) {
        ExplainedVariance explained = without_gil([&] {
          const auto D = make_convolution<T>(atoms, u, n_channels, static_cast<Index>(X.shape(1)) / n_channels, boundary);
          return explained_variance<T>(view<T>(X), view<T>(Z), D);
        });
        return nb::make_tuple(to_numpy(std::move(explained.per_atom)), explained.total);
      },
      array_arg("X"), array_arg("Z"), array_arg("atoms"), array_arg("u").none(), nb::arg("n_channels"), nb::arg("boundary"));
}

}  // namespace

void bind_convolution(nb::module_& m) {
  describe_options<ConvEncodeOptions>(m, "conv_encode");
  m.def(
      "tukey_window", [](Index length) { return to_numpy(tukey_window<double>(length)); }, nb::arg("length"));
  bind_convolution_in<float>(m);
  bind_convolution_in<double>(m);
}

}  // namespace riata::python
