#if defined(__AVX512F__)  // this file is compiled for it, where the processor family has it
#define RIATA_ISA avx512
// The first has the vectors of the others.
// clang-format off
#include "riata/linalg/gram_kernels.inc"
#include "riata/linalg/path_kernels.inc"
#include "riata/linalg/convolution_kernels.inc"
#include "riata/linalg/taut_string_kernels.inc"
// clang-format on
#endif
