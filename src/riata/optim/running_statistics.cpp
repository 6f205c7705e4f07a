#include "riata/optim/running_statistics.hpp"

#include <cmath>

#include "riata/optim/checkpoint.hpp"

namespace riata {

template <Scalar T>
RunningStatistics RunningStatistics::with(const Parameters<T>& statistics, double rho) const {
  RunningStatistics next{t + 1, statistics.at("A").template cast<double>(), statistics.at("B").template cast<double>()};
  if (A.size() == 0) return next;
  const double b = std::pow(1 - 1 / static_cast<double>(next.t), rho);
  next.A += b * A;
  next.B += b * B;
  return next;
}

void RunningStatistics::forget(const std::vector<Index>& atoms) {
  if (A.size() == 0) return;
  const Index rows = A.rows() / A.cols();
  for (const Index j : atoms) {
    A.middleRows(j * rows, rows).setZero();
    A.col(j).setZero();
    B.col(j).setZero();
  }
}

NamedTensors RunningStatistics::state() const {
  return {{"A", to_tensor<double>(A)}, {"B", to_tensor<double>(B)}, {"batches", to_tensor(std::int64_t{t})}};
}

RunningStatistics RunningStatistics::stored(const NamedTensors& state, Index rows_of_A, Index rows_of_B, Index n_atoms,
                                            const std::string& where) {
  const std::int64_t t = stored_integer(state, "batches", 0, std::int64_t{1} << 53, where);
  if (t == 0) return {};
  return {static_cast<Index>(t), stored_matrix<double>(state, "A", rows_of_A, n_atoms, where),
          stored_matrix<double>(state, "B", rows_of_B, n_atoms, where)};
}

template RunningStatistics RunningStatistics::with(const Parameters<float>&, double) const;
template RunningStatistics RunningStatistics::with(const Parameters<double>&, double) const;

}  // namespace riata
