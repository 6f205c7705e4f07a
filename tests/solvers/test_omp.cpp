// Orthogonal matching pursuit against its definition: greedy choices, orthogonal residuals, both stops, hard dictionaries.
#include "riata/solvers/omp.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "support/decompositions.hpp"
#include "support/precision.hpp"
#include "support/random_arrays.hpp"
#include "support/sentences.hpp"

namespace riata::testing {
namespace {

Vector<double> residual_of(const Matrix<double>& D, const std::vector<Index>& chosen, const Vector<double>& x) {
  if (chosen.empty()) return x;
  const Matrix<double> D_I = D(Eigen::all, chosen);
  return x - D_I * least_squares(D_I, x);
}

/// The pursuits by their definitions: a fresh least-squares fit per atom. Atoms in the order chosen.
std::vector<Index> plain_omp(const Matrix<double>& D, const Vector<double>& x, int n_nonzero) {
  std::vector<Index> chosen;
  for (int k = 0; k < n_nonzero; ++k) {
    const Vector<double> r = residual_of(D, chosen, x);
    Index best = 0;
    for (Index j = 1; j < D.cols(); ++j)
      if (std::abs(D.col(j).dot(r)) / D.col(j).norm() > std::abs(D.col(best).dot(r)) / D.col(best).norm()) best = j;
    chosen.push_back(best);
  }
  return chosen;
}
std::vector<Index> plain_ols(const Matrix<double>& D, const Vector<double>& x, int n_nonzero) {
  std::vector<Index> chosen;
  for (int k = 0; k < n_nonzero; ++k) {
    Index best = -1;
    double least = std::numeric_limits<double>::infinity();
    for (Index j = 0; j < D.cols(); ++j) {
      if (std::find(chosen.begin(), chosen.end(), j) != chosen.end()) continue;
      auto with_j = chosen;
      with_j.push_back(j);
      if (const double error = residual_of(D, with_j, x).squaredNorm(); error < least) least = error, best = j;
    }
    chosen.push_back(best);
  }
  return chosen;
}

TEST(Omp, ChoosesTheAtomsOfItsDefinition_WhateverTheirNorms) {
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    const auto selection = seed % 2 == 0 ? Selection::omp : Selection::ols;
    Draw draw(501 + seed);
    Matrix<double> D = draw.atoms(20, 50);
    for (Index j = 0; j < 50; ++j) D.col(j) *= draw.log_uniform(0.1, 10);
    const Matrix<double> X = draw.normal_matrix(20, 3);
    const auto result = omp<double>(X, D, {.n_nonzero = 6, .selection = selection});
    for (Index i = 0; i < 3; ++i) {
      const auto chosen = seed % 2 == 0 ? plain_omp(D, X.col(i), 6) : plain_ols(D, X.col(i), 6);
      const Matrix<double> D_I = D(Eigen::all, chosen);
      Vector<double> z = Vector<double>::Zero(50);
      z(chosen) = least_squares(D_I, X.col(i));
      EXPECT_LE((result.codes.col(i) - z).norm(), 1e-12 * (1 + z.norm())) << "seed " << seed;
      EXPECT_NEAR(result.error(i), (X.col(i) - D * z).squaredNorm(), 1e-13 * X.col(i).squaredNorm());
      EXPECT_EQ(result.n_nonzero(i), 6);
      EXPECT_EQ(result.status[0], Status::converged);
    }
  }
}

TEST(Omp, ChoosesInDouble_BetweenAtomsThatAreEqualInSinglePrecision) {
  Draw draw(514);
  Matrix<double> D(30, 80);
  D.leftCols(40) = draw.atoms(30, 40);
  D.rightCols(40) = D.leftCols(40) + 1e-9 * draw.normal_matrix(30, 40);
  D.colwise().normalize();
  const Matrix<double> X = draw.normal_matrix(30, 500);
  for (const double scale : {1.0, 1e-149, 1e149}) {
    const auto result = omp<double>(scale * X, D, {.n_nonzero = 1});
    for (Index i = 0; i < 500; ++i) {
      Index hardest = 0;
      (D.transpose() * X.col(i)).cwiseAbs().maxCoeff(&hardest);
      EXPECT_NE(result.codes(hardest, i), 0) << i;
    }
  }
}

TEST(Omp, LeavesAResidualOrthogonalToTheChosenAtoms_AlsoOnDependentOnes) {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    Draw draw(600 + seed);
    const Index n = draw.integer(1, 40), m = draw.integer(1, 100);
    Matrix<double> D = draw.atoms(n, m, seed % 3 == 1 ? 0.95 : 0);
    for (Index j = 0; j < m / 2; ++j) {
      const Index k = draw.integer(0, static_cast<int>(m) - 1);
      if (seed % 4 == 1) D.col(k) = -D.col(j);
      if (seed % 4 == 2) D.col(k) = D.col(j) + std::pow(10.0, -draw.integer(2, 14)) * draw.normal_vector(n);
      if (seed % 4 == 3) D.col(k).setZero();
    }
    const Matrix<double> X = draw.normal_matrix(n, 4);
    for (const OmpOptions& options :
         {OmpOptions{.n_nonzero = static_cast<int>(m)}, OmpOptions{.n_nonzero = 5}, OmpOptions{.tol = 0.05},
          OmpOptions{.n_nonzero = 8, .tol = 1e-20}, OmpOptions{.n_nonzero = 7, .selection = Selection::ols}}) {
      const auto result = omp<double>(X, D, options);
      ASSERT_TRUE(result.codes.allFinite());
      for (Index i = 0; i < 4; ++i) {
        const Vector<double> r = X.col(i) - D * result.codes.col(i);
        for (Index j = 0; j < m; ++j)
          if (result.codes(j, i) != 0) {
            EXPECT_LE(std::abs(D.col(j).dot(r)), 1e-12 * X.col(i).norm() * D.col(j).norm()) << "seed " << seed;
          }
        EXPECT_LE((result.codes.col(i).array() != 0).count(), result.n_nonzero(i));
        EXPECT_LE(result.n_nonzero(i), std::min(n, m));
        EXPECT_NEAR(result.error(i), r.squaredNorm(), 1e-13 * X.col(i).squaredNorm());
      }
    }
  }
}

