// Random Lasso problems: ordinary, correlated and duplicated atoms; two-sided, non-negative and weighted
// penalties; now and then an atom or a signal of zeros. Drawn in double, rounded to T.
#pragma once

#include <cstdlib>
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
  double coherence() const;

  std::string describe() const;
};

inline double round_to(double value, float) { return static_cast<double>(static_cast<float>(value)); }
inline double round_to(double value, double) { return value; }

/// The problem with that number; the numbers run through all kinds.
template <class T>
LassoProblem<T> random_lasso(int seed);

/// 200, in `make test-long` 2000, or what the environment variable RIATA_TEST_PROBLEMS says.
inline int n_random_problems() {
  const char* text = std::getenv("RIATA_TEST_PROBLEMS");
  return text != nullptr && *text != '\0' ? std::atoi(text) : is_long() ? 2000 : 200;
}

}  // namespace riata::testing
