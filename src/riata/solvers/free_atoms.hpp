// Atoms without a price: those of weight zero, U. With the codes z of the others and u of these,
//
//   min_{z, u}  1/2 ||x - D z - U u||^2 + reg g(z)  =  min_z  1/2 ||P x - P D z||^2 + reg g(z),   P = I - U U^+,
//
// u = U^+ (x - D z): an l1 problem whose solution any method finds. Points of the dual problem are orthogonal to U. So
//
//   gap(z, u) = gap of the problem on the right at z + 1/2 ||U U^+ (x - D z - U u)||^2,
//
// and reg_max, the smallest reg whose z is zero, is that of the problem on the right. Internal.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "riata/core/threads.hpp"
#include "riata/operators/dense_dictionary.hpp"
#include "riata/terms/penalty_options.hpp"

namespace riata {

/// Where atoms are free: D is a matrix, the penalty l1 of either sign with the same weights for all signals, and there is no mask.
/// @throws std::invalid_argument, beginning with `where`
template <Scalar T>
void require_free_atoms_fit(const char* where, bool has_mask, const Dictionary<T>& D, const PenaltyOptions& penalty);

template <Scalar T>
class FreeAtoms {
 public:
  /// @throws std::invalid_argument as require_free_atoms_fit()
  FreeAtoms(const char* where, bool has_mask, const Dictionary<T>& D, const PenaltyOptions& penalty);

  /// P D, with zeros in the place of U, and of what lies in its span. n_features x n_atoms.
  const DenseDictionary<T>& others() const { return *others_; }
  /// g: the options, but for the weights of U.
  const PenaltyOptions& penalty() const { return penalty_; }

  /// P X, zero where x lies in the span. Signal by signal: no bit depends on the others.
  Matrix<T> without(const ConstMatrixRef<T>& X, const Execution& execution) const;
  void set_zero(MatrixRef<T> Z) const;                                                     ///< u = 0
  void fit(const ConstMatrixRef<T>& X, MatrixRef<T> Z, const Execution& execution) const;  ///< u = U^+ (x - D z)
  /// gap(z, u) of each signal and its code Z, u included, with what rounding may hide of it: 8 eps ||x|| sum_j |z_j| ||D_j||.
  Vector<double> gap(const char* where, const ConstMatrixRef<T>& X, const ConstMatrixRef<T>& Z, const Vector<T>& regs,
                     const Execution& execution) const;

 private:
  Vector<double> residual(const ConstVectorRef<T>& x, const ConstVectorRef<T>& z) const;
  void project(VectorRef<double> v) const;
  template <Scalar S>
  Matrix<S> projected(const ConstMatrixRef<T>& X, const Execution& execution) const;
  double gap_inside(const ConstVectorRef<T>& x, const ConstVectorRef<T>& z) const;

  const std::unique_ptr<const Dictionary<double>> D_;
  const Vector<double> norms_;  // ||D_j||
  std::vector<Index> free_;     // places of U
  Matrix<double> U_, basis_;    // basis: of U's span, orthonormal
  Matrix<double> pseudo_inverse_;
  std::optional<DenseDictionary<T>> others_;
  std::optional<DenseDictionary<double>> exact_others_;  // before they are rounded to T
  PenaltyOptions penalty_;
};

}  // namespace riata
