// The validation curve: what it says of the signals held out, and that it prefers what made the signals.
#include "riata/learning/validation_curve.hpp"

#include <gtest/gtest.h>

#include "riata/datasets/generators.hpp"
#include "riata/solvers/encode.hpp"
#include "support/precision.hpp"
#include "support/sentences.hpp"

namespace riata::testing {
namespace {

ValidationCurveOptions quick(LearningMethod method, int n_runs) {
  return {.n_runs = n_runs, .learn = {.method = method, .batch_size = 100, .max_iter = 60}};
}

TEST(ValidationCurve, IsLowestAndMostStableNearTheNumberOfAtomsThatMadeTheSignals) {
  const auto problem = datasets::planted<double>(
      {.n_features = 12, .n_atoms = 12, .n_signals = 3000, .density = 0.15, .noise_std = 0.05, .seed = 4});
  std::size_t n_seen = 0;
  const auto points = validation_curve<double>(problem.signals, {4, 12}, {Reg(0.05), Reg(0.2)}, quick(LearningMethod::online, 3),
                                               [&](const ValidationPoint& point) {
                                                 EXPECT_EQ(point.objective.size(), 3U);
                                                 ++n_seen;
                                                 return Action::keep_going;
                                               });
  ASSERT_EQ(points.size(), 4U);
  EXPECT_EQ(n_seen, 4U);
  const auto mean = [](const std::vector<double>& v) { return (v[0] + v[1] + v[2]) / 3; };
  for (int r : {0, 1}) {
    const ValidationPoint &few = points[static_cast<std::size_t>(r)], &right = points[static_cast<std::size_t>(2 + r)];
    EXPECT_EQ(few.n_atoms, 4);
    EXPECT_EQ(right.reg[0], r == 0 ? 0.05 : 0.2);
    EXPECT_LT(mean(right.objective), 0.8 * mean(few.objective));
    EXPECT_GT(mean(right.explained), mean(few.explained) + 0.1);
    EXPECT_GT(right.stability, 0.8);
    EXPECT_LE(right.stability, 1);
  }
  EXPECT_GT(mean(points[2].explained), mean(points[3].explained));
  EXPECT_GT(mean(points[2].n_nonzero), mean(points[3].n_nonzero));
}

TEST(ValidationCurve, SaysWhatEncodeSaysOfTheSignalsHeldOut) {
  const auto problem = datasets::planted<double>({.n_features = 8, .n_atoms = 10, .n_signals = 400, .seed = 2});
  ValidationCurveOptions options = quick(LearningMethod::online, 1);
  const auto point = validation_curve<double>(problem.signals, {10}, {Reg(0.1)}, options).front();
  EXPECT_TRUE(std::isnan(point.stability));
  const BatchOrder order(400, {.validation = 0.2});
  const Matrix<double> seen = chosen_signals<double>(problem.signals, order.trained_on()),
                       unseen = chosen_signals<double>(problem.signals, order.held_out());
  EXPECT_EQ(unseen.cols(), 80);
  const Matrix<double> D = learn_dictionary<double>(seen, 10, 0.1, options.learn).dictionary;
  const auto codes = encode<double>(unseen, DenseDictionary<double>(D), 0.1);
  EXPECT_EQ(point.objective[0], codes.objective.mean());
  EXPECT_NEAR(point.explained[0], 1 - (unseen - D * codes.codes).squaredNorm() / unseen.squaredNorm(), 1e-12);
  options.learn.method = LearningMethod::ksvd;
  options.learn.n_nonzero = 2;
  const auto by_pursuit = validation_curve<double>(problem.signals, {10}, {}, options).front();
  EXPECT_TRUE(std::isnan(by_pursuit.reg[0]));
  EXPECT_LE(by_pursuit.n_nonzero[0], 2);
  EXPECT_GT(by_pursuit.explained[0], 0.3);
}

TEST(ValidationCurve, RefusesWhatDoesNotFit) {
  const Matrix<double> X = Matrix<double>::Ones(3, 40);
  const auto with = [&](std::vector<Index> n_atoms, std::vector<Reg> regs, ValidationCurveOptions options) {
    return [&X, n_atoms, regs, options] { validation_curve<double>(X, n_atoms, regs, options); };
  };
  const auto ksvd = ValidationCurveOptions{.learn = {.method = LearningMethod::ksvd, .n_nonzero = 2}};
  const BadInput table[] = {
      {"validation_curve: validation = 0, must be > 0 and < 1", with({3}, {Reg(0.1)}, {.validation = 0})},
      {"validation_curve: n_runs = 0, must be >= 1", with({3}, {Reg(0.1)}, {.n_runs = 0})},
      {"validation_curve: n_atoms is empty; give one number at least", with({}, {Reg(0.1)}, {})},
      {"validation_curve: reg is empty; give one weight at least", with({3}, {}, {})},
      {"validation_curve: method 'ksvd' takes n_nonzero, the atoms of a code, and no reg", with({3}, {Reg(0.1)}, ksvd)},
      {"validation_curve: centre is for signals of one run; centre them before",
       with({3}, {Reg(0.1)}, {.learn = {.method = LearningMethod::online, .centre = true}})},
  };
  for (const BadInput& row : table) EXPECT_EQ(refusal_of(row.call), row.sentence);
}

}  // namespace
}  // namespace riata::testing
