#include "riata/linalg/path_kernels.hpp"

#include "riata/linalg/by_instruction_set.hpp"

namespace riata {

namespace baseline {
extern const PathKernels<float> path_kernels_float;
extern const PathKernels<double> path_kernels_double;
extern const InverseFactorKernels factor_kernels;
}  // namespace baseline
#if defined(__x86_64__)
namespace avx2 {
extern const PathKernels<float> path_kernels_float;
extern const PathKernels<double> path_kernels_double;
extern const InverseFactorKernels factor_kernels;
}  // namespace avx2
namespace avx512 {
extern const PathKernels<float> path_kernels_float;
extern const PathKernels<double> path_kernels_double;
extern const InverseFactorKernels factor_kernels;
}  // namespace avx512
#else
namespace avx2 = baseline;
namespace avx512 = baseline;
#endif

template <>
const PathKernels<float>& path_kernels(InstructionSet set) {
  return pick_by_set(set, baseline::path_kernels_float, avx2::path_kernels_float, avx512::path_kernels_float);
}
template <>
const PathKernels<double>& path_kernels(InstructionSet set) {
  return pick_by_set(set, baseline::path_kernels_double, avx2::path_kernels_double, avx512::path_kernels_double);
}
const InverseFactorKernels& inverse_factor_kernels(InstructionSet set) {
  return pick_by_set(set, baseline::factor_kernels, avx2::factor_kernels, avx512::factor_kernels);
}

}  // namespace riata
