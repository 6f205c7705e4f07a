// The regularisation path: optimal at every knot, straight in between, and the same as coordinate descent's where that is
// determined, on 500 problems among which are repeated, dependent and nearly collinear atoms, and ties.
#include "riata/solvers/lars.hpp"

#include <gtest/gtest.h>

#include "riata/solvers/certificate.hpp"
#include "riata/solvers/encode.hpp"
#include "support/decompositions.hpp"
#include "support/dependent_atoms.hpp"
#include "support/lasso_problems.hpp"
#include "support/precision.hpp"
#include "support/random_arrays.hpp"
#include "support/sentences.hpp"

namespace riata::testing {
namespace {

struct PathProblem {
  Matrix<double> D;
  Vector<double> x;
  PenaltyOptions penalty;
  std::string kind;
};

/// The numbers run through all kinds.
PathProblem path_problem(int seed) {
  Draw draw(4000 + static_cast<std::uint64_t>(seed));
  const Index n = draw.integer(1, 40), m = draw.integer(1, 80);
  const char* kinds[] = {"ordinary", "correlated", "repeated", "dependent", "nearly collinear", "integers", "orthogonal"};
  PathProblem problem{
      .D = draw.atoms(n, m, seed % 7 == 1 ? 0.95 : 0), .x = draw.normal_vector(n), .penalty = {}, .kind = kinds[seed % 7]};
  Matrix<double>& D = problem.D;
  make_dependent(D, seed % 7, draw);
  if (seed % 7 == 5) {  // many exact ties
    for (double& entry : D.reshaped()) entry = draw.integer(-1, 1);
    for (double& entry : problem.x) entry = draw.integer(-2, 2);
  }
  if (seed % 7 == 6)
    D = Matrix<double>::Identity(n, m) + (draw.coin() ? Matrix<double>::Constant(n, m, 0.5) : Matrix<double>::Zero(n, m));
  if (seed % 11 == 1) D.col(draw.integer(0, static_cast<int>(m) - 1)).setZero();
  if (seed % 4 == 1) problem.penalty.positive = true;
  if (seed % 5 == 2) problem.penalty.weights = draw.weights(m);
  if (seed % 4 == 3)
    for (Index j = 0; j < m; ++j) D.col(j) *= draw.log_uniform(0.3, 3);
  return problem;
}

/// The solution at `reg` by interpolation between the knots.
Vector<double> codes_at(const LassoPath<double>& path, double reg) {
  Index k = 1;
  while (k + 1 < path.regs.size() && path.regs(k) > reg) ++k;
  const double high = path.regs(k - 1), low = path.regs(k), share = high > low ? (high - reg) / (high - low) : 1;
  return path.codes.col(k - 1) + share * (path.codes.col(k) - path.codes.col(k - 1));
}

constexpr int n_path_problems = 500;

TEST(LassoPath, SatisfiesTheOptimalityConditionsAtEveryKnot_AndBetween) {
  for (int seed = 0; seed < n_path_problems; ++seed) {
    const PathProblem problem = path_problem(seed);
    const LassoOracle oracle(problem.D, problem.penalty.weights, problem.penalty.positive);
    const auto path = lasso_path<double>(problem.x, problem.D, {.penalty = problem.penalty});
    const double largest = oracle.reg_max(problem.x);
    EXPECT_NEAR(path.regs(0), largest, 1e-14 * (largest + problem.x.norm()));
    EXPECT_TRUE(path.codes.col(0).isZero(0));
    // Codes of nearly collinear atoms grow as reg falls, to 1e10 and more; the path ends before their rounding shows.
    const double end = path.regs(path.regs.size() - 1);
    EXPECT_LE(end, problem.kind == "nearly collinear" ? 1e-2 * largest : 0) << problem.kind << ' ' << seed;
    double worst_here = 0;
    const auto check = [&](const Vector<double>& z, double reg) {
      worst_here = std::max(worst_here, oracle.kkt_violation(problem.x, z, reg) / largest);
    };
    if (largest == 0) continue;
    for (Index k = 0; k < path.regs.size(); ++k) {
      if (k > 0) {
        EXPECT_LE(path.regs(k), path.regs(k - 1));
        const double middle = (path.regs(k) + path.regs(k - 1)) / 2;
        if (middle >= 1e-4 * largest || problem.kind != "nearly collinear") check(codes_at(path, middle), middle);
      }
      check(path.codes.col(k), path.regs(k));
    }
    EXPECT_LE(worst_here, 1e-12) << problem.kind << ", problem " << seed << ", " << problem.D.rows() << " x " << problem.D.cols()
                                 << ", " << path.regs.size() << " knots";
  }
}

TEST(LassoPath, EqualsCoordinateDescent_WhereTheSolutionIsDetermined) {
  for (int seed = 0; seed < n_path_problems; seed += 3) {
    const PathProblem problem = path_problem(seed);
    const LassoOracle oracle(problem.D, problem.penalty.weights, problem.penalty.positive);
    const double largest = oracle.reg_max(problem.x);
    if (largest == 0) continue;
    const auto path = lasso_path<double>(problem.x, problem.D, {.penalty = problem.penalty});
    for (const double fraction : {0.5, 0.1}) {
      const double reg = fraction * largest;
      EncodeOptions options{.method = Solver::coordinate_descent, .tol = 1e-15, .max_iter = 20'000, .penalty = problem.penalty};
      const auto cd = encode<double>(problem.x, DenseDictionary(problem.D), reg, options);
      options.method = Solver::lars;
      const auto lars = encode<double>(problem.x, DenseDictionary(problem.D), reg, options);
      const Vector<double> codes = codes_at(path, reg);
      const double scale = problem.x.squaredNorm();
      EXPECT_NEAR(lars.objective(0), cd.objective(0), 1e-12 * scale + cd.gap(0)) << problem.kind << ' ' << seed;
      EXPECT_LE(lars.gap(0), 1e-12 * scale) << problem.kind << ' ' << seed;
      EXPECT_LE((problem.D * (lars.codes.col(0) - cd.codes.col(0))).norm(), 1e-6 * problem.x.norm() + 2 * std::sqrt(cd.gap(0)));
      EXPECT_LE((problem.D * (lars.codes.col(0) - codes)).norm(), 1e-11 * problem.x.norm()) << problem.kind << ' ' << seed;
      const double smallest = singular_values_of(problem.D).minCoeff();
      if (problem.D.rows() >= problem.D.cols() && smallest > 0.05) {
        EXPECT_LE((codes - cd.codes.col(0)).norm(), 1e-5 * problem.x.norm()) << problem.kind << ' ' << seed;
      }
    }
  }
}

TEST(LassoPath, IsTheKnownOneOnOrthonormalAtoms) {
  const Matrix<double> D = Matrix<double>::Identity(4, 4);
  const Vector<double> x{{3, -1, 2, 0}};
  const auto path = lasso_path<double>(x, D);
  EXPECT_EQ(path.regs, (Vector<double>{{3, 2, 1, 0}}));
  EXPECT_EQ(path.codes.col(3), x);
  EXPECT_EQ(path.codes.col(2), (Vector<double>{{2, 0, 1, 0}}));
  const auto positive = lasso_path<double>(x, D, {.penalty = {.positive = true, .weights = {}}});
  EXPECT_EQ(positive.regs, (Vector<double>{{3, 2, 0}}));
  EXPECT_EQ(positive.codes.col(2), (Vector<double>{{3, 0, 2, 0}}));
}

TEST(LassoPath, EndsWhereItIsAsked) {
  const Matrix<double> D = Draw(401).atoms(20, 40);
  const Vector<double> x = Draw(402).normal_vector(20);
  const auto whole = lasso_path<double>(x, D);
  const auto part = lasso_path<double>(x, D, {.reg_min = 0.3});
  EXPECT_EQ(part.regs(part.regs.size() - 1), 0.3);
  EXPECT_EQ(part.regs.head(part.regs.size() - 1), whole.regs.head(part.regs.size() - 1));
  EXPECT_EQ(lasso_path<double>(x, D, {.max_knots = 3}).regs, whole.regs.head(3));
  EXPECT_EQ(lasso_path<double>(x, D, {.reg_min = 100}).regs, Vector<double>::Constant(1, 100));
  EXPECT_EQ(lasso_path<double>(Vector<double>::Zero(20), D).regs, Vector<double>::Zero(1));
  const auto rounded = lasso_path<float>(x.cast<float>(), Matrix<float>(D.cast<float>()));
  EXPECT_LE((rounded.regs.head(10).cast<double>() - whole.regs.head(10)).norm(), 1e-5);
}

TEST(LassoPathBadInput, IsRefusedInOneSentence) {
  const DenseDictionary<double> D(Draw(403).atoms(4, 6));
  const Vector<double> x = Draw(404).normal_vector(4), wrong = Vector<double>::Ones(5);
  Vector<double> bad = x;
  bad(2) = NAN;
  const BadInput table[] = {
      {"lasso_path: signals have 5 features but atoms have 4; they must be equal", [&] { lasso_path<double>(wrong, D); }},
      {"lasso_path: X holds nan at signal 0, feature 2; expected finite numbers", [&] { lasso_path<double>(bad, D); }},
      {"reg_min = -1, must be >= 0 and finite", [&] { lasso_path<double>(x, D, {.reg_min = -1}); }},
      {"max_knots = 0, must be >= 1", [&] { lasso_path<double>(x, D, {.max_knots = 0}); }},
      {"weights: 1 entries for 6 atoms; they must be equal",
       [&] { lasso_path<double>(x, D, {.penalty = {.positive = false, .weights = {1}}}); }},
  };
  for (const BadInput& row : table) EXPECT_EQ(refusal_of(row.call), row.sentence);
}

TEST(Lars, EndsEachPathAtItsFirstKnotWithSoManyAtoms_InAnyUnitAndPrecision) {
  Draw draw(61);
  const Matrix<double> D = draw.normal_matrix(14, 30), X = draw.normal_matrix(14, 300);
  for (const PenaltyOptions& penalty :
       {PenaltyOptions{}, PenaltyOptions{.positive = true}, PenaltyOptions{.weights = std::vector<double>(30, 0.5)}}) {
    const auto found = lars<double>(X, D, {.n_nonzero = 4, .penalty = penalty, .execution = {.n_threads = 2}});
    const auto alone = lars<double>(X, D, {.n_nonzero = 4, .penalty = penalty, .execution = {.n_threads = 1}});
    EXPECT_EQ(found.codes, alone.codes);
    for (Index i = 0; i < 12; ++i) {
      const auto path = lasso_path<double>(X.col(i), D, {.penalty = penalty});
      Index knot = 0;
      while ((path.codes.col(knot).array() != 0).count() < 4 && path.regs(knot) > 0) ++knot;
      EXPECT_EQ(found.codes.col(i), path.codes.col(knot));
      EXPECT_EQ(found.regs(i), path.regs(knot));
    }
    const auto in_float = lars<float>(X.cast<float>(), Matrix<float>(D.cast<float>()), {.n_nonzero = 4, .penalty = penalty});
    EXPECT_LE((in_float.codes.cast<double>() - found.codes).cwiseAbs().maxCoeff(), 1e-4);
    const auto scaled =
        lars<double>(Matrix<double>(0x1p-300 * X), Matrix<double>(0x1p200 * D), {.n_nonzero = 4, .penalty = penalty});
    EXPECT_EQ(scaled.codes, Matrix<double>(0x1p-500 * found.codes));
    for (Index i = 0; i < 300; ++i) {
      EXPECT_EQ((found.codes.col(i).array() != 0).count(), 4);
      EXPECT_LE(found.gap(i), 1e-12 * X.col(i).squaredNorm());
      EXPECT_EQ(found.status[static_cast<std::size_t>(i)], Status::converged);
    }
  }
  const auto whole = lars<double>(X.leftCols(3), D, {.n_nonzero = 99});
  EXPECT_EQ(whole.regs.maxCoeff(), 0);
  EXPECT_EQ(lars<double>(Matrix<double>::Zero(14, 2), D, {.n_nonzero = 2}).codes, Matrix<double>::Zero(30, 2));
  EXPECT_THROW(lars<double>(X, D, {.n_nonzero = 0}), std::invalid_argument);
}

}  // namespace
}  // namespace riata::testing
