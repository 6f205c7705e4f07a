#define RIATA_ISA baseline
#include "riata/linalg/gram_kernels.inc"
