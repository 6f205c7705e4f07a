// What every layer of a network shares, and where a layer finds its parameters.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "riata/core/names.hpp"
#include "riata/core/option.hpp"
#include "riata/operators/dense_dictionary.hpp"
#include "riata/terms/penalty_options.hpp"
#include "riata/unrolled/layer.hpp"

namespace riata {

/// How many thresholds a layer has, where its kind leaves the choice.
enum class ThresholdShape {
  scalar,  ///< one
  atom     ///< one per atom
};

template <>
inline constexpr Name<ThresholdShape> names<ThresholdShape>[] = {{ThresholdShape::scalar, "scalar"},
                                                                 {ThresholdShape::atom, "atom"}};

/// Layer t leaves its largest entries as they are, as far as they exceed their thresholds: min((t + 1) p, p_max) % of the
/// atoms. Chen, Liu, Wang and Yin (2018), "LISTA-SS".
struct SupportSelection {
  double p = 1.2;     ///< per cent, > 0
  double p_max = 13;  ///< per cent, p <= p_max <= 100
  bool operator==(const SupportSelection&) const = default;
};

inline constexpr int most_layers = 10000;  ///< of a network

struct NetworkOptions {
  ThresholdShape threshold = ThresholdShape::scalar;  ///< atom: lista, coupled, tied and hessian alone
  std::vector<std::int64_t> groups = {};  ///< group, and it alone: one label >= 0 per atom; atoms with equal labels are a group
  std::optional<SupportSelection> support_selection = {};  ///< coupled, tied and alista alone
  bool positive = false;                                   ///< codes >= 0; not for facnet, iht, group, nor with support_selection
  std::optional<double> lipschitz = {};  ///< L > 0, of which the first steps are the inverse; by default ||D||_2^2 to rounding
  bool operator==(const NetworkOptions&) const = default;
};

template <>
inline constexpr auto described<NetworkOptions> =
    std::tuple{Option{"threshold", &NetworkOptions::threshold, rule::anything,
                      "One threshold per layer, or one per layer and atom: lista, coupled, tied and hessian"},
               Option{"groups", &NetworkOptions::groups},
               Option{"positive", &NetworkOptions::positive, rule::anything, "Codes must be >= 0; not for facnet, iht and group"},
               Option{"lipschitz", &NetworkOptions::lipschitz, rule::positive,
                      "What the first steps are the inverse of; default: ||D||_2^2"}};

template <Scalar T>
struct NetworkModel {
  std::shared_ptr<const Dictionary<T>> shared_dictionary;
  int n_layers;
  double lipschitz;  ///< L
  NetworkOptions options;
  bool awaits_parameters = false;  ///< others follow: what is dear to compute may be left zero

  const Dictionary<T>& dictionary() const { return *shared_dictionary; }
  /// The columns of D. Kinds that need them are not those of any dictionary (KindTraits).
  MatrixView<T> D() const { return require_matrix(dictionary(), "the layer"); }
  Matrix<T> atoms() const;                ///< the parameter of D.unstructured(): D itself, or the kernels of a convolution
  PenaltyOptions penalty() const;         ///< g
  Index selected_atoms(int layer) const;  ///< how many of its largest entries layer t leaves as they are
  Index n_features() const { return dictionary().signal_size(); }
  Index n_atoms() const { return dictionary().code_size(); }
};

/// layer.<t>.<name>
std::string parameter_name(int layer, std::string_view name);
/// The reverse: t, or nothing for what all layers share.
std::optional<int> layer_of(std::string_view name);

/// Where one layer stands: what a layer is made from.
template <Scalar T>
struct LayerSite {
  const NetworkModel<T>& model;
  const Parameters<T>& parameters;
  int layer;   ///< t
  Index tile;  ///< the most signals at a time
  bool keep;   ///< backward() will be called

  NamedArray<T> own(std::string_view name) const {
    std::string full = parameter_name(layer, name);
    const Matrix<T>& values = parameters.at(full);
    return {std::move(full), values};
  }
  NamedArray<T> shared(const std::string& name) const { return {name, parameters.at(name)}; }
};

}  // namespace riata
