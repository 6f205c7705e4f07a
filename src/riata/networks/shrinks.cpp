#include "riata/networks/shrinks.hpp"

#include <algorithm>
#include <cmath>

namespace riata {
namespace {

/// How many of m atoms layer t leaves as they are. The published code takes what exceeds the percentile, by the nearest rank.
template <Scalar T>
Index selected_atoms(const LayerSite<T>& site) {
  const auto& selection = site.model.options.support_selection;
  if (!selection) return 0;
  const double share = std::min((site.layer + 1) * selection->p, selection->p_max) / 100;
  return std::lround(share * static_cast<double>(site.model.n_atoms() - 1));
}

}  // namespace

template <Scalar T>
SoftShrink<T>::SoftShrink(const LayerSite<T>& site)
    : Shrink<T>(AnyPenalty<T>(site.model.penalty(), site.model.dictionary()), selected_atoms(site)) {}

template struct SoftShrink<float>;
template struct SoftShrink<double>;

}  // namespace riata
