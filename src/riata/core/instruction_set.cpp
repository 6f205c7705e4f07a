#include "riata/core/instruction_set.hpp"

#include <algorithm>
#include <cstdlib>
#include <string_view>

#include "riata/core/check.hpp"

namespace riata {
namespace {

constexpr int of_process = -1;
thread_local int of_thread = of_process;

constexpr InstructionSet all_sets[] = {InstructionSet::baseline, InstructionSet::avx2, InstructionSet::avx512};

InstructionSet choose() {
  const char* variable = std::getenv("RIATA_SIMD");
  const std::string_view wanted = variable != nullptr ? variable : "";
  if (wanted.empty()) return best_instruction_set();
  for (const InstructionSet set : all_sets)
    if (wanted == to_string(set)) return std::min(set, best_instruction_set());
  refuse(formatted("the environment variable RIATA_SIMD is '{}', must be 'baseline', 'avx2' or 'avx512'", wanted));
}

}  // namespace

const char* to_string(InstructionSet set) {
  constexpr const char* names[] = {"baseline", "avx2", "avx512"};
  return names[static_cast<std::size_t>(set)];
}

InstructionSet best_instruction_set() {
#if defined(__x86_64__)
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  if (avx2 && __builtin_cpu_supports("avx512f")) return InstructionSet::avx512;
  if (avx2) return InstructionSet::avx2;
#endif
  return InstructionSet::baseline;
}

InstructionSet instruction_set() {
  static const InstructionSet chosen = choose();
  return of_thread == of_process ? chosen : static_cast<InstructionSet>(of_thread);
}

UseInstructionSet::UseInstructionSet(InstructionSet set) : before_(of_thread) { of_thread = static_cast<int>(set); }

UseInstructionSet::~UseInstructionSet() { of_thread = before_; }

}  // namespace riata
