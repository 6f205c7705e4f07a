#include "riata/linalg/blas_kernels.hpp"

namespace riata {

bool can_run_blas_kernels(std::string_view name) {
#if defined(__x86_64__)
  if (name == "Prescott") return true;
  if (name == "Nehalem") return __builtin_cpu_supports("sse4.2");
  if (name == "Sandybridge") return __builtin_cpu_supports("avx");
  if (name == "Haswell" || name == "Zen") return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  if (name == "SkylakeX" || name == "Cooperlake")
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl") && (name == "SkylakeX" || __builtin_cpu_supports("avx512bf16"));
#endif
  return name == blas_kernels();
}

}  // namespace riata
