#include <algorithm>
#include <cmath>
#include <limits>

#include "riata/core/check.hpp"
#include "riata/core/stopping.hpp"
#include "riata/linalg/blas.hpp"
#include "riata/solvers/joint_arrays.hpp"
#include "riata/solvers/tile_certificate.hpp"
#include "riata/terms/reg.hpp"

namespace riata {

void require_groups(Index group_size, Index n_atoms) {
  require(group_size >= 1 && n_atoms % group_size == 0, "group_size = {}, must be >= 1 and divide the number of atoms, {}",
          group_size, n_atoms);
}

namespace {

/// What the certificate is made of, summed in S.
struct JointTerms {
  double norms = 0, largest = 0, products = 0, fit = 0;  ///< sum ||Z_g||, max ||C_g||, <Z, C> and 1/2 ||R||^2
  double length = 0, largest_atoms = 0;                  ///< sum_j ||Z_j|| ||D_j|| and max ||D_g||_F
  Index n_used = 0;                                      ///< rows of Z that are not zero

  double gap(double reg, double hidden) const {
    const double pull = largest + hidden, s = pull > reg ? reg / pull : 1.0;
    return reg * norms - s * products + (1 - s) * (1 - s) * fit;
  }
};

template <class S>
JointTerms joint_terms(const JointArrays& given, const Matrix<double>& Z, Index group_size) {
  using MatrixS = Eigen::Matrix<S, Eigen::Dynamic, Eigen::Dynamic>;
  const MatrixS atoms = given.atoms.cast<S>(), codes = Z.cast<S>();
  MatrixS R = given.X.cast<S>(), C(atoms.cols(), R.cols());
  if constexpr (std::same_as<S, double>) {
    multiply<double>(atoms, codes, R);
    R = given.X - R;
    multiply_transposed<double>(atoms, R, C);
  } else {
    for (Index t = 0; t < R.cols(); ++t) {
      leave_if_stopped();
      R.col(t).noalias() -= atoms * codes.col(t);
      C.col(t).noalias() = atoms.transpose() * R.col(t);
    }
  }
  JointTerms terms;
  S norms = 0, products = 0;
  for (Index first = 0; first < C.rows(); first += group_size) {
    const auto Z_g = codes.middleRows(first, group_size);
    const auto C_g = C.middleRows(first, group_size);
    norms += Z_g.norm();
    products += Z_g.cwiseProduct(C_g).sum();
    terms.largest = std::max(terms.largest, static_cast<double>(C_g.norm()));
    terms.largest_atoms = std::max(terms.largest_atoms, given.atoms.middleCols(first, group_size).norm());
  }
  for (Index j = 0; j < Z.rows(); ++j) {
    terms.n_used += Z.row(j).isZero(0) ? 0 : 1;
    terms.length += Z.row(j).norm() * given.atoms.col(j).norm();
  }
  terms.norms = static_cast<double>(norms);
  terms.products = static_cast<double>(products);
  terms.fit = static_cast<double>(R.squaredNorm() / 2);
  return terms;
}

/// The gap with what rounding may hide of it, as in TileCertificate.
double joint_gap(const JointTerms& terms, const JointArrays& given, double reg, double unit_error) {
  if (terms.norms == 0) return terms.gap(reg, 0);
  const double error = unit_error * (std::sqrt(static_cast<double>(given.atoms.rows())) * std::sqrt(2 * terms.fit) +
                                     std::sqrt(static_cast<double>(terms.n_used)) * (given.X.norm() + terms.length));
  return std::max(terms.gap(reg, error * terms.largest_atoms), 0.0) + error * terms.length;
}

}  // namespace

JointCertificate certify_joint(const JointArrays& given, const Matrix<double>& Z, double reg, Index group_size) {
  const JointTerms terms = joint_terms<double>(given, Z, group_size);
  JointCertificate found{.objective = terms.fit + reg * terms.norms, .gap = std::max(terms.gap(reg, 0), 0.0)};
  // Where rounding may be most of the gap, it is summed again, and what it may hide then is part of it.
  const double bound = joint_gap(terms, given, reg, std::numeric_limits<double>::epsilon() / 2);
  if (bound > 1e-13 * 0.5 * given.X.squaredNorm() && bound > 2 * found.gap)
    found.gap = joint_gap(joint_terms<long double>(given, Z, group_size), given, reg,
                          static_cast<double>(std::numeric_limits<long double>::epsilon() / 2));
  return found;
}

JointCertificate in_given_units(const JointArrays& given, const JointCertificate& certificate) {
  const JointCertificate found{.objective = std::ldexp(certificate.objective, 2 * given.e),
                               .gap = std::ldexp(certificate.gap, 2 * given.e)};
  require(std::isfinite(found.objective) && std::isfinite(found.gap),
          "the objective of joint codes overflows; scale signals, codes and reg down");
  return found;
}

template <Scalar T>
JointCertificate joint_certificate(const NonDeduced<ConstMatrixRef<T>>& X, const DenseDictionary<T>& D,
                                   const NonDeduced<ConstMatrixRef<T>>& Z, double reg, Index group_size) {
  require_signals<T>("joint_certificate", X, D);
  require(Z.rows() == D.code_size() && Z.cols() == X.cols(), "joint_certificate: codes have shape ({}, {}), expected ({}, {})",
          Z.cols(), Z.rows(), X.cols(), D.code_size());
  require_finite("joint_certificate", "Z", Z, of_codes);
  require_weight(reg);
  require_groups(group_size, D.code_size());
  const JointArrays given(ConstMatrixRef<T>(X), D, static_cast<double>(largest_entry<T>(Z)));
  return in_given_units(given, certify_joint(given, given.in_unit<T>(Z), shifted_reg(reg, given.e + given.f), group_size));
}

template JointCertificate joint_certificate<float>(const ConstMatrixRef<float>&, const DenseDictionary<float>&,
                                                   const ConstMatrixRef<float>&, double, Index);
template JointCertificate joint_certificate<double>(const ConstMatrixRef<double>&, const DenseDictionary<double>&,
                                                    const ConstMatrixRef<double>&, double, Index);

}  // namespace riata
