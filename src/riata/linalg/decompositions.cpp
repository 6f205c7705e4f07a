#include "riata/linalg/decompositions.hpp"

#include <Eigen/Eigenvalues>
#include <Eigen/SVD>
#include <algorithm>
#include <cmath>

#include "riata/core/stopping.hpp"

namespace riata {

using SelfAdjointSolver = Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd>;  // Eigen 3.4's does not compile for a Matrix<double>

ThinSvd thin_svd(const Matrix<double>& A) {
  const auto rows = static_cast<double>(A.rows()), cols = static_cast<double>(A.cols());
  return run_stoppable(4 * rows * cols * std::min(rows, cols), [A] {
    const Eigen::BDCSVD<Eigen::MatrixXd> svd(A, Eigen::ComputeThinU | Eigen::ComputeThinV);
    return ThinSvd{svd.matrixU(), svd.singularValues(), svd.matrixV()};
  });
}

SymmetricEigen symmetric_eigen(const Matrix<double>& A) {
  return run_stoppable(8 * std::pow(static_cast<double>(A.rows()), 3), [A] {
    const SelfAdjointSolver solver(A);
    return SymmetricEigen{solver.eigenvalues(), solver.eigenvectors()};
  });
}

Vector<double> symmetric_eigenvalues(const Matrix<double>& A) {
  return run_stoppable(std::pow(static_cast<double>(A.rows()), 3),
                       [A] { return Vector<double>(SelfAdjointSolver(A, Eigen::EigenvaluesOnly).eigenvalues()); });
}

}  // namespace riata
