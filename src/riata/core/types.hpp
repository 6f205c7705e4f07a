// The scalar and array types of riata, settled once.
//
// Signals are columns and storage is column-major, so X (n_features x n_signals) is, byte for byte, NumPy's C-ordered
// (n_signals, n_features); likewise the dictionary D (n_features x n_atoms) and the codes Z (n_atoms x n_signals).
#pragma once

#include <Eigen/Core>
#include <concepts>
#include <cstddef>
#include <optional>
#include <type_traits>

#ifdef RIATA_OWN_BUILD  // of the library alone
#include <cstdlib>

namespace Eigen::internal {

/// Memory of free(), as that of every matrix of riata's; from a kilobyte on it begins a cache line: up to a tenth of a layer's
/// time.
template <class T>
T* new_at_cache_line(std::size_t n) {
  if (n == 0) return nullptr;
  check_size_for_overflow<T>(n);
  void* memory = nullptr;
  if (n * sizeof(T) < 1024)
    memory = std::malloc(n * sizeof(T));
  else if (::posix_memalign(&memory, 64, n * sizeof(T)) != 0)
    memory = nullptr;
  if (memory == nullptr) throw_std_bad_alloc();
  return static_cast<T*>(memory);
}
template <>
inline float* conditional_aligned_new_auto<float, false>(std::size_t n) {
  return new_at_cache_line<float>(n);
}
template <>
inline double* conditional_aligned_new_auto<double, false>(std::size_t n) {
  return new_at_cache_line<double>(n);
}

}  // namespace Eigen::internal
#endif

namespace riata {

using Index = Eigen::Index;

/// The two precisions in which every algorithm is compiled.
template <class T>
concept Scalar = std::same_as<T, float> || std::same_as<T, double>;

/// Eigen's matrices without its alignment: malloc() and free() then own the memory whatever a program's settings of Eigen are
/// (-march=, EIGEN_MAX_ALIGN_BYTES), so that they may cross between programs compiled differently. An Eigen::MatrixXd may not; it
/// becomes a view without a copy, and is made from a Matrix by one.
template <class T>
using Matrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::ColMajor | Eigen::DontAlign>;
template <class T>
using Vector = Eigen::Matrix<T, Eigen::Dynamic, 1, Eigen::ColMajor | Eigen::DontAlign>;

static_assert(EIGEN_WORLD_VERSION == 3 && EIGEN_MAJOR_VERSION == 4, "riata is built with Eigen 3.4, and so must its callers be");
static_assert(std::same_as<Index, std::ptrdiff_t>,
              "riata is built without EIGEN_DEFAULT_DENSE_INDEX_TYPE, and so must its callers be");
static_assert(sizeof(Matrix<double>) == sizeof(double*) + 2 * sizeof(Index),
              "riata is built with plain Eigen matrices, and so must its callers be: no plugin may add members");

/// Views at public boundaries: any column-major matrix, block or map, without a copy. A const view of a row-major matrix, of an
/// inner stride or an expression is one of a copy.
template <class T>
using MatrixRef = Eigen::Ref<Matrix<T>, 0, Eigen::OuterStride<>>;
template <class T>
using ConstMatrixRef = Eigen::Ref<const Matrix<T>, 0, Eigen::OuterStride<>>;
template <class T>
using VectorRef = Eigen::Ref<Vector<T>, 0, Eigen::InnerStride<1>>;  // said in full: compilers name a default stride differently
template <class T>
using ConstVectorRef = Eigen::Ref<const Vector<T>, 0, Eigen::InnerStride<1>>;

/// A matrix that somebody else owns and that lies without gaps: a pointer and two sizes.
template <class T>
using MatrixView = Eigen::Map<const Matrix<T>>;
template <class T>
MatrixView<T> view_of(const Matrix<T>& A) {
  return {A.data(), A.rows(), A.cols()};
}
template <class T>
MatrixView<T> view_of(Matrix<T>&&) = delete;  // nothing would be left to see

/// An argument that does not decide T: the dictionary does, so encode(X, D, 0.1) compiles for float too.
template <class T>
using NonDeduced = std::type_identity_t<T>;

/// A view that may be absent. Does not decide T.
template <class T>
using OptionalMatrixRef = NonDeduced<std::optional<ConstMatrixRef<T>>>;

/// Any matrix, view or expression of Eigen's in one of the two precisions: what decides T where no dictionary does.
template <class M>
concept MatrixExpression = Scalar<typename M::Scalar> && std::derived_from<M, Eigen::EigenBase<M>>;
template <class M, class T>
concept MatrixOf = MatrixExpression<M> && std::same_as<typename M::Scalar, T>;

}  // namespace riata
