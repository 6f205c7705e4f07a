// Learning from signals of which a part is missing.
#include <gtest/gtest.h>

#include <limits>

#include "learning/results.hpp"
#include "riata/datasets/generators.hpp"
#include "riata/learning/learn_dictionary.hpp"
#include "riata/learning/recovery.hpp"
#include "riata/solvers/certificate.hpp"
#include "riata/solvers/encode.hpp"
#include "support/random_arrays.hpp"

namespace riata::testing {
namespace {

class MaskedLearning : public ::testing::TestWithParam<LearningMethod> {
 protected:
  MaskedLearning() {
    for (double& w : W_.reshaped()) w = draw_.coin(0.3) ? 0 : 1;
    X_ = (W_.array() == 0).select(std::numeric_limits<double>::quiet_NaN(), truth_.signals);
  }
  LearnOptions options(int max_iter) const { return {.method = GetParam(), .n_layers = 20, .max_iter = max_iter}; }

  Draw draw_{99};
  datasets::Planted<double> truth_ =
      datasets::planted<double>({.n_features = 12, .n_atoms = 16, .n_signals = 800, .density = 0.12, .seed = 3});
  Matrix<double> X_, W_ = Matrix<double>(12, 800);
};

TEST_P(MaskedLearning, LowersTheObjectiveOfWhatWasSeen) {
  const Matrix<double> start = datasets::perturbed(truth_.dictionary, 0.5, 1);
  const auto learned = learn_dictionary<double>({X_, W_}, start, Reg::fraction_of_max(0.1), options(100));
  EXPECT_LT(learned.history.value.back(), 0.9 * learned.initial_value);
  const auto objective = [&](const Matrix<double>& D) {
    const auto coded = encode({X_, W_}, DenseDictionary(D), learned.reg, {.tol = 1e-8});
    return coded.objective.mean();
  };
  EXPECT_NEAR(objective(learned.dictionary), learned.history.value.back(), 2e-2 * learned.history.value.back());
  EXPECT_GT(recovery_score<double>(learned.dictionary, truth_.dictionary),
            recovery_score<double>(start, truth_.dictionary) + 0.05);
}

TEST_P(MaskedLearning, ReadsNothingThatIsHidden) {
  const Matrix<double> other = (W_.array() == 0).select(1e9, truth_.signals);
  for (const bool centre : {false, true}) {
    LearnOptions o = options(5);
    o.centre = centre;
    expect_same(learn_dictionary<double>({X_, W_}, 16, Reg::fraction_of_max(0.1), o),
                learn_dictionary<double>({other, W_}, 16, Reg::fraction_of_max(0.1), o), centre ? "centred" : "");
  }
}

TEST_P(MaskedLearning, WithAllSeenIsLearningWithoutAMask) {
  const Matrix<double>& X = truth_.signals;
  const Matrix<double> ones = Matrix<double>::Ones(X.rows(), X.cols());
  const auto with = learn_dictionary<double>({X, ones}, 16, Reg::fraction_of_max(0.1), options(5)),
             without = learn_dictionary<double>(X, 16, Reg::fraction_of_max(0.1), options(5));
  EXPECT_NEAR(with.initial_value, without.initial_value, 1e-7 * without.initial_value);
  EXPECT_NEAR(with.history.value.back(), without.history.value.back(), 1e-4 * without.history.value.back());
}

TEST_P(MaskedLearning, HasTheSameBits_WhateverTheNumberOfThreads) {
  LearnOptions one = options(5), three = options(5);
  one.execution.n_threads = 1;
  three.execution.n_threads = 3;
  expect_same(learn_dictionary<double>({X_, W_}, 16, Reg::fraction_of_max(0.1), one),
              learn_dictionary<double>({X_, W_}, 16, Reg::fraction_of_max(0.1), three), "");
}

INSTANTIATE_TEST_SUITE_P(By, MaskedLearning,
                         ::testing::Values(LearningMethod::unrolled, LearningMethod::alternating,
                                           LearningMethod::alternating_exact),
                         [](const auto& method) {
                           return method.param == LearningMethod::unrolled      ? "unrolled"
                                  : method.param == LearningMethod::alternating ? "alternating"
                                                                                : "exact";
                         });

}  // namespace
}  // namespace riata::testing
