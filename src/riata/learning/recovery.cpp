#include "riata/learning/recovery.hpp"

#include <limits>

#include "riata/core/check.hpp"
#include "riata/core/stopping.hpp"
#include "riata/linalg/blas.hpp"
#include "riata/operators/dense_dictionary.hpp"

namespace riata {
namespace {

/// Rows <= columns: for each row the column of a minimum-cost assignment.
std::vector<Index> cheapest_columns(const Matrix<double>& cost) {
  const Index n = cost.rows(), m = cost.cols();
  const double infinity = std::numeric_limits<double>::infinity();
  Vector<double> u = Vector<double>::Zero(n + 1), v = Vector<double>::Zero(m + 1);  // dual variables; index 0 is a sentinel
  std::vector<Index> row_of(static_cast<std::size_t>(m + 1), 0), came_from(static_cast<std::size_t>(m + 1), 0);
  const auto at = [](std::vector<Index>& a, Index i) -> Index& { return a[static_cast<std::size_t>(i)]; };
  for (Index i = 1; i <= n; ++i) {
    at(row_of, 0) = i;
    Index j0 = 0;
    Vector<double> slack = Vector<double>::Constant(m + 1, infinity);
    std::vector<bool> used(static_cast<std::size_t>(m + 1), false);
    do {  // grow the tree of tight edges until it reaches a free column
      leave_if_stopped();
      used[static_cast<std::size_t>(j0)] = true;
      const Index i0 = at(row_of, j0);
      Index j1 = 0;
      double delta = infinity;
      for (Index j = 1; j <= m; ++j) {
        if (used[static_cast<std::size_t>(j)]) continue;
        const double reduced = cost(i0 - 1, j - 1) - u(i0) - v(j);
        if (reduced < slack(j)) {
          slack(j) = reduced;
          at(came_from, j) = j0;
        }
        if (slack(j) < delta) {
          delta = slack(j);
          j1 = j;
        }
      }
      for (Index j = 0; j <= m; ++j) {
        if (used[static_cast<std::size_t>(j)]) {
          u(at(row_of, j)) += delta;
          v(j) -= delta;
        } else {
          slack(j) -= delta;
        }
      }
      j0 = j1;
    } while (at(row_of, j0) != 0);
    for (; j0 != 0; j0 = at(came_from, j0)) at(row_of, j0) = at(row_of, at(came_from, j0));  // augment
  }
  std::vector<Index> column_of(static_cast<std::size_t>(n), -1);
  for (Index j = 1; j <= m; ++j)
    if (at(row_of, j) > 0) at(column_of, at(row_of, j) - 1) = j - 1;
  return column_of;
}

}  // namespace

std::vector<Index> best_assignment(const ConstMatrixRef<double>& scores) {
  require_finite("best_assignment", "scores", scores, {"column", "row"});
  if (scores.size() == 0) return std::vector<Index>(static_cast<std::size_t>(scores.rows()), -1);
  if (scores.rows() <= scores.cols()) return cheapest_columns(-scores);
  std::vector<Index> column_of(static_cast<std::size_t>(scores.rows()), -1);
  const auto row_of = cheapest_columns(-scores.transpose());
  for (Index j = 0; j < scores.cols(); ++j) column_of[static_cast<std::size_t>(row_of[static_cast<std::size_t>(j)])] = j;
  return column_of;
}

template <Scalar T>
double recovery_score(const NonDeduced<ConstMatrixRef<T>>& dictionary, const NonDeduced<ConstMatrixRef<T>>& reference) {
  require(dictionary.rows() == reference.rows(),
          "recovery_score: atoms have {} features but the reference's have {}; they must be equal", dictionary.rows(),
          reference.rows());
  require(dictionary.size() > 0 && reference.size() > 0, "recovery_score: a dictionary without atoms");
  require_finite("recovery_score", "D", dictionary, of_atoms);
  require_finite("recovery_score", "D_ref", reference, of_atoms);
  Matrix<double> D = dictionary.template cast<double>(), R = reference.template cast<double>();
  project_atoms(D, Constraint::unit_sphere);
  project_atoms(R, Constraint::unit_sphere);
  Matrix<double> scores(R.cols(), D.cols());
  multiply_transposed<double>(R, D, scores);
  scores = scores.cwiseAbs();
  const auto partner = best_assignment(scores);
  double sum = 0;
  for (Index i = 0; i < scores.rows(); ++i)
    if (partner[static_cast<std::size_t>(i)] >= 0) sum += scores(i, partner[static_cast<std::size_t>(i)]);
  return sum / static_cast<double>(scores.rows());
}

template <Scalar T>
double recovery_score(const Dictionary<T>& dictionary, const Dictionary<T>& reference) {
  const auto columns = [](const Dictionary<T>& D) {
    if (const auto atoms = D.matrix()) return Matrix<T>(*atoms);
    Matrix<T> all(D.signal_size(), D.code_size());
    D.apply(Matrix<T>::Identity(D.code_size(), D.code_size()), all);
    return all;
  };
  return recovery_score<T>(columns(dictionary), columns(reference));
}

template double recovery_score<float>(const Dictionary<float>&, const Dictionary<float>&);
template double recovery_score<double>(const Dictionary<double>&, const Dictionary<double>&);
template double recovery_score<float>(const ConstMatrixRef<float>&, const ConstMatrixRef<float>&);
template double recovery_score<double>(const ConstMatrixRef<double>&, const ConstMatrixRef<double>&);

}  // namespace riata
