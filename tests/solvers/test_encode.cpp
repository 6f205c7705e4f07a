// Properties of the solvers beyond the certificate: rates, invariances, starts, threads, refusals.
#include "riata/solvers/encode.hpp"

#include <gtest/gtest.h>

#include "riata/solvers/certificate.hpp"
#include "support/lasso_oracle.hpp"
#include "support/long.hpp"
#include "support/precision.hpp"
#include "support/random_arrays.hpp"
#include "support/sentences.hpp"
#include "support/unrolled_oracle.hpp"

namespace riata::testing {
namespace {

constexpr Solver all_methods[] = {Solver::ista,  Solver::fista,        Solver::coordinate_descent,
                                  Solver::oista, Solver::backtracking, Solver::lars};
const char* name_of(Solver method) { return to_string(method); }

template <class T>
class Solvers : public ::testing::Test {
 protected:
  static constexpr double tight = std::is_same_v<T, double> ? 1e-13 : 1e-6;
  static constexpr double close = std::is_same_v<T, double> ? 1e-6 : 1e-2;

  /// More features than atoms: the solution is unique and the problem well conditioned.
  static Matrix<T> strongly_convex_atoms() { return Draw(101).atoms(60, 25).template cast<T>(); }
  static Matrix<T> signals(Index n_features, Index n_signals) {
    return Draw(102).normal_matrix(n_features, n_signals).template cast<T>();
  }
  static EncodeOptions options(Solver method, double tol = tight) {
    return {.method = method, .tol = tol, .max_iter = 20'000, .check_every = 1};
  }
  static double distance(const Matrix<T>& a, const Matrix<T>& b) {
    return static_cast<double>((a - b).norm()) / (1e-300 + static_cast<double>(b.norm()));
  }
};
TYPED_TEST_SUITE(Solvers, BothPrecisions, PrecisionName);

TYPED_TEST(Solvers, Encode_UsesTheMemoryOfAResultAgain_WhichMayBeTheStart) {
  using T = TypeParam;
  const DenseDictionary D(this->strongly_convex_atoms());
  const Matrix<T> X = this->signals(60, 200), Y = this->signals(60, 200).reverse();
  const EncodeOptions options = this->options(Solver::fista, 1e-4);
  EncodeResult<T> result;
  encode(X, D, 0.2, result, {.method = Solver::fista, .record = true});
  const T* const memory = result.codes.data();
  const auto expected = encode(Y, D, 0.2, options, result.codes);
  encode(Y, D, 0.2, result, options, result.codes);
  EXPECT_EQ(result.codes.data(), memory);
  EXPECT_EQ(result.codes, expected.codes);
  EXPECT_EQ(result.gap, expected.gap);
  EXPECT_TRUE(result.trace.empty());
}

TYPED_TEST(Solvers, AgreeOnStronglyConvexProblems) {
  using T = TypeParam;
  const Matrix<T> D = this->strongly_convex_atoms(), X = this->signals(60, 20);
  for (const PenaltyOptions& penalty : {PenaltyOptions{}, PenaltyOptions{.positive = true, .weights = Draw(103).weights(25)}}) {
    std::vector<Matrix<T>> codes;
    for (const Solver method : all_methods) {
      EncodeOptions options = this->options(method);
      options.penalty = penalty;
      codes.push_back(encode<T>(X, DenseDictionary(D), Reg::fraction_of_max(0.2), options).codes);
    }
    for (std::size_t k = 0; k < codes.size(); ++k)
      EXPECT_LE(this->distance(codes[k], codes[2]), this->close) << name_of(all_methods[k]);
    EXPECT_FALSE(codes[2].isZero(0));
  }
}

TYPED_TEST(Solvers, ScaleWithSignalsAndReg) {
  using T = TypeParam;
  const Matrix<T> D = this->strongly_convex_atoms(), X = this->signals(60, 10);
  for (const Solver method : all_methods) {
    const Matrix<T> codes = encode<T>(X, DenseDictionary(D), 0.25, this->options(method)).codes;
    const Matrix<T> doubled = encode<T>(X * T(4), DenseDictionary(D), 1.0, this->options(method)).codes;
    EXPECT_TRUE(doubled == codes * T(4)) << name_of(method);  // a power of two changes no digit
    const Matrix<T> scaled = encode<T>(X * T(1e-6), DenseDictionary(D), 0.25e-6, this->options(method)).codes;
    EXPECT_LE(this->distance(scaled * T(1e6), codes), this->close) << name_of(method);
  }
}

TYPED_TEST(Solvers, PermuteWithTheAtoms) {
  using T = TypeParam;
  const Matrix<T> D = this->strongly_convex_atoms(), X = this->signals(60, 10);
  const Matrix<T> reversed = D.rowwise().reverse();
  for (const Solver method : all_methods) {
    const Matrix<T> codes = encode<T>(X, DenseDictionary(D), 0.25, this->options(method)).codes;
    const Matrix<T> permuted = encode<T>(X, DenseDictionary(reversed), 0.25, this->options(method)).codes;
    EXPECT_LE(this->distance(permuted.colwise().reverse(), codes), this->close) << name_of(method);
  }
}

TYPED_TEST(Solvers, NeedNoMoreIterationsFromAWarmStart_ForTheSameAnswer) {
  using T = TypeParam;
  const Matrix<T> D = this->strongly_convex_atoms(), X = this->signals(60, 20);
  for (const Solver method : all_methods) {
    const EncodeOptions options = this->options(method, std::is_same_v<T, double> ? 1e-10 : 1e-5);
    const auto cold = encode<T>(X, DenseDictionary(D), 0.2, options);
    const auto again = encode<T>(X, DenseDictionary(D), 0.2, options, cold.codes);
    EXPECT_TRUE((again.n_iter.array() <= cold.n_iter.array()).all()) << name_of(method);
    if (method == Solver::lars) continue;  // its path always begins at zero
    EXPECT_LE(again.n_iter.maxCoeff(), 1 + (method == Solver::coordinate_descent ? 20
                                            : method == Solver::backtracking     ? 1
                                                                                 : 0))
        << name_of(method);
    EXPECT_LE(this->distance(again.codes, cold.codes), this->close) << name_of(method);
    const auto near = encode<T>(X, DenseDictionary(D), 0.21, options);
    const auto warm = encode<T>(X, DenseDictionary(D), 0.2, options, near.codes);
    EXPECT_LE(warm.n_iter.sum(), cold.n_iter.sum()) << name_of(method);
    EXPECT_LE(this->distance(warm.codes, cold.codes), 10 * this->close) << name_of(method);
  }
}

TYPED_TEST(Solvers, GiveTheSameBitsForAnyNumberOfThreads) {
  using T = TypeParam;
  const Matrix<T> D = Draw(104).atoms(30, 70).template cast<T>(), X = this->signals(30, 600);
  for (const Solver method : all_methods) {
    const auto run = [&](int n_threads) {
      EncodeOptions options = this->options(method, 1e-4);
      options.execution.n_threads = n_threads;
      return encode<T>(X, DenseDictionary(D), Reg::fraction_of_max(0.3), options);
    };
    const auto one = run(1);
    for (const int n_threads : {2, 3}) {
      const auto many = run(n_threads);
      EXPECT_TRUE(many.codes == one.codes) << name_of(method) << ", " << n_threads << " threads";
      EXPECT_TRUE(many.gap == one.gap) << name_of(method) << ", " << n_threads << " threads";
      EXPECT_TRUE(many.objective == one.objective) << name_of(method) << ", " << n_threads << " threads";
      EXPECT_TRUE(many.n_iter == one.n_iter) << name_of(method) << ", " << n_threads << " threads";
    }
  }
}

TYPED_TEST(Solvers, MakeNegativeStartsFeasible_WhenCodesMustBePositive) {
  using T = TypeParam;
  const Matrix<T> D = this->strongly_convex_atoms(), X = this->signals(60, 5);
  const Matrix<T> init = Matrix<T>::Constant(25, 5, T(-3));
  for (const Solver method : all_methods) {
    EncodeOptions options = this->options(method);
    options.penalty.positive = true;
    const auto started = encode<T>(X, DenseDictionary(D), 0.2, options, init),
               plain = encode<T>(X, DenseDictionary(D), 0.2, options);
    EXPECT_GE(started.codes.minCoeff(), T(0));
    EXPECT_LE(this->distance(started.codes, plain.codes), this->close) << name_of(method);
  }
}

TYPED_TEST(Solvers, SatisfyTheOptimalityConditions_OnDictionariesWithOneAtomOrOneFeature) {
  using T = TypeParam;
  for (const auto& [n, m] : {std::pair<Index, Index>{1, 1}, {1, 8}, {8, 1}}) {
    const Matrix<T> D = Draw(105).atoms(n, m).template cast<T>(), X = this->signals(n, 3);
    const LassoOracle oracle(D, {}, false);
    for (const Solver method : all_methods) {
      const auto result = encode<T>(X, DenseDictionary(D), 0.125, this->options(method));
      for (Index i = 0; i < 3; ++i)
        EXPECT_LE(oracle.kkt_violation(X.col(i), result.codes.col(i), 0.125), this->close * X.norm()) << name_of(method);
    }
  }
}

TEST(Ista, NeverRaisesTheObjective_AndKeepsItsRate) {
  const Matrix<double> D = Draw(106).atoms(15, 40), X = Draw(107).normal_matrix(15, 6);
  const double L = lipschitz_of(D);
  const LassoOracle oracle(D, {}, false);
  const auto best = encode<double>(X, DenseDictionary(D), 0.2, {.method = Solver::coordinate_descent, .tol = 1e-14});
  Vector<double> before = Vector<double>::Constant(6, INFINITY);
  for (int k = 1; k <= 80; ++k) {
    const auto result = encode<double>(X, DenseDictionary(D), 0.2, {.method = Solver::ista, .tol = 0, .max_iter = k});
    for (Index i = 0; i < 6; ++i) {
      const double objective = oracle.objective(X.col(i), result.codes.col(i), 0.2);
      const double least = oracle.objective(X.col(i), best.codes.col(i), 0.2);
      EXPECT_LE(objective, before(i) * (1 + 1e-15)) << "iteration " << k;
      EXPECT_LE(objective - least, L * best.codes.col(i).squaredNorm() / (2 * k)) << "iteration " << k;
      EXPECT_EQ(result.n_iter(i), k);
      before(i) = objective;
    }
  }
}

TEST(Fista, KeepsTheRateOfBeckAndTeboulle) {
  const Matrix<double> D = Draw(108).atoms(15, 40), X = Draw(109).normal_matrix(15, 6);
  const double L = lipschitz_of(D);
  const LassoOracle oracle(D, {}, false);
  const auto best = encode<double>(X, DenseDictionary(D), 0.05, {.method = Solver::coordinate_descent, .tol = 1e-14});
  for (int k = 1; k <= 200; ++k) {
    const auto result = encode<double>(X, DenseDictionary(D), 0.05,
                                       {.method = Solver::fista, .tol = 0, .max_iter = k, .restart = Restart::never});
    for (Index i = 0; i < 6; ++i) {
      const double excess =
          oracle.objective(X.col(i), result.codes.col(i), 0.05) - oracle.objective(X.col(i), best.codes.col(i), 0.05);
      EXPECT_LE(excess, 2 * L * best.codes.col(i).squaredNorm() / ((k + 1.0) * (k + 1.0))) << "iteration " << k;
    }
  }
}

TEST(Fista, WithoutRestart_RunsTheLayersOfItsDefinition) {
  const Matrix<double> D = Draw(110).atoms(15, 40), X = Draw(111).normal_matrix(15, 4);
  for (const Solver method : {Solver::ista, Solver::fista}) {
    const OracleNetwork net{
        .accelerate = method == Solver::fista, .lipschitz = lipschitz_of(D), .weights = Eigen::VectorXd::Ones(40)};
    const OracleInput input{
        .D = D, .X = X, .target = {}, .steps = Eigen::VectorXd::Ones(30), .reg = Eigen::VectorXd::Constant(4, 0.1)};
    const auto result =
        encode<double>(X, DenseDictionary(D), 0.1, {.method = method, .tol = 0, .max_iter = 30, .restart = Restart::never});
    EXPECT_LE((result.codes - run_network(net, input).z.back()).cwiseAbs().maxCoeff(), 1e-12) << name_of(method);
  }
}

TEST(Fista, NeedsFewerIterationsWithRestart) {
  const Matrix<double> D = Draw(112).atoms(60, 25), X = Draw(113).normal_matrix(60, 10);
  EncodeOptions options{.method = Solver::fista, .tol = 1e-12, .max_iter = 100'000, .check_every = 1};
  const auto restarted = encode<double>(X, DenseDictionary(D), 0.1, options);
  options.restart = Restart::never;
  const auto plain = encode<double>(X, DenseDictionary(D), 0.1, options);
  EXPECT_LT(restarted.n_iter.sum(), plain.n_iter.sum());
}

TEST(Encode, SaysWhatTheAutomaticMethodPicked) {
  const auto picked = [](const Matrix<double>& D, Index n_signals, double fraction, const EncodeOptions& options = {},
                         const OptionalMatrixRef<double>& init = {}) {
    const Matrix<double> X = Draw(116).normal_matrix(D.rows(), n_signals);
    return encode<double>(X, DenseDictionary(D), Reg::fraction_of_max(fraction), options, init).method;
  };
  const Matrix<double> small = Draw(114).atoms(8, 30), wide = Draw(115).atoms(40, 640), huge = Draw(116).atoms(2, 8193);
  EXPECT_EQ(picked(small, 5, 0.5, {.method = Solver::ista}), Solver::ista);
  EXPECT_EQ(picked(small, 1, 0.5), Solver::coordinate_descent) << "a Gram matrix does not pay";
  EXPECT_EQ(picked(small, 5, 0.5), Solver::lars);
  EXPECT_EQ(picked(small, 5, 0.5, {.max_iter = 10}), Solver::coordinate_descent) << "the path might not arrive";
  EXPECT_EQ(picked(small, 5, 0.5, {.penalty = {.kind = PenaltyKind::elastic_net}}), Solver::coordinate_descent);
  EXPECT_EQ(picked(small, 5, 0.5, {}, Matrix<double>::Zero(30, 5)), Solver::coordinate_descent) << "has a use for a start";
  EXPECT_EQ(picked(wide, 40, 0.5), Solver::coordinate_descent) << "sqrt(640) 0.5 > 26 / sqrt(40)";
  EXPECT_EQ(picked(wide, 40, 0.05), Solver::lars);
  EXPECT_EQ(picked(huge, 140, 0.9), Solver::coordinate_descent);
}

TEST(Encode, AutomaticMethodDoesNotCountSignalsOfZeros) {
  const Matrix<double> D = Draw(114).atoms(8, 30);
  Matrix<double> X = Draw(116).normal_matrix(8, 40);
  for (const Index first : {0, 10}) {
    Matrix<double> with_zeros = X;
    with_zeros.middleCols(first, 30).setZero();
    EXPECT_EQ(encode<double>(with_zeros, DenseDictionary(D), Reg::fraction_of_max(0.3)).method, Solver::lars);
    EXPECT_EQ(encode<double>(with_zeros, DenseDictionary(D), 0.3).method, Solver::lars);
  }
}

TEST(Encode, AutomaticMethodGoesOnWhereTheRoundingOfAPathsCodesIsTooLarge) {
  const Index n = 64;
  const Matrix<float> D = Matrix<float>::Ones(n, n).triangularView<Eigen::Lower>();  // steps: codes cancel
  const Matrix<float> X = Draw(117).normal_matrix(n, 128).cast<float>();
  const Reg reg = Reg::fraction_of_max(0.1);
  const auto path = encode<float>(X, DenseDictionary(D), reg, {.method = Solver::lars});
  const auto picked = encode<float>(X, DenseDictionary(D), reg);
  EXPECT_EQ(picked.method, Solver::lars);
  EXPECT_GT(std::ranges::count(picked.status, Status::converged), std::ranges::count(path.status, Status::converged) + 10);
  for (Index i = 0; i < 128; ++i) EXPECT_LE(picked.gap(i), path.gap(i));
}

TEST(Encode, CoordinateDescentNeedsNoGramMatrix) {
  const Index m = 300;
  const DenseDictionary<double> D(Draw(122).atoms(30, m));
  const Matrix<double> X = Draw(123).normal_matrix(30, 20);
  std::vector<double> weights(static_cast<std::size_t>(m));
  for (Index j = 0; j < m; ++j) weights[static_cast<std::size_t>(j)] = 0.5 + 0.01 * static_cast<double>(j % 100);
  const PenaltyOptions penalties[] = {
      {}, {.positive = true}, {.weights = weights}, {.kind = PenaltyKind::elastic_net, .l1_ratio = 0.8}};
  for (const PenaltyOptions& penalty : penalties)
    for (const double fraction : {0.02, 0.4}) {
      const EncodeOptions options{.method = Solver::coordinate_descent, .tol = 1e-12, .penalty = penalty};
      const Reg reg = Reg::fraction_of_max(fraction);
      const auto by_gram = encode<double>(X, D, reg, options);
      for (Index i = 0; i < X.cols(); ++i) {
        const Matrix<double> x = X.col(i);
        const auto by_atoms = encode<double>(x, D, reg, options);  // one signal does not repay the matrix
        const double allowed = 1e-12 * 0.5 * x.squaredNorm();
        EXPECT_EQ(by_atoms.status[0], Status::converged);
        EXPECT_LE(duality_gap<double>(x, D, by_atoms.codes, reg, penalty)(0), allowed);
        EXPECT_NEAR(by_atoms.objective(0), by_gram.objective(i), allowed);
        const auto on = encode<double>(x, D, reg, options, by_gram.codes.middleCols(i, 1));
        EXPECT_LE(on.n_iter(0), 1) << "starts where it ends";
      }
    }
}

TEST(Encode, StopsPerSignal_AndSaysWhichOnesItLeftUnfinished) {
  Matrix<double> X = Draw(117).normal_matrix(20, 3);
  X.col(1).setZero();
  const auto result = encode<double>(X, DenseDictionary(Draw(118).atoms(20, 60)), 0.01, {.method = Solver::ista, .max_iter = 3});
  EXPECT_EQ(result.status[0], Status::max_iter_reached);
  EXPECT_EQ(result.status[1], Status::converged);
  EXPECT_EQ(result.n_iter(0), 3);
  EXPECT_EQ(result.n_iter(1), 0);
  EXPECT_EQ(result.gap(1), 0);
}

TEST(Encode, LeavesADictionaryOfZerosAtZero) {
  const Matrix<double> X = Draw(119).normal_matrix(4, 2);
  for (const Solver method : all_methods)
    EXPECT_TRUE(encode<double>(X, DenseDictionary<double>(Matrix<double>::Zero(4, 3)), 0.1, {.method = method}).codes.isZero(0));
}

TEST(Encode, StopsWhenAskedTo) {
  const Matrix<double> D = Draw(120).atoms(20, 60), X = Draw(121).normal_matrix(20, 2000);
  int polls = 0;
  EncodeOptions options;
  options.execution.stop_requested = [&] { return ++polls > 1; };
  EXPECT_ANY_THROW(encode<double>(X, DenseDictionary(D), 0.01, options));
}

TEST(SolverNames, ParseToWhatTheySay) {
  EXPECT_EQ(parse<Solver>("auto", "method"), Solver::automatic);
  EXPECT_EQ(parse<Solver>("ista", "method"), Solver::ista);
  EXPECT_EQ(parse<Solver>("fista", "method"), Solver::fista);
  EXPECT_EQ(parse<Solver>("cd", "method"), Solver::coordinate_descent);
  EXPECT_EQ(parse<Solver>("oista", "method"), Solver::oista);
  EXPECT_EQ(parse<Solver>("backtracking", "method"), Solver::backtracking);
  for (const Solver method : all_methods) EXPECT_EQ(parse<Solver>(to_string(method), "method"), method);
  EXPECT_EQ(parse<Momentum>("chambolle_dossal", "momentum"), Momentum::chambolle_dossal);
  EXPECT_EQ(parse<Restart>("objective", "restart"), Restart::objective);
  EXPECT_EQ(parse<SupportNorm>("estimated", "support_norm"), SupportNorm::estimated);
}

TEST(SolversBadInput, IsRefusedInOneSentence) {
  const DenseDictionary<double> D(Draw(122).atoms(4, 6));
  const Matrix<double> X = Draw(123).normal_matrix(4, 3), Z = Matrix<double>::Zero(6, 3), wrong = Matrix<double>::Ones(5, 3);
  Matrix<double> bad = X, bad_codes = Z, negative = Z;
  bad(3, 0) = NAN;
  bad_codes(2, 1) = INFINITY;
  negative(0, 2) = -0.5;
  const auto with = [&](const EncodeOptions& options) { return [&, options] { encode<double>(X, D, 0.1, options); }; };
  const Reg two_entries(std::vector<double>{1, 2});
  const BadInput table[] = {
      {"tol = -1, must be >= 0 and finite", with({.tol = -1})},
      {"tol = nan, must be >= 0 and finite", with({.tol = NAN})},
      {"max_iter = 0, must be >= 1", with({.max_iter = 0})},
      {"check_every = 0, must be >= 1", with({.check_every = 0})},
      {"n_threads = -1, must be >= 0 (0 means all cores)", with({.execution = {.n_threads = -1, .stop_requested = {}}})},
      {"weights: 2 entries for 6 atoms; they must be equal", with({.penalty = {.positive = false, .weights = {1, 2}}})},
      {"encode: X holds no signals", [&] { encode<double>(Matrix<double>(4, 0), D, 0.1); }},
      {"encode: signals have 5 features but atoms have 4; they must be equal", [&] { encode<double>(wrong, D, 0.1); }},
      {"encode: X holds nan at signal 0, feature 3; expected finite numbers", [&] { encode<double>(bad, D, 0.1); }},
      {"encode: init has shape (3, 5), expected (3, 6)", [&] { encode<double>(X, D, 0.1, {}, wrong); }},
      {"encode: init holds inf at signal 1, atom 2; expected finite numbers", [&] { encode<double>(X, D, 0.1, {}, bad_codes); }},
      {"reg: 2 entries for 3 signals; they must be equal", [&] { encode<double>(X, D, two_entries); }},
      {"reg = 0, must be > 0 and finite", [&] { encode<double>(X, D, 0.0); }},
      {"method = 'ksvd', must be 'auto', 'ista', 'fista', 'oista', 'backtracking', 'cd' or 'lars'",
       [] { parse<Solver>("ksvd", "method"); }},
      {"momentum = 'heavy', must be 'beck_teboulle', 'chambolle_dossal' or 'greedy'",
       [] { parse<Momentum>("heavy", "momentum"); }},
      {"restart = 'yes', must be 'gradient', 'objective' or 'never'", [] { parse<Restart>("yes", "restart"); }},
      {"support_norm = 'svd', must be 'estimated' or 'exact'", [] { parse<SupportNorm>("svd", "support_norm"); }},
      {"momentum_delay = 1.5, must be >= 2 and finite", with({.momentum_delay = 1.5})},
      {"momentum 'greedy' never settles without restarts; choose restart = 'gradient' or 'objective'",
       with({.momentum = Momentum::greedy, .restart = Restart::never})},
      {"shrink = 1, must be between 0 and 1", with({.shrink = 1})},
      {"first_step = 0, must be > 0 and finite", with({.first_step = 0})},
      {"encode: record is for the methods 'ista', 'fista', 'oista' and 'backtracking', not for 'cd'",
       with({.method = Solver::coordinate_descent, .record = true})},
      {"lasso_objective: codes have shape (3, 5), expected (3, 6)", [&] { lasso_objective<double>(X, D, wrong, 0.1); }},
      {"lasso_objective: X holds no signals",
       [&] { lasso_objective<double>(Matrix<double>(4, 0), D, Matrix<double>(6, 0), 0.1); }},
      {"duality_gap: Z holds inf at signal 1, atom 2; expected finite numbers",
       [&] { duality_gap<double>(X, D, bad_codes, 0.1); }},
      {"kkt_violation: positive=True but Z holds the negative code -0.5",
       [&] { kkt_violation<double>(X, D, negative, 0.1, {.positive = true, .weights = {}}); }},
      {"reg_max: X holds nan at signal 0, feature 3; expected finite numbers", [&] { reg_max<double>(bad, D); }},
      {"reg: learning takes one weight for the batch, not one per signal",
       [&] { resolve_batch_reg<double>(two_entries, X, D, {}, {}); }},
      {"reg: reg_max of the batch is 0 (all signals are zero), so a fraction of it is no weight",
       [&] { resolve_batch_reg<double>(Reg::fraction_of_max(0.1), Matrix<double>::Zero(4, 3), D, {}, {}); }},
  };
  for (const BadInput& row : table) EXPECT_EQ(refusal_of(row.call), row.sentence);
}

TEST(CoordinateDescent, StaysAccurateAndGivesUpEarly_WhereRoundingPutsTheTargetOutOfReach) {
  const Matrix<float> D = Draw(121).atoms(64, 256).cast<float>();
  const Matrix<float> X = Draw(122).normal_matrix(64, 20).cast<float>();
  const auto result =
      encode<float>(X, DenseDictionary(D), Reg::fraction_of_max(0.05), {.method = Solver::coordinate_descent, .tol = 1e-9});
  for (Index i = 0; i < X.cols(); ++i)
    EXPECT_LE(result.gap(i), 2e-5 * 0.5 * static_cast<double>(X.col(i).squaredNorm())) << "signal " << i;
  EXPECT_LE(result.n_iter.maxCoeff(), 1000);
}

TEST(CoordinateDescent, SolvesWhereTheSupportIsLargerThanTheWorkingSet) {
  Draw draw(123);
  const Index n = is_long() ? 900 : 450, m = 4 * n / 3;
  const Matrix<double> D = draw.atoms(n, m), X = draw.normal_matrix(n, 1);
  const auto result =
      encode<double>(X, DenseDictionary(D), Reg::fraction_of_max(0.005), {.method = Solver::coordinate_descent, .tol = 1e-6});
  EXPECT_GT((result.codes.array() != 0).count(), 2 * n / 3);
  EXPECT_EQ(result.status[0], Status::converged);
  EXPECT_LE(duality_gap<double>(X, DenseDictionary(D), result.codes, Reg::fraction_of_max(0.005))(0),
            1e-6 * 0.5 * X.squaredNorm());
}

/// The gap may rise for a while on its way down: no reason to give up. Small weights, many more atoms than features.
TEST(CoordinateDescent, ReachesTheGapAtSmallWeights_AlsoFromFarStarts) {
  struct Shape {
    Index n, m;
  };
  for (const Shape shape : {Shape{1, 130}, {2, 65}, {7, 130}, {16, 64}, {64, 300}})
    for (const bool duplicated : {false, true})
      for (const bool positive : {false, true})
        for (const bool warm : {false, true}) {
          Draw draw(static_cast<std::uint64_t>(shape.n * 1000 + shape.m));
          Matrix<double> D = draw.atoms(shape.n, shape.m);
          if (duplicated) D.rightCols(shape.m / 3) = -D.leftCols(shape.m / 3);
          const Index n_signals = is_long() ? 60 : 12;
          const Matrix<double> X = draw.normal_matrix(shape.n, n_signals);
          const Matrix<double> init = draw.normal_matrix(shape.m, n_signals);
          const Reg reg = Reg::fraction_of_max(0.003);
          const PenaltyOptions penalty{.positive = positive};
          const auto result =
              encode<double>(X, DenseDictionary(D), reg,
                             {.method = Solver::coordinate_descent, .tol = 1e-6, .max_iter = 5000, .penalty = penalty},
                             warm ? OptionalMatrixRef<double>(init) : std::nullopt);
          const auto gap = duality_gap<double>(X, DenseDictionary(D), result.codes, reg, penalty);
          const Vector<double> relative = gap.array() / (0.5 * X.colwise().squaredNorm().transpose().array());
          EXPECT_LE(relative.maxCoeff(), 1e-6 * (1 + 1e-6))
              << (relative.array() > 1e-6).count() << " of " << n_signals << " signals, " << shape.n << " features, " << shape.m
              << " atoms" << (duplicated ? ", duplicated" : "") << (positive ? ", non-negative" : "") << (warm ? ", warm" : "");
        }
}

TEST(CoordinateDescent, NeverRaisesTheObjective_AndStaysFeasible_FromDenseStarts) {
  Draw draw(167);
  for (int problem = 0; problem < 300; ++problem) {
    const bool positive = draw.coin();
    const Index n = draw.integer(2, 6), m = draw.integer(2, 12);
    Matrix<double> D = draw.normal_matrix(n, m).cwiseAbs();
    D.colwise().normalize();
    const Matrix<double> X = draw.normal_matrix(n, 1), start = draw.normal_matrix(m, 1).cwiseAbs();
    double before = std::numeric_limits<double>::infinity();
    for (int sweeps = 1; sweeps <= 12; ++sweeps) {
      const auto result = encode<double>(
          X, DenseDictionary(D), 0.05,
          {.method = Solver::coordinate_descent, .tol = 0, .max_iter = sweeps, .penalty = {.positive = positive}}, start);
      EXPECT_TRUE(!positive || result.codes.minCoeff() >= 0) << problem << ", sweep " << sweeps;
      EXPECT_LE(result.objective(0), before * (1 + 1e-12)) << problem << ", sweep " << sweeps;
      before = result.objective(0);
    }
  }
}

TEST(CoordinateDescent, DoesNotCareHowAtomsAreScaled) {
  // Toeplitz correlations of 0.99 and one atom 10^6 times larger: nothing rounds, so nothing may give up.
  Draw draw(168);
  const Index n = 80, m = 60;
  Matrix<double> D(n, m + 1);
  D.col(0) = draw.normal_vector(n);
  for (Index j = 1; j <= m; ++j) D.col(j) = 0.99 * D.col(j - 1) + std::sqrt(1 - 0.99 * 0.99) * draw.normal_vector(n);
  D.colwise().normalize();
  const Matrix<double> X = D * draw.sparse_matrix(m + 1, 8, 0.3) + 0.1 * draw.normal_matrix(n, 8);
  D.col(m) *= 1e6;
  std::vector<double> weights(static_cast<std::size_t>(m + 1), 1.0);
  weights.back() = 1e6;
  const auto result = encode<double>(X, DenseDictionary(D), Reg::fraction_of_max(0.01),
                                     {.method = Solver::coordinate_descent, .tol = 1e-8, .penalty = {.weights = weights}});
  for (const Status status : result.status) EXPECT_EQ(status, Status::converged);
}

TEST(CoordinateDescent, ForgetsAStartOnZeroAtoms) {
  Matrix<double> D = Draw(123).atoms(10, 6);
  D.col(3).setZero();
  const Matrix<double> X = Draw(124).normal_matrix(10, 4), start = Matrix<double>::Constant(6, 4, 2.0);
  const auto result = encode<double>(X, DenseDictionary(D), 0.1, {.method = Solver::coordinate_descent, .tol = 1e-12}, start);
  EXPECT_TRUE(result.codes.row(3).isZero(0));
  EXPECT_LE(result.n_iter.maxCoeff(), 100);  // no Newton step needed to get rid of them
  for (const Status status : result.status) EXPECT_EQ(status, Status::converged);
}

TEST(Encode, RefusesWeightsBeyondFloat) {
  const Matrix<float> X = Matrix<float>::Ones(4, 2), D = Matrix<float>::Identity(4, 4);
  const BadInput table[] = {
      {"reg = 1e+39, must be > 0 and finite in the signals' precision", [&] { encode<float>(X, DenseDictionary(D), 1e39); }},
      {"reg = 1e-50, must be > 0 and finite in the signals' precision", [&] { encode<float>(X, DenseDictionary(D), 1e-50); }},
      {"reg: entry 1 is 1e+39, must be > 0 and finite in the signals' precision",
       [&] {
         encode<float>(X, DenseDictionary(D), Reg(std::vector<double>{1, 1e39}));
       }},
      {"weights: entry 2 is 1e-50, must be > 0 and finite",
       [&] {
         encode<float>(X, DenseDictionary(D), 0.1, {.penalty = {.weights = {1, 1, 1e-50, 1}}});
       }},
  };
  for (const BadInput& row : table) EXPECT_EQ(refusal_of(row.call), row.sentence);
}

TEST(EncodeOfNumbersThatOverflow, IsRefused) {
  Matrix<double> X(2, 1);
  X << 1e160, 2e159;
  const Matrix<double> D = Matrix<double>::Identity(2, 2);
  for (const PenaltyOptions& penalty : {PenaltyOptions{}, PenaltyOptions{.kind = PenaltyKind::elastic_net},
                                        PenaltyOptions{.kind = PenaltyKind::group, .groups = {0, 1}}})
    EXPECT_THROW(encode<double>(X, DenseDictionary(D), 3e159, {.penalty = penalty}), std::invalid_argument)
        << to_string(penalty.kind);
  const PenaltyOptions tiny_ratio{.kind = PenaltyKind::elastic_net, .l1_ratio = 1e-320};
  EXPECT_THROW(encode<double>(1e-100 * X, DenseDictionary(D), Reg::fraction_of_max(0.3), {.penalty = tiny_ratio}),
               std::invalid_argument);  // reg_max = inf
}

}  // namespace
}  // namespace riata::testing
