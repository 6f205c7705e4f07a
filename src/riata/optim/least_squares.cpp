#include "riata/optim/least_squares.hpp"

#include <Eigen/Cholesky>
#include <cmath>
#include <optional>

#include "riata/core/check.hpp"
#include "riata/core/stopping.hpp"
#include "riata/linalg/blas.hpp"
#include "riata/linalg/decompositions.hpp"
#include "riata/optim/parameters.hpp"

namespace riata {
namespace {

Matrix<double> product(const Matrix<double>& A, const Matrix<double>& B) {
  Matrix<double> out(A.rows(), B.cols());
  multiply<double>(A, B, out);
  return out;
}

/// R A^+, of the symmetric A.
Matrix<double> divided(const Matrix<double>& R, const Matrix<double>& A) {
  constexpr double digits_left = 1e-10;  // of the condition, where Cholesky's factor says all
  const double cubed = std::pow(static_cast<double>(A.rows()), 3);
  const auto solved =
      run_stoppable(cubed + 2 * static_cast<double>(R.size() * A.rows()), [R, A]() -> std::optional<Matrix<double>> {
        const Eigen::LLT<Eigen::MatrixXd> factor(A);
        if (factor.info() != Eigen::Success || !(factor.rcond() > digits_left)) return {};
        return factor.solve(R.transpose()).transpose();
      });
  if (solved) return *solved;
  const SymmetricEigen of = symmetric_eigen(A);
  const double least = static_cast<double>(A.cols()) * 0x1p-52 * of.values.maxCoeff();
  const Vector<double> inverse = (of.values.array() > least).select(of.values.cwiseInverse(), 0.0);
  return product(product(R, of.vectors) * inverse.asDiagonal(), of.vectors.transpose());
}

}  // namespace

Matrix<double> least_squares_atoms(const NonDeduced<ConstMatrixRef<double>>& D, const NonDeduced<ConstMatrixRef<double>>& A,
                                   const NonDeduced<ConstMatrixRef<double>>& B) {
  require(A.rows() == D.cols() && A.cols() == D.cols() && B.rows() == D.rows() && B.cols() == D.cols(),
          "least squares: A is {} x {} and B {} x {}, must be {} x {} and {} x {}, as the atoms are", A.rows(), A.cols(),
          B.rows(), B.cols(), D.cols(), D.cols(), D.rows(), D.cols());
  // In units of each atom's codes: neither their sizes nor how often they are used is part of the condition.
  const Vector<double> size = A.diagonal().cwiseSqrt(), unit = (size.array() > 0).select(size.cwiseInverse(), 0.0);
  Matrix<double> C = unit.asDiagonal() * A * unit.asDiagonal();
  for (Index j = 0; j < C.cols(); ++j)
    if (size(j) == 0) C(j, j) = 1;
  return D + divided((B - product(D, A)) * unit.asDiagonal(), C) * unit.asDiagonal();
}

template <Scalar T>
Asking<T, Outcome<T>> LeastSquares<T>::step(Position<T> from) {
  require_atoms_among<T>(from.parameters, name());
  const Question<T> question{.at = from.parameters, .statistics = true};
  const Sums<T> sums = co_await question;
  Outcome<T> outcome{.parameters = from.parameters, .moved = true, .value = sums.value, .step = 1};
  Matrix<T>& D = outcome.parameters.at("dictionary");
  const Matrix<double> moved = least_squares_atoms(D.template cast<double>(), sums.statistics.at("A").template cast<double>(),
                                                   sums.statistics.at("B").template cast<double>());
  for (Index j = 0; j < D.cols(); ++j)
    if (!moved.col(j).isZero(0)) D.col(j) = moved.col(j).template cast<T>();
  from.project(outcome.parameters);
  co_return outcome;
}

template class LeastSquares<float>;
template class LeastSquares<double>;

}  // namespace riata
