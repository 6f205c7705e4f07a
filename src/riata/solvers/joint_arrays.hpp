// What the joint functions are given, in double and in units (units.hpp): one for all signals, one for all atoms. Internal.
#pragma once

#include "riata/operators/units.hpp"
#include "riata/solvers/joint.hpp"

namespace riata {

struct JointArrays {
  template <Scalar T>
  JointArrays(const ConstMatrixRef<T>& signals, const DenseDictionary<T>& D, double largest_code = 0)
      : f(atom_exponent(size(D.atoms()))),
        e(signal_exponent(std::max(size(signals), largest_code * size(D.atoms())))),
        X(shifted(signals.template cast<double>(), -e)),
        atoms(shifted(D.atoms().template cast<double>(), -f)) {}

  template <Scalar T>
  Matrix<double> in_unit(const ConstMatrixRef<T>& Z) const {
    return shifted(Z.template cast<double>(), f - e);
  }

  int f, e;
  Matrix<double> X, atoms;

 private:
  template <class Derived>
  static double size(const Eigen::MatrixBase<Derived>& A) {
    return static_cast<double>(largest_entry<typename Derived::Scalar>(A));
  }
};

/// joint_certificate() of arrays in units, and of reg in the unit 2^(e+f).
JointCertificate certify_joint(const JointArrays& given, const Matrix<double>& Z, double reg, Index group_size);

/// The certificate in the units of the caller. @throws std::invalid_argument if it overflows
JointCertificate in_given_units(const JointArrays& given, const JointCertificate& certificate);

}  // namespace riata
