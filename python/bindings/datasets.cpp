#include "arrays.hpp"
#include "module.hpp"
#include "operator.hpp"
#include "options.hpp"
#include "riata/datasets/blocks.hpp"
#include "riata/datasets/generators.hpp"

namespace riata::python {
namespace {

/// Functions that take arrays: the array decides the precision.
template <Scalar T>
void bind_of_arrays(nb::module_& m) {
  m.def(
      "signals_on_b_infinity",
      [](const Array2<T>& D, Index n_signals, const std::string& law, std::uint64_t seed) {
        const datasets::SignalLaw parsed = parse<datasets::SignalLaw>(law, "law");
        return to_numpy(without_gil([&] { return datasets::signals_on_b_infinity<T>(view<T>(D), n_signals, parsed, seed); }));
      },
      array_arg("D"), nb::arg("n_signals"), nb::arg("law"), nb::arg("seed"));
  m.def(
      "scale_to_b_infinity",
      [](const Array2<T>& X, const Array2<T>& D) {
        return to_numpy(without_gil([&] { return datasets::scale_to_b_infinity<T>(view<T>(X), view<T>(D)); }));
      },
      array_arg("X"), array_arg("D"));
  m.def(
      "perturbed",
      [](const Array2<T>& D, double relative, std::uint64_t seed) {
        return to_numpy(without_gil([&] { return datasets::perturbed<T>(view<T>(D), relative, seed); }));
      },
      array_arg("D"), nb::arg("relative"), nb::arg("seed"));
  m.def(
      "blocks",
      [](const PythonOperator<T>& given, Index n_times, const nb::dict& given_options) {
        const auto options = to_options<datasets::BlocksOptions>(given_options);
        datasets::Blocks<T> made = without_gil([&] { return datasets::blocks<T>(*to_operator<T>(given, n_times), options); });
        return nb::make_tuple(to_numpy(std::move(made.signals)), to_numpy(std::move(made.activity)));
      },
      array_arg("operator"), nb::arg("n_times"), nb::arg("options"));
}

/// Calls generate<float>() or generate<double>().
template <class Generate>
nb::object in_precision(bool single, const Generate& generate) {
  return single ? generate.template operator()<float>() : generate.template operator()<double>();
}

template <Scalar T>
nb::object to_python(datasets::Planted<T>&& problem) {
  nb::dict fields;
  fields["signals"] = to_numpy(std::move(problem.signals));
  fields["dictionary"] = to_numpy(std::move(problem.dictionary));
  fields["codes"] = to_numpy(std::move(problem.codes));
  return fields;
}

}  // namespace

void bind_datasets(nb::module_& m) {
  describe_options<datasets::PlantedOptions>(m, "datasets.planted");
  describe_options<datasets::BlocksOptions>(m, "datasets.blocks");
  bind_of_arrays<float>(m);
  bind_of_arrays<double>(m);
  m.def(
      "gaussian_dictionary",
      [](Index n_features, Index n_atoms, std::uint64_t seed, bool single) {
        return in_precision(single, [&]<Scalar T>() {
          return to_numpy(without_gil([&] { return datasets::gaussian_dictionary<T>(n_features, n_atoms, seed); }));
        });
      },
      nb::arg("n_features"), nb::arg("n_atoms"), nb::arg("seed"), nb::arg("single"));
  m.def(
      "dct_dictionary",
      [](Index n_features, Index n_atoms, bool single) {
        return in_precision(single, [&]<Scalar T>() {
          return to_numpy(without_gil([&] { return datasets::dct_dictionary<T>(n_features, n_atoms); }));
        });
      },
      nb::arg("n_features"), nb::arg("n_atoms"), nb::arg("single"));
  m.def(
      "planted",
      [](bool single, const nb::dict& given) {
        const auto options = to_options<datasets::PlantedOptions>(given);
        return in_precision(single,
                            [&]<Scalar T>() { return to_python<T>(without_gil([&] { return datasets::planted<T>(options); })); });
      },
      nb::arg("single"), nb::arg("options"));
}

}  // namespace riata::python
