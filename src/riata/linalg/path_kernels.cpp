#include "riata/linalg/path_kernels.hpp"

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
#endif

template <>
const PathKernels<float>& path_kernels(InstructionSet set) {
#if defined(__x86_64__)
  if (set == InstructionSet::avx512) return avx512::path_kernels_float;
  if (set == InstructionSet::avx2) return avx2::path_kernels_float;
#endif
  return baseline::path_kernels_float;
}

template <>
const PathKernels<double>& path_kernels(InstructionSet set) {
#if defined(__x86_64__)
  if (set == InstructionSet::avx512) return avx512::path_kernels_double;
  if (set == InstructionSet::avx2) return avx2::path_kernels_double;
#endif
  return baseline::path_kernels_double;
}

const InverseFactorKernels& inverse_factor_kernels(InstructionSet set) {
#if defined(__x86_64__)
  if (set == InstructionSet::avx512) return avx512::factor_kernels;
  if (set == InstructionSet::avx2) return avx2::factor_kernels;
#endif
  return baseline::factor_kernels;
}

}  // namespace riata
