// The iterates of a solver, one run per iteration count, and its trace: what tests of single steps look at.
#pragma once

#include <vector>

#include "riata/solvers/encode.hpp"

namespace riata::testing {

struct Iterates {
  std::vector<Matrix<double>> codes;  // codes[k]: after k iterations, from zero
  std::vector<StepTrace> trace;       // per signal; entry k: iteration k + 1
};

Iterates iterates_of(const Matrix<double>& X, const Matrix<double>& D, double reg, EncodeOptions options, int n_iterations);

template <class A, class B>
bool same_support(const A& a, const B& b) {
  return ((a.array() != 0) == (b.array() != 0)).all();
}

}  // namespace riata::testing
