#include "riata/linalg/norms.hpp"

#include <cmath>

#include "riata/core/stopping.hpp"
#include "riata/linalg/blas.hpp"
#include "riata/linalg/decompositions.hpp"
#include "riata/linalg/kernels.hpp"

namespace riata {
namespace {

constexpr Index max_exact_side = 2000;

Matrix<double> smaller_gram(const ConstMatrixRef<double>& A) {
  const Index side = std::min(A.rows(), A.cols());
  Matrix<double> G(side, side);
  if (A.rows() <= A.cols()) {
    G.setZero();
    add_outer<double>(1.0, A, A, G);
  } else {
    multiply_transposed<double>(A, A, G);
  }
  return G;
}

template <Scalar T>
Matrix<double> gram_in_double(const ConstMatrixRef<T>& A) {
  if constexpr (std::same_as<T, double>)
    return smaller_gram(A);
  else
    return smaller_gram(A.template cast<double>());
}

template <Scalar T>
double norm_of(Index n, const T* a) {
  constexpr double least = 1e-280;
  const double square = fixed_order_dot(n, a, a);
  if (std::isnan(square)) return square;
  if (square >= least && std::isfinite(square)) return std::sqrt(square);
  const T largest = largest_magnitude(n, a);
  if (!(largest > T(0)) || !std::isfinite(largest)) return static_cast<double>(largest);
  const int e = std::ilogb(largest);
  Vector<double> scaled(n);
  for (Index i = 0; i < n; ++i) scaled(i) = std::ldexp(static_cast<double>(a[i]), -e);
  return std::ldexp(std::sqrt(fixed_order_dot(n, scaled.data(), scaled.data())), e);
}

/// tr(G^64)^(1/64) by six squarings, each rescaled so that nothing overflows.
double trace_bound(Matrix<double> G) {
  double log_scale = 0, power = 1;
  Matrix<double> squared(G.rows(), G.cols());
  for (int k = 0; k < 6; ++k) {
    const double trace = G.trace();
    if (trace == 0) return 0;
    G /= trace;
    log_scale += std::log(trace) / power;
    multiply<double>(G, G, squared);
    G.swap(squared);
    power *= 2;
  }
  return std::exp(log_scale + std::log(G.trace()) / power);
}

}  // namespace

template <Scalar T>
double spectral_norm_squared(const ConstMatrixRef<T>& A) {
  if (A.size() == 0) return 0;
  const Matrix<double> G = gram_in_double<T>(A);
  if (G.rows() > max_exact_side) return trace_bound(G);
  return std::max(0.0, symmetric_eigenvalues(G).maxCoeff());
}

template <Scalar T>
double frobenius_norm_of_gram(const ConstMatrixRef<T>& A) {
  return A.size() == 0 ? 0 : gram_in_double<T>(A).norm();
}

template <Scalar T>
Vector<double> column_norms(const ConstMatrixRef<T>& A) {
  Vector<double> norms(A.cols());
  for (Index j = 0; j < norms.size(); ++j) {
    if (j % 256 == 0) leave_if_stopped();
    norms(j) = norm_of(A.rows(), A.col(j).data());
  }
  return norms;
}

template Vector<double> column_norms<float>(const ConstMatrixRef<float>&);
template Vector<double> column_norms<double>(const ConstMatrixRef<double>&);
template double spectral_norm_squared<float>(const ConstMatrixRef<float>&);
template double spectral_norm_squared<double>(const ConstMatrixRef<double>&);
template double frobenius_norm_of_gram<float>(const ConstMatrixRef<float>&);
template double frobenius_norm_of_gram<double>(const ConstMatrixRef<double>&);

}  // namespace riata
