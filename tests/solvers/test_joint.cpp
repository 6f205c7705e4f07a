// Joint codes against the optimality conditions and the duality gap of their definition, in 80 bits; closed forms;
// equality with the Lasso for one signal.
#include "riata/solvers/joint.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "riata/core/error.hpp"
#include "riata/solvers/certificate.hpp"
#include "riata/solvers/encode.hpp"
#include "support/decompositions.hpp"
#include "support/precision.hpp"
#include "support/random_arrays.hpp"
#include "support/sentences.hpp"

namespace riata::testing {
namespace {

using Reals = Eigen::Matrix<long double, Eigen::Dynamic, Eigen::Dynamic>;

/// The problem written from its definition; shares no code with the library.
struct JointOracle {
  Reals X, D;
  Index group_size = 1;

  JointOracle(const Matrix<double>& signals, const Matrix<double>& dictionary, Index size = 1)
      : X(signals.cast<long double>()), D(dictionary.cast<long double>()), group_size(size) {}

  /// F(Z) minus the dual objective at the scaled residual, as two numbers subtracted.
  double gap(const Matrix<double>& codes, long double reg) const {
    const Reals Z = codes.cast<long double>(), R = X - D * Z, C = D.transpose() * R;
    long double penalty = 0, largest = 0;
    for (Index g = 0; g < C.rows() / group_size; ++g) {
      long double z_sq = 0, c_sq = 0;
      for (Index j = g * group_size; j < (g + 1) * group_size; ++j)
        for (Index t = 0; t < Z.cols(); ++t) z_sq += Z(j, t) * Z(j, t), c_sq += C(j, t) * C(j, t);
      penalty += std::sqrt(z_sq);
      largest = std::max(largest, std::sqrt(c_sq));
    }
    const long double s = std::min(1.0L, reg / largest);
    const long double primal = R.squaredNorm() / 2 + reg * penalty;
    return static_cast<double>(primal - (X.squaredNorm() - (X - s * R).squaredNorm()) / 2);
  }

  /// max_g of ||C_g - reg Z_g / ||Z_g|| || where Z_g != 0, and of (||C_g|| - reg)_+ elsewhere.
  double kkt_violation(const Matrix<double>& codes, long double reg) const {
    const Reals Z = codes.cast<long double>(), C = D.transpose() * (X - D * Z);
    long double worst = 0;
    for (Index g = 0; g < C.rows() / group_size; ++g) {
      const Reals Z_g = Z.middleRows(g * group_size, group_size), C_g = C.middleRows(g * group_size, group_size);
      const long double norm = Z_g.norm();
      worst = std::max(worst, norm > 0 ? (C_g - reg / norm * Z_g).norm() : C_g.norm() - reg);
    }
    return static_cast<double>(worst);
  }
};

struct JointProblem {
  Matrix<double> X, D;
  Index group_size;
};

/// Sizes, correlations and groups of every kind; one in four with nearly equal atoms.
JointProblem random_problem(std::uint64_t seed) {
  Draw draw(9000 + seed);
  const Index group_size = seed % 3 == 0 ? 3 : 1, n = draw.integer(2, 60), m = group_size * draw.integer(1, 60);
  Matrix<double> D = draw.atoms(n, m, seed % 2 ? 0.95 : 0.3);
  for (Index j = 0; j < m; ++j) D.col(j) *= draw.log_uniform(0.2, 5);
  if (seed % 4 == 1)
    for (Index j = 1; j < m; j += 2) D.col(j) = D.col(j - 1) + 1e-3 * draw.normal_vector(n);
  return {draw.normal_matrix(n, draw.integer(1, 30)), D, group_size};
}

TEST(JointEncode, MeetsTheGapAndTheOptimalityConditionsOfTheDefinition_OnRandomProblems) {
  for (std::uint64_t seed = 0; seed < 150; ++seed) {
    const JointProblem problem = random_problem(seed);
    const JointOracle oracle(problem.X, problem.D, problem.group_size);
    const double half_norm_sq = 0.5 * problem.X.squaredNorm();
    const double largest = joint_reg_max<double>(problem.X, problem.D, problem.group_size);
    for (const double fraction : {0.7, 0.2, 0.02}) {
      const auto result = joint_encode<double>(problem.X, problem.D, Reg::fraction_of_max(fraction),
                                               {.tol = 1e-11, .group_size = problem.group_size});
      EXPECT_NEAR(result.reg, fraction * largest, 1e-15 * largest);
      const double gap = oracle.gap(result.codes, result.reg);
      EXPECT_LE(gap, 1e-10 * half_norm_sq) << "seed " << seed << ", fraction " << fraction << ", sweeps " << result.n_iter;
      EXPECT_NEAR(gap, result.gap, 1e-13 * half_norm_sq) << "seed " << seed;
      EXPECT_EQ(result.status, Status::converged) << "seed " << seed;
      // The gap bounds || D (Z - Z*) ||^2 / 2, and so the violation up to the square root of it.
      const double bound = problem.D.colwise().norm().maxCoeff() * std::sqrt(2e-11 * half_norm_sq * problem.group_size);
      EXPECT_LE(oracle.kkt_violation(result.codes, result.reg), 4 * bound + 1e-9 * result.reg) << "seed " << seed;
      for (Index g = 0; g < problem.D.cols() / problem.group_size; ++g)
        EXPECT_EQ(std::count(result.support.begin(), result.support.end(), g) == 1,
                  !result.codes.middleRows(g * problem.group_size, problem.group_size).isZero(0));
    }
  }
}

TEST(JointEncode, EqualsTheLassoOfEncode_ForOneSignal) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    Draw draw(9300 + seed);
    const Matrix<double> D = draw.atoms(30, 70, 0.5), x = draw.normal_matrix(30, 1);
    const auto joint = joint_encode<double>(x, D, Reg::fraction_of_max(0.1), {.tol = 1e-14});
    const auto lasso = encode<double>(x, DenseDictionary(D), Reg::fraction_of_max(0.1), {.tol = 1e-14});
    EXPECT_LE((joint.codes - lasso.codes).norm(), 1e-6 * lasso.codes.norm()) << "seed " << seed;
    EXPECT_NEAR(joint.objective, lasso.objective(0), 1e-13 * lasso.objective(0));
    EXPECT_NEAR(joint_reg_max<double>(x, D), reg_max<double>(x, DenseDictionary(D))(0), 1e-14);
  }
}

