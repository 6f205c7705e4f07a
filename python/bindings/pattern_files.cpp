#include <nanobind/stl/map.h>

#include <map>

#include "arrays.hpp"
#include "execution.hpp"
#include "module.hpp"
#include "paths.hpp"
#include "riata/learning/pattern_model.hpp"

namespace riata::python {
namespace {

template <Scalar T>
nb::object vector_or_none(Vector<T>&& vector) {
  return vector.size() > 0 ? to_numpy(std::move(vector)) : nb::none();
}

/// u and v are None where kernels are free: what save_patterns takes.
template <Scalar T>
nb::dict load_patterns_in(const Path& path) {
  PatternModel<T> model = without_gil([&] { return load_patterns<T>(path); });
  nb::dict fields;
  fields["atoms"] = to_numpy(model.dictionary(model.n_times_atom()).atoms());
  fields["n_channels"] = model.n_channels;
  fields["metadata"] = nb::cast(model.to_text());
  const bool is_rank_one = model.is_rank_one();
  fields["u"] = to_numpy_if(is_rank_one, std::move(model.u));
  fields["v"] = to_numpy_if(is_rank_one, std::move(model.v));
  fields["window"] = vector_or_none<T>(std::move(model.window));
  return fields;
}

template <Scalar T>
void bind_saving_in(nb::module_& m) {
  m.def(
      "save_patterns",
      [](const Path& path, const std::optional<Array2<T>>& u, const Array2<T>& v_or_kernels,
         const std::optional<Array1<T>>& window, Index n_channels, const std::map<std::string, std::string>& metadata) {
        PatternModel<T> model{.n_channels = n_channels};
        (u ? model.v : model.kernels) = view<T>(v_or_kernels);
        if (u) model.u = view<T>(*u);
        if (window) model.window = Eigen::Map<const Vector<T>>(window->data(), static_cast<Index>(window->size()));
        model.take_text(metadata, "save_patterns");
        without_gil([&] { save_patterns<T>(path, model); });
      },
      nb::arg("path"), array_arg("u").none(), array_arg("v_or_kernels"), array_arg("window").none(), nb::arg("n_channels"),
      nb::arg("metadata"));
}

}  // namespace

void bind_pattern_files(nb::module_& m) {
  bind_saving_in<float>(m);
  bind_saving_in<double>(m);
  m.def(
      "load_patterns",
      [](const Path& path) {
        return patterns_are_float32(path) ? load_patterns_in<float>(path) : load_patterns_in<double>(path);
      },
      nb::arg("path"));
}

}  // namespace riata::python
