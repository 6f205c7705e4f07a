#include "riata/operators/dense_dictionary.hpp"

#include <cmath>

#include "riata/core/check.hpp"
#include "riata/core/stopping.hpp"
#include "riata/linalg/blas.hpp"
#include "riata/linalg/kernels.hpp"
#include "riata/linalg/norms.hpp"
#include "riata/operators/analytic_weight.hpp"

namespace riata {
namespace {

constexpr Index most_transposed = 1 << 15;  // entries: a copy costs less than one small product
constexpr double least_size = 1e-150, most_size = 1e150;
constexpr double surely_large_enough = 1e-140;  // of a norm: an entry is at least that over sqrt(n_features)

}  // namespace

template <Scalar T>
DenseDictionary<T>::DenseDictionary(Matrix<T> atoms, Constraint constraint)
    : DenseDictionary(std::make_shared<const Matrix<T>>(std::move(atoms)), constraint) {}

template <Scalar T>
DenseDictionary<T>::DenseDictionary(std::shared_ptr<const Matrix<T>> owner, Constraint constraint)
    : DenseDictionary(owner, view_of(*owner), constraint) {}

template <Scalar T>
DenseDictionary<T> DenseDictionary<T>::borrow(const MatrixView<T>& atoms, Constraint constraint) {
  return DenseDictionary(nullptr, atoms, constraint);
}

template <Scalar T>
DenseDictionary<T>::DenseDictionary(std::shared_ptr<const Matrix<T>> owner, const MatrixView<T>& atoms, Constraint constraint)
    : owner_(std::move(owner)),
      atoms_(atoms.data()),
      n_features_(atoms.rows()),
      n_atoms_(atoms.cols()),
      norms_(std::make_shared<const Vector<double>>(column_norms<T>(atoms))),
      constraint_(constraint) {
  require(atoms.size() > 0, "dictionary: {} atoms of {} features, must have at least one of each", atoms.cols(), atoms.rows());
  const double longest = norms_->maxCoeff<Eigen::PropagateNaN>();
  if (!std::isfinite(longest)) require_finite("dictionary", "D", atoms, of_atoms);
  if (std::same_as<T, double> && !(longest >= surely_large_enough && longest <= most_size)) {
    const auto largest = static_cast<double>(largest_magnitude(atoms.size(), atoms.data()));
    require(largest == 0 || (largest >= least_size && largest <= most_size),
            "dictionary: the largest entry of D has the size {:.3g}, must be between {:.0e} and {:.0e}; scale the atoms", largest,
            least_size, most_size);
  }
  if (atoms.size() <= most_transposed) transposed_ = std::make_shared<const Matrix<T>>(atoms.transpose());
}

template <Scalar T>
void DenseDictionary<T>::apply(const ConstMatrixRef<T>& Z, MatrixRef<T> X) const {
  multiply<T>(atoms(), Z, X);
}

template <Scalar T>
void DenseDictionary<T>::adjoint(const ConstMatrixRef<T>& R, MatrixRef<T> Z) const {
  if (transposed_)
    multiply<T>(*transposed_, R, Z);
  else
    multiply_transposed<T>(atoms(), R, Z);
}

template <Scalar T>
void DenseDictionary<T>::accumulate_gradient(T scale, const ConstMatrixRef<T>& R, const ConstMatrixRef<T>& Z,
                                             MatrixRef<T> gradient) const {
  add_outer<T>(scale, R, Z, gradient);
}

template <Scalar T>
void DenseDictionary<T>::accumulate_gradient(T scale, const ConstMatrixRef<T>& R, const ConstMatrixRef<T>& Z,
                                             Parameters<T>& gradient) const {
  if (const auto own = gradient.find("dictionary"); own != gradient.end()) add_outer<T>(scale, R, Z, own->second);
}

template <Scalar T>
void DenseDictionary<T>::project(Parameters<T>& parameters) const {
  if (const auto own = parameters.find("dictionary"); own != parameters.end()) project_atoms<T>(own->second, constraint_);
}

template <Scalar T>
void DenseDictionary<T>::make_tangent(const Parameters<T>& at, Parameters<T>& direction) const {
  const auto moves = direction.find("dictionary");
  if (moves == direction.end()) return;
  const Matrix<T>& D = at.at("dictionary");
  Matrix<T>& g = moves->second;
  if (constraint_ == Constraint::non_negative) g = (D.array() == T(0) && g.array() > T(0)).select(T(0), g);
  for (Index j = 0; j < D.cols(); ++j) {
    const T square = D.col(j).squaredNorm(), along = D.col(j).dot(g.col(j));
    if (square > T(0.999)) g.col(j) -= along / square * D.col(j);
  }
}

template <Scalar T>
std::unique_ptr<Dictionary<T>> DenseDictionary<T>::at(const Parameters<T>& parameters) const {
  const auto own = parameters.find("dictionary");
  if (own == parameters.end()) return std::make_unique<DenseDictionary>(owned());
  return std::make_unique<DenseDictionary>(own->second, constraint_);
}

template <Scalar T>
std::unique_ptr<Dictionary<double>> DenseDictionary<T>::in_double() const {
  if constexpr (std::same_as<T, double>)
    return std::make_unique<DenseDictionary>(*this);
  else
    return std::make_unique<DenseDictionary<double>>(atoms().template cast<double>(), constraint_);
}

template <Scalar T>
double DenseDictionary<T>::squared_norm() const {
  return spectral_norm_squared(atoms());
}

template <Scalar T>
Matrix<T> DenseDictionary<T>::analytic_weight() const {
  return riata::analytic_weight<T>(atoms());
}

template <Scalar T>
void project_atoms(Matrix<T>& atoms, Constraint constraint) {
  for (Index j = 0; j < atoms.cols(); ++j) {
    leave_if_stopped();
    if (constraint == Constraint::non_negative) atoms.col(j) = atoms.col(j).cwiseMax(T(0));  // then scaled: the nearest
    const T norm = atoms.col(j).stableNorm();
    const bool scale = constraint == Constraint::unit_sphere ? norm > T(0) : norm > T(1);
    if (scale) atoms.col(j) /= norm;
  }
}

template class DenseDictionary<float>;
template class DenseDictionary<double>;
template void project_atoms<float>(Matrix<float>&, Constraint);
template void project_atoms<double>(Matrix<double>&, Constraint);

}  // namespace riata