TEST(JointEncode, ShrinksEveryRowByItself_WhereAtomsAreOrthonormal) {
  Draw draw(9400);
  const Matrix<double> D = orthogonal_factor(draw.normal_matrix(40, 40)), X = draw.normal_matrix(40, 7);
  const double reg = 2.5;
  const auto result = joint_encode<double>(X, D, reg, {.tol = 1e-15});
  ASSERT_GT(result.support.size(), 5u);
  ASSERT_LT(result.support.size(), 40u);
  for (Index j = 0; j < 40; ++j) {
    const Eigen::RowVectorXd c = D.col(j).transpose() * X;
    EXPECT_LE((result.codes.row(j) - std::max(0.0, 1 - reg / c.norm()) * c).norm(), 1e-13) << j;
  }
}

TEST(JointEncode, TurnsWithTheSignals_WhenTheyAreMixedByARotation) {
  Draw draw(9500);
  const Matrix<double> D = draw.atoms(25, 50, 0.6), X = draw.normal_matrix(25, 8);
  const Matrix<double> V = orthogonal_factor(draw.normal_matrix(8, 8));
  const auto plain = joint_encode<double>(X, D, 1.5, {.tol = 1e-14}),
             turned = joint_encode<double>(X * V, D, 1.5, {.tol = 1e-14});
  EXPECT_EQ(plain.support, turned.support);
  EXPECT_LE((plain.codes * V - turned.codes).norm(), 1e-6 * plain.codes.norm());
}

template <class T>
class JointPrecision : public ::testing::Test {};
TYPED_TEST_SUITE(JointPrecision, BothPrecisions, PrecisionName);

TYPED_TEST(JointPrecision, GivesZeroAtRegMaxAndSomethingBelow) {
  using T = TypeParam;
  for (const Index group_size : {1, 3}) {
    Draw draw(9600);
    const DenseDictionary<T> D(draw.atoms(20, 30).cast<T>());
    const Matrix<T> X = draw.normal_matrix(20, 6).cast<T>();
    const double largest = joint_reg_max<T>(X, D, group_size);
    for (const Reg& reg : {Reg(largest), Reg::fraction_of_max(1), Reg(2 * largest)}) {
      const auto zero = joint_encode<T>(X, D, reg, {.group_size = group_size});
      EXPECT_TRUE(zero.codes.isZero(0));
      EXPECT_TRUE(zero.support.empty());
      EXPECT_EQ(zero.status, Status::converged);
      EXPECT_LE(zero.gap, 1e-15 * zero.objective);
    }
    EXPECT_FALSE(joint_encode<T>(X, D, 0.999 * largest, {.group_size = group_size}).support.empty());
  }
}

TYPED_TEST(JointPrecision, ReportsTheGapOfTheCodesAsReturned) {
  using T = TypeParam;
  Draw draw(9700);
  const DenseDictionary<T> D(draw.atoms(40, 90, 0.9).cast<T>());
  const Matrix<T> X = draw.normal_matrix(40, 12).cast<T>();
  const auto result = joint_encode<T>(X, D, Reg::fraction_of_max(0.1));
  EXPECT_EQ(result.status, Status::converged);
  const double half_norm_sq = 0.5 * X.template cast<double>().squaredNorm();
  const JointOracle oracle(X.template cast<double>(), D.atoms().template cast<double>());
  EXPECT_NEAR(oracle.gap(result.codes.template cast<double>(), result.reg), result.gap, 1e-13 * half_norm_sq);
  EXPECT_LE(result.gap, 1e-6 * half_norm_sq);
}

