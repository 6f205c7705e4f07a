#include "riata/solvers/debias.hpp"

#include <Eigen/Cholesky>
#include <algorithm>
#include <cmath>
#include <vector>

#include "riata/core/check.hpp"
#include "riata/core/stopping.hpp"
#include "riata/core/sweep.hpp"
#include "riata/linalg/gram_matrix.hpp"
#include "riata/operators/units.hpp"
#include "riata/solvers/tile_certificate.hpp"

namespace riata {
namespace {

constexpr double ridge = 1e-4;

/// H^-1 c, in double where H is not positive definite in T: the ridge is above what rounding took from its Gram matrix.
template <Scalar T>
Vector<T> solve(const Matrix<T>& H, const Vector<T>& c) {
  if (const Eigen::LLT<Matrix<T>> factor(H); factor.info() == Eigen::Success) return factor.solve(c);
  return H.template cast<double>().llt().solve(c.template cast<double>()).template cast<T>();
}

/// The atoms of a code whose squared norm is not zero, the largest of |z| first when there are more than `limit`.
template <Scalar T>
void find_support(const ConstVectorRef<T>& z, const Matrix<T>& gram, Index limit, std::vector<Index>& support) {
  support.clear();
  for (Index j = 0; j < z.size(); ++j)
    if (z(j) != T(0) && gram(j, j) > T(0)) support.push_back(j);
  if (limit <= 0 || std::ssize(support) <= limit) return;
  std::stable_sort(support.begin(), support.end(), [&](Index a, Index b) { return std::abs(z(a)) > std::abs(z(b)); });
  support.resize(static_cast<std::size_t>(limit));
}

}  // namespace

template <Scalar T>
Matrix<T> debias(const NonDeduced<ConstMatrixRef<T>>& X, const DenseDictionary<T>& D, const NonDeduced<ConstMatrixRef<T>>& Z,
                 Index max_support, const Execution& execution) {
  require_signals<T>("debias", X, D);
  require(Z.rows() == D.code_size() && Z.cols() == X.cols(), "debias: codes have shape ({}, {}), expected ({}, {})", Z.cols(),
          Z.rows(), X.cols(), D.code_size());
  require(max_support >= 0, "debias: max_support = {}, must be >= 0", max_support);
  const StopScope scope(execution);
  const Index n_atoms = D.code_size();
  const UnitAtoms<T> atoms(D);
  Matrix<T> gram(n_atoms, n_atoms);
  gram_matrix<T>(atoms.matrix(), gram, execution);
  Matrix<T> result = Matrix<T>::Zero(n_atoms, X.cols());
  for_each_tile(solver_tile, X.cols(), execution, [&](Index first, Index n, int) {
    TileUnits<T> units(atoms.exponent(), RegUnit::linear);
    units.open(X.middleCols(first, n), Vector<T>::Zero(n));
    Matrix<T> correlations(n_atoms, n);
    atoms.dictionary().adjoint(units.X(), correlations);
    std::vector<Index> S;
    for (Index i = 0; i < n; ++i) {
      leave_if_stopped();
      find_support<T>(Z.col(first + i), gram, max_support, S);
      if (S.empty()) continue;
      Matrix<T> H = gram(S, S);
      H.diagonal() *= static_cast<T>(1 + ridge);
      const Vector<T> c = correlations.col(i)(S);
      const double n_operations = std::pow(static_cast<double>(S.size()), 3);
      const Vector<T> z = run_stoppable(n_operations, [H, c] { return solve<T>(H, c); });
      result.col(first + i)(S) = shifted(z, units.code(i));
      if (!result.col(first + i).allFinite()) refuse_overflow("debias: a code");
    }
  });
  return result;
}

template Matrix<float> debias<float>(const ConstMatrixRef<float>&, const DenseDictionary<float>&, const ConstMatrixRef<float>&,
                                     Index, const Execution&);
template Matrix<double> debias<double>(const ConstMatrixRef<double>&, const DenseDictionary<double>&,
                                       const ConstMatrixRef<double>&, Index, const Execution&);

}  // namespace riata
