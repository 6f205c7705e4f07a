// From the penalty that options name to the class that is it.
#pragma once

#include "riata/operators/dense_dictionary.hpp"
#include "riata/operators/units.hpp"
#include "riata/terms/group_l1.hpp"
#include "riata/terms/l0.hpp"
#include "riata/terms/l1.hpp"
#include "riata/terms/own_penalty.hpp"

namespace riata {

/// How reg g(z) follows the unit of the signals.
inline RegUnit reg_unit(PenaltyKind kind) {
  if (kind == PenaltyKind::l0) return RegUnit::squared;
  return kind == PenaltyKind::elastic_net ? RegUnit::absolute : RegUnit::linear;
}

/// use(penalty), the penalty for codes in the atoms of D. @throws std::invalid_argument if the options do not fit
template <Scalar T, class Use>
auto with_penalty(const PenaltyOptions& options, const Dictionary<T>& D, const Use& use) {
  switch (options.kind) {
    case PenaltyKind::group:
      return use(GroupL1<T>(options, D.code_size()));
    case PenaltyKind::l0:
      return use(L0<T>(options, D.code_size(), D.squared_norm()));
    case PenaltyKind::own:
      options.validate(D.code_size());
      return use(Given<T>(options));
    default:
      return use(L1<T>(options, D.code_size()));
  }
}

}  // namespace riata
