#include "riata/linalg/blas.hpp"

#include <cblas.h>
#include <omp.h>

#include <algorithm>
#include <string_view>

namespace riata {
namespace {

/// The pthread build of OpenBLAS has a pool of its own, whose size is one setting for the whole process.
bool close_pool() {
  if (openblas_get_parallel() == OPENBLAS_THREAD) openblas_set_num_threads(1);
  return true;
}

/// The OpenMP build asks omp_get_max_threads() at each product; that setting belongs to the calling thread alone.
class OneThread {
 public:
  OneThread() {
    [[maybe_unused]] static const bool is_closed = close_pool();
    omp_set_num_threads(1);
  }
  ~OneThread() { omp_set_num_threads(before_); }
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  int before_ = omp_get_max_threads();
};

int as_int(Index i) { return static_cast<int>(i); }

void gemm(CBLAS_TRANSPOSE op_a, CBLAS_TRANSPOSE op_b, Index m, Index n, Index k, float alpha, const float* A, Index lda,
          const float* B, Index ldb, float beta, float* C, Index ldc) {
  const OneThread scope;
  cblas_sgemm(CblasColMajor, op_a, op_b, as_int(m), as_int(n), as_int(k), alpha, A, as_int(lda), B, as_int(ldb), beta, C,
              as_int(ldc));
}

void gemm(CBLAS_TRANSPOSE op_a, CBLAS_TRANSPOSE op_b, Index m, Index n, Index k, double alpha, const double* A, Index lda,
          const double* B, Index ldb, double beta, double* C, Index ldc) {
  const OneThread scope;
  cblas_dgemm(CblasColMajor, op_a, op_b, as_int(m), as_int(n), as_int(k), alpha, A, as_int(lda), B, as_int(ldb), beta, C,
              as_int(ldc));
}

/// Of the kernels in OpenBLAS 0.3.21 those for AVX-512 alone have the path, for products of up to 10^6 multiply-adds.
bool multiplies_without_packing() {
  static const bool does = [] {
    const std::string_view core = openblas_get_corename();
    return core == "SkylakeX" || core == "Cooperlake" || core == "SapphireRapids";
  }();
  return does;
}

}  // namespace

Index columns_without_packing(Index left_entries) {
  return multiplies_without_packing() ? Index{1'000'000} / std::max<Index>(left_entries, 1) / 16 * 16 : 0;
}

template <Scalar T>
void multiply(const NonDeduced<ConstMatrixRef<T>>& A, const NonDeduced<ConstMatrixRef<T>>& B, MatrixRef<T> out) {
  if (out.size() == 0) return;
  const Index unpacked = columns_without_packing(A.size()), block = unpacked > 0 ? unpacked : B.cols();
  for (Index first = 0; first < B.cols(); first += block) {
    const Index columns = std::min(block, B.cols() - first);
    gemm(CblasNoTrans, CblasNoTrans, A.rows(), columns, A.cols(), T(1), A.data(), A.outerStride(), B.col(first).data(),
         B.outerStride(), T(0), out.col(first).data(), out.outerStride());
  }
}

template <Scalar T>
void multiply_transposed(const NonDeduced<ConstMatrixRef<T>>& A, const NonDeduced<ConstMatrixRef<T>>& B, MatrixRef<T> out) {
  if (out.size() == 0) return;
  gemm(CblasTrans, CblasNoTrans, A.cols(), B.cols(), A.rows(), T(1), A.data(), A.outerStride(), B.data(), B.outerStride(), T(0),
       out.data(), out.outerStride());
}

template <Scalar T>
void add_outer(NonDeduced<T> scale, const NonDeduced<ConstMatrixRef<T>>& A, const NonDeduced<ConstMatrixRef<T>>& B,
               MatrixRef<T> out) {
  if (out.size() == 0) return;
  gemm(CblasNoTrans, CblasTrans, A.rows(), B.rows(), A.cols(), scale, A.data(), A.outerStride(), B.data(), B.outerStride(), T(1),
       out.data(), out.outerStride());
}

#define RIATA_INSTANTIATE(T)                                                                              \
  template void multiply<T>(const ConstMatrixRef<T>&, const ConstMatrixRef<T>&, MatrixRef<T>);            \
  template void multiply_transposed<T>(const ConstMatrixRef<T>&, const ConstMatrixRef<T>&, MatrixRef<T>); \
  template void add_outer<T>(T, const ConstMatrixRef<T>&, const ConstMatrixRef<T>&, MatrixRef<T>);
RIATA_INSTANTIATE(float)
RIATA_INSTANTIATE(double)

}  // namespace riata
