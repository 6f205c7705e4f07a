// The recovery score and its assignment, against all permutations of small problems.
#include "riata/learning/recovery.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "support/precision.hpp"
#include "support/random_arrays.hpp"
#include "support/sentences.hpp"

namespace riata::testing {
namespace {

/// The largest sum over all ways of giving min(rows, columns) rows a column of their own.
double best_sum_of_all(const Eigen::MatrixXd& scores) {
  if (scores.rows() > scores.cols()) return best_sum_of_all(scores.transpose());
  std::vector<Index> columns(static_cast<std::size_t>(scores.cols()));
  std::iota(columns.begin(), columns.end(), Index{0});
  double best = -INFINITY;
  do {
    double sum = 0;
    for (Index i = 0; i < scores.rows(); ++i) sum += scores(i, columns[static_cast<std::size_t>(i)]);
    best = std::max(best, sum);
  } while (std::next_permutation(columns.begin(), columns.end()));
  return best;
}

/// The sum that an assignment collects; fails unless it is one, and of as many as there can be.
double sum_of(const std::vector<Index>& columns, const Eigen::MatrixXd& scores) {
  EXPECT_EQ(std::ssize(columns), scores.rows());
  std::set<Index> taken;
  double sum = 0;
  for (Index i = 0; i < std::ssize(columns); ++i) {
    const Index j = columns[static_cast<std::size_t>(i)];
    if (j == -1) continue;
    EXPECT_TRUE(j >= 0 && j < scores.cols() && taken.insert(j).second) << "column " << j;
    sum += scores(i, j);
  }
  EXPECT_EQ(std::ssize(taken), std::min(scores.rows(), scores.cols()));
  return sum;
}

TEST(BestAssignment, CollectsTheLargestSumOfAllPermutations) {
  Draw draw(1);
  for (Index rows = 1; rows <= 6; ++rows)
    for (Index columns = 1; columns <= 6; ++columns)
      for (int kind = 0; kind < 4; ++kind) {
        Eigen::MatrixXd scores = draw.normal_matrix(rows, columns);
        if (kind == 1) scores = scores.array().round();  // many ties
        if (kind == 2) scores = -scores.cwiseAbs();
        if (kind == 3) scores = scores.col(0) * Eigen::RowVectorXd::Ones(columns);
        EXPECT_NEAR(sum_of(best_assignment(scores), scores), best_sum_of_all(scores), 1e-13) << scores;
      }
  EXPECT_EQ(best_assignment(Matrix<double>(2, 0)), (std::vector<Index>{-1, -1}));
}

template <class T>
class RecoveryScore : public ::testing::Test {};
TYPED_TEST_SUITE(RecoveryScore, BothPrecisions, PrecisionName);

TYPED_TEST(RecoveryScore, IsTheMeanCosineOfTheBestPermutation_ForAtomsOfAnyLength) {
  using T = TypeParam;
  Draw draw(2);
  for (Index n_atoms = 1; n_atoms <= 6; ++n_atoms)
    for (Index n_reference = 1; n_reference <= 6; ++n_reference) {
      Matrix<T> D = draw.normal_matrix(4, n_atoms).template cast<T>(), R = draw.normal_matrix(4, n_reference).template cast<T>();
      for (Index j = 0; j < n_atoms; ++j) D.col(j) *= static_cast<T>(draw.log_uniform(1e-10, 1e10));
      if (n_atoms == 5) D.col(2).setZero();  // alike nothing
      Eigen::MatrixXd cosines(n_reference, n_atoms);
      for (Index i = 0; i < n_reference; ++i)
        for (Index j = 0; j < n_atoms; ++j) {
          const Eigen::VectorXd d = D.col(j).template cast<double>(), r = R.col(i).template cast<double>();
          cosines(i, j) = d.norm() > 0 ? std::abs(d.dot(r)) / (d.norm() * r.norm()) : 0;
        }
      EXPECT_NEAR(recovery_score<T>(D, R), best_sum_of_all(cosines) / static_cast<double>(n_reference), 1e-13)
          << n_atoms << " atoms for " << n_reference;
    }
}

TEST(Recovery, OfBadInput_IsRefused) {
  const Matrix<double> D = Matrix<double>::Ones(3, 2), longer = Matrix<double>::Ones(4, 2), none(3, 0);
  Matrix<double> bad = D;
  bad(2, 1) = NAN;
  const BadInput table[] = {
      {"recovery_score: atoms have 3 features but the reference's have 4; they must be equal",
       [&] { recovery_score<double>(D, longer); }},
      {"recovery_score: a dictionary without atoms", [&] { recovery_score<double>(none, D); }},
      {"recovery_score: D holds nan at atom 1, feature 2; expected finite numbers", [&] { recovery_score<double>(bad, D); }},
      {"recovery_score: D_ref holds nan at atom 1, feature 2; expected finite numbers", [&] { recovery_score<double>(D, bad); }},
      {"best_assignment: scores holds nan at column 1, row 2; expected finite numbers", [&] { best_assignment(bad); }},
  };
  for (const BadInput& row : table) EXPECT_EQ(refusal_of(row.call), row.sentence);
}

}  // namespace
}  // namespace riata::testing
