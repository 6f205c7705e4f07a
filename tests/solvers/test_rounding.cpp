// What rounding hides: a certificate holds in 80 bits too, at any reg; what it cannot promise it does not say.
#include <gtest/gtest.h>

#include <cmath>

#include "riata/solvers/certificate.hpp"
#include "riata/solvers/encode.hpp"
#include "riata/solvers/joint.hpp"
#include "riata/solvers/lars.hpp"
#include "support/lasso_problems.hpp"
#include "support/penalty_oracles.hpp"

namespace riata::testing {
namespace {

struct Tally {
  int converged = 0, broken = 0, optimistic = 0;
};

/// Codes at `fraction` of reg_max, of dictionaries with fewer atoms than features and with more.
template <class Judge>
Tally tally(int n_problems, const EncodeOptions& options, const Judge& judge) {
  Tally found;
  for (int seed = 0; seed < n_problems; ++seed) {
    Draw draw(static_cast<std::uint64_t>(seed));
    const Index n = draw.integer(2, 30), m = draw.integer(1, 40);
    const Eigen::MatrixXd D = draw.atoms(n, m, seed % 2 == 0 ? 0 : 0.9), X = draw.normal_matrix(n, 16);
    const double fraction = std::pow(10.0, -draw.integer(3, 12));
    const auto regs = Vector<double>(reg_max<double>(X, DenseDictionary(D), options.penalty) * fraction);
    const auto coded = encode<double>(X, DenseDictionary(D), Reg(std::vector<double>(regs.begin(), regs.end())), options);
    for (Index i = 0; i < X.cols(); ++i) {
      const double gap = judge(D, X.col(i), coded.codes.col(i), regs(i)), half = 0.5 * X.col(i).squaredNorm();
      const bool converged = coded.status[static_cast<std::size_t>(i)] == Status::converged;
      found.converged += converged;
      found.broken += converged && gap > options.tol * half * (1 + 1e-6) + 1e-17 * half;
      found.optimistic += gap > coded.gap(i) * (1 + 1e-6) + 1e-17 * half;
    }
  }
  return found;
}

double lasso_gap(const Eigen::MatrixXd& D, const Eigen::VectorXd& x, const Eigen::VectorXd& z, double reg) {
  return LassoOracle(D, {}, false).gap(x, z, reg);
}

TEST(Certificate, HoldsInLongDouble_DownToASmallPartOfRegMax) {
  for (const double tol : {1e-6, 1e-11})
    for (const Solver method : {Solver::coordinate_descent, Solver::fista, Solver::lars}) {
      const Tally found =
          tally(method == Solver::coordinate_descent ? 150 : 25, {.method = method, .tol = tol, .max_iter = 500}, lasso_gap);
      EXPECT_EQ(found.broken, 0) << to_string(method) << ' ' << tol;
      EXPECT_EQ(found.optimistic, 0) << to_string(method) << ' ' << tol;
      EXPECT_GT(found.converged, 0);
    }
}

TEST(Certificate, HoldsInLongDouble_WhereItsSumsAloneAreTheTruth) {
  // Codes that coordinate descent brought to where the rounded correlations satisfy the conditions to the last bit.
  const Tally found = tally(150, {.method = Solver::coordinate_descent, .tol = 1e-15, .max_iter = 200}, lasso_gap);
  EXPECT_EQ(found.broken, 0);
  EXPECT_EQ(found.optimistic, 0);
}

TEST(Certificate, OfFewSinglePrecisionSignalsInManyAtoms_IsThatOfMany) {
  Draw draw(61);
  const Index n = 30, m = 1100, few = 3;  // so few that the atoms are not all copied in double
  const Matrix<float> D = draw.atoms(n, m).cast<float>(), X = draw.normal_matrix(n, 130).cast<float>();
  const DenseDictionary<float> dictionary(D);
  const Matrix<float> first = X.leftCols(few);
  for (const PenaltyOptions& penalty :
       {PenaltyOptions{}, {.positive = true}, {.kind = PenaltyKind::elastic_net, .l1_ratio = 0.75}}) {
    const EncodeOptions options{.method = Solver::coordinate_descent, .penalty = penalty};
    const Reg reg = 0.3;
    const auto alone = encode<float>(first, dictionary, reg, options);
    const auto check = [&](const Matrix<float>& codes) {
      Matrix<float> all = Matrix<float>::Zero(m, 130);
      all.leftCols(few) = codes;
      const auto together = lasso_certificate<float>(X, dictionary, all, reg, penalty);
      const auto apart = lasso_certificate<float>(first, dictionary, codes, reg, penalty);
      EXPECT_EQ(apart.objective, together.objective.head(few));
      EXPECT_TRUE(apart.gap.isApprox(together.gap.head(few), 1e-9));
      const auto violations = kkt_violation<float>(X, dictionary, all, reg, penalty);
      EXPECT_TRUE(kkt_violation<float>(first, dictionary, codes, reg, penalty).isApprox(violations.head(few), 1e-9));
      return apart;
    };
    const auto found = check(alone.codes);
    EXPECT_TRUE(found.gap.isApprox(alone.gap, 1e-9));
    for (Index i = 0; i < few; ++i) EXPECT_EQ(alone.status[static_cast<std::size_t>(i)], Status::converged);
    if (penalty.kind == PenaltyKind::l1) {
      const LassoOracle oracle(D, {}, penalty.positive);
      for (Index i = 0; i < few; ++i)
        EXPECT_NEAR(oracle.gap(first.col(i), alone.codes.col(i), 0.3f), found.gap(i), 1e-10 * found.objective(i));
    }
    check(draw.sparse_matrix(m, few, 0.4).cwiseAbs().cast<float>());
  }
}

TEST(Certificate, OfGroupsAndOfTheElasticNet_HoldsInLongDouble) {
  for (int seed = 0; seed < 40; ++seed) {
    Draw draw(300 + static_cast<std::uint64_t>(seed));
    const Index n = draw.integer(4, 20), m = 12;
    const Eigen::MatrixXd D = draw.atoms(n, m), X = draw.normal_matrix(n, 8);
    std::vector<std::int64_t> labels;
    for (Index j = 0; j < m; ++j) labels.push_back(j / 3);
    const PenaltyOptions group{.kind = PenaltyKind::group, .groups = labels},
        net{.kind = PenaltyKind::elastic_net, .l1_ratio = 0.75};
    const double reg = std::pow(10.0, -draw.integer(3, 12));
    const auto grouped = encode<double>(X, DenseDictionary(D), reg, {.tol = 1e-11, .max_iter = 300, .penalty = group});
    const auto netted = encode<double>(X, DenseDictionary(D), reg, {.tol = 1e-11, .max_iter = 300, .penalty = net});
    for (Index i = 0; i < X.cols(); ++i) {
      const double slack = 1e-17 * X.col(i).squaredNorm();
      EXPECT_LE(GroupOracle(D, labels).gap(X.col(i), grouped.codes.col(i), reg), grouped.gap(i) * (1 + 1e-6) + slack) << seed;
      EXPECT_LE(ElasticNetOracle(D, reg, 0.75, {}, false).gap(X.col(i), netted.codes.col(i)), netted.gap(i) * (1 + 1e-6) + slack)
          << seed;
    }
  }
}

TEST(Certificate, OfOrdinaryCodes_IsAsSmallAsBefore) {
  const Tally found = tally(60, {.tol = 1e-12}, lasso_gap);
  EXPECT_GT(found.converged, 60 * 16 / 2);
}

/// One weight of 1e-12 beside ones.
TEST(Lars, FollowsWeightsOverManyDecades) {
  int seed = 0;
  for (const double small : {1e-3, 1e-6, 1e-9, 1e-12, 1e9})
    for (int k = 0; k < 6; ++k) {
      Draw draw(static_cast<std::uint64_t>(700 + seed++));
      const Eigen::MatrixXd D = draw.atoms(15, 25), X = draw.normal_matrix(15, 4);
      PenaltyOptions penalty{.positive = k % 3 == 2, .weights = std::vector<double>(25, 1.0)};
      penalty.weights[3] = small;
      if (k % 2 == 1)
        for (double& w : penalty.weights) w = std::pow(10.0, draw.integer(-12, 0));
      const auto found = encode<double>(X, DenseDictionary(D), 0.2, {.method = Solver::lars, .tol = 1e-6, .penalty = penalty});
      for (Index i = 0; i < 4; ++i) {
        EXPECT_EQ(found.status[static_cast<std::size_t>(i)], Status::converged) << small << ' ' << k << ": gap " << found.gap(i);
        const LassoOracle oracle(D, penalty.weights, penalty.positive);
        EXPECT_LE(oracle.gap(X.col(i), found.codes.col(i), 0.2), 1e-6 * 0.5 * X.col(i).squaredNorm()) << small << ' ' << k;
      }
    }
}

TEST(LassoPath, SaysWhatItsKnotsAreWorth) {
  Draw draw(9);
  const Eigen::MatrixXd D = draw.atoms(12, 20);
  const Eigen::VectorXd x = draw.normal_vector(12);
  const auto path = lasso_path<double>(x, D);
  EXPECT_EQ(path.status, Status::converged);
  ASSERT_EQ(path.gap.size(), path.regs.size());
  const LassoOracle oracle(D, {}, false);
  for (Index k = 0; k + 1 < path.regs.size(); ++k) {
    EXPECT_LE(path.gap(k), 1e-9 * x.squaredNorm());
    EXPECT_LE(oracle.gap(x, path.codes.col(k), path.regs(k)), path.gap(k) + 1e-17);
  }
  EXPECT_EQ(lasso_path<double>(x, D, {.max_knots = 4}).status, Status::max_iter_reached);
  EXPECT_EQ(lasso_path<double>(x, D, {.reg_min = 100}).status, Status::converged);
}

TEST(LassoPath, IsNeverConverged_WhereAKnotIsNoSolution) {
  int n_stalled = 0;
  for (int seed = 0; seed < 40; ++seed) {
    Draw draw(800 + static_cast<std::uint64_t>(seed));
    Eigen::MatrixXd D = draw.atoms(10, 16);
    for (Index j = 0; j < 16; ++j) D.col(j) *= std::pow(10.0, draw.uniform(-25, 25));
    const Eigen::VectorXd x = draw.normal_vector(10);
    const auto path = lasso_path<double>(x, D);
    const LassoOracle oracle(D, {}, false);
    n_stalled += path.status == Status::stalled;
    for (Index k = 0; k < path.regs.size(); ++k) {
      if (path.regs(k) == 0) continue;
      const double gap = oracle.gap(x, path.codes.col(k), path.regs(k));
      EXPECT_LE(gap, path.gap(k) * (1 + 1e-6) + 1e-16 * x.squaredNorm()) << seed << ' ' << k;
      if (path.status == Status::converged) {
        EXPECT_LE(gap, 1e-8 * x.squaredNorm()) << seed << ' ' << k;
      }
    }
  }
  EXPECT_LT(n_stalled, 41);
}

TEST(Encode, SeesAnOptimalStartBeforeTheFirstIteration) {
  Draw draw(10);
  const Eigen::MatrixXd D = draw.atoms(12, 20), X = draw.normal_matrix(12, 10);
  const PenaltyOptions group{.kind = PenaltyKind::group, .groups = {0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3}};
  for (const Solver method : {Solver::ista, Solver::fista, Solver::oista, Solver::backtracking, Solver::coordinate_descent})
    for (const PenaltyOptions& penalty : {PenaltyOptions{}, PenaltyOptions{.kind = PenaltyKind::elastic_net}, group}) {
      const bool fits = penalty.kind != PenaltyKind::group || (method != Solver::oista && method != Solver::coordinate_descent);
      if (!fits) continue;
      const auto optimal =
          encode<double>(X, DenseDictionary(D), 0.3, {.method = Solver::automatic, .tol = 1e-10, .penalty = penalty});
      Matrix<double> start = optimal.codes;
      start.col(4).setZero();  // one that is not
      const auto again = encode<double>(X, DenseDictionary(D), 0.3, {.method = method, .tol = 1e-6, .penalty = penalty}, start);
      for (Index i = 0; i < X.cols(); ++i) {
        EXPECT_EQ(again.n_iter(i) == 0, i != 4) << to_string(method) << ' ' << i;
        if (i != 4) {
          EXPECT_EQ(again.codes.col(i), start.col(i));
        }
        EXPECT_EQ(again.status[static_cast<std::size_t>(i)], Status::converged);
      }
    }
}

}  // namespace
}  // namespace riata::testing