TEST(Omp, StopsAtTheFirstAtomThatMeetsTheError) {
  const Matrix<double> D = Draw(502).atoms(30, 80), X = Draw(503).normal_matrix(30, 10);
  for (const double tol : {0.5, 0.1, 1e-3, 1e-12, 0.0}) {
    const auto result = omp<double>(X, D, {.tol = tol});
    for (Index i = 0; i < 10; ++i) {
      const double scale = X.col(i).squaredNorm();
      EXPECT_LE(result.error(i), tol * scale + 1e-13 * scale) << tol;
      EXPECT_EQ(result.status[static_cast<std::size_t>(i)], Status::converged);
      if (tol == 0) continue;
      const auto shorter = omp<double>(X.col(i), D, {.n_nonzero = result.n_nonzero(i) - 1});
      EXPECT_GT(shorter.error(0), tol * scale) << tol;
    }
  }
  const auto missed = omp<double>(X, D, {.n_nonzero = 2, .tol = 1e-3});
  for (const Status status : missed.status) EXPECT_EQ(status, Status::max_iter_reached);
}

TEST(Omp, RecoversPlantedCodes_AndGivesTheSameBitsForAnyNumberOfThreads) {
  Draw draw(504);
  const Matrix<float> D = draw.atoms(60, 100).cast<float>();
  Matrix<float> Z = Matrix<float>::Zero(100, 200);
  for (Index i = 0; i < 200; ++i)
    for (int k = 0; k < 4; ++k)
      Z(draw.integer(0, 99), i) = static_cast<float>(draw.coin() ? draw.uniform(1, 2) : -draw.uniform(1, 2));
  const Matrix<float> X = D * Z;
  const auto one = omp<float>(X, D, {.tol = 1e-9, .execution = {.n_threads = 1, .stop_requested = {}}});
  EXPECT_LE((one.codes - Z).norm(), 1e-4 * Z.norm());
  for (const int n_threads : {2, 3}) {
    const auto many = omp<float>(X, D, {.tol = 1e-9, .execution = {.n_threads = n_threads, .stop_requested = {}}});
    EXPECT_TRUE(many.codes == one.codes && many.error == one.error && many.n_nonzero == one.n_nonzero);
  }
}

