// Random Lasso problems: ordinary, correlated and duplicated atoms; two-sided, non-negative and weighted
// penalties; now and then an atom or a signal of zeros. Drawn in double, rounded to T.
#pragma once

#include <cstdlib>
#include <sstream>
#include <string>
#include <vector>

#include "riata/core/types.hpp"
#include "riata/terms/l1.hpp"
#include "riata/terms/reg.hpp"
#include "support/lasso_oracle.hpp"
#include "support/long.hpp"
#include "support/random_arrays.hpp"

namespace riata::testing {

enum class Atoms { ordinary, correlated, duplicated };

template <class T>
struct LassoProblem {
  int seed = 0;
  Atoms atoms = Atoms::ordinary;
  Matrix<T> X, D;
  PenaltyOptions penalty;
  double fraction = 0;       // of each signal's reg_max
  std::vector<double> regs;  // one per signal, rounded to T

  LassoOracle oracle() const { return {D, penalty.weights, penalty.positive}; }
  double reg(Index i) const { return regs[static_cast<std::size_t>(i)]; }
  double half_norm_sq(Index i) const { return 0.5 * X.col(i).template cast<double>().squaredNorm(); }

  /// The largest cosine between two atoms: 1 when one is repeated, near 1 when many share few dimensions.
  double coherence() const {
    Eigen::MatrixXd unit = D.template cast<double>();
    for (Index j = 0; j < unit.cols(); ++j) unit.col(j).stableNormalize();
    Eigen::MatrixXd cosines = (unit.transpose() * unit).cwiseAbs();
    cosines.diagonal().setZero();
    return cosines.maxCoeff();
  }

  std::string describe() const {
    const char* names[] = {"ordinary", "correlated", "duplicated"};
    std::ostringstream text;
    text << "problem " << seed << ": " << D.rows() << " features, " << D.cols() << ' ' << names[static_cast<int>(atoms)]
         << " atoms, " << X.cols() << " signals, reg = " << fraction << " reg_max" << (penalty.positive ? ", non-negative" : "")
         << (penalty.weights.empty() ? "" : ", weighted");
    return text.str();
  }
};

inline double round_to(double value, float) { return static_cast<double>(static_cast<float>(value)); }
inline double round_to(double value, double) { return value; }

/// The problem with that number; the numbers run through all kinds.
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

/// 200, in `make test-long` 2000, or what the environment variable RIATA_TEST_PROBLEMS says.
inline int n_random_problems() {
  const char* text = std::getenv("RIATA_TEST_PROBLEMS");
  return text != nullptr && *text != '\0' ? std::atoi(text) : is_long() ? 2000 : 200;
}

}  // namespace riata::testing
