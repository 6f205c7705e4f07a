#include "riata/linalg/gram_kernels.hpp"

#include "riata/linalg/by_instruction_set.hpp"

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
#else
namespace avx2 = baseline;
namespace avx512 = baseline;
#endif

template <>
const GramKernels<float>& gram_kernels(InstructionSet set) {
  return pick_by_set(set, baseline::kernels_float, avx2::kernels_float, avx512::kernels_float);
}
template <>
const GramKernels<double>& gram_kernels(InstructionSet set) {
  return pick_by_set(set, baseline::kernels_double, avx2::kernels_double, avx512::kernels_double);
}

}  // namespace riata
