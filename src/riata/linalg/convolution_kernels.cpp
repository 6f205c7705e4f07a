#include "riata/linalg/convolution_kernels.hpp"

#include "riata/linalg/by_instruction_set.hpp"

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
#else
namespace avx2 = baseline;
namespace avx512 = baseline;
#endif

template <>
const ConvolutionKernels<float>& convolution_kernels(InstructionSet set) {
  return pick_by_set(set, baseline::convolution_kernels_float, avx2::convolution_kernels_float,
                     avx512::convolution_kernels_float);
}
template <>
const ConvolutionKernels<double>& convolution_kernels(InstructionSet set) {
  return pick_by_set(set, baseline::convolution_kernels_double, avx2::convolution_kernels_double,
                     avx512::convolution_kernels_double);
}

}  // namespace riata
