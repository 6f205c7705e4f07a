#include "riata/networks/kinds.hpp"

#include <fmt/ranges.h>

#include <map>
#include <mutex>
#include <shared_mutex>

#include "riata/core/check.hpp"
#include "riata/core/stopping.hpp"
#include "riata/networks/coupled.hpp"
#include "riata/networks/uncoupled.hpp"

namespace riata {
namespace {

/// Rows are added, never moved or taken out: one that was found stays where it is.
template <Scalar T>
struct Registry {
  std::shared_mutex mutex = {};
  std::map<std::string, NetworkKind<T>> kinds{
      {"lista", kind_of<T, ListaRow<T>>({.atom_thresholds = true, .positive = true})},
      {"coupled", kind_of<T, CoupledRow<T>>({.atom_thresholds = true,
                                             .support_selection = true,
                                             .positive = true,
                                             .any_atoms = true,
                                             .any_length = true,
                                             .weights = true})},
      {"tied", kind_of<T, TiedRow<T>>({.atom_thresholds = true,
                                       .support_selection = true,
                                       .positive = true,
                                       .any_atoms = true,
                                       .any_length = true,
                                       .weights = true})},
      {"alista", kind_of<T, AlistaRow<T>>({.support_selection = true,
                                           .positive = true,
                                           .any_atoms = true,
                                           .any_length = true,
                                           .weights = true,
                                           .fixed = {"weight"}})},
      {"step", kind_of<T, StepRow<T>>({.positive = true, .any_dictionary = true, .any_length = true, .weights = true})},
      {"fista", kind_of<T, FistaRow<T>>(
                    {.positive = true, .any_dictionary = true, .any_length = true, .weights = true, .rebuilds = true})},
      {"hessian", kind_of<T, HessianRow<T>>({.atom_thresholds = true, .positive = true, .weights = true})},
      {"first_step", kind_of<T, FirstStepRow<T>>({.positive = true, .any_atoms = true, .any_length = true, .weights = true})},
      {"facnet", kind_of<T, FacnetRow<T>>({.any_dictionary = true, .weights = true})},
      {"iht", kind_of<T, IhtRow<T>>()},
      {"lamp", kind_of<T, LampRow<T>>({.positive = true})},
      {"group", kind_of<T, CoupledRow<T>>({.groups = true, .any_atoms = true, .weights = true})},
  };
};

template <Scalar T>
Registry<T>& registry() {
  static Registry<T> all;
  return all;
}

}  // namespace

template <Scalar T>
void register_network(const std::string& name, const NetworkKind<T>& kind) {
  const std::unique_lock lock(registry<T>().mutex);
  const bool is_new = registry<T>().kinds.emplace(name, kind).second;
  require(is_new, "register_network: the kind '{}' exists", name);
}

template <Scalar T>
const NetworkKind<T>& find_network_kind(const std::string& name) {
  {
    const std::shared_lock lock(registry<T>().mutex);
    if (const auto found = registry<T>().kinds.find(name); found != registry<T>().kinds.end()) return found->second;
  }
  refuse(formatted("kind = '{}', must be one of {}", name, fmt::join(network_kinds<T>(), ", ")));
}

template <Scalar T>
std::vector<std::string> network_kinds() {
  const std::shared_lock lock(registry<T>().mutex);
  std::vector<std::string> names;
  for (const auto& [name, kind] : registry<T>().kinds) names.push_back(name);
  return names;
}

template <Scalar T>
std::unique_ptr<LayerPass<T>> make_pass(const NetworkKind<T>& kind, const NetworkModel<T>& model, const Parameters<T>& parameters,
                                        const PassRoom& room) {
  std::vector<std::unique_ptr<Layer<T>>> layers;
  for (int t = 0; t < room.n_layers; ++t) {
    leave_if_stopped();
    const bool keep = t >= room.n_layers - room.stored;
    layers.push_back(kind.make({.model = model, .parameters = parameters, .layer = t, .tile = room.tile, .keep = keep}));
  }
  return std::make_unique<LayerPass<T>>(
      std::move(layers),
      typename LayerPass<T>::State{.n_atoms = model.n_atoms(),
                                   .blocks = kind.blocks ? kind.blocks(model) : std::vector<Index>(),
                                   .rebuilds = kind.traits.rebuilds},
      room);
}

#define RIATA_INSTANTIATE(T)                                                                                               \
  template void register_network<T>(const std::string&, const NetworkKind<T>&);                                            \
  template const NetworkKind<T>& find_network_kind<T>(const std::string&);                                                 \
  template std::vector<std::string> network_kinds<T>();                                                                    \
  template std::unique_ptr<LayerPass<T>> make_pass<T>(const NetworkKind<T>&, const NetworkModel<T>&, const Parameters<T>&, \
                                                      const PassRoom&);
RIATA_INSTANTIATE(float)
RIATA_INSTANTIATE(double)
#undef RIATA_INSTANTIATE

}  // namespace riata
