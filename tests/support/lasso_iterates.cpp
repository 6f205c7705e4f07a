#include "support/lasso_iterates.hpp"

namespace riata::testing {

Iterates iterates_of(const Matrix<double>& X, const Matrix<double>& D, double reg, EncodeOptions options, int n_iterations) {
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

}  // namespace riata::testing
