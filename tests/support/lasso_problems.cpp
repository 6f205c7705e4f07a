#include "support/lasso_problems.hpp"

#include <sstream>

namespace riata::testing {

template <class T>
double LassoProblem<T>::coherence() const {
  Eigen::MatrixXd unit = D.template cast<double>();
  for (Index j = 0; j < unit.cols(); ++j) unit.col(j).stableNormalize();
  Eigen::MatrixXd cosines = (unit.transpose() * unit).cwiseAbs();
  cosines.diagonal().setZero();
  return cosines.maxCoeff();
}

template <class T>
std::string LassoProblem<T>::describe() const {
  const char* names[] = {"ordinary", "correlated", "duplicated"};
  std::ostringstream text;
  text << "problem " << seed << ": " << D.rows() << " features, " << D.cols() << ' ' << names[static_cast<int>(atoms)]
       << " atoms, " << X.cols() << " signals, reg = " << fraction << " reg_max" << (penalty.positive ? ", non-negative" : "")
       << (penalty.weights.empty() ? "" : ", weighted");
  return text.str();
}

template <class T>
LassoProblem<T> random_lasso(int seed) {
  Draw draw(static_cast<std::uint64_t>(seed));
  LassoProblem<T> problem;
  problem.seed = seed;
  problem.atoms = static_cast<Atoms>(seed % 3);
  const Index n_features = draw.integer(1, 100);
  Index n_atoms = draw.integer(1, 300);
  Eigen::MatrixXd D = draw.atoms(n_features, n_atoms, problem.atoms == Atoms::correlated ? 0.9 : 0.0);
  if (problem.atoms == Atoms::duplicated)
    for (Index j = 0; j < n_atoms / 3; ++j)
      D.col(draw.integer(0, static_cast<int>(n_atoms) - 1)) = D.col(j) * (draw.coin() ? 1 : -1);
  if (seed % 5 == 1) D.col(draw.integer(0, static_cast<int>(n_atoms) - 1)).setZero();
  if (seed % 4 == 2)
    for (Index j = 0; j < n_atoms; ++j) D.col(j) *= draw.log_uniform(0.5, 2);  // atoms need not have norm 1
  const Index n_signals = draw.integer(1, 3);
  Eigen::MatrixXd X = D * draw.sparse_matrix(n_atoms, n_signals, 0.1) + 0.2 * draw.normal_matrix(n_features, n_signals);
  if (seed % 7 == 3) X.col(0).setZero();
  problem.D = D.cast<T>();
  problem.X = X.cast<T>();
  problem.penalty.positive = seed / 3 % 4 == 1 || seed / 3 % 4 == 3;
  if (seed / 3 % 4 >= 2) problem.penalty.weights = draw.weights(n_atoms);
  problem.fraction = draw.coin(0.1) ? draw.uniform(0.9, 0.99) : draw.log_uniform(0.01, 0.99);
  const LassoOracle oracle = problem.oracle();
  for (Index i = 0; i < n_signals; ++i) {
    const double largest = oracle.reg_max(problem.X.col(i));
    problem.regs.push_back(round_to(largest > 0 ? problem.fraction * largest : 0.5, T{}));
  }
  return problem;
}

template struct LassoProblem<float>;
template struct LassoProblem<double>;
template LassoProblem<float> random_lasso(int);
template LassoProblem<double> random_lasso(int);

}  // namespace riata::testing
