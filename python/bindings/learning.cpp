#include <nanobind/stl/map.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/vector.h>

#include <cmath>
#include <map>

#include "arrays.hpp"
#include "history.hpp"
#include "learner.hpp"
#include "module.hpp"
#include "options.hpp"
#include "riata/core/check.hpp"
#include "riata/core/stopping.hpp"
#include "riata/learning/learn_dictionary.hpp"
#include "riata/learning/model.hpp"
#include "riata/learning/recovery.hpp"
#include "riata/learning/validation_curve.hpp"

namespace riata::python {
namespace {

nb::object number_or_none(double v) { return std::isnan(v) ? nb::none() : nb::object(nb::float_(v)); }

template <Scalar T>
nb::dict to_python(LearnResult<T>&& result) {
  nb::dict fields;
  fields["dictionary"] = to_numpy(std::move(result.dictionary));
  fields["steps"] = to_numpy(std::move(result.steps));
  fields["history"] = history_to_python(std::move(result.history));
  fields["initial_value"] = result.initial_value;
  fields["reg"] = number_or_none(result.reg);
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
        const std::optional<Reg> weight = to_optional_reg(reg);
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

/// What a Python function reads: read(first, n) -> array (n, n_features).
template <Scalar T>
class PythonSignals final : public SignalSource<T> {
 public:
  PythonSignals(nb::callable read, Index n_signals, Index n_features)
      : read_(std::move(read)), n_signals_(n_signals), n_features_(n_features) {}
  PythonSignals(const PythonSignals&) = delete;
  PythonSignals& operator=(const PythonSignals&) = delete;
  ~PythonSignals() override {
    const nb::gil_scoped_acquire gil;
    read_.reset();
  }
  Index n_features() const override { return n_features_; }
  Index n_signals() const override { return n_signals_; }
  void read(Index first, MatrixRef<T> out) override {
    const nb::gil_scoped_acquire gil;
    const auto some = nb::cast<Array2<T>>(call_or_interrupt(read_, first, out.cols()));
    require(static_cast<Index>(some.shape(0)) == out.cols() && static_cast<Index>(some.shape(1)) == n_features_,
            "learn_dictionary: signals {} to {} of X came with shape ({}, {}), must be ({}, {})", first, first + out.cols() - 1,
            some.shape(0), some.shape(1), out.cols(), n_features_);
    out = view<T>(some);
  }

 private:
  nb::object read_;
  Index n_signals_, n_features_;
};

/// Of signals from which batches are read when they are due.
template <Scalar T>
nb::dict learn_from_source(const auto& make_source, Index n_atoms, const std::optional<Reg>& reg,
                           const std::optional<Array2<double>>& init, const LearnOptions& options, const Observer& observer) {
  return to_python<T>(without_gil([&] {
    const std::shared_ptr<SignalSource<T>> signals = make_source();
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
void bind_learner(nb::module_& m, const char* name) {
  using Learner = GuardedLearner<DictionaryLearner<T>>;
  nb::class_<Learner>(m, name, "Learns in one precision from batches as they come; use riata.MiniBatchDictionaryLearning.")
      .def(
          "__init__",
          [](Learner* self, Index n_atoms, const std::optional<PythonReg>& reg, const std::optional<Array2<T>>& init,
             const nb::dict& given) {
            const auto options = to_options<LearnOptions>(given);
            const std::optional<Reg> weight = to_optional_reg(reg);
            if (init)
              new (self) Learner(DictionaryLearner<T>(view<T>(*init), weight, options));
            else
              new (self) Learner(DictionaryLearner<T>(n_atoms, weight, options));
          },
          nb::arg("n_atoms"), array_arg("reg").none(), array_arg("init").none(), nb::arg("options"))
      .def(
          "partial_fit",
          [](Learner& self, const Array2<T>& X) { self.with([&](DictionaryLearner<T>& of) { of.partial_fit(view<T>(X)); }); },
          array_arg("X"))
      .def("dictionary",
           [](Learner& self) { return to_numpy(self.with([](DictionaryLearner<T>& of) { return Matrix<T>(of.dictionary()); })); })
      .def("reg", [](Learner& self) { return number_or_none(self.with([](DictionaryLearner<T>& of) { return of.reg(); })); })
      .def("last",
           [](Learner& self) {
             return self.with(
                 [](DictionaryLearner<T>& of) { return std::pair(of.history().value.back(), of.history().step.back()); });
           })
      .def("result", [](Learner& self) { return to_python<T>(self.with([](DictionaryLearner<T>& of) { return of.result(); })); })
      .def("state", [](Learner& self) { return state_to_python(self.with([](DictionaryLearner<T>& of) { return of.state(); })); })
      .def(
          "restore",
          [](Learner& self, const nb::dict& state) {
            self.with([tensors = state_from_python(state)](DictionaryLearner<T>& of) { of.restore(tensors); });
          },
          nb::arg("state"));
}

/// A list of points, each as (n_atoms, reg, objective, explained, n_nonzero, stability).
template <Scalar T>
void bind_validation_curve(nb::module_& m) {
  m.def(
      "validation_curve",
      [](const Array2<T>& X, const std::vector<Index>& n_atoms, const std::vector<PythonReg>& regs, double validation, int n_runs,
         const nb::object& progress, const nb::dict& given) {
        ValidationCurveOptions options{.validation = validation, .n_runs = n_runs, .learn = to_options<LearnOptions>(given)};
        std::vector<Reg> weights;
        for (const PythonReg& reg : regs) weights.push_back(to_reg(reg));
        const auto to_tuple = [](const ValidationPoint& of) {
          return nb::make_tuple(of.n_atoms, to_numpy(std::vector<double>(of.reg)), to_numpy(std::vector<double>(of.objective)),
                                to_numpy(std::vector<double>(of.explained)), to_numpy(std::vector<double>(of.n_nonzero)),
                                of.stability);
        };
        const auto observe = [&](const ValidationPoint& point) {
          const nb::gil_scoped_acquire gil;
          return nb::cast<bool>(nb::bool_(progress(to_tuple(point)))) ? Action::stop : Action::keep_going;
        };
        const auto points = without_gil([&] {
          if (progress.is_none()) return validation_curve<T>(view<T>(X), n_atoms, weights, options);
          return validation_curve<T>(view<T>(X), n_atoms, weights, options, observe);
        });
        nb::list all;
        for (const ValidationPoint& point : points) all.append(to_tuple(point));
        return all;
      },
      array_arg("X"), nb::arg("n_atoms"), nb::arg("regs"), nb::arg("validation"), nb::arg("n_runs"), nb::arg("progress").none(),
      nb::arg("options"));
}

template <Scalar T>
void bind_learning_in(nb::module_& m) {
  bind_learn_dictionary<T>(m);
  bind_validation_curve<T>(m);
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
  bind_learner<float>(m, "DictionaryLearner32");
  bind_learner<double>(m, "DictionaryLearner64");
  m.def(
      "learn_dictionary_of_files",
      [](const std::vector<Path>& paths, Index n_atoms, const std::optional<PythonReg>& reg,
         const std::optional<Array2<double>>& init, const nb::object& callback, const nb::dict& given) {
        const auto options = to_options<LearnOptions>(given, OnInterrupt::stop);
        const std::optional<Reg> weight = to_optional_reg(reg);
        const Observer observer = to_observer<IterationInfo>(callback, OnInterrupt::stop);
        std::vector<std::filesystem::path> files;
        for (const Path& path : paths) files.emplace_back(path.name);
        const bool is_float = !files.empty() && without_gil([&] { return is_float32_npy(files.front()); });
        const auto learn = [&]<Scalar T>(T) {
          return learn_from_source<T>([&] { return std::make_shared<NpyShards<T>>(files); }, n_atoms, weight, init, options,
                                      observer);
        };
        return is_float ? learn(float()) : learn(double());
      },
      nb::arg("paths"), nb::arg("n_atoms"), array_arg("reg").none(), array_arg("init").none(), nb::arg("callback").none(),
      nb::arg("options"));
  m.def(
      "learn_dictionary_of_source",
      [](const nb::callable& read, Index n_signals, Index n_features, bool is_float, Index n_atoms,
         const std::optional<PythonReg>& reg, const std::optional<Array2<double>>& init, const nb::object& callback,
         const nb::dict& given) {
        const auto options = to_options<LearnOptions>(given, OnInterrupt::stop);
        const std::optional<Reg> weight = to_optional_reg(reg);
        const Observer observer = to_observer<IterationInfo>(callback, OnInterrupt::stop);
        const auto learn = [&]<Scalar T>(T) {
          const auto signals = std::make_shared<PythonSignals<T>>(read, n_signals, n_features);
          return learn_from_source<T>([&] { return signals; }, n_atoms, weight, init, options, observer);
        };
        return is_float ? learn(float()) : learn(double());
      },
      nb::arg("read"), nb::arg("n_signals"), nb::arg("n_features"), nb::arg("is_float"), nb::arg("n_atoms"),
      array_arg("reg").none(), array_arg("init").none(), nb::arg("callback").none(), nb::arg("options"));
  m.def(
      "load_model",
      [](const Path& path) { return model_is_float32(path) ? load_model_in<float>(path) : load_model_in<double>(path); },
      nb::arg("path"));
}

}  // namespace riata::python
