#include "riata/linalg/gram_kernels.hpp"

#include <concepts>

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

template <class T, class Kernels>
const GramKernels<T>& pick(const Kernels& of_float, const GramKernels<double>& of_double) {
  if constexpr (std::same_as<T, float>)
    return of_float;
  else
    return of_double;
}

}  // namespace

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
