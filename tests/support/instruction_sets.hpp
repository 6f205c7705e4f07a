// The instruction sets for which kernels are compiled and that this processor has.
#pragma once

#include <vector>

#include "riata/core/instruction_set.hpp"

namespace riata::testing {

inline std::vector<InstructionSet> available_sets() {
  std::vector<InstructionSet> sets;
  for (const auto set : {InstructionSet::baseline, InstructionSet::avx2, InstructionSet::avx512})
    if (set <= instruction_set()) sets.push_back(set);
  return sets;
}

}  // namespace riata::testing
