#include <algorithm>
#include <cmath>

#include "riata/core/check.hpp"
#include "riata/linalg/blas.hpp"
#include "riata/solvers/joint.hpp"
#include "riata/solvers/tile_certificate.hpp"

namespace riata {

void require_groups(Index group_size, Index n_atoms) {
  require(group_size >= 1 && n_atoms % group_size == 0, "group_size = {}, must be >= 1 and divide the number of atoms, {}",
          group_size, n_atoms);
}

template <Scalar T>
JointCertificate joint_certificate(const NonDeduced<ConstMatrixRef<T>>& X, const DenseDictionary<T>& D,
                                   const NonDeduced<ConstMatrixRef<T>>& Z, double reg, Index group_size) {
  require_signals<T>("joint_certificate", X, D);
  require(Z.rows() == D.code_size() && Z.cols() == X.cols(), "joint_certificate: codes have shape ({}, {}), expected ({}, {})",
          Z.cols(), Z.rows(), X.cols(), D.code_size());
  require_finite("joint_certificate", "Z", Z);
  require(std::isfinite(reg) && reg > 0, "reg = {}, must be > 0 and finite", reg);
  require_groups(group_size, D.code_size());
  const Matrix<double> atoms = D.parameters().template cast<double>(), codes = Z.template cast<double>();
  Matrix<double> R(X.rows(), X.cols()), C(D.code_size(), X.cols());
  multiply<double>(atoms, codes, R);
  R = X.template cast<double>() - R;
  multiply_transposed<double>(atoms, R, C);

  double norms = 0, largest = 0, products = 0;
  for (Index first = 0; first < C.rows(); first += group_size) {
    const auto Z_g = codes.middleRows(first, group_size);
    const auto C_g = C.middleRows(first, group_size);
    norms += Z_g.norm();
    largest = std::max(largest, C_g.norm());
    products += Z_g.cwiseProduct(C_g).sum();
  }
  const double s = largest > reg ? reg / largest : 1.0, fit = 0.5 * R.squaredNorm();
  return {.objective = fit + reg * norms, .gap = std::max(reg * norms - s * products + (1 - s) * (1 - s) * fit, 0.0)};
}

template JointCertificate joint_certificate<float>(const ConstMatrixRef<float>&, const DenseDictionary<float>&,
                                                   const ConstMatrixRef<float>&, double, Index);
template JointCertificate joint_certificate<double>(const ConstMatrixRef<double>&, const DenseDictionary<double>&,
                                                    const ConstMatrixRef<double>&, double, Index);

}  // namespace riata
