// Large pages for large results. Internal.
#pragma once

#include <sys/mman.h>

#include <cstdint>

#include "riata/core/types.hpp"

namespace riata {

/// Asks the system to back `A`, not yet written to, with large pages where it can: the first write to each of the small ones
/// takes longer than all the writes.
template <Scalar T>
void ask_for_large_pages(Matrix<T>& A) {
#ifdef MADV_HUGEPAGE
  constexpr std::uintptr_t large_page = std::uintptr_t{2} << 20;
  const auto begin = (reinterpret_cast<std::uintptr_t>(A.data()) + large_page - 1) / large_page * large_page;
  const auto end = reinterpret_cast<std::uintptr_t>(A.data() + A.size()) / large_page * large_page;
  if (begin < end) ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);
#endif
}

}  // namespace riata
