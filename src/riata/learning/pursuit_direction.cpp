#include "riata/learning/pursuit_direction.hpp"

#include <limits>

#include "riata/core/check.hpp"
#include "riata/core/stopping.hpp"
#include "riata/core/sweep.hpp"
#include "riata/linalg/kernels.hpp"

namespace riata {
namespace {

/// Calls visit(atom, its code) for each that signal i uses.
template <Scalar T, class Visit>
void for_each_atom(const OmpLists<T>& codes, Index i, const Visit& visit) {
  for (int k = 0; k < codes.n_nonzero(i); ++k) visit(Index{codes.atoms(k, i)}, codes.values(k, i));
}

template <Scalar T>
Parameters<T> statistics_of(const ConstMatrixRef<T>& X, const OmpLists<T>& codes, Index n_atoms) {
  Matrix<double> A = Matrix<double>::Zero(n_atoms, n_atoms), B = Matrix<double>::Zero(X.rows(), n_atoms);
  Vector<double> x;
  for (Index i = 0; i < X.cols(); ++i) {
    if (i % 1024 == 0) leave_if_stopped();
    x = X.col(i).template cast<double>();
    for_each_atom(codes, i, [&](Index j, T z_j) {
      const auto z = static_cast<double>(z_j);
      add_scaled(X.rows(), z, x.data(), B.col(j).data());
      for_each_atom(codes, i, [&](Index l, T z_l) { A(l, j) += z * static_cast<double>(z_l); });
    });
  }
  return {{"A", A.template cast<T>()}, {"B", B.template cast<T>()}};
}

template <Scalar T>
CodesByAtom<T> by_atom(const OmpLists<T>& codes, Index n_atoms) {
  const Index n_signals = codes.n_nonzero.size();
  CodesByAtom<T> of{.starts = std::vector<Index>(static_cast<std::size_t>(n_atoms) + 1)};
  for (Index i = 0; i < n_signals; ++i)
    for_each_atom(codes, i, [&](Index j, T) { ++of.starts[static_cast<std::size_t>(j) + 1]; });
  for (std::size_t j = 1; j < of.starts.size(); ++j) of.starts[j] += of.starts[j - 1];
  of.signals.resize(static_cast<std::size_t>(of.starts.back()));
  of.values.resize(of.signals.size());
  std::vector<Index> next(of.starts.begin(), of.starts.end() - 1);
  for (Index i = 0; i < n_signals; ++i)
    for_each_atom(codes, i, [&](Index j, T z) {
      const auto to = static_cast<std::size_t>(next[static_cast<std::size_t>(j)]++);
      of.signals[to] = static_cast<int>(i);
      of.values[to] = z;
    });
  return of;
}

/// X - D Z
template <Scalar T>
Matrix<T> residual_of(const ConstMatrixRef<T>& X, const OmpLists<T>& codes, const MatrixView<T>& D, const Execution& execution) {
  constexpr Index tile = 256;
  Matrix<T> R(X.rows(), X.cols());
  for_each_tile(tile, X.cols(), execution, [&](Index first, Index n, int) {
    for (Index i = first; i < first + n; ++i) {
      R.col(i) = X.col(i);
      for_each_atom(codes, i, [&](Index j, T z) { add_scaled(X.rows(), -z, D.col(j).data(), R.col(i).data()); });
    }
  });
  return R;
}

}  // namespace

template <Scalar T>
PursuitDirection<T>::PursuitDirection(const Dictionary<T>& D, int n_nonzero, Reduction reduction)
    : D_(D.at({})), n_nonzero_(n_nonzero), reduction_(reduction) {
  require_matrix(*D_, "orthogonal matching pursuit");
  require(n_nonzero >= 1, "n_nonzero = {}, must be >= 1", n_nonzero);
}

template <Scalar T>
Sums<T> PursuitDirection<T>::look(const Sample<T>& sample, const Question<T>& question, const Execution& execution) {
  require(!sample.batch.is_weighted(), "orthogonal matching pursuit takes no mask");
  const StopScope scope(execution);
  const ConstMatrixRef<T>& X = sample.batch.X;
  const auto at = D_->at(question.at);
  const auto D = DenseDictionary<T>::borrow(*at->matrix());
  const Index m = D.code_size(), n_signals = X.cols();
  require(n_signals <= std::numeric_limits<int>::max(), "learn_dictionary: a batch of {} signals, must be at most 2^31 - 1",
          n_signals);
  const OmpLists<T> codes = omp_lists<T>(X, D, {.n_nonzero = n_nonzero_, .execution = execution});
  Sums<T> sums;
  sums.value = codes.error.sum() / 2;
  if (reduction_ == Reduction::mean) sums.value /= static_cast<double>(n_signals);
  if (question.usage) {
    sums.usage = Vector<double>::Zero(m);
    for (Index i = 0; i < n_signals; ++i)
      for_each_atom(codes, i, [&](Index j, T z) { sums.usage(j) += static_cast<double>(z) * static_cast<double>(z); });
  }
  if (question.codes) {
    sums.codes.setZero(m, n_signals);
    for (Index i = 0; i < n_signals; ++i) for_each_atom(codes, i, [&](Index j, T z) { sums.codes(j, i) = z; });
  }
  if (question.statistics) sums.statistics = statistics_of<T>(X, codes, m);
  if (question.codes_by_atom) {
    sums.by_atom = by_atom(codes, m);
    sums.by_atom.residual = residual_of<T>(X, codes, D.atoms(), execution);
  }
  return sums;
}

template class PursuitDirection<float>;
template class PursuitDirection<double>;

}  // namespace riata
