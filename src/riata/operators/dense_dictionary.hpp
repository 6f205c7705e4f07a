// The dense dictionary: a matrix whose columns are the atoms.
#pragma once

#include <memory>
#include <optional>

#include "riata/core/names.hpp"
#include "riata/operators/dictionary.hpp"

namespace riata {

/// What the atoms of a learned dictionary obey.
enum class Constraint {
  unit_sphere,  ///< ||D_j|| = 1; a zero atom stays zero
  unit_ball,    ///< ||D_j|| <= 1
  non_negative  ///< D_j >= 0, ||D_j|| <= 1
};
template <>
inline constexpr Name<Constraint> names<Constraint>[] = {
    {Constraint::unit_sphere, "unit_sphere"}, {Constraint::unit_ball, "unit_ball"}, {Constraint::non_negative, "non_negative"}};

/// D, n_features x n_atoms (NumPy's C-ordered (n_atoms, n_features)), a parameter called "dictionary" whose columns keep the
/// constraint. Its atoms never change: copies share them.
template <Scalar T>
class DenseDictionary final : public Dictionary<T> {
 public:
  /// @throws std::invalid_argument if empty or not finite
  DenseDictionary(Matrix<T> atoms,  // NOLINT(google-explicit-constructor): a matrix is a dictionary
                  Constraint constraint = Constraint::unit_sphere);
  template <MatrixOf<T> M>
  DenseDictionary(const M& atoms,  // NOLINT(google-explicit-constructor)
                  Constraint constraint = Constraint::unit_sphere)
      : DenseDictionary(Matrix<T>(atoms), constraint) {}
  /// Copies nothing: `atoms` outlive it, its copies and its in_double(), and stay as they are.
  static DenseDictionary borrow(const MatrixView<T>& atoms, Constraint constraint = Constraint::unit_sphere);
  /// The same with atoms of its own: itself, or of borrowed ones a copy.
  DenseDictionary owned() const { return owner_ ? *this : DenseDictionary(Matrix<T>(atoms()), constraint_); }

  Index signal_size() const override { return n_features_; }
  Index code_size() const override { return n_atoms_; }
  MatrixView<T> atoms() const { return {atoms_, n_features_, n_atoms_}; }
  std::optional<MatrixView<T>> matrix() const override { return atoms(); }
  const Vector<double>& norms() const { return *norms_; }  ///< ||D_j||_2
  Constraint constraint() const { return constraint_; }

  void apply(const ConstMatrixRef<T>& Z, MatrixRef<T> X) const override;
  void adjoint(const ConstMatrixRef<T>& R, MatrixRef<T> Z) const override;
  double squared_norm() const override;

  Parameters<T> parameters() const override { return {{"dictionary", atoms()}}; }
  void accumulate_gradient(T scale, const ConstMatrixRef<T>& R, const ConstMatrixRef<T>& Z,
                           Parameters<T>& gradient) const override;
  /// gradient += scale * R Z^T
  void accumulate_gradient(T scale, const ConstMatrixRef<T>& R, const ConstMatrixRef<T>& Z, MatrixRef<T> gradient) const;
  void project(Parameters<T>& parameters) const override;
  /// Along the sphere of each atom that lies on it, and not below entries that must not fall.
  void make_tangent(const Parameters<T>& at, Parameters<T>& direction) const override;
  std::unique_ptr<Dictionary<T>> at(const Parameters<T>& parameters) const override;
  std::unique_ptr<Dictionary<double>> in_double() const override;
  std::unique_ptr<Dictionary<T>> unstructured() const override { return at({}); }
  Matrix<T> analytic_weight() const override;

 private:
  DenseDictionary(std::shared_ptr<const Matrix<T>> owner, Constraint constraint);
  DenseDictionary(std::shared_ptr<const Matrix<T>> owner, const MatrixView<T>& atoms, Constraint constraint);

  std::shared_ptr<const Matrix<T>> owner_;  ///< null where the atoms are borrowed
  const T* atoms_;
  Index n_features_, n_atoms_;
  std::shared_ptr<const Vector<double>> norms_;
  std::shared_ptr<const Matrix<T>>
      transposed_;  ///< of few atoms: OpenBLAS multiplies small matrices as they lie, unless transposed
  Constraint constraint_;
};

template <MatrixExpression M>
DenseDictionary(const M&, Constraint = Constraint::unit_sphere) -> DenseDictionary<typename M::Scalar>;

/// Puts every column on the unit sphere or into the unit ball.
template <Scalar T>
void project_atoms(Matrix<T>& atoms, Constraint constraint);
template <MatrixExpression M>
void project_atoms(M& atoms, Constraint constraint) {
  Matrix<typename M::Scalar> own = atoms;
  project_atoms(own, constraint);
  atoms = own;
}

}  // namespace riata
