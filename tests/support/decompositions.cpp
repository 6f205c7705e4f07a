#include "support/decompositions.hpp"

#include <Eigen/Cholesky>
#include <Eigen/Eigenvalues>
#include <Eigen/LU>
#include <Eigen/QR>
#include <Eigen/SVD>

namespace riata::testing {

using Eigen::MatrixXd;
using Eigen::VectorXd;

/// With the one preconditioner that the factors below need anyway: each takes a second of compilation.
using JacobiSvd = Eigen::JacobiSVD<MatrixXd, Eigen::HouseholderQRPreconditioner>;

Svd svd_of(const MatrixXd& A) {
  const JacobiSvd svd(A, Eigen::ComputeThinU | Eigen::ComputeThinV);
  return {.U = svd.matrixU(), .V = svd.matrixV(), .singular = svd.singularValues()};
}

VectorXd singular_values_of(const MatrixXd& A) { return JacobiSvd(A).singularValues(); }
double largest_singular_value(const MatrixXd& A) { return singular_values_of(A)(0); }
double lipschitz_of(const MatrixXd& D) {
  const double norm = largest_singular_value(D);
  return norm * norm;
}

VectorXd eigenvalues_of(const MatrixXd& A) { return Eigen::SelfAdjointEigenSolver<MatrixXd>(A).eigenvalues(); }
MatrixXd pseudo_inverse(const MatrixXd& A) {
  const auto [U, V, s] = svd_of(A);
  const double least = 1e-12 * s(0);
  return V * s.unaryExpr([&](double x) { return x > least ? 1 / x : 0.0; }).asDiagonal() * U.transpose();
}
MatrixXd cholesky_factor(const MatrixXd& A) { return A.llt().matrixL(); }
MatrixXd orthogonal_factor(const MatrixXd& A) { return A.householderQr().householderQ(); }
VectorXd least_squares(const MatrixXd& A, const VectorXd& b) { return A.householderQr().solve(b); }

RealVector solve(const Eigen::Matrix<long double, Eigen::Dynamic, Eigen::Dynamic>& A, const RealVector& b) {
  return A.partialPivLu().solve(b);
}

}  // namespace riata::testing
