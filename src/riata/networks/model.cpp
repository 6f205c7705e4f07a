#include "riata/networks/model.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "riata/core/check.hpp"

namespace riata {

std::string parameter_name(int layer, std::string_view name) { return formatted("layer.{}.{}", layer, name); }

std::optional<int> layer_of(std::string_view name) {
  constexpr std::string_view prefix = "layer.";
  int layer = 0;
  if (!name.starts_with(prefix)) return {};
  std::from_chars(name.data() + prefix.size(), name.data() + name.size(), layer);
  return layer;
}

template <Scalar T>
PenaltyOptions NetworkModel<T>::penalty() const {
  if (options.groups.empty()) return {.positive = options.positive};
  return {.kind = PenaltyKind::group, .groups = options.groups};
}

template <Scalar T>
Matrix<T> NetworkModel<T>::atoms() const {
  if (const auto D = dictionary().matrix()) return *D;
  return dictionary().unstructured()->parameters().begin()->second;
}

/// The published code takes what exceeds the percentile, by the nearest rank.
template <Scalar T>
Index NetworkModel<T>::selected_atoms(int layer) const {
  const auto& selection = options.support_selection;
  if (!selection) return 0;
  const double share = std::min((layer + 1) * selection->p, selection->p_max) / 100;
  return std::lround(share * static_cast<double>(n_atoms() - 1));
}

template struct NetworkModel<float>;
template struct NetworkModel<double>;

}  // namespace riata
