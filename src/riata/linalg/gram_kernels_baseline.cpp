#define RIATA_ISA baseline
#include "riata/linalg/gram_kernels.inc"
#include "riata/linalg/path_kernels.inc"
#include "riata/linalg/convolution_kernels.inc"
