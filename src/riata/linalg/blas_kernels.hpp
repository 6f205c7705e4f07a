// Which of OpenBLAS's kernels multiply. They decide the last bits of every product, and are chosen when the library is loaded.
#pragma once

#include <string>
#include <string_view>

namespace riata {

/// The name of those in use: "Haswell", "Zen", "SkylakeX".
std::string blas_kernels();

/// Can this processor run those of that name? The environment variable OPENBLAS_CORETYPE then makes a new process take them.
/// False for names not known here.
bool can_run_blas_kernels(std::string_view name);

}  // namespace riata
