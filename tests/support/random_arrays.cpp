#include "support/random_arrays.hpp"

namespace riata::testing {

Eigen::MatrixXd Draw::normal_matrix(Eigen::Index rows, Eigen::Index cols) {
  Eigen::MatrixXd A(rows, cols);
  for (Eigen::Index j = 0; j < cols; ++j)
    for (Eigen::Index i = 0; i < rows; ++i) A(i, j) = normal();
  return A;
}

Eigen::MatrixXd Draw::sparse_matrix(Eigen::Index rows, Eigen::Index cols, double share) {
  Eigen::MatrixXd A = normal_matrix(rows, cols);
  for (Eigen::Index j = 0; j < cols; ++j)
    for (Eigen::Index i = 0; i < rows; ++i)
      if (!coin(share)) A(i, j) = 0;
  return A;
}

Eigen::MatrixXd Draw::atoms(Eigen::Index n_features, Eigen::Index n_atoms, double rho) {
  Eigen::MatrixXd D = normal_matrix(n_features, n_atoms);
  for (Eigen::Index j = 1; j < n_atoms; ++j) D.col(j) = rho * D.col(j - 1) + std::sqrt(1 - rho * rho) * D.col(j);
  for (Eigen::Index j = 0; j < n_atoms; ++j) D.col(j).normalize();
  return D;
}

std::vector<double> Draw::weights(Eigen::Index n) {
  std::vector<double> w(static_cast<std::size_t>(n));
  for (double& value : w) value = static_cast<double>(static_cast<float>(log_uniform(0.5, 2)));
  return w;
}

}  // namespace riata::testing
