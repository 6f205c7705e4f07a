// The kernels of a resumed run.
#pragma once

#include <string>

namespace riata::cli {

/// Starts the command again with the BLAS kernels of the run that `checkpoint` keeps, where this process has others and the
/// processor these: OpenBLAS takes its kernels when it is loaded. Call before anything is read.
void take_up_blas_kernels(const std::string& checkpoint);

}  // namespace riata::cli
