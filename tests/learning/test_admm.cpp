// ADMM for codes and atoms: its fixed points solve the lasso, and what it minimises beside exact alternation.
#include <gtest/gtest.h>

#include <Eigen/LU>

#include "riata/datasets/generators.hpp"
#include "riata/learning/admm_direction.hpp"
#include "riata/learning/learn_dictionary.hpp"
#include "riata/learning/recovery.hpp"
#include "riata/solvers/certificate.hpp"
#include "support/precision.hpp"
#include "support/random_arrays.hpp"
#include "support/sentences.hpp"

namespace riata::testing {
namespace {

/// Codes after so many steps at a dictionary that stays.
Matrix<double> codes_at(const Matrix<double>& D, const Matrix<double>& X, double reg, const PenaltyOptions& penalty,
                        int n_steps) {
  AdmmDirection<double> direction(DenseDictionary<double>(D), reg, penalty);
  Sums<double> sums;
  for (int k = 0; k < n_steps; ++k) {
    sums = direction.look({X}, {.at = {{"dictionary", D}}, .codes = true, .coding = Coding::opening}, {});
    direction.keep();
  }
  return sums.codes;
}

TEST(Admm, SolvesTheLassoWhereTheDictionaryStays_WideAndTall) {
  Draw draw(51);
  for (const auto& [n, m] : {std::pair(12, 20), std::pair(20, 12)})
    for (const PenaltyOptions& penalty :
         {PenaltyOptions{}, PenaltyOptions{.positive = true}, PenaltyOptions{.weights = std::vector<double>(12, 1.5)},
          PenaltyOptions{.kind = PenaltyKind::elastic_net, .l1_ratio = 0.6}}) {
      if (!penalty.weights.empty() && std::ssize(penalty.weights) != m) continue;
      const Matrix<double> D = draw.atoms(n, m), X = draw.normal_matrix(n, 20);
      const Matrix<double> Z = codes_at(D, X, 0.2, penalty, 1500);
      const auto [objective, gap] = lasso_certificate<double>(X, DenseDictionary<double>(D), Z, 0.2, penalty);
      EXPECT_LE((gap.array() / X.colwise().squaredNorm().transpose().array()).maxCoeff(), 1e-8)
          << n << " " << m << " " << to_string(penalty.kind) << penalty.positive;
      EXPECT_GT((Z.array() == 0).count(), Z.size() / 20);
    }
}

TEST(Admm, TakesTheStepThatIsWritten) {
  Draw draw(52);
  const Matrix<double> D = draw.atoms(6, 9), X = draw.normal_matrix(6, 4);
  using Real = Eigen::MatrixXd;
  const double reg = 0.3;
  const Real inverse = (Real(D.transpose() * D) + Real::Identity(9, 9)).inverse();
  Real Y = Real::Zero(9, 4), U = Y;
  for (int k = 0; k < 5; ++k) {
    const Real Z = inverse * (D.transpose() * X + Y - U), V = 1.8 * Z - 0.8 * Y + U;
    Y = V.unaryExpr([&](double v) { return std::copysign(std::max(std::abs(v) - reg, 0.0), v); });
    U = V - Y;
    EXPECT_LE((codes_at(D, X, reg, {}, k + 1) - Y).norm(), 1e-12);
  }
}

template <class T>
class AdmmLearning : public ::testing::Test {};
TYPED_TEST_SUITE(AdmmLearning, BothPrecisions, PrecisionName);

TYPED_TEST(AdmmLearning, EndsNearExactAlternation_InAnyUnit) {
  using T = TypeParam;
  const auto problem =
      datasets::planted<T>({.n_features = 16, .n_atoms = 24, .n_signals = 1500, .density = 0.1, .noise_std = 0.05, .seed = 4});
  const Matrix<T> start = datasets::perturbed<T>(problem.dictionary, 0.5, 2);
  const auto objective = [&](const Matrix<T>& D) {
    return encode<T>(problem.signals, DenseDictionary<T>(D), 0.1).objective.mean();
  };
  const auto learned = learn_dictionary<T>(problem.signals, start, 0.1, {.method = LearningMethod::admm, .max_iter = 300});
  const auto exact =
      learn_dictionary<T>(problem.signals, start, 0.1, {.method = LearningMethod::alternating_exact, .max_iter = 100});
  EXPECT_LE(objective(learned.dictionary), 1.01 * objective(exact.dictionary));
  EXPECT_GT(recovery_score<T>(learned.dictionary, problem.dictionary), 0.97);
  EXPECT_LE((learned.dictionary.colwise().norm().array() - 1).abs().maxCoeff(), 4 * epsilon<T>);
  EXPECT_NEAR(learned.history.value.back(), objective(learned.dictionary), 0.02 * learned.history.value.back());
  const T unit = std::ldexp(T(1), -20);
  const auto scaled = learn_dictionary<T>(Matrix<T>(unit * problem.signals), start, 0.1 * static_cast<double>(unit),
                                          {.method = LearningMethod::admm, .max_iter = 20});
  const auto plain = learn_dictionary<T>(problem.signals, start, 0.1, {.method = LearningMethod::admm, .max_iter = 20});
  EXPECT_TRUE(scaled.dictionary.isApprox(plain.dictionary, 1e3 * epsilon<T>));
}

TEST(AdmmLearning, RefusesWhatDoesNotFit) {
  Draw draw(53);
  const Matrix<double> X = draw.normal_matrix(5, 30), seen = Matrix<double>::Ones(5, 30);
  const auto learn = [&](const LearnOptions& options) { return [&X, options] { learn_dictionary<double>(X, 4, 0.1, options); }; };
  using enum LearningMethod;
  const BadInput table[] = {
      {"method 'admm' is for the penalties 'l1' and 'elastic_net', not for 'group'",
       learn({.method = admm, .penalty = {.kind = PenaltyKind::group, .groups = {0, 0, 1, 1}}})},
      {"batch_size and validation are for methods that take mini-batches, not for 'admm'",
       learn({.method = admm, .batch_size = 10})},
      {"loss = 'least_squares' needs unrolled layers; 'admm' minimises the lasso loss",
       learn({.method = admm, .loss = Loss::least_squares})},
      {"method 'admm' takes no mask; choose one by gradients: 'unrolled', 'stochastic', 'pudle_lasso'",
       [&] {
         learn_dictionary<double>({X, seen}, 4, 0.1, {.method = admm});
       }},
  };
  for (const BadInput& row : table) EXPECT_EQ(refusal_of(row.call), row.sentence);
}

}  // namespace
}  // namespace riata::testing