TEST(Omp, GivesTheSameWithAndWithoutTheGramMatrix) {
  Draw draw(508);
  Matrix<double> D = draw.atoms(40, 3000, 0.3);
  D.col(17).setZero();
  for (Index j = 0; j < D.cols(); ++j) D.col(j) *= draw.log_uniform(1e-3, 1e3);
  const Matrix<double> X = draw.normal_matrix(40, 5), G = D.transpose() * D, C = D.transpose() * X;
  for (const auto selection : {Selection::omp, Selection::ols}) {
    const OmpOptions options{.n_nonzero = 12, .tol = 1e-3, .selection = selection};
    const auto without = omp<double>(X, D, options);  // five signals do not repay the Gram matrix of 3000 atoms
    for (const OmpProducts<double>& known :
         {OmpProducts<double>{.gram = G}, OmpProducts<double>{.covariance = C}, OmpProducts<double>{G, C}}) {
      const auto with = omp<double>(X, D, options, known);
      EXPECT_LE((with.codes - without.codes).norm(), 1e-12 * without.codes.norm());
      EXPECT_EQ(with.n_nonzero, without.n_nonzero);
    }
    const auto single = omp<float>(X.cast<float>(), D.cast<float>(), options);
    EXPECT_LE((single.codes.cast<double>() - without.codes).norm(), 1e-4 * without.codes.norm());
  }
}

TEST(Omp, InSinglePrecision_FitsTheAtomsChosenInDouble) {
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    Draw draw(700 + seed);
    const Index n = draw.integer(2, 60), m = draw.integer(2, 200);
    const Matrix<float> D = draw.atoms(n, m, seed % 3 == 1 ? 0.95 : 0).cast<float>();
    const Matrix<float> X = draw.normal_matrix(n, 6).cast<float>();
    const auto result = omp<float>(X, D, {.n_nonzero = 10, .selection = seed % 2 == 0 ? Selection::omp : Selection::ols});
    for (Index i = 0; i < 6; ++i) {
      const Vector<double> x = X.col(i).cast<double>(), z = result.codes.col(i).cast<double>();
      std::vector<Index> chosen;
      for (Index j = 0; j < m; ++j)
        if (z(j) != 0) chosen.push_back(j);
      EXPECT_NEAR(result.error(i), (x - D.cast<double>() * z).squaredNorm(), 1e-13 * x.squaredNorm());
      EXPECT_LE(result.error(i), residual_of(D.cast<double>(), chosen, x).squaredNorm() + 1e-10 * x.squaredNorm()) << seed;
    }
  }
}

TEST(Omp, BySquares_TakesTheAtomThatCompletesTheFit_AlsoAmongNearlyParallelOnes_InSinglePrecision) {
  Matrix<double> D(3, 41);
  D.col(0) << 1, 0, 0;
  for (Index j = 1; j <= 40; ++j) {
    const double t = 1.5 * static_cast<double>(j - 1) / 39;
    D.col(j) << 1, 5e-4 * std::cos(t), 5e-4 * std::sin(t);
  }
  const Vector<double> x = (Vector<double>(3) << 3, 1, 0).finished();
  const auto result =
      omp<float>(x.cast<float>(), DenseDictionary<float>(D.cast<float>()), {.n_nonzero = 2, .selection = Selection::ols});
  EXPECT_LE(result.error(0), 1e-6);
}

TEST(Omp, EndsWhereNoAtomPulls_InSinglePrecisionToo) {
  const Matrix<double> Q = orthogonal_factor(Draw(512).normal_matrix(64, 64));
  const Vector<double> x = 2 * (Q.col(0) + Q.col(1) + Q.col(2)) + 5 * Q.col(60);
  const auto result = omp<float>(x.cast<float>(), DenseDictionary<float>(Q.leftCols(20).cast<float>()), {.n_nonzero = 20});
  EXPECT_EQ(result.n_nonzero(0), 3);
}

TEST(Omp, SaysWhereAnErrorWasMissed_AndWhereProductsAreNotThoseOfTheSignals) {
  Draw draw(513);
  const Matrix<double> D = draw.atoms(20, 60);
  const Matrix<double> X = D.leftCols(3) * draw.normal_matrix(3, 50) + 1e-7 * draw.normal_matrix(20, 50);
  const auto exact = omp<double>(X, D, {.n_nonzero = 3, .max_error = {0}});
  for (const Status status : exact.status) EXPECT_EQ(status, Status::max_iter_reached);
  const Matrix<double> turned = (D.transpose() * X).rowwise().reverse(), other = D.rowwise().reverse();
  const Matrix<double> G = other.transpose() * other;
  EXPECT_THAT(refusal_of([&] { omp<double>(X, D, {.n_nonzero = 3}, {.covariance = turned}); }),
              ::testing::StartsWith("omp: covariance is not that of X and D: entry ("));
  EXPECT_THAT(refusal_of([&] { omp<double>(X.replicate(1, 20), D, {.n_nonzero = 3}, {.gram = G}); }),
              ::testing::StartsWith("omp: gram is not that of D: entry ("));
}

