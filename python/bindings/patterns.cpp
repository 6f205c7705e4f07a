#include <cmath>

#include "arrays.hpp"
#include "history.hpp"
#include "learner.hpp"
#include "module.hpp"
#include "options.hpp"
#include "riata/core/check.hpp"
#include "riata/core/stopping.hpp"
#include "riata/learning/learn_patterns.hpp"

namespace riata::python {
namespace {

template <Scalar T>
nb::dict to_python(PatternResult<T>&& result, const PatternOptions& options) {
  nb::dict fields;
  if (options.window) result.v.array().colwise() *= tukey_window<T>(result.v.rows()).array();
  fields["atoms"] = to_numpy(std::move(result.atoms));
  fields["u"] = to_numpy(std::move(result.u));
  fields["v"] = to_numpy(std::move(result.v));
  fields["steps"] = to_numpy(std::move(result.learned.steps));
  fields["history"] = history_to_python(std::move(result.learned.history));
  fields["initial_value"] = result.learned.initial_value;
  fields["reg"] = result.learned.reg;
  fields["n_replaced"] = result.learned.n_replaced;
  fields["status"] = to_string(result.learned.status);
  return fields;
}

/// What a Python function reads: read(trial, first, count) -> array (n_channels, count).
template <Scalar T>
class PythonRecording final : public Recording<T> {
 public:
  PythonRecording(nb::callable read, Index n_trials, Index n_channels, Index n_times)
      : read_(std::move(read)), n_trials_(n_trials), n_channels_(n_channels), n_times_(n_times) {}
  PythonRecording(const PythonRecording&) = delete;
  PythonRecording& operator=(const PythonRecording&) = delete;
  ~PythonRecording() override {
    const nb::gil_scoped_acquire gil;
    read_.reset();
  }
  Index n_trials() const override { return n_trials_; }
  Index n_channels() const override { return n_channels_; }
  Index n_times() const override { return n_times_; }
  void read(Index trial, Index first, MatrixRef<T> out) override {
    const nb::gil_scoped_acquire gil;
    const auto piece = nb::cast<Array2<T>>(call_or_interrupt(read_, trial, first, out.rows()));
    require(static_cast<Index>(piece.shape(0)) == n_channels_ && static_cast<Index>(piece.shape(1)) == out.rows(),
            "learn_patterns: samples {} to {} of trial {} came with shape ({}, {}), must be ({}, {})", first,
            first + out.rows() - 1, trial, piece.shape(0), piece.shape(1), n_channels_, out.rows());
    out = view<T>(piece);
  }

 private:
  nb::object read_;
  Index n_trials_, n_channels_, n_times_;
};

template <Scalar T>
void bind_patterns_in(nb::module_& m) {
  m.def(
      "learn_patterns",
      [](const Array2<T>& X, Index n_channels, Index n_atoms, Index n_times_atom, const std::optional<PythonReg>& reg,
         const nb::object& callback, const nb::dict& given) {
        const auto options = to_options<PatternOptions>(given, OnInterrupt::stop);
        const std::optional<Reg> weight = to_optional_reg(reg);
        const Observer observer = to_observer<IterationInfo>(callback, OnInterrupt::stop);
        auto result = without_gil(
            [&] { return learn_patterns<T>(view<T>(X), n_channels, n_atoms, n_times_atom, weight, options, observer); });
        return to_python<T>(std::move(result), options);
      },
      array_arg("X"), nb::arg("n_channels"), nb::arg("n_atoms"), nb::arg("n_times_atom"), array_arg("reg").none(),
      nb::arg("callback").none(), nb::arg("options"));
}

template <Scalar T>
void bind_pattern_learner(nb::module_& m, const char* name) {
  using Learner = GuardedLearner<PatternLearner<T>>;
  nb::class_<Learner>(m, name, "Learns in one precision from trials as they come; use riata.ConvolutionalDictionaryLearning.")
      .def(
          "__init__",
          [](Learner* self, Index n_channels, Index n_atoms, Index n_times_atom, const std::optional<PythonReg>& reg,
             const std::optional<Array2<T>>& u, const std::optional<Array2<T>>& v, const nb::dict& given) {
            const auto options = to_options<PatternOptions>(given);
            const std::optional<Reg> weight = to_optional_reg(reg);
            if (!v) {
              new (self) Learner(PatternLearner<T>(n_channels, n_atoms, n_times_atom, weight, options));
              return;
            }
            const RecordingShape shape{n_channels, n_times_atom};
            const Vector<T> window = options.window ? tukey_window<T>(n_times_atom) : Vector<T>();
            const auto init =
                u ? ConvolutionalDictionary<T>::rank_one(Matrix<T>(view<T>(*u)), Matrix<T>(view<T>(*v)), shape, window)
                  : ConvolutionalDictionary<T>(Matrix<T>(view<T>(*v)), shape);
            new (self) Learner(PatternLearner<T>(init, weight, options));
          },
          nb::arg("n_channels"), nb::arg("n_atoms"), nb::arg("n_times_atom"), array_arg("reg").none(), array_arg("u").none(),
          array_arg("v").none(), nb::arg("options"))
      .def(
          "partial_fit",
          [](Learner& self, const Array2<T>& X) { self.with([&](PatternLearner<T>& of) { of.partial_fit(view<T>(X)); }); },
          array_arg("X"))
      .def(
          "result",
          [](Learner& self, bool window) {
            return to_python<T>(self.with([](PatternLearner<T>& of) { return of.result(); }), {.window = window});
          },
          nb::arg("window"))
      .def("state", [](Learner& self) { return state_to_python(self.with([](PatternLearner<T>& of) { return of.state(); })); })
      .def(
          "restore",
          [](Learner& self, const nb::dict& state) {
            self.with([tensors = state_from_python(state)](PatternLearner<T>& of) { of.restore(tensors); });
          },
          nb::arg("state"));
}

}  // namespace

void bind_patterns(nb::module_& m) {
  describe_options<PatternOptions>(m, "learn_patterns");
  bind_patterns_in<float>(m);
  bind_patterns_in<double>(m);
  bind_pattern_learner<float>(m, "PatternLearner32");
  bind_pattern_learner<double>(m, "PatternLearner64");
  m.def(
      "learn_patterns_of_source",
      [](const nb::callable& read, Index n_trials, Index n_channels, Index n_times, bool is_float, Index n_atoms,
         Index n_times_atom, const std::optional<PythonReg>& reg, const nb::object& callback, const nb::dict& given) {
        const auto options = to_options<PatternOptions>(given, OnInterrupt::stop);
        const std::optional<Reg> weight = to_optional_reg(reg);
        const Observer observer = to_observer<IterationInfo>(callback, OnInterrupt::stop);
        const auto learn = [&]<Scalar T>(T) {
          const auto recording = std::make_shared<PythonRecording<T>>(read, n_trials, n_channels, n_times);
          auto result =
              without_gil([&] { return learn_patterns<T>(recording, n_atoms, n_times_atom, weight, options, observer); });
          return to_python<T>(std::move(result), options);
        };
        return is_float ? learn(float()) : learn(double());
      },
      nb::arg("read"), nb::arg("n_trials"), nb::arg("n_channels"), nb::arg("n_times"), nb::arg("is_float"), nb::arg("n_atoms"),
      nb::arg("n_times_atom"), array_arg("reg").none(), nb::arg("callback").none(), nb::arg("options"));
}

}  // namespace riata::python
