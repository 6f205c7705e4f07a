#include "riata/core/memory.hpp"

#include <sys/mman.h>

#include <cstdint>

#include "riata/core/sentence.hpp"

namespace riata {

OutOfMemory::OutOfMemory(std::string sentence) : sentence_(std::move(sentence)) {}

template <Scalar T>
void make_room(const char* where, const char* name, Index rows, Index columns, const char* way_around, Matrix<T>& A) {
  if (A.rows() == rows && A.cols() == columns) return;
  try {
    A.resize(0, 0);  // Eigen frees what it holds first, and would do so twice if the next one throws
    A.resize(rows, columns);
  } catch (const std::bad_alloc&) {
    const double gibibytes = static_cast<double>(rows) * static_cast<double>(columns) * sizeof(T) / (1 << 30);
    throw OutOfMemory(
        formatted("{}: no memory for {} of shape ({}, {}), {:.3g} GiB; {}", where, name, columns, rows, gibibytes, way_around));
  }
#ifdef MADV_HUGEPAGE
  constexpr std::uintptr_t large_page = std::uintptr_t{2} << 20;
  const auto begin = (reinterpret_cast<std::uintptr_t>(A.data()) + large_page - 1) / large_page * large_page;
  const auto end = reinterpret_cast<std::uintptr_t>(A.data() + A.size()) / large_page * large_page;
  if (begin < end) ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);
#endif
}

template void make_room<float>(const char*, const char*, Index, Index, const char*, Matrix<float>&);
template void make_room<double>(const char*, const char*, Index, Index, const char*, Matrix<double>&);

}  // namespace riata
