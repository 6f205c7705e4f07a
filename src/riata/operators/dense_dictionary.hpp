// The dense dictionary: a matrix whose columns are the atoms.
#pragma once

#include "riata/core/types.hpp"
#include "riata/operators/dictionary.hpp"

namespace riata {

/// What the atoms of a learned dictionary obey.
enum class Constraint {
  unit_sphere,  ///< ||D_j|| = 1; a zero atom stays zero
  unit_ball     ///< ||D_j|| <= 1
};

/// D, n_features x n_atoms (NumPy's C-ordered (n_atoms, n_features)). Owns its atoms.
template <Scalar T>
class DenseDictionary {
 public:
  using scalar = T;

  /// @throws std::invalid_argument if empty or not finite
  DenseDictionary(Matrix<T> atoms);  // NOLINT(google-explicit-constructor): a matrix is a dictionary

  Index signal_size() const { return atoms_.rows(); }
  Index code_size() const { return atoms_.cols(); }
  const Matrix<T>& parameters() const { return atoms_; }

  void apply(const ConstMatrixRef<T>& codes, MatrixRef<T> signals) const;
  void adjoint(const ConstMatrixRef<T>& signals, MatrixRef<T> codes) const;
  /// gradient += scale * R Z^T, the derivative of <R, D Z> with respect to D.
  void accumulate_gradient(T scale, const ConstMatrixRef<T>& R, const ConstMatrixRef<T>& Z, MatrixRef<T> gradient) const;
  double squared_norm() const;

 private:
  Matrix<T> atoms_;
  Matrix<T> transposed_;  ///< of small dictionaries: OpenBLAS multiplies small matrices as they lie, unless transposed
};

/// Puts every column on the unit sphere or into the unit ball.
template <Scalar T>
void project_atoms(Matrix<T>& atoms, Constraint constraint);

static_assert(Dictionary<DenseDictionary<float>> && Dictionary<DenseDictionary<double>>);

}  // namespace riata