TEST(JointEncode, SaysSoWhenSweepsRunOut_AndStillCertifies) {
  Draw draw(9800);
  const Matrix<double> D = draw.atoms(30, 80, 0.98), X = draw.normal_matrix(30, 10);
  const auto result = joint_encode<double>(X, D, Reg::fraction_of_max(0.01), {.tol = 1e-12, .max_iter = 20});
  EXPECT_EQ(result.status, Status::max_iter_reached);
  EXPECT_LE(result.n_iter, 20);
  EXPECT_NEAR(result.gap, JointOracle(X, D).gap(result.codes, result.reg), 1e-13 * X.squaredNorm());
}

TEST(JointEncode, StopsWhenAsked) {
  Draw draw(9801);
  const Matrix<double> D = draw.atoms(30, 80, 0.98), X = draw.normal_matrix(30, 10);
  EXPECT_THROW(joint_encode<double>(X, D, 0.01, {.tol = 0, .execution = {.n_threads = 1, .stop_requested = [] { return true; }}}),
               Interrupted);
}

TEST(JointCertificate, BoundsTheDistanceFromTheOptimum_AtAnyCodes) {
  Draw draw(9900);
  const Matrix<double> D = draw.atoms(20, 40), X = draw.normal_matrix(20, 5);
  const double reg = 0.3 * joint_reg_max<double>(X, D);
  const double optimum = joint_encode<double>(X, D, reg, {.tol = 1e-14}).objective;
  for (int k = 0; k < 50; ++k) {
    const Matrix<double> Z = draw.log_uniform(1e-3, 1) * draw.sparse_matrix(40, 5, 0.2);
    const JointCertificate certificate = joint_certificate<double>(X, D, Z, reg);
    EXPECT_GE(certificate.gap, certificate.objective - optimum - 1e-12);
    EXPECT_NEAR(certificate.gap, JointOracle(X, D).gap(Z, reg), 1e-13 * X.squaredNorm());
  }
}

TEST(JointBadInput, IsRefusedInOneSentence) {
  const DenseDictionary<double> D(Draw(9901).atoms(4, 6));
  const Matrix<double> X = Draw(9902).normal_matrix(4, 3), wrong = Matrix<double>::Ones(5, 3);
  Matrix<double> nan = X;
  nan(1, 2) = std::nan("");
  const BadInput table[] = {
      {"joint_encode: signals have 5 features but atoms have 4; they must be equal", [&] { joint_encode<double>(wrong, D, 1); }},
      {"joint_encode: X holds no signals", [&] { joint_encode<double>(Matrix<double>(4, 0), D, 1); }},
      {"joint_encode: X holds nan at signal 2, feature 1; expected finite numbers", [&] { joint_encode<double>(nan, D, 1); }},
      {"reg: joint codes take one weight for the batch, not one per signal",
       [&] {
         joint_encode<double>(X, D, Reg(std::vector<double>{1, 1, 1}));
       }},
      {"reg: reg_max of the batch is 0, so a fraction of it is no weight",
       [&] { joint_encode<double>(Matrix<double>::Zero(4, 2), D, Reg::fraction_of_max(0.5)); }},
      {"tol = -1, must be >= 0 and finite", [&] { joint_encode<double>(X, D, 1, {.tol = -1}); }},
      {"max_iter = 0, must be >= 1", [&] { joint_encode<double>(X, D, 1, {.max_iter = 0}); }},
      {"group_size = 4, must be >= 1 and divide the number of atoms, 6",
       [&] { joint_encode<double>(X, D, 1, {.group_size = 4}); }},
      {"group_size = 0, must be >= 1 and divide the number of atoms, 6", [&] { joint_reg_max<double>(X, D, 0); }},
      {"joint_certificate: codes have shape (3, 4), expected (3, 6)", [&] { joint_certificate<double>(X, D, X, 1); }},
      {"reg = 0, must be > 0 and finite", [&] { joint_certificate<double>(X, D, Matrix<double>::Zero(6, 3), 0); }},
  };
  for (const BadInput& row : table) EXPECT_EQ(refusal_of(row.call), row.sentence);
}

TEST(JointEncode, AsksBetweenSweepsWhetherToStop) {
  Draw draw(93);
  const Matrix<double> D = draw.atoms(20, 60, 0.99), X = draw.normal_matrix(20, 30);
  int n_asked = 0;
  JointOptions options{.tol = 0};
  options.execution.stop_requested = [&] { return ++n_asked == 5; };
  EXPECT_THROW(joint_encode<double>(X, D, Reg::fraction_of_max(1e-3), options), Interrupted);
  EXPECT_EQ(n_asked, 5);
}

TEST(JointCertificate, OfNumbersThatOverflow_IsRefused) {
  Matrix<double> X(2, 1), Z(2, 1);
  X << 1e160, 1;
  Z << 1e160, -1e160;
  const Matrix<double> D = Matrix<double>::Identity(2, 2);
  EXPECT_THROW(joint_certificate<double>(X, D, Z, 1), std::invalid_argument);
}

}  // namespace
}  // namespace riata::testing
