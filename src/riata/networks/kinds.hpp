// The kinds of networks, by name. A kind is a layer and where its parameters start; docs/how_to_add_network.md adds one.
#pragma once

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "riata/networks/model.hpp"
#include "riata/unrolled/pass.hpp"

namespace riata {

/// What a kind lets the caller choose, and what a network must know of it.
struct KindTraits {
  bool atom_thresholds = false;      ///< takes ThresholdShape::atom
  bool support_selection = false;    ///< takes a SupportSelection
  bool groups = false;               ///< needs groups, and its penalty is that of the groups
  bool positive = false;             ///< its codes can be kept >= 0
  bool any_dictionary = false;       ///< asks for products with D alone: it need not be a matrix
  bool any_atoms = false;            ///< asks for its atoms beside (Dictionary::unstructured): a matrix or a convolution
  bool any_length = false;           ///< its parameters serve convolutions of any length of signals
  bool weights = false;              ///< its layers heed the weights of a data fit
  bool rebuilds = false;             ///< blocks follow from the codes (Layer::rebuild), so that they are not kept
  std::set<std::string> fixed = {};  ///< parameters that nothing trains
};

template <Scalar T>
struct NetworkKind {
  KindTraits traits;
  std::function<std::unique_ptr<Layer<T>>(const LayerSite<T>& site)> make;
  /// The parameters that layer t brings. Those of all layers are one pack.
  std::function<Parameters<T>(const NetworkModel<T>& model, int layer)> initial;
  /// How many rows each block of the state has, beside the code; or empty: the code is all.
  std::function<std::vector<Index>(const NetworkModel<T>& model)> blocks;
  /// Puts parameters onto the set they must lie in; or empty.
  std::function<void(const NetworkModel<T>& model, Parameters<T>& parameters)> project;
  /// Refuses parameters that no projection makes sense of, in a sentence; or empty.
  std::function<void(const char* where, const NetworkModel<T>& model, const Parameters<T>& parameters)> check;
};

/// The kind of a layer: a Layer<T> made from a LayerSite<T>, with initial() and, where it needs them, blocks(), project() and
/// check().
template <Scalar T, class Row>
NetworkKind<T> kind_of(const KindTraits& traits = {}) {
  NetworkKind<T> kind{.traits = traits,
                      .make = [](const LayerSite<T>& site) -> std::unique_ptr<Layer<T>> { return std::make_unique<Row>(site); },
                      .initial = &Row::initial,
                      .blocks = {},
                      .project = {},
                      .check = {}};
  if constexpr (requires { &Row::blocks; }) kind.blocks = &Row::blocks;
  if constexpr (requires { &Row::project; }) kind.project = &Row::project;
  if constexpr (requires { &Row::check; }) kind.check = &Row::check;
  return kind;
}

/// Before networks of this kind are made; other threads may use those of other kinds. @throws std::invalid_argument if the name
/// is taken
template <Scalar T>
void register_network(const std::string& name, const NetworkKind<T>& kind);

/// @throws std::invalid_argument that lists the names
template <Scalar T>
const NetworkKind<T>& find_network_kind(const std::string& name);

/// The names, in alphabetical order.
template <Scalar T>
std::vector<std::string> network_kinds();

/// The pass through the first `room.n_layers` layers. Borrows the model and the parameters.
template <Scalar T>
std::unique_ptr<LayerPass<T>> make_pass(const NetworkKind<T>& kind, const NetworkModel<T>& model, const Parameters<T>& parameters,
                                        const PassRoom& room);

}  // namespace riata
