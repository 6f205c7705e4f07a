#include "riata/linalg/gram_kernels.hpp"

#include <algorithm>
#include <concepts>
#include <cstdlib>
#include <string_view>

namespace riata {

namespace baseline {
extern const GramKernels<float> kernels_float;
extern const GramKernels<double> kernels_double;
}  // namespace baseline
#if defined(__x86_64__)
namespace avx2 {
extern const GramKernels<float> kernels_float;
extern const GramKernels<double> kernels_double;
}  // namespace avx2
namespace avx512 {
extern const GramKernels<float> kernels_float;
extern const GramKernels<double> kernels_double;
}  // namespace avx512
#endif

namespace {

InstructionSet available() {
#if defined(__x86_64__)
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  if (avx2 && __builtin_cpu_supports("avx512f")) return InstructionSet::avx512;
  if (avx2) return InstructionSet::avx2;
#endif
  return InstructionSet::baseline;
}

InstructionSet choose() {
  const char* variable = std::getenv("RIATA_SIMD");
  const std::string_view wanted = variable != nullptr ? variable : "";
  if (wanted == "baseline") return InstructionSet::baseline;
  if (wanted == "avx2") return std::min(available(), InstructionSet::avx2);
  return available();
}

template <class T, class Kernels>
const GramKernels<T>& pick(const Kernels& of_float, const GramKernels<double>& of_double) {
  if constexpr (std::same_as<T, float>)
    return of_float;
  else
    return of_double;
}

}  // namespace

InstructionSet instruction_set() {
  static const InstructionSet chosen = choose();
  return chosen;
}

const char* to_string(InstructionSet set) {
  constexpr const char* names[] = {"baseline", "avx2", "avx512"};
  return names[static_cast<std::size_t>(set)];
}

template <class T>
const GramKernels<T>& gram_kernels(InstructionSet set) {
#if defined(__x86_64__)
  if (set == InstructionSet::avx512) return pick<T>(avx512::kernels_float, avx512::kernels_double);
  if (set == InstructionSet::avx2) return pick<T>(avx2::kernels_float, avx2::kernels_double);
#endif
  return pick<T>(baseline::kernels_float, baseline::kernels_double);
}

template const GramKernels<float>& gram_kernels(InstructionSet);
template const GramKernels<double>& gram_kernels(InstructionSet);

}  // namespace riata
