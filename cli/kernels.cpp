#include "kernels.hpp"

#include <unistd.h>

#include <cstdlib>
#include <string_view>
#include <vector>

#include "riata/io/atomic_file.hpp"
#include "riata/linalg/blas_kernels.hpp"
#include "riata/optim/checkpoint.hpp"

namespace riata::cli {

void take_up_blas_kernels(const std::string& checkpoint) {
  constexpr const char* variable = "OPENBLAS_CORETYPE";
  const auto kernels = kernels_of_checkpoint(checkpoint);
  if (!kernels || kernels->blas == blas_kernels() || !can_run_blas_kernels(kernels->blas)) return;
  if (const char* asked = std::getenv(variable); asked != nullptr && kernels->blas == asked) return;  // in vain
  ::setenv(variable, kernels->blas.c_str(), 1);
  std::string words = read_file("/proc/self/cmdline");  // each ends in a NUL
  std::vector<char*> arguments;
  for (std::size_t i = 0; i < words.size(); i += std::string_view(words.data() + i).size() + 1)
    arguments.push_back(words.data() + i);
  arguments.push_back(nullptr);
  ::execv("/proc/self/exe", arguments.data());
}

}  // namespace riata::cli
