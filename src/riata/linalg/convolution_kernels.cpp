#include "riata/linalg/convolution_kernels.hpp"

namespace riata {

namespace baseline {
extern const ConvolutionKernels<float> convolution_kernels_float;
extern const ConvolutionKernels<double> convolution_kernels_double;
}  // namespace baseline
#if defined(__x86_64__)
namespace avx2 {
extern const ConvolutionKernels<float> convolution_kernels_float;
extern const ConvolutionKernels<double> convolution_kernels_double;
}  // namespace avx2
namespace avx512 {
extern const ConvolutionKernels<float> convolution_kernels_float;
extern const ConvolutionKernels<double> convolution_kernels_double;
}  // namespace avx512
#endif

template <>
const ConvolutionKernels<float>& convolution_kernels(InstructionSet set) {
#if defined(__x86_64__)
  if (set == InstructionSet::avx512) return avx512::convolution_kernels_float;
  if (set == InstructionSet::avx2) return avx2::convolution_kernels_float;
#endif
  return baseline::convolution_kernels_float;
}
template <>
const ConvolutionKernels<double>& convolution_kernels(InstructionSet set) {
#if defined(__x86_64__)
  if (set == InstructionSet::avx512) return avx512::convolution_kernels_double;
  if (set == InstructionSet::avx2) return avx2::convolution_kernels_double;
#endif
  return baseline::convolution_kernels_double;
}

}  // namespace riata
