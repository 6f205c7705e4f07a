#define RIATA_ISA baseline
// The first has the vectors of the others.
// clang-format off
#include "riata/linalg/gram_kernels.inc"
#include "riata/linalg/path_kernels.inc"
#include "riata/linalg/convolution_kernels.inc"
// clang-format on
