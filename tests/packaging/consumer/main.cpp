// Sparse codes of ten random signals; exits with 0 if every one carries its certificate.
#include <riata/solvers/encode.hpp>

int main() {
  riata::Matrix<double> D = riata::Matrix<double>::Random(8, 16);
  riata::project_atoms(D, riata::Constraint::unit_sphere);
  const riata::Matrix<double> X = riata::Matrix<double>::Random(8, 10);
  const auto result = riata::encode(X, riata::DenseDictionary(D), riata::Reg(0.1), {.tol = 1e-6});
  return (result.gap.array() <= 1e-6 * 0.5 * X.colwise().squaredNorm().transpose().array()).all() ? 0 : 1;
}
