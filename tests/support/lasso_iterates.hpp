// The iterates of a solver, one run per iteration count, and its trace: what tests of single steps look at.
#pragma once

#include <vector>

#include "riata/solvers/encode.hpp"

namespace riata::testing {

struct Iterates {
  std::vector<Matrix<double>> codes;  // codes[k]: after k iterations, from zero
  std::vector<StepTrace> trace;       // per signal; entry k: iteration k + 1
};

inline Iterates iterates_of(const Matrix<double>& X, const Matrix<double>& D, double reg, EncodeOptions options,
                            int n_iterations) {
  options.tol = 0;
  options.record = true;
  Iterates run{.codes = {Matrix<double>::Zero(D.cols(), X.cols())}, .trace = {}};
  for (options.max_iter = 1; options.max_iter <= n_iterations; ++options.max_iter) {
    auto result = encode<double>(X, DenseDictionary(D), reg, options);
    run.codes.push_back(std::move(result.codes));
    run.trace = std::move(result.trace);
  }
  return run;
}

template <class A, class B>
bool same_support(const A& a, const B& b) {
  return ((a.array() != 0) == (b.array() != 0)).all();
}

}  // namespace riata::testing
