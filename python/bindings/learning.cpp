#include <nanobind/stl/map.h>

#include <map>

#include "arrays.hpp"
#include "execution.hpp"
#include "history.hpp"
#include "module.hpp"
#include "paths.hpp"
#include "riata/learning/learn_dictionary.hpp"
#include "riata/learning/model.hpp"
#include "riata/learning/recovery.hpp"

namespace riata::python {
namespace {

Constraint parse_constraint(const std::string& name) {
  if (name == "unit_sphere") return Constraint::unit_sphere;
  if (name == "unit_ball") return Constraint::unit_ball;
  throw std::invalid_argument("constraint = '" + name + "', must be 'unit_sphere' or 'unit_ball'");
}

bool is_frobenius(const std::string& lipschitz) {
  if (lipschitz == "spectral") return false;
  if (lipschitz == "frobenius") return true;
  throw std::invalid_argument("lipschitz = '" + lipschitz + "', must be 'spectral' or 'frobenius'");
}

template <Scalar T>
nb::dict to_python(LearnResult<T>&& result) {
  nb::dict fields;
  fields["dictionary"] = to_numpy(std::move(result.dictionary));
  fields["steps"] = to_numpy(std::move(result.steps));
  fields["history"] = history_to_python(std::move(result.history));
  fields["initial_value"] = result.initial_value;
  fields["reg"] = result.reg;
  fields["n_replaced"] = result.n_replaced;
  fields["status"] = to_string(result.status);
  return fields;
}

template <Scalar T>
void bind_learn_dictionary(nb::module_& m) {
  m.def(
      "learn_dictionary",
      [](const Array2<T>& X, Index n_atoms, const PythonReg& reg, int layers, const std::string& method,
         std::optional<int> backprop, bool learn_steps, const std::variant<std::string, Array2<T>>& init,
         const std::string& lipschitz, bool return_extrapolated, int max_iter, std::optional<double> max_time, double tol,
         const Path& checkpoint, int checkpoint_every, bool resume, std::uint64_t seed, std::optional<int> n_threads,
         const nb::object& callback, const std::string& algorithm, const std::string& loss, const std::string& reduction,
         const std::string& constraint, bool centre, bool replace_atoms, bool positive,
         const std::optional<Array1<double>>& weights, bool resume_inexact, bool overwrite_checkpoint,
         const std::optional<Array2<T>>& mask) {
        const auto* init_name = std::get_if<std::string>(&init);
        const LearnOptions options{.method = parse_learning_method(method),
                                   .layers = layers,
                                   .algorithm = parse_layers(algorithm, "algorithm"),
                                   .loss = parse_loss(loss),
                                   .backprop = backprop,
                                   .learn_steps = learn_steps,
                                   .frobenius_lipschitz = is_frobenius(lipschitz),
                                   .return_extrapolated = return_extrapolated,
                                   .reduction = parse_reduction(reduction),
                                   .constraint = parse_constraint(constraint),
                                   .init = init_name != nullptr ? parse_init(*init_name) : Init::data,
                                   .centre = centre,
                                   .max_iter = max_iter,
                                   .tol = tol,
                                   .max_time_s = max_time,
                                   .replace_atoms = replace_atoms,
                                   .checkpoint = checkpoint.name,
                                   .checkpoint_every = checkpoint_every,
                                   .resume = resume,
                                   .resume_inexact = resume_inexact,
                                   .overwrite_checkpoint = overwrite_checkpoint,
                                   .seed = seed,
                                   .penalty = to_penalty(positive, weights),
                                   .execution = to_execution(n_threads, OnInterrupt::stop)};
        const Reg weight = to_reg(reg);
        const Observer observer = to_observer<IterationInfo>(callback, OnInterrupt::stop);
        return to_python<T>(without_gil([&] {
          const Batch<T> batch = to_batch<T>(X, mask);
          if (init_name != nullptr) return learn_dictionary<T>(batch, n_atoms, weight, options, observer);
          const Matrix<T> start = view<T>(std::get<Array2<T>>(init));
          return learn_dictionary<T>(batch, start, weight, options, observer);
        }));
      },
      array_arg("X"), nb::arg("n_atoms"), array_arg("reg"), nb::arg("layers"), nb::arg("method"), nb::arg("backprop").none(),
      nb::arg("learn_steps"), array_arg("init"), nb::arg("lipschitz"), nb::arg("return_extrapolated"), nb::arg("max_iter"),
      nb::arg("max_time").none(), nb::arg("tol"), nb::arg("checkpoint"), nb::arg("checkpoint_every"), nb::arg("resume"),
      nb::arg("seed"), nb::arg("n_threads").none(), nb::arg("callback").none(), nb::arg("algorithm"), nb::arg("loss"),
      nb::arg("reduction"), nb::arg("constraint"), nb::arg("centre"), nb::arg("replace_atoms"), nb::arg("positive"),
      array_arg("weights").none(), nb::arg("resume_inexact"), nb::arg("overwrite_checkpoint"), array_arg("mask").none());
}

template <Scalar T>
nb::dict load(const Path& path) {
  Model<T> model = without_gil([&] { return load_model<T>(path); });
  nb::dict fields;
  fields["dictionary"] = to_numpy(std::move(model.dictionary));
  fields["steps"] = to_numpy(std::move(model.steps));
  fields["metadata"] = nb::cast(model.metadata);
  return fields;
}

template <Scalar T>
void bind_precision(nb::module_& m) {
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
         const std::map<std::string, std::string>& metadata) {
        const Model<T> model{.dictionary = view<T>(dictionary), .steps = to_vector<double>(steps), .metadata = metadata};
        without_gil([&] { save_model<T>(path, model); });
      },
      nb::arg("path"), array_arg("dictionary"), array_arg("steps").none(), nb::arg("metadata"));
}

}  // namespace

void bind_learning(nb::module_& m) {
  const LearnOptions options;
  nb::dict defaults;
  defaults["layers"] = options.layers;
  defaults["learn_steps"] = options.learn_steps;
  defaults["return_extrapolated"] = options.return_extrapolated;
  defaults["centre"] = options.centre;
  defaults["max_iter"] = options.max_iter;
  defaults["tol"] = options.tol;
  defaults["replace_atoms"] = options.replace_atoms;
  defaults["checkpoint_every"] = options.checkpoint_every;
  defaults["resume"] = options.resume;
  defaults["resume_inexact"] = options.resume_inexact;
  defaults["overwrite_checkpoint"] = options.overwrite_checkpoint;
  defaults["random_state"] = options.seed;
  m.attr("defaults")["learn_dictionary"] = defaults;

  bind_precision<float>(m);
  bind_precision<double>(m);
  m.def(
      "load_model", [](const Path& path) { return model_is_float32(path) ? load<float>(path) : load<double>(path); },
      nb::arg("path"));
}

}  // namespace riata::python
