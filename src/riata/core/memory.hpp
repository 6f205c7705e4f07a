// Memory for large results, and a sentence where there is none.
#pragma once

#include <new>
#include <string>

#include "riata/core/types.hpp"

namespace riata {

/// Says which array did not fit, its shape and a way around. Python sees MemoryError, the CLI exits with 1.
class OutOfMemory : public std::bad_alloc {
 public:
  explicit OutOfMemory(std::string sentence);
  const char* what() const noexcept override { return sentence_.c_str(); }

 private:
  std::string sentence_;
};

/// A becomes rows x columns, unless it is, on large pages where the system has some: the first write to each small one takes longer
/// than all writes. @throws OutOfMemory, of which array this is, its shape as NumPy has it, and `way_around`
template <Scalar T>
void make_room(const char* where, const char* name, Index rows, Index columns, const char* way_around, Matrix<T>& A);

}  // namespace riata
