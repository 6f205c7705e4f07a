// Eigen's decompositions for tests, compiled once: each takes seconds in every source that names one.
#pragma once

#include <Eigen/Core>

namespace riata::testing {

struct Svd {
  Eigen::MatrixXd U, V;  // thin
  Eigen::VectorXd singular;
};
Svd svd_of(const Eigen::MatrixXd& A);
Eigen::VectorXd singular_values_of(const Eigen::MatrixXd& A);
double largest_singular_value(const Eigen::MatrixXd& A);
/// ||D||_2^2
double lipschitz_of(const Eigen::MatrixXd& D);

/// In ascending order, of a symmetric matrix.
Eigen::VectorXd eigenvalues_of(const Eigen::MatrixXd& A);
Eigen::MatrixXd pseudo_inverse(const Eigen::MatrixXd& A);
/// L of A = L L^T
Eigen::MatrixXd cholesky_factor(const Eigen::MatrixXd& A);
/// The square Q of A = Q R.
Eigen::MatrixXd orthogonal_factor(const Eigen::MatrixXd& A);
/// min ||b - A z||
Eigen::VectorXd least_squares(const Eigen::MatrixXd& A, const Eigen::VectorXd& b);

/// A^-1 b in 80 bits.
using RealVector = Eigen::Matrix<long double, Eigen::Dynamic, 1>;
RealVector solve(const Eigen::Matrix<long double, Eigen::Dynamic, Eigen::Dynamic>& A, const RealVector& b);

}  // namespace riata::testing