TEST(Omp, StopsAtErrorsOfEachSignal) {
  const Matrix<double> D = Draw(509).atoms(30, 80), X = Draw(510).normal_matrix(30, 10);
  const Vector<double> norms_sq = X.colwise().squaredNorm();
  std::vector<double> errors(10);
  for (Index i = 0; i < 10; ++i) errors[static_cast<std::size_t>(i)] = norms_sq(i) * (i + 1) / 20.0;
  const auto each = omp<double>(X, D, {.max_error = errors});
  const auto all = omp<double>(X, D, {.max_error = {0.3 * norms_sq(4)}});
  for (Index i = 0; i < 10; ++i) {
    EXPECT_EQ(each.codes.col(i), omp<double>(X.col(i), D, {.tol = (i + 1) / 20.0}).codes.col(0));
    EXPECT_LE(all.error(i), 0.3 * norms_sq(4) * (1 + 1e-13));
  }
  EXPECT_EQ(all.codes.col(4), omp<double>(X.col(4), D, {.tol = 0.3}).codes.col(0));
  const auto missed = omp<double>(X, D, {.n_nonzero = 1, .max_error = {1e-3 * norms_sq(4)}});
  for (const Status status : missed.status) EXPECT_EQ(status, Status::max_iter_reached);
}

TEST(Omp, MeetsTheErrorsThatItHasItselfFound) {
  const DenseDictionary<double> D(Draw(31).atoms(20, 50));
  const Matrix<double> X = Draw(32).normal_matrix(20, 200);
  const auto found = omp<double>(X, D, {.n_nonzero = 4});
  const auto again = omp<double>(X, D, {.max_error = std::vector<double>(found.error.begin(), found.error.end())});
  EXPECT_EQ(again.n_nonzero, found.n_nonzero);
  EXPECT_TRUE(std::ranges::all_of(again.status, [](Status s) { return s == Status::converged; }));
}

TEST(Omp, CodesZeroSignalsAsZero) {
  const auto result = omp<double>(Matrix<double>::Zero(5, 2), Draw(505).atoms(5, 9), {.n_nonzero = 3});
  EXPECT_TRUE(result.codes.isZero(0));
  EXPECT_EQ(result.n_nonzero, Eigen::VectorXi::Zero(2));
}

TEST(OmpBadInput, IsRefusedInOneSentence) {
  const DenseDictionary<double> D(Draw(506).atoms(4, 6));
  const Matrix<double> X = Draw(507).normal_matrix(4, 3), wrong = Matrix<double>::Ones(5, 3);
  const Matrix<double> twice = 2 * Matrix<double>::Identity(6, 6), many = Draw(511).normal_matrix(4, 400);
  const BadInput table[] = {
      {"omp: give n_nonzero, tol or max_error; without any of them nothing stops the pursuit", [&] { omp<double>(X, D, {}); }},
      {"omp: max_error 1 is -2, must be >= 0 and finite",
       [&] {
         omp<double>(X, D, {.max_error = {1, -2, 1}});
       }},
      {"omp: max_error has 2 numbers, must be one, or one for each of the 3 signals",
       [&] {
         omp<double>(X, D, {.max_error = {1, 2}});
       }},
      {"omp: gram is 4 x 3, must be 6 x 6, as there are atoms", [&] { omp<double>(X, D, {.n_nonzero = 1}, {.gram = X}); }},
      {"omp: gram is not that of D: entry (0, 0) is 2, but D_0^T D_0 = 1",
       [&] { omp<double>(many, D, {.n_nonzero = 4}, {.gram = twice}); }},
      {"omp: gram holds nan at atom 0, atom 0; expected finite numbers",
       [&] { omp<double>(many, D, {.n_nonzero = 4}, {.gram = NAN * twice}); }},
      {"omp: covariance is of 3 signals and 4 atoms, must be of 3 and 6",
       [&] { omp<double>(X, D, {.n_nonzero = 1}, {.covariance = X}); }},
      {"n_nonzero = 0, must be >= 1", [&] { omp<double>(X, D, {.n_nonzero = 0}); }},
      {"tol = -1, must be >= 0 and finite", [&] { omp<double>(X, D, {.tol = -1}); }},
      {"omp: signals have 5 features but atoms have 4; they must be equal", [&] { omp<double>(wrong, D, {.n_nonzero = 1}); }},
      {"omp: X holds no signals", [&] { omp<double>(Matrix<double>(4, 0), D, {.n_nonzero = 1}); }},
  };
  for (const BadInput& row : table) EXPECT_EQ(refusal_of(row.call), row.sentence);
}

}  // namespace
}  // namespace riata::testing
