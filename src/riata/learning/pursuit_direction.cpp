#include "riata/learning/pursuit_direction.hpp"

#include "riata/core/check.hpp"
#include "riata/core/stopping.hpp"
#include "riata/core/sweep.hpp"
#include "riata/linalg/gram_kernels.hpp"
#include "riata/linalg/sparse_columns.hpp"

namespace riata {
namespace {

/// Codes of some signals, their nonzeros in lists, and what is asked of them.
template <Scalar T>
class CodesOfSignals {
 public:
  explicit CodesOfSignals(Index n_atoms) : n_atoms_(n_atoms) {}

  void append(const Matrix<T>& codes, const Vector<int>& n_nonzero) {
    const auto& list_nonzeros = gram_kernels<T>().list_nonzeros;
    const auto n = static_cast<std::size_t>(n_nonzero.sum());
    std::vector<int> places(static_cast<std::size_t>(n_atoms_));
    std::vector<T> values(places.size());
    atoms_.reserve(atoms_.size() + n);
    values_.reserve(atoms_.size() + n);
    for (Index i = 0; i < codes.cols(); ++i) {
      const Index count = list_nonzeros({n_atoms_, codes.col(i).data(), places.data(), values.data()});
      atoms_.insert(atoms_.end(), places.begin(), places.begin() + count);
      values_.insert(values_.end(), values.begin(), values.begin() + count);
      starts_.push_back(std::ssize(atoms_));
    }
  }

  /// By atoms, signals in their order.
  CodesByAtom<T> by_atom() const {
    CodesByAtom<T> of{.starts = std::vector<Index>(static_cast<std::size_t>(n_atoms_) + 1),
                      .signals = std::vector<int>(atoms_.size()),
                      .values = std::vector<T>(atoms_.size())};
    for (const int j : atoms_) ++of.starts[static_cast<std::size_t>(j) + 1];
    for (std::size_t j = 1; j < of.starts.size(); ++j) of.starts[j] += of.starts[j - 1];
    std::vector<Index> next(of.starts.begin(), of.starts.end() - 1);
    for (std::size_t i = 0, k = 0; i + 1 < starts_.size(); ++i)
      for (; std::cmp_less(k, starts_[i + 1]); ++k) {
        const auto to = static_cast<std::size_t>(next[static_cast<std::size_t>(atoms_[k])]++);
        of.signals[to] = static_cast<int>(i);
        of.values[to] = values_[k];
      }
    return of;
  }

  /// R = X - D Z
  void find_residual(const ConstMatrixRef<T>& X, const ConstMatrixRef<T>& D, const Execution& execution, Matrix<T>& R) const {
    constexpr Index tile = 256;
    const auto& sum_columns = gram_kernels<T>().sum_columns;
    R.resize(X.rows(), X.cols());
    for_each_tile(tile, X.cols(), execution, [&](Index first, Index n, int) {
      for (Index i = first; i < first + n; ++i) {
        const Index start = starts_[static_cast<std::size_t>(i)], end = starts_[static_cast<std::size_t>(i) + 1];
        sum_columns(
            {D.rows(), D.outerStride(), D.data(), end - start, atoms_.data() + start, values_.data() + start, R.col(i).data()});
        R.col(i) = X.col(i) - R.col(i);
      }
    });
  }

 private:
  Index n_atoms_;
  std::vector<Index> starts_{0};  // of each signal, and the end
  std::vector<int> atoms_;
  std::vector<T> values_;
};

template <Scalar T>
void add_statistics(const ConstMatrixRef<T>& X, const Matrix<T>& Z, Parameters<T>& statistics) {
  constexpr Index tile = 256;
  SparseColumns<T> sparse(Z.rows(), std::min(tile, Z.cols()));
  for (Index first = 0; first < Z.cols(); first += tile) {
    leave_if_stopped();
    const Index n = std::min(tile, Z.cols() - first);
    sparse.assign(Z.middleCols(first, n));
    sparse.add_outer(T(1), Z.middleCols(first, n), statistics.at("A"));
    sparse.add_outer(T(1), X.middleCols(first, n), statistics.at("B"));
  }
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
  constexpr Index block = 16384;  // signals, whose codes are there at once
  const StopScope scope(execution);
  const ConstMatrixRef<T>& X = sample.batch.X;
  const auto at = D_->at(question.at);
  const auto D = DenseDictionary<T>::borrow(*at->matrix());
  const Index m = D.code_size(), n_signals = X.cols();
  Sums<T> sums;
  if (question.usage) sums.usage = Vector<double>::Zero(m);
  if (question.codes) sums.codes.resize(m, n_signals);
  if (question.statistics) sums.statistics = {{"A", Matrix<T>::Zero(m, m)}, {"B", Matrix<T>::Zero(X.rows(), m)}};
  CodesOfSignals<T> codes(m);
  for (Index first = 0; first < n_signals; first += block) {
    const Index n = std::min(block, n_signals - first);
    const auto some = X.middleCols(first, n);
    const OmpResult<T> found = omp<T>(some, D, {.n_nonzero = n_nonzero_, .execution = execution});
    sums.value += found.error.sum() / 2;
    if (question.usage) sums.usage += found.codes.template cast<double>().rowwise().squaredNorm();
    if (question.codes) sums.codes.middleCols(first, n) = found.codes;
    if (question.statistics) add_statistics<T>(some, found.codes, sums.statistics);
    if (question.codes_by_atom) codes.append(found.codes, found.n_nonzero);
  }
  if (reduction_ == Reduction::mean) sums.value /= static_cast<double>(n_signals);
  if (question.codes_by_atom) {
    sums.by_atom = codes.by_atom();
    codes.find_residual(X, D.atoms(), execution, sums.by_atom.residual);
  }
  return sums;
}

template class PursuitDirection<float>;
template class PursuitDirection<double>;

}  // namespace riata
