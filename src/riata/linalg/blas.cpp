#include "riata/linalg/blas.hpp"

#include <cblas.h>
#include <dlfcn.h>
#include <omp.h>
#include <pthread.h>
#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <mutex>
#include <new>
#include <numeric>
#include <string_view>
#include <utility>
#include <vector>

#include "riata/core/error.hpp"
#include "riata/core/sentence.hpp"
#include "riata/core/stopping.hpp"
#include "riata/linalg/blas_kernels.hpp"
#include "riata/linalg/gram_kernels.hpp"

namespace riata {
namespace {

/// What a buffer of OpenBLAS takes of the address space.
constexpr std::size_t buffer_bytes = std::size_t{140} << 20;

/// OpenBLAS asks for memory until it gets it, so what would not be given is not asked for.
void require_room(std::size_t n_bytes) {
  void* probe = ::mmap(nullptr, n_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (probe == MAP_FAILED) throw std::bad_alloc();
  ::munmap(probe, n_bytes);
}

/// Of the buffers that OpenBLAS takes when it is loaded, for as many threads as it would use itself.
int n_first_buffers() {
  for (const char* name : {"OPENBLAS_NUM_THREADS", "GOTO_NUM_THREADS", "OMP_NUM_THREADS"})
    if (const char* const value = std::getenv(name); value != nullptr && std::atoi(value) > 0)
      return std::min(std::atoi(value), omp_get_num_procs());
  return omp_get_num_procs();
}

/// Held while OpenBLAS is loaded or takes one more buffer. A fork waits for that: its child would wait for a thread that it
/// lacks. Not without end: before glibc 2.36 a library that is being loaded may itself wait for the fork.
std::timed_mutex growing;
bool fork_has_it = false;
/// Of PoolOfOne; a fork waits for it likewise.
std::mutex pool;
void leave_pool_and_growing() {
  pool.unlock();
  if (std::exchange(fork_has_it, false)) growing.unlock();
}
[[maybe_unused]] const int registered = pthread_atfork(
    [] {
      if (growing.try_lock_for(std::chrono::seconds(2))) fork_has_it = true;
      pool.lock();
    },
    leave_pool_and_growing, leave_pool_and_growing);

/// OpenBLAS, loaded by the first product: its buffers are more than `riata --help` needs.
struct OpenBlas {
  void* library = open();
  decltype(&cblas_sgemm) sgemm = find<decltype(&cblas_sgemm)>("cblas_sgemm");
  decltype(&cblas_dgemm) dgemm = find<decltype(&cblas_dgemm)>("cblas_dgemm");
  std::string_view corename = find<decltype(&openblas_get_corename)>("openblas_get_corename")();
  /// Of the kernels in OpenBLAS 0.3.21 those for AVX-512 alone have the path, for products of up to 10^6 multiply-adds.
  bool multiplies_without_packing = corename == "SkylakeX" || corename == "Cooperlake" || corename == "SapphireRapids";
  bool has_pool = find<decltype(&openblas_get_parallel)>("openblas_get_parallel")() == OPENBLAS_THREAD;
  decltype(&openblas_get_num_threads) n_threads = find<decltype(&openblas_get_num_threads)>("openblas_get_num_threads");
  decltype(&openblas_set_num_threads) set_n_threads = find<decltype(&openblas_set_num_threads)>("openblas_set_num_threads");
  decltype(&omp_get_max_threads) omp_threads = find_openmp("omp_get_max_threads", &omp_get_max_threads);
  decltype(&omp_set_num_threads) set_omp_threads = find_openmp("omp_set_num_threads", &omp_set_num_threads);

 private:
  static void* open() {
    constexpr std::size_t code_bytes = std::size_t{64} << 20;
    require_room(code_bytes + buffer_bytes * static_cast<std::size_t>(n_first_buffers() + 1));
    // The build that was found when riata was configured, else the system's.
    for (const char* name : {RIATA_OPENBLAS_FOLDER "/" RIATA_OPENBLAS_FILE, RIATA_OPENBLAS_FILE})
      if (void* const found = ::dlopen(name, RTLD_NOW | RTLD_LOCAL)) return found;
    throw Error(formatted("cannot load OpenBLAS: {}", ::dlerror()));
  }

  template <class Function>
  Function find(const char* name) const {
    void* const symbol = ::dlsym(library, name);
    if (symbol == nullptr) throw Error(formatted("OpenBLAS has no {}", name));
    return reinterpret_cast<Function>(symbol);
  }

  /// Of the OpenMP runtime that OpenBLAS has just been bound to. It is not ours where another came in between and shows its
  /// names to all, as PyTorch's does.
  template <class Function>
  static Function find_openmp(const char* name, Function ours) {
    void* const symbol = ::dlsym(RTLD_DEFAULT, name);
    return symbol == nullptr ? ours : reinterpret_cast<Function>(symbol);
  }
};

const OpenBlas& open_blas() {
  static std::atomic<const OpenBlas*> loaded = nullptr;
  if (const OpenBlas* const library = loaded.load(std::memory_order_acquire)) return *library;
  const std::lock_guard lock(growing);
  if (loaded == nullptr) loaded = new OpenBlas;  // for good
  return *loaded;
}

/// One of the buffers, of which there are as many as products ever ran at a time. One more is asked for by one thread alone.
class Buffer {
 public:
  Buffer() {
    if (++n_busy <= n_made.load(std::memory_order_acquire)) return;
    lock_ = std::unique_lock(growing);
    if (n_busy <= n_made) {  // meanwhile
      lock_.unlock();
      return;
    }
    try {
      require_room(buffer_bytes);
    } catch (...) {
      --n_busy;
      throw;
    }
    is_new_ = true;
  }
  ~Buffer() {
    if (is_new_) ++n_made;
    --n_busy;
  }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

 private:
  inline static std::atomic<int> n_busy = 0, n_made = 0;
  std::unique_lock<std::timed_mutex> lock_ = {};
  bool is_new_ = false;
};

/// The pthread build has a pool, maybe the host's too, whose size is one setting for the whole process: 1 while products of ours
/// run, then what it was before, unless another has set it meanwhile.
class PoolOfOne {
 public:
  explicit PoolOfOne(const OpenBlas& blas) : blas_(blas) {
    if (!blas_.has_pool) return;
    const std::lock_guard lock(pool);
    if (n_running++ == 0) before = blas_.n_threads();
    if (blas_.n_threads() != 1) blas_.set_n_threads(1);
  }
  ~PoolOfOne() {
    if (!blas_.has_pool) return;
    const std::lock_guard lock(pool);
    if (--n_running == 0 && before != 1 && blas_.n_threads() == 1) blas_.set_n_threads(before);
  }
  PoolOfOne(const PoolOfOne&) = delete;
  PoolOfOne& operator=(const PoolOfOne&) = delete;

 private:
  inline static int n_running = 0, before = 1;
  const OpenBlas& blas_;
};

/// The OpenMP build asks omp_get_max_threads() at each product; that setting belongs to the calling thread alone.
class OneThread {
 public:
  explicit OneThread(const OpenBlas& blas) : blas_(blas), pool_(blas) { blas_.set_omp_threads(1); }
  ~OneThread() { blas_.set_omp_threads(before_); }
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  const OpenBlas& blas_;
  PoolOfOne pool_;
  int before_ = blas_.omp_threads();
};

int as_int(Index i) { return static_cast<int>(i); }

void gemm(CBLAS_TRANSPOSE op_a, CBLAS_TRANSPOSE op_b, Index m, Index n, Index k, float alpha, const float* A, Index lda,
          const float* B, Index ldb, float beta, float* C, Index ldc) {
  const OpenBlas& blas = open_blas();
  const OneThread scope(blas);
  const Buffer buffer;
  blas.sgemm(CblasColMajor, op_a, op_b, as_int(m), as_int(n), as_int(k), alpha, A, as_int(lda), B, as_int(ldb), beta, C,
             as_int(ldc));
}

void gemm(CBLAS_TRANSPOSE op_a, CBLAS_TRANSPOSE op_b, Index m, Index n, Index k, double alpha, const double* A, Index lda,
          const double* B, Index ldb, double beta, double* C, Index ldc) {
  const OpenBlas& blas = open_blas();
  const OneThread scope(blas);
  const Buffer buffer;
  blas.dgemm(CblasColMajor, op_a, op_b, as_int(m), as_int(n), as_int(k), alpha, A, as_int(lda), B, as_int(ldb), beta, C,
             as_int(ldc));
}

/// Columns of a product, of a left factor with so many entries, that take some 50 ms; a function of sizes alone, so bits are too.
Index columns_at_once(Index left_entries) {
  constexpr double multiply_adds = 1e9;
  constexpr Index fewest = 64, multiple = 192;  // whole tiles of the kernels
  const auto n = static_cast<Index>(multiply_adds / static_cast<double>(std::max<Index>(left_entries, 1)));
  return n < multiple ? fewest : n / multiple * multiple;
}

template <class Run>
void for_each_block(Index n_columns, Index block, const Run& run) {
  for (Index first = 0; first < n_columns; first += block) {
    leave_if_stopped();
    run(first, std::min(block, n_columns - first));
  }
}

}  // namespace

std::string blas_kernels() { return std::string(open_blas().corename); }

Index columns_without_packing(Index left_entries) {
  return open_blas().multiplies_without_packing ? Index{1'000'000} / std::max<Index>(left_entries, 1) / 16 * 16 : 0;
}

template <Scalar T>
void multiply(const NonDeduced<ConstMatrixRef<T>>& A, const NonDeduced<ConstMatrixRef<T>>& B, MatrixRef<T> out) {
  if (out.size() == 0) return;
  const Index unpacked = columns_without_packing(A.size());
  for_each_block(B.cols(), unpacked > 0 ? unpacked : columns_at_once(A.size()), [&](Index first, Index columns) {
    gemm(CblasNoTrans, CblasNoTrans, A.rows(), columns, A.cols(), T(1), A.data(), A.outerStride(), B.col(first).data(),
         B.outerStride(), T(0), out.col(first).data(), out.outerStride());
  });
}

namespace {

/// A^T B where B has one column or two, which do not repay what OpenBLAS does to A first.
template <Scalar T>
void multiply_few_transposed(const ConstMatrixRef<T>& A, const ConstMatrixRef<T>& B, MatrixRef<T> out) {
  const Index at_once = std::clamp<Index>((1 << 20) / std::max<Index>(A.rows(), 1), 1, A.cols());
  std::vector<int> places(static_cast<std::size_t>(at_once));
  std::iota(places.begin(), places.end(), 0);
  for_each_block(A.cols(), at_once, [&](Index first, Index columns) {
    for (Index i = 0; i < B.cols(); ++i)
      gram_kernels<T>().dot_columns(
          {A.rows(), A.outerStride(), A.col(first).data(), columns, places.data(), B.col(i).data(), out.col(i).data() + first});
  });
}

}  // namespace

template <Scalar T>
void multiply_transposed(const NonDeduced<ConstMatrixRef<T>>& A, const NonDeduced<ConstMatrixRef<T>>& B, MatrixRef<T> out) {
  if (out.size() == 0) return;
  if (B.cols() <= 2) return multiply_few_transposed<T>(A, B, out);
  for_each_block(B.cols(), columns_at_once(A.size()), [&](Index first, Index columns) {
    out.middleCols(first, columns).setZero();  // faster than OpenBLAS does
    gemm(CblasTrans, CblasNoTrans, A.cols(), columns, A.rows(), T(1), A.data(), A.outerStride(), B.col(first).data(),
         B.outerStride(), T(1), out.col(first).data(), out.outerStride());
  });
}

template <Scalar T>
void add_outer(NonDeduced<T> scale, const NonDeduced<ConstMatrixRef<T>>& A, const NonDeduced<ConstMatrixRef<T>>& B,
               MatrixRef<T> out) {
  if (out.size() == 0) return;
  for_each_block(B.rows(), columns_at_once(A.size()), [&](Index first, Index columns) {
    gemm(CblasNoTrans, CblasTrans, A.rows(), columns, A.cols(), scale, A.data(), A.outerStride(), B.data() + first,
         B.outerStride(), T(1), out.col(first).data(), out.outerStride());
  });
}

#define RIATA_INSTANTIATE(T)                                                                              \
  template void multiply<T>(const ConstMatrixRef<T>&, const ConstMatrixRef<T>&, MatrixRef<T>);            \
  template void multiply_transposed<T>(const ConstMatrixRef<T>&, const ConstMatrixRef<T>&, MatrixRef<T>); \
  template void add_outer<T>(T, const ConstMatrixRef<T>&, const ConstMatrixRef<T>&, MatrixRef<T>);
RIATA_INSTANTIATE(float)
RIATA_INSTANTIATE(double)
#undef RIATA_INSTANTIATE

}  // namespace riata
