#include <nanobind/stl/map.h>
#include <nanobind/stl/vector.h>

#include <cmath>
#include <map>

#include "arrays.hpp"
#include "history.hpp"
#include "module.hpp"
#include "options.hpp"
#include "riata/learning/learn_dictionary.hpp"
#include "riata/learning/model.hpp"
#include "riata/learning/recovery.hpp"

namespace riata::python {
namespace {

template <Scalar T>
nb::dict to_python(LearnResult<T>&& result) {
  nb::dict fields;
  fields["dictionary"] = to_numpy(std::move(result.dictionary));
  fields["steps"] = to_numpy(std::move(result.steps));
  fields["history"] = history_to_python(std::move(result.history));
  fields["initial_value"] = result.initial_value;
  fields["reg"] = std::isnan(result.reg) ? nb::none() : nb::object(nb::float_(result.reg));
  fields["n_nonzero"] = result.n_nonzero ? nb::object(nb::int_(*result.n_nonzero)) : nb::none();
  fields["algorithm"] = result.algorithm ? nb::object(nb::str(to_string(*result.algorithm))) : nb::none();
  fields["hard_threshold"] = result.has_hard_threshold;
  fields["n_replaced"] = result.n_replaced;
  fields["status"] = to_string(result.status);
  return fields;
}

template <Scalar T>
void bind_learn_dictionary(nb::module_& m) {
  m.def(
      "learn_dictionary",
      [](const Array2<T>& X, Index n_atoms, const std::optional<PythonReg>& reg, const std::optional<Array2<T>>& init,
         const std::optional<Array2<T>>& mask, const nb::object& callback, const nb::dict& given) {
        const auto options = to_options<LearnOptions>(given, OnInterrupt::stop);
        const std::optional<Reg> weight = reg ? std::optional(to_reg(*reg)) : std::nullopt;
        const Observer observer = to_observer<IterationInfo>(callback, OnInterrupt::stop);
        return to_python<T>(without_gil([&] {
          const Batch<T> batch = to_batch<T>(X, mask);
          if (!init) return learn_dictionary<T>(batch, n_atoms, weight, options, observer);
          return learn_dictionary<T>(batch, Matrix<T>(view<T>(*init)), weight, options, observer);
        }));
      },
      array_arg("X"), nb::arg("n_atoms"), array_arg("reg").none(), array_arg("init").none(), array_arg("mask").none(),
      nb::arg("callback").none(), nb::arg("options"));
}

/// Of .npy files, one after another, from which batches are read when they are due.
template <Scalar T>
nb::dict learn_from_files(const std::vector<std::filesystem::path>& paths, Index n_atoms, const std::optional<Reg>& reg,
                          const std::optional<Array2<double>>& init, const LearnOptions& options, const Observer& observer) {
  return to_python<T>(without_gil([&] {
    const std::shared_ptr<SignalSource<T>> signals = std::make_shared<NpyShards<T>>(paths);
    if (!init) return learn_dictionary<T>(signals, n_atoms, reg, options, observer);
    return learn_dictionary<T>(signals, Matrix<T>(view<double>(*init).template cast<T>()), reg, options, observer);
  }));
}

/// The keywords of encode() that are not as by default.
nb::dict penalty_to_python(PenaltyOptions&& penalty) {
  nb::dict keywords;
  PenaltyOptions standard;
  for_each_option(penalty, [&]<class V>(const auto& row, V& value) {
    if (value == standard.*row.field) return;
    if constexpr (is_list<V>)
      keywords[row.name] = to_numpy(std::move(value));
    else
      keywords[row.name] = option_to_python(value);
  });
  return keywords;
}

template <Scalar T>
nb::dict load_model_in(const Path& path) {
  Model<T> model = without_gil([&] { return load_model<T>(path); });
  nb::dict fields;
  fields["dictionary"] = to_numpy(std::move(model.dictionary));
  fields["steps"] = to_numpy(std::move(model.steps));
  fields["metadata"] = nb::cast(model.metadata);
  fields["penalty"] = penalty_to_python(std::move(model.penalty));
  return fields;
}

template <Scalar T>
void bind_learning_in(nb::module_& m) {
  bind_learn_dictionary<T>(m);
  m.def(
      "recovery_score",
      [](const Array2<T>& D, const Array2<T>& reference) {
        return without_gil([&] { return recovery_score<T>(view<T>(D), view<T>(reference)); });
      },
      array_arg("D"), array_arg("D_ref"));
  m.def(
      "save_model",
      [](const Path& path, const Array2<T>& dictionary, const std::optional<Array1<double>>& steps,
         const std::map<std::string, std::string>& metadata, const nb::dict& penalty) {
        const Model<T> model{.dictionary = view<T>(dictionary),
                             .steps = steps ? to_vector(*steps) : std::vector<double>(),
                             .metadata = metadata,
                             .penalty = to_options<PenaltyOptions>(penalty)};
        without_gil([&] { save_model<T>(path, model); });
      },
      nb::arg("path"), array_arg("dictionary"), array_arg("steps").none(), nb::arg("metadata"), nb::arg("penalty"));
}

}  // namespace

void bind_learning(nb::module_& m) {
  describe_options<LearnOptions>(m, "learn_dictionary");
  bind_learning_in<float>(m);
  bind_learning_in<double>(m);
  m.def(
      "learn_dictionary_of_files",
      [](const std::vector<Path>& paths, Index n_atoms, const std::optional<PythonReg>& reg,
         const std::optional<Array2<double>>& init, const nb::object& callback, const nb::dict& given) {
        const auto options = to_options<LearnOptions>(given, OnInterrupt::stop);
        const std::optional<Reg> weight = reg ? std::optional(to_reg(*reg)) : std::nullopt;
        const Observer observer = to_observer<IterationInfo>(callback, OnInterrupt::stop);
        std::vector<std::filesystem::path> files;
        for (const Path& path : paths) files.emplace_back(path.name);
        const bool is_float = !files.empty() && without_gil([&] { return is_float32_npy(files.front()); });
        return is_float ? learn_from_files<float>(files, n_atoms, weight, init, options, observer)
                        : learn_from_files<double>(files, n_atoms, weight, init, options, observer);
      },
      nb::arg("paths"), nb::arg("n_atoms"), array_arg("reg").none(), array_arg("init").none(), nb::arg("callback").none(),
      nb::arg("options"));
  m.def(
      "load_model",
      [](const Path& path) { return model_is_float32(path) ? load_model_in<float>(path) : load_model_in<double>(path); },
      nb::arg("path"));
}

}  // namespace riata::python
