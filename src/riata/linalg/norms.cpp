#include "riata/linalg/norms.hpp"

#include <cmath>

#include "riata/linalg/blas.hpp"
#include "riata/linalg/decompositions.hpp"

namespace riata {
namespace {

constexpr Index max_exact_side = 2000;

Matrix<double> smaller_gram(const Matrix<double>& A) {
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
double spectral_norm_squared(const Matrix<T>& A) {
  if (A.size() == 0) return 0;
  const Matrix<double> G = smaller_gram(A.template cast<double>());
  if (G.rows() > max_exact_side) return trace_bound(G);
  return std::max(0.0, symmetric_eigenvalues(G).maxCoeff());
}

template <Scalar T>
double frobenius_norm_of_gram(const Matrix<T>& A) {
  return A.size() == 0 ? 0 : smaller_gram(A.template cast<double>()).norm();
}

template double spectral_norm_squared<float>(const Matrix<float>&);
template double spectral_norm_squared<double>(const Matrix<double>&);
template double frobenius_norm_of_gram<float>(const Matrix<float>&);
template double frobenius_norm_of_gram<double>(const Matrix<double>&);

}  // namespace riata
