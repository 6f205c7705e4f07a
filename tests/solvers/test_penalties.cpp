// Elastic net, group Lasso and l0, judged by oracles that share no code with the library.
#include <gtest/gtest.h>

#include <set>

#include "riata/learning/learn_dictionary.hpp"
#include "riata/solvers/certificate.hpp"
#include "riata/solvers/encode.hpp"
#include "riata/solvers/encode_stream.hpp"
#include "riata/solvers/implicit.hpp"
#include "riata/solvers/lars.hpp"
#include "support/decompositions.hpp"
#include "support/lasso_problems.hpp"
#include "support/penalty_oracles.hpp"
#include "support/precision.hpp"
#include "support/sentences.hpp"

namespace riata::testing {
namespace {

template <class T>
constexpr double least_fraction = std::is_same_v<T, double> ? 0 : 0.05;  // below, rounding alone can exceed 1e-4

int n_problems() { return n_random_problems() / 2; }

template <class T>
EncodeResult<T> solve(const LassoProblem<T>& problem, Solver method, int max_iter) {
  return encode<T>(
      problem.X, DenseDictionary(problem.D), Reg(problem.regs),
      {.method = method, .tol = promised_gap<T>, .max_iter = max_iter, .check_every = 20, .penalty = problem.penalty});
}

/// The Lasso problem of that number with an elastic net; fraction and regs now of the net's own reg_max.
template <class T>
LassoProblem<T> random_elastic_net(int seed) {
  LassoProblem<T> problem = random_lasso<T>(seed);
  Draw draw(static_cast<std::uint64_t>(seed) + 9000);
  const double l1_ratio = round_to(draw.uniform(0.05, 1), float{});
  problem.penalty.kind = PenaltyKind::elastic_net;
  problem.penalty.l1_ratio = l1_ratio;
  for (double& reg : problem.regs) reg = round_to(reg / l1_ratio, T{});
  return problem;
}

template <class T>
ElasticNetOracle oracle_of(const LassoProblem<T>& problem, Index i) {
  return {problem.D, problem.reg(i), *problem.penalty.l1_ratio, problem.penalty.weights, problem.penalty.positive};
}

std::vector<std::int64_t> random_groups(Draw& draw, Index n_atoms) {
  std::vector<std::int64_t> groups(static_cast<std::size_t>(n_atoms));
  const int n_groups = std::max(1, static_cast<int>(n_atoms) / draw.integer(1, 6));
  for (auto& group : groups) group = 7 * draw.integer(0, n_groups - 1) + 3;  // neither in order nor without holes
  return groups;
}

template <class T>
GroupOracle group_oracle_of(const LassoProblem<T>& problem) {
  return {problem.D, problem.penalty.groups, problem.penalty.weights, problem.penalty.positive};
}

template <class T>
LassoProblem<T> random_group_lasso(int seed) {
  LassoProblem<T> problem = random_lasso<T>(seed);
  Draw draw(static_cast<std::uint64_t>(seed) + 7000);
  problem.penalty = {
      .positive = problem.penalty.positive, .kind = PenaltyKind::group, .groups = random_groups(draw, problem.D.cols())};
  const std::set<std::int64_t> labels(problem.penalty.groups.begin(), problem.penalty.groups.end());
  if (seed % 4 >= 2) problem.penalty.weights = draw.weights(std::ssize(labels));
  const auto oracle = group_oracle_of(problem);
  for (Index i = 0; i < problem.X.cols(); ++i) {
    const double largest = oracle.reg_max(problem.X.col(i));
    problem.regs[static_cast<std::size_t>(i)] = round_to(largest > 0 ? problem.fraction * largest : 0.5, T{});
  }
  return problem;
}

template <class T>
class Penalties : public ::testing::Test {};
TYPED_TEST_SUITE(Penalties, BothPrecisions, PrecisionName);

TYPED_TEST(Penalties, ElasticNetReachesThePromisedGap_WithEveryMethodThatCan) {
  using T = TypeParam;
  for (int seed = 0; seed < n_problems(); ++seed) {
    const auto problem = random_elastic_net<T>(seed);
    if (problem.fraction < least_fraction<T>) continue;
    const bool easy = problem.fraction >= 0.1 && problem.coherence() < 0.9;
    std::vector<Solver> methods = {Solver::coordinate_descent, Solver::fista};
    if (easy) methods.insert(methods.end(), {Solver::ista, Solver::oista, Solver::backtracking});
    for (const Solver method : methods) {
      const auto result = solve(problem, method, 200'000);
      for (Index i = 0; i < problem.X.cols(); ++i) {
        const auto oracle = oracle_of(problem, i);
        const Vector<T> x = problem.X.col(i), z = result.codes.col(i);
        const double scale = problem.half_norm_sq(i), objective = oracle.objective(x, z), gap = oracle.gap(x, z);
        const double rounding = std::is_same_v<T, double> ? 1e-12 : 1e-6;  // l1_ratio w_j is rounded to T
        EXPECT_LE(gap, promised_gap<T> * (1 + 1e-2) * scale) << problem.describe() << ", " << to_string(method);
        EXPECT_NEAR(result.objective(i), objective, rounding * (scale + objective)) << problem.describe();
        EXPECT_NEAR(result.gap(i), gap, rounding * (scale + objective) + 1e-9 * gap) << problem.describe();
        EXPECT_EQ(result.status[static_cast<std::size_t>(i)], Status::converged) << problem.describe();
        EXPECT_TRUE(!problem.penalty.positive || z.minCoeff() >= T(0));
      }
    }
  }
}

TYPED_TEST(Penalties, GroupLassoReachesThePromisedGap_WithEveryMethodThatCan) {
  using T = TypeParam;
  for (int seed = 0; seed < n_problems(); ++seed) {
    const auto problem = random_group_lasso<T>(seed);
    if (problem.fraction < least_fraction<T>) continue;
    const bool easy = problem.fraction >= 0.1 && problem.coherence() < 0.9;
    std::vector<Solver> methods = {Solver::fista};
    if (easy) methods.insert(methods.end(), {Solver::ista, Solver::backtracking});
    const auto oracle = group_oracle_of(problem);
    for (const Solver method : methods) {
      const auto result = solve(problem, method, 200'000);
      for (Index i = 0; i < problem.X.cols(); ++i) {
        const Vector<T> x = problem.X.col(i), z = result.codes.col(i);
        const double scale = problem.half_norm_sq(i), objective = oracle.objective(x, z, problem.reg(i));
        const double gap = oracle.gap(x, z, problem.reg(i));
        EXPECT_LE(gap, promised_gap<T> * (1 + 1e-4) * scale) << problem.describe() << ", " << to_string(method);
        EXPECT_NEAR(result.objective(i), objective, 1e-12 * (scale + objective)) << problem.describe();
        EXPECT_GE(result.gap(i), gap - 1e-12 * (scale + objective)) << problem.describe();
        const double hidden = 5e-12 * (scale + objective);  // the certificate adds what rounding may hide
        EXPECT_LE(result.gap(i), gap * (1 + 1e-9) + hidden) << problem.describe();
        EXPECT_EQ(result.status[static_cast<std::size_t>(i)], Status::converged) << problem.describe();
        EXPECT_TRUE(!problem.penalty.positive || z.minCoeff() >= T(0));
      }
    }
  }
}

TYPED_TEST(Penalties, CertificateFunctionsEqualTheirDefinitions_AtAnyCode) {
  using T = TypeParam;
  const double rounding = std::is_same_v<T, double> ? 1e-12 : 1e-6;
  for (int seed = 0; seed < n_problems(); ++seed) {
    Draw draw(static_cast<std::uint64_t>(seed) + 5000);
    for (const auto& problem : {random_elastic_net<T>(seed), random_group_lasso<T>(seed)}) {
      Matrix<T> Z = draw.sparse_matrix(problem.D.cols(), problem.X.cols(), 0.2).template cast<T>();
      if (problem.penalty.positive) Z = Z.cwiseAbs();
      const Reg reg(problem.regs);
      const auto objective = lasso_objective<T>(problem.X, DenseDictionary(problem.D), Z, reg, problem.penalty);
      const auto gap = duality_gap<T>(problem.X, DenseDictionary(problem.D), Z, reg, problem.penalty);
      const auto violation = kkt_violation<T>(problem.X, DenseDictionary(problem.D), Z, reg, problem.penalty);
      for (Index i = 0; i < problem.X.cols(); ++i) {
        const auto expect = [&](double f, double g, double v) {
          EXPECT_NEAR(objective(i), f, rounding * f) << problem.describe();
          EXPECT_NEAR(gap(i), g, rounding * f) << problem.describe();
          EXPECT_NEAR(violation(i), v, rounding * (1 + f)) << problem.describe();
        };
        const Vector<T> x = problem.X.col(i), z = Z.col(i);
        if (problem.penalty.kind == PenaltyKind::group) {
          const auto oracle = group_oracle_of(problem);
          expect(oracle.objective(x, z, problem.reg(i)), oracle.gap(x, z, problem.reg(i)),
                 oracle.kkt_violation(x, z, problem.reg(i)));
        } else {
          const auto oracle = oracle_of(problem, i);
          expect(oracle.objective(x, z), oracle.gap(x, z), oracle.kkt_violation(x, z));
        }
      }
    }
  }
}

TYPED_TEST(Penalties, ElasticNetOfL1AloneIsL1_BitForBit) {
  using T = TypeParam;
  for (int seed = 0; seed < 24; ++seed) {
    const auto l1 = random_lasso<T>(seed);
    auto net = l1;
    net.penalty.kind = PenaltyKind::elastic_net;
    net.penalty.l1_ratio = 1;
    for (const Solver method : {Solver::coordinate_descent, Solver::fista, Solver::ista, Solver::oista, Solver::backtracking}) {
      const auto a = solve(l1, method, 300), b = solve(net, method, 300);
      EXPECT_TRUE(a.codes == b.codes) << l1.describe();
      EXPECT_TRUE(a.gap == b.gap && a.objective == b.objective && a.n_iter == b.n_iter) << l1.describe();
    }
    EXPECT_TRUE(reg_max<T>(l1.X, DenseDictionary(l1.D), l1.penalty) == reg_max<T>(net.X, DenseDictionary(net.D), net.penalty));
  }
}

TYPED_TEST(Penalties, GroupsOfOneAtomAreL1) {
  using T = TypeParam;
  for (int seed = 0; seed < 24; ++seed) {
    auto l1 = random_lasso<T>(seed);
    if (l1.fraction < 0.1) continue;
    l1.penalty = {};
    auto group = l1;
    group.penalty.kind = PenaltyKind::group;
    for (Index j = l1.D.cols(); j > 0; --j) group.penalty.groups.push_back(j);
    const auto a = solve(l1, Solver::fista, 200'000), b = solve(group, Solver::fista, 200'000);
    const double tolerance = std::is_same_v<T, double> ? 1e-9 : 1e-3;
    for (Index i = 0; i < l1.X.cols(); ++i) {
      EXPECT_NEAR(a.objective(i), b.objective(i), promised_gap<T> * l1.half_norm_sq(i)) << l1.describe();
      EXPECT_LE((l1.D * (a.codes.col(i) - b.codes.col(i))).squaredNorm(), tolerance * l1.half_norm_sq(i)) << l1.describe();
    }
    EXPECT_TRUE(reg_max<T>(l1.X, DenseDictionary(l1.D), l1.penalty) ==
                reg_max<T>(group.X, DenseDictionary(group.D), group.penalty));
  }
}

TYPED_TEST(Penalties, RegMaxHasTheSameBitsInEveryBatch_AndGivesExactlyZeroCodes) {
  using T = TypeParam;
  Draw draw(191);
  Matrix<T> X = draw.normal_matrix(40, 150).template cast<T>(), D = draw.atoms(40, 90).template cast<T>();
  X.col(7).setZero();
  D.col(11) = -D.col(10);
  const std::vector<PenaltyOptions> penalties = {
      {.kind = PenaltyKind::elastic_net, .l1_ratio = 0.3},
      {.positive = true, .weights = draw.weights(90), .kind = PenaltyKind::elastic_net},
      {.kind = PenaltyKind::group, .groups = random_groups(draw, 90)},
      {.kind = PenaltyKind::l0}};
  for (const PenaltyOptions& penalty : penalties) {
    const Vector<T> all = reg_max<T>(X, DenseDictionary(D), penalty);
    for (const Index first : {0, 1, 128, 149})
      EXPECT_TRUE(reg_max<T>(X.middleCols(first, 1), DenseDictionary(D), penalty) == all.segment(first, 1));
    std::vector<double> below, same(all.begin(), all.end());
    for (const double value : same) below.push_back(0.99 * value);
    for (const Solver method : {Solver::automatic, Solver::ista}) {
      const EncodeOptions options{.method = method, .tol = 1e-4, .penalty = penalty};
      EXPECT_TRUE(encode<T>(X, DenseDictionary(D), Reg(same), options).codes.isZero(0)) << to_string(penalty.kind);
      EXPECT_TRUE(encode<T>(X, DenseDictionary(D), Reg::fraction_of_max(1), options).codes.isZero(0)) << to_string(penalty.kind);
      const auto result = encode<T>(X, DenseDictionary(D), Reg(below), options);
      for (Index i = 0; i < 150; ++i)
        EXPECT_EQ(result.codes.col(i).isZero(0), X.col(i).isZero(0) || all(i) == T(0))
            << to_string(penalty.kind) << ", signal " << i;
    }
  }
}

TYPED_TEST(Penalties, HardThresholdingNeverRaisesTheObjective_AndEndsAtAFixedPoint) {
  using T = TypeParam;
  const double tol = std::is_same_v<T, double> ? 1e-8 : 1e-6;  // correlated atoms: the last digits take millions of steps
  for (int seed = 0; seed < n_problems() / 4; ++seed) {
    auto problem = random_lasso<T>(seed);
    problem.penalty = {.kind = PenaltyKind::l0};
    const auto result = encode<T>(problem.X, DenseDictionary(problem.D), Reg::fraction_of_max(problem.fraction),
                                  {.tol = tol, .max_iter = 300'000, .record = true, .penalty = problem.penalty});
    EXPECT_EQ(result.method, Solver::ista);
    const Eigen::MatrixXd D = problem.D.template cast<double>();
    const double L = lipschitz_of(D);
    const Vector<T> regs = reg_max<T>(problem.X, DenseDictionary(problem.D), problem.penalty) * static_cast<T>(problem.fraction);
    for (Index i = 0; i < problem.X.cols(); ++i) {
      const double scale = problem.half_norm_sq(i), reg = static_cast<double>(regs(i));
      EXPECT_EQ(result.status[static_cast<std::size_t>(i)], Status::converged) << problem.describe();
      EXPECT_TRUE(std::isnan(result.gap(i)));
      double before = scale;
      for (const double objective : result.trace[static_cast<std::size_t>(i)].objective) {
        EXPECT_LE(objective, before + 20 * epsilon<T> * scale) << problem.describe();
        before = objective;
      }
      const Eigen::VectorXd x = problem.X.col(i).template cast<double>(), z = result.codes.col(i).template cast<double>();
      EXPECT_NEAR(result.objective(i), 0.5 * (x - D * z).squaredNorm() + reg * static_cast<double>((z.array() != 0).count()),
                  1e-12 * scale);
      // z = H(v) with ties, and rounding, on either side of the threshold.
      const Eigen::VectorXd v = z - D.transpose() * (D * z - x) / L;
      const double threshold = std::sqrt(2 * reg / L), slack = 100 * tol * (z.norm() + threshold);
      for (Index j = 0; j < z.size(); ++j) {
        if (z(j) != 0) {
          EXPECT_NEAR(v(j), z(j), slack) << problem.describe();
          EXPECT_GE(std::abs(v(j)), threshold - slack) << problem.describe();
        } else {
          EXPECT_LE(std::abs(v(j)), threshold + slack) << problem.describe();
        }
      }
      const auto violation = kkt_violation<T>(problem.X, DenseDictionary(problem.D), result.codes,
                                              Reg(std::vector<double>(regs.begin(), regs.end())), problem.penalty);
      EXPECT_LE(violation(i), L * slack) << problem.describe();
    }
  }
}

TEST(HardThresholding, GoesToRoundingAtTolZero_AndStartsWhereItIsTold) {
  const Matrix<double> D = Draw(301).atoms(20, 15), X = Draw(302).normal_matrix(20, 30);
  const PenaltyOptions l0{.kind = PenaltyKind::l0};
  const EncodeOptions options{.tol = 0, .max_iter = 100'000, .penalty = l0};
  const auto from_zero = encode<double>(X, DenseDictionary(D), 0.05, options);
  for (const Status status : from_zero.status) EXPECT_EQ(status, Status::converged);
  const auto again = encode<double>(X, DenseDictionary(D), 0.05, options, from_zero.codes);
  EXPECT_LE((again.codes - from_zero.codes).cwiseAbs().maxCoeff(), 1e-12);
  // At reg_max zero is a fixed point, but not the only one.
  const Matrix<double> start = encode<double>(X, DenseDictionary(D), 1e-6, options).codes;
  EXPECT_FALSE(encode<double>(X, DenseDictionary(D), Reg::fraction_of_max(1), options, start).codes.isZero(0));
  EXPECT_TRUE(encode<double>(X, DenseDictionary(D), Reg::fraction_of_max(1), options).codes.isZero(0));
}

TYPED_TEST(Penalties, BitsDoNotDependOnThreads_NorOnStreaming) {
  using T = TypeParam;
  Draw draw(401);
  const DenseDictionary<T> D(Matrix<T>(draw.atoms(16, 40).template cast<T>()));
  const Matrix<T> X = draw.normal_matrix(16, 300).template cast<T>();
  const std::vector<PenaltyOptions> penalties = {{.kind = PenaltyKind::elastic_net},
                                                 {.kind = PenaltyKind::group, .groups = random_groups(draw, 40)},
                                                 {.kind = PenaltyKind::l0}};
  for (const PenaltyOptions& penalty : penalties) {
    EncodeOptions options{.max_iter = 500, .penalty = penalty, .execution = {.n_threads = 1}};
    const auto one = encode<T>(X, D, Reg::fraction_of_max(0.2), options);
    options.execution.n_threads = 3;
    EXPECT_TRUE(encode<T>(X, D, Reg::fraction_of_max(0.2), options).codes == one.codes) << to_string(penalty.kind);
    Index n_equal = 0;
    const auto report = encode_stream<T>(X, D, Reg::fraction_of_max(0.2),
                                         [&](CodeBlock<T>&& block) {
                                           const Matrix<T> part = one.codes.middleCols(
                                               block.first, block.n_signals < 0 ? 0 : std::ssize(block.status));
                                           n_equal += to_csr<T>(part).values == block.codes.values;
                                         },
                                         {.encode = options, .block_size = 128});
    EXPECT_EQ(n_equal, 3) << to_string(penalty.kind);
    EXPECT_EQ(report.method, one.method);
    EXPECT_EQ(std::isnan(report.gap), penalty.kind == PenaltyKind::l0);
  }
}

TEST(PenaltiesBadInput, IsRefusedInOneSentence) {
  const Matrix<double> D = Matrix<double>::Identity(4, 3), X = Matrix<double>::Ones(4, 2);
  const auto with = [&](const PenaltyOptions& penalty, Solver method = Solver::automatic) {
    return [&, penalty, method] { encode<double>(X, DenseDictionary(D), 0.1, {.method = method, .penalty = penalty}); };
  };
  const std::vector<std::int64_t> groups = {0, 0, 1};
  using enum PenaltyKind;
  const BadInput table[] = {
      {"penalty = 'ridge', must be 'l1', 'elastic_net', 'group' or 'l0'", [] { parse<PenaltyKind>("ridge", "penalty"); }},
      {"l1_ratio = 0, must be > 0 and <= 1", with({.kind = elastic_net, .l1_ratio = 0})},
      {"l1_ratio = 1.5, must be > 0 and <= 1", with({.kind = elastic_net, .l1_ratio = 1.5})},
      {"l1_ratio = nan, must be > 0 and <= 1", with({.kind = elastic_net, .l1_ratio = NAN})},
      {"l1_ratio is for the penalty 'elastic_net', not for 'l1'", with({.l1_ratio = 0.5})},
      {"groups are for the penalty 'group', not for 'l1'", with({.groups = groups})},
      {"penalty = 'group' needs groups, one label >= 0 per atom", with({.kind = group})},
      {"groups: 2 entries for 3 atoms; they must be equal", with({.kind = group, .groups = {0, 1}})},
      {"groups: entry 1 is -1, must be >= 0", with({.kind = group, .groups = {0, -1, 1}})},
      {"weights: 3 entries for 2 groups; they must be equal", with({.weights = {1, 1, 1}, .kind = group, .groups = groups})},
      {"weights: entry 1 is 0, must be > 0 and finite", with({.weights = {1, 0}, .kind = group, .groups = groups})},
      {"positive is for the penalties 'l1', 'elastic_net' and 'group', not for 'l0'", with({.positive = true, .kind = l0})},
      {"weights are for the penalties 'l1', 'elastic_net' and 'group', not for 'l0'", with({.weights = {1, 1, 1}, .kind = l0})},
      {"method = 'lars' does not fit penalty = 'elastic_net'; choose one of 'auto', 'ista', 'fista', 'oista', 'backtracking', "
       "'cd'",
       with({.kind = elastic_net}, Solver::lars)},
      {"method = 'cd' does not fit penalty = 'group'; choose one of 'auto', 'ista', 'fista', 'backtracking'",
       with({.kind = group, .groups = groups}, Solver::coordinate_descent)},
      {"method = 'fista' does not fit penalty = 'l0'; choose one of 'auto', 'ista'", with({.kind = l0}, Solver::fista)},
      {"lasso_path: penalty = 'l0', must be 'l1'", [&] { lasso_path<double>(X.col(0), D, {.penalty = {.kind = l0}}); }},
      {"implicit_gradient: penalty = 'elastic_net', must be 'l1'",
       [&] { implicit_gradient<double>(X, D, 0.1, Matrix<double>::Ones(3, 2), {.penalty = {.kind = elastic_net}}); }},
      {"reg_max: X holds no signals", [&] { reg_max<double>(X.leftCols(0), DenseDictionary(D), {.kind = l0}); }},
  };
  for (const BadInput& row : table) EXPECT_EQ(refusal_of(row.call), row.sentence);
}

}  // namespace
}  // namespace riata::testing
