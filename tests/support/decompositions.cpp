#include "support/decompositions.hpp"

#include <Eigen/Cholesky>
#include <Eigen/Eigenvalues>
#include <Eigen/LU>
#include <Eigen/QR>
#include <Eigen/SVD>

namespace riata::testing {

using Eigen::MatrixXd;
using Eigen::VectorXd;

Svd svd_of(const MatrixXd& A) {
  const Eigen::JacobiSVD<MatrixXd> svd(A, Eigen::ComputeThinU | Eigen::ComputeThinV);
  return {.U = svd.matrixU(), .V = svd.matrixV(), .singular = svd.singularValues()};
}

VectorXd singular_values_of(const MatrixXd& A) { return Eigen::JacobiSVD<MatrixXd>(A).singularValues(); }
double largest_singular_value(const MatrixXd& A) { return singular_values_of(A)(0); }
double lipschitz_of(const MatrixXd& D) {
  const double norm = largest_singular_value(D);
  return norm * norm;
}

VectorXd eigenvalues_of(const MatrixXd& A) { return Eigen::SelfAdjointEigenSolver<MatrixXd>(A).eigenvalues(); }
MatrixXd pseudo_inverse(const MatrixXd& A) { return A.completeOrthogonalDecomposition().pseudoInverse(); }
MatrixXd cholesky_factor(const MatrixXd& A) { return A.llt().matrixL(); }
MatrixXd orthogonal_factor(const MatrixXd& A) { return A.householderQr().householderQ(); }
VectorXd least_squares(const MatrixXd& A, const VectorXd& b) { return A.householderQr().solve(b); }

RealVector solve(const Eigen::Matrix<long double, Eigen::Dynamic, Eigen::Dynamic>& A, const RealVector& b) {
  return A.partialPivLu().solve(b);
}

}  // namespace riata::testing
