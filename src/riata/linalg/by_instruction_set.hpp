// Which of the kernels that were compiled for several instruction sets.
#pragma once

#include "riata/core/instruction_set.hpp"

namespace riata {

/// Off x86-64 the last two are the first.
template <class Kernels>
const Kernels& pick_by_set(InstructionSet set, const Kernels& of_baseline, const Kernels& of_avx2, const Kernels& of_avx512) {
  if (set == InstructionSet::avx512) return of_avx512;
  return set == InstructionSet::avx2 ? of_avx2 : of_baseline;
}

}  // namespace riata
