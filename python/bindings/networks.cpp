#include <nanobind/stl/map.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/set.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <map>
#include <tuple>
#include <utility>

#include "arrays.hpp"
#include "convolution.hpp"
#include "encode_result.hpp"
#include "history.hpp"
#include "module.hpp"
#include "options.hpp"
#include "riata/core/sentence.hpp"
#include "riata/learning/train.hpp"
#include "riata/networks/network_file.hpp"
#include "riata/operators/analytic_weight.hpp"
#include "riata/solvers/certificate.hpp"

namespace riata::python {
namespace {

using python::to_python;  // beside those of this file

template <class T>
using AnyArray = nb::ndarray<const T, nb::c_contig, nb::device::cpu>;
template <Scalar T>
using OptionalArray2 = std::optional<Array2<T>>;

/// What the binding gives as options, and the pair beside.
NetworkOptions to_network_options(const nb::dict& given, const std::optional<std::pair<double, double>>& support_selection) {
  auto options = to_options<NetworkOptions>(given);
  if (support_selection) options.support_selection = SupportSelection{support_selection->first, support_selection->second};
  return options;
}

template <Scalar T>
const ConvolutionalDictionary<T>* convolution_of(const Network<T>& net) {
  return dynamic_cast<const ConvolutionalDictionary<T>*>(&net.dictionary());
}

/// The array of a parameter: (columns, rows), or (rows) where there is one column.
template <Scalar T>
nb::object parameter_to_numpy(const Matrix<T>& parameter) {
  if (parameter.cols() == 1) return to_numpy<T>(Vector<T>(parameter.col(0)));
  return to_numpy<T>(Matrix<T>(parameter));
}

template <Scalar T>
nb::dict parameters_to_python(const Parameters<T>& parameters) {
  nb::dict arrays;
  for (const auto& [name, values] : parameters) arrays[name.c_str()] = parameter_to_numpy<T>(values);
  return arrays;
}

template <Scalar T>
Parameters<T> to_parameters(const Network<T>& net, const std::map<std::string, AnyArray<T>>& arrays) {
  Parameters<T> parameters;
  const auto current = net.shared_parameters();
  for (const auto& [name, array] : arrays) {
    Tensor tensor{.shape = {}, .data = std::vector<T>(array.data(), array.data() + array.size())};
    for (size_t k = 0; k < array.ndim(); ++k) tensor.shape.push_back(static_cast<Index>(array.shape(k)));
    const auto like = current->find(name);
    parameters[name] = like != current->end() ? tensor_to_parameter<T>(tensor, like->second, name, "parameters") : Matrix<T>();
  }
  return parameters;
}

nb::dict to_python(TrainingResult&& result) {
  nb::dict fields;
  fields["history"] = history_to_python(std::move(result.history));
  fields["initial_value"] = result.initial_value;
  fields["value"] = result.value;
  fields["reg"] = result.reg;
  fields["status"] = to_string(result.status);
  return fields;
}

template <Scalar T>
nb::dict to_python(NetworkGradient<T>&& gradient, const NetworkDerivatives& wanted) {
  nb::dict fields;
  fields["value"] = gradient.value;
  fields["parameters"] = parameters_to_python<T>(gradient.parameters);
  fields["reg"] = to_numpy_if(wanted.reg, std::move(gradient.reg));
  fields["signals"] = to_numpy_if(wanted.signals, std::move(gradient.signals));
  fields["codes"] = to_numpy_if(wanted.codes, std::move(gradient.codes));
  return fields;
}

template <Scalar T>
void bind_network(nb::module_& m, const char* name) {
  using Net = Network<T>;
  nb::class_<Net>(m, name, "A network in one precision; use riata.Network.")
      .def(
          "__init__",
          [](Net* self, const std::string& kind, const Array2<T>& dictionary, int n_layers,
             const std::optional<std::pair<double, double>>& support_selection, const nb::dict& given) {
            const NetworkOptions options = to_network_options(given, support_selection);
            auto D = own_dictionary<T>(dictionary);
            without_gil([&] { new (self) Net(kind, std::move(D), n_layers, options); });
          },
          nb::arg("kind"), array_arg("dictionary"), nb::arg("n_layers"), nb::arg("support_selection").none(), nb::arg("options"))
      .def_static(
          "of_convolution",
          [](const std::string& kind, const Array2<T>& kernels_or_v, const std::optional<Array2<T>>& u, Index n_channels,
             const std::string& boundary, int n_layers, const std::optional<std::pair<double, double>>& support_selection,
             const nb::dict& given) {
            const NetworkOptions options = to_network_options(given, support_selection);
            require(find_network_kind<T>(kind).traits.any_length || kind == "lista",
                    "Network: the parameters of the kind '{}' are those of one length of signals, and patterns take any; choose "
                    "'coupled', 'tied', 'alista', 'step', 'fista' or 'first_step'",
                    kind);
            const Index length = static_cast<Index>(kernels_or_v.shape(1)) / (u ? 1 : n_channels);
            const auto D = make_convolution<T>(kernels_or_v, u, n_channels, length, boundary);
            return without_gil([&] { return Net(kind, D, n_layers, options); });
          },
          nb::arg("kind"), array_arg("kernels_or_v"), array_arg("u").none(), nb::arg("n_channels"), nb::arg("boundary"),
          nb::arg("n_layers"), nb::arg("support_selection").none(), nb::arg("options"))
      .def(
          "over", [](const Net& net, Index n_times) { return net.over(convolution_of(net)->of_length(n_times)); },
          nb::arg("n_times"))
      .def_prop_ro("convolution",
                   [](const Net& net) -> std::optional<std::tuple<Index, Index, std::string>> {
                     const auto* D = convolution_of(net);
                     if (D == nullptr) return {};
                     return std::tuple{D->shape().n_channels, D->atom_times(), std::string(to_string(D->shape().boundary))};
                   })
      .def("patterns",
           [](const Net& net) -> nb::object {
             const auto& D = *convolution_of(net);
             if (!D.is_rank_one()) return to_numpy<T>(D.atoms());
             Parameters<T> parameters = D.parameters();
             if (D.window().size() > 0) parameters.at("v").array().colwise() *= D.window().array();
             return nb::make_tuple(to_numpy<T>(std::move(parameters.at("u"))), to_numpy<T>(std::move(parameters.at("v"))));
           })
      .def("copy", [](const Net& net) { return Net(net); })
      .def_prop_ro("kind", &Net::kind)
      .def_prop_ro("n_layers", &Net::n_layers)
      .def_prop_ro("lipschitz", &Net::lipschitz)
      .def_prop_ro("threshold", [](const Net& net) { return std::string(to_string(net.options().threshold)); })
      .def_prop_ro("positive", [](const Net& net) { return net.options().positive; })
      .def_prop_ro("groups", [](const Net& net) { return net.options().groups; })
      .def_prop_ro("support_selection",
                   [](const Net& net) -> std::optional<std::pair<double, double>> {
                     const auto& selection = net.options().support_selection;
                     if (!selection) return {};
                     return std::pair{selection->p, selection->p_max};
                   })
      .def("dictionary",
           [](const Net& net) -> nb::object {
             const auto* D = convolution_of(net);
             if (D == nullptr) return to_numpy<T>(Matrix<T>(*net.dictionary().matrix()));
             return to_numpy<T>(D->atoms());
           })
      .def("parameters", [](const Net& net) { return parameters_to_python<T>(*net.shared_parameters()); })
      .def(
          "set_parameters",
          [](Net& net, const std::map<std::string, AnyArray<T>>& arrays) { net.set_parameters(to_parameters<T>(net, arrays)); },
          nb::arg("parameters"))
      .def("trainable", &Net::trainable, nb::arg("first"), nb::arg("last"))
      .def(
          "encode",
          [](const Net& net, const Array2<T>& X, const PythonReg& reg, std::optional<int> n_layers, const OptionalArray2<T>& init,
             std::optional<int> n_threads, const OptionalArray2<T>& mask) {
            const Reg weight = to_reg(reg);
            return to_numpy<T>(without_gil([&] {
              return net.encode(to_batch<T>(X, mask), weight,
                                {.n_layers = n_layers, .init = view_if<T>(init), .execution = to_execution(n_threads)});
            }));
          },
          array_arg("X"), array_arg("reg"), nb::arg("n_layers").none(), array_arg("init").none(), nb::arg("n_threads").none(),
          array_arg("mask").none())
      .def(
          "encode_certified",
          [](const Net& net, const Array2<T>& X, const PythonReg& reg, std::optional<double> finish, bool safeguard,
             std::optional<int> n_layers, const OptionalArray2<T>& init, std::optional<int> n_threads,
             const OptionalArray2<T>& mask) {
            const Reg weight = to_reg(reg);
            return to_python<T>(without_gil([&] {
              return net.encode_certified(to_batch<T>(X, mask), weight, {.finish = finish, .safeguard = safeguard},
                                          {.n_layers = n_layers, .init = view_if<T>(init), .execution = to_execution(n_threads)});
            }));
          },
          array_arg("X"), array_arg("reg"), nb::arg("finish").none(), nb::arg("safeguard"), nb::arg("n_layers").none(),
          array_arg("init").none(), nb::arg("n_threads").none(), array_arg("mask").none())
      .def(
          "outputs",
          [](const Net& net, const Array2<T>& X, const PythonReg& reg, std::optional<int> n_layers, const OptionalArray2<T>& init,
             std::optional<int> n_threads, const OptionalArray2<T>& mask) {
            const Reg weight = to_reg(reg);
            auto outputs = without_gil([&] {
              return net.outputs(to_batch<T>(X, mask), weight,
                                 {.n_layers = n_layers, .init = view_if<T>(init), .execution = to_execution(n_threads)});
            });
            nb::list arrays;
            for (auto& codes : outputs) arrays.append(to_numpy<T>(std::move(codes)));
            return arrays;
          },
          array_arg("X"), array_arg("reg"), nb::arg("n_layers").none(), array_arg("init").none(), nb::arg("n_threads").none(),
          array_arg("mask").none())
      .def(
          "gradient",
          [](const Net& net, const Array2<T>& X, const PythonReg& reg, const std::set<std::string>& parameters, bool wrt_reg,
             bool wrt_signals, bool codes, const OptionalArray2<T>& targets, const OptionalArray2<T>& cotangent,
             std::optional<int> n_layers, std::optional<int> n_threads, const OptionalArray2<T>& mask) {
            const Reg weight = to_reg(reg);
            const NetworkDerivatives wanted{.parameters = parameters, .reg = wrt_reg, .signals = wrt_signals, .codes = codes};
            return to_python<T>(without_gil([&] {
                                  const NetworkRun<T> run{.n_layers = n_layers, .execution = to_execution(n_threads)};
                                  return cotangent
                                             ? net.vjp(to_batch<T>(X, mask), weight, view<T>(*cotangent), wanted, run)
                                             : net.loss_gradient(to_batch<T>(X, mask), weight, wanted, run, view_if<T>(targets));
                                }),
                                wanted);
          },
          array_arg("X"), array_arg("reg"), nb::arg("parameters"), nb::arg("wrt_reg"), nb::arg("wrt_signals"), nb::arg("codes"),
          array_arg("targets").none(), array_arg("cotangent").none(), nb::arg("n_layers").none(), nb::arg("n_threads").none(),
          array_arg("mask").none())
      .def(
          "resolve_reg",
          [](const Net& net, const Array2<T>& X, const PythonReg& reg, std::optional<int> n_threads,
             const OptionalArray2<T>& mask, std::uint64_t seed) {
            const Reg weight = to_reg(reg);
            return without_gil([&] {
              return resolve_run_reg<T>(weight, to_batch<T>(X, mask), net.dictionary(), net.penalty(), seed,
                                        to_execution(n_threads));
            });
          },
          array_arg("X"), array_arg("reg"), nb::arg("n_threads").none(), array_arg("mask").none(), nb::arg("seed"))
      .def(
          "train",
          [](Net& net, const Array2<T>& X, const PythonReg& reg, const OptionalArray2<T>& targets, const OptionalArray2<T>& mask,
             const nb::object& callback, const nb::dict& given) {
            const auto options = to_options<TrainingOptions>(given, OnInterrupt::stop);
            const Reg weight = to_reg(reg);
            const TrainingObserver observer = to_observer<TrainingInfo>(callback, OnInterrupt::stop);
            return to_python(
                without_gil([&] { return train<T>(net, to_batch<T>(X, mask), weight, options, view_if<T>(targets), observer); }));
          },
          array_arg("X"), array_arg("reg"), array_arg("targets").none(), array_arg("mask").none(), nb::arg("callback").none(),
          nb::arg("options"))
      .def(
          "save",
          [](const Net& net, const Path& path, std::optional<double> reg, const std::map<std::string, std::string>& metadata) {
            without_gil([&] { save_network<T>(path, {.network = net, .reg = reg, .metadata = metadata}); });
          },
          nb::arg("path"), nb::arg("reg").none(), nb::arg("metadata"))
      .def(
          "export_parameters", [](const Net& net, const Path& path) { without_gil([&] { export_parameters<T>(path, net); }); },
          nb::arg("path"))
      .def(
          "import_parameters", [](Net& net, const Path& path) { without_gil([&] { import_parameters<T>(path, net); }); },
          nb::arg("path"));
  m.def(
      "conv_analytic_weight",
      [](const Array2<T>& kernels_or_v, const std::optional<Array2<T>>& u, Index n_channels) {
        const Index length = static_cast<Index>(kernels_or_v.shape(1)) / (u ? 1 : n_channels);
        const auto D = make_convolution<T>(kernels_or_v, u, n_channels, length, "valid");
        return to_numpy<T>(without_gil([&] { return D.analytic_weight(); }));
      },
      array_arg("kernels_or_v"), array_arg("u").none(), nb::arg("n_channels"));
  m.def(
      "analytic_weight",
      [](const Array2<T>& D) { return to_numpy<T>(without_gil([&] { return analytic_weight<T>(Matrix<T>(view<T>(D))); })); },
      array_arg("D"));
}

template <Scalar T>
nb::tuple load_network_in(const Path& path) {
  StoredNetwork<T> stored = without_gil([&] { return load_network<T>(path); });
  return nb::make_tuple(std::move(stored.network), stored.reg, stored.metadata);
}

}  // namespace

void bind_networks(nb::module_& m) {
  describe_options<NetworkOptions>(m, "Network");
  describe_options<TrainingOptions>(m, "Network.fit");

  nb::class_<TrainingInfo>(m, "TrainingInfo", "What training tells about one accepted step.")
      .def_ro("phase", &TrainingInfo::phase, "its stage")
      .def("__getattr__",
           [](const TrainingInfo&, const std::string& name) {
             const char* now = name == "stage" ? "phase" : name == "layers" ? "n_layers" : nullptr;
             throw nb::attribute_error(formatted("TrainingInfo has no {}{}", shown(name),
                                                 now ? formatted("; it is called {} since riata 0.2", now) : "")
                                           .c_str());
           })
      .def_ro("n_layers", &TrainingInfo::n_layers, "the loss is at the output of this many layers")
      .def_ro("iteration", &TrainingInfo::iteration, "accepted steps so far, all stages together")
      .def_ro("value", &TrainingInfo::value, "the loss")
      .def_ro("ista", &TrainingInfo::ista, "the loss of ISTA with as many layers")
      .def_ro("optimum", &TrainingInfo::optimum, "unsupervised: the least possible loss, certified; else NaN")
      .def_ro("step", &TrainingInfo::step, "accepted step")
      .def_ro("seconds", &TrainingInfo::seconds, "wall time since the start of training")
      .def("__getstate__",
           [](const TrainingInfo& i) {
             return std::tuple(i.phase, i.n_layers, i.iteration, i.value, i.ista, i.optimum, i.step, i.seconds);
           })
      .def("__setstate__",
           [](TrainingInfo& info, const std::tuple<int, int, int, double, double, double, double, double>& state) {
             const auto& [phase, n_layers, iteration, value, ista, optimum, step, seconds] = state;
             new (&info) TrainingInfo{{phase, iteration, value, step, seconds}, n_layers, ista, optimum};
           })
      .def("__repr__", [](const TrainingInfo& info) {
        return formatted("TrainingInfo(phase={}, n_layers={}, iteration={}, value={:.6g}, ista={:.6g}, optimum={:.6g})",
                         info.phase, info.n_layers, info.iteration, info.value, info.ista, info.optimum);
      });
  bind_network<float>(m, "NetworkFloat32");
  bind_network<double>(m, "NetworkFloat64");
  m.def(
      "load_network",
      [](const Path& path) { return network_is_float32(path) ? load_network_in<float>(path) : load_network_in<double>(path); },
      nb::arg("path"));
  m.def("network_kinds", [] { return network_kinds<double>(); });
}

}  // namespace riata::python
