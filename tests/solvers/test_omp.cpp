// Orthogonal matching pursuit against its definition: greedy choices, orthogonal residuals, both stops, hard dictionaries.
#include "riata/solvers/omp.hpp"

#include <gtest/gtest.h>

#include "support/decompositions.hpp"
#include "support/precision.hpp"
#include "support/random_arrays.hpp"
#include "support/sentences.hpp"

namespace riata::testing {
namespace {

/// The pursuit by its definition: a fresh least-squares fit per atom. Atoms in the order chosen.
std::vector<Index> plain_omp(const Matrix<double>& D, const Vector<double>& x, int n_nonzero) {
  std::vector<Index> chosen;
  Vector<double> r = x;
  for (int k = 0; k < n_nonzero; ++k) {
    Index best = 0;
    for (Index j = 1; j < D.cols(); ++j)
      if (std::abs(D.col(j).dot(r)) / D.col(j).norm() > std::abs(D.col(best).dot(r)) / D.col(best).norm()) best = j;
    chosen.push_back(best);
    const Matrix<double> D_I = D(Eigen::all, chosen);
    r = x - D_I * least_squares(D_I, x);
  }
  return chosen;
}

TEST(Omp, ChoosesTheAtomsOfItsDefinition_WhateverTheirNorms) {
  for (std::uint64_t seed = 0; seed < 30; ++seed) {
    Draw draw(501 + seed);
    Matrix<double> D = draw.atoms(20, 50);
    for (Index j = 0; j < 50; ++j) D.col(j) *= draw.log_uniform(0.1, 10);
    const Matrix<double> X = draw.normal_matrix(20, 3);
    const auto result = omp<double>(X, D, {.n_nonzero = 6});
    for (Index i = 0; i < 3; ++i) {
      const auto chosen = plain_omp(D, X.col(i), 6);
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
    for (const OmpOptions& options : {OmpOptions{.n_nonzero = static_cast<int>(m)}, OmpOptions{.n_nonzero = 5},
                                      OmpOptions{.tol = 0.05}, OmpOptions{.n_nonzero = 8, .tol = 1e-20}}) {
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

TEST(Omp, CodesZeroSignalsAsZero) {
  const auto result = omp<double>(Matrix<double>::Zero(5, 2), Draw(505).atoms(5, 9), {.n_nonzero = 3});
  EXPECT_TRUE(result.codes.isZero(0));
  EXPECT_EQ(result.n_nonzero, Eigen::VectorXi::Zero(2));
}

TEST(OmpBadInput, IsRefusedInOneSentence) {
  const DenseDictionary<double> D(Draw(506).atoms(4, 6));
  const Matrix<double> X = Draw(507).normal_matrix(4, 3), wrong = Matrix<double>::Ones(5, 3);
  const BadInput table[] = {
      {"omp: give n_nonzero, tol or both; without either nothing stops the pursuit", [&] { omp<double>(X, D, {}); }},
      {"n_nonzero = 0, must be >= 1", [&] { omp<double>(X, D, {.n_nonzero = 0}); }},
      {"tol = -1, must be >= 0 and finite", [&] { omp<double>(X, D, {.tol = -1}); }},
      {"omp: signals have 5 features but atoms have 4; they must be equal", [&] { omp<double>(wrong, D, {.n_nonzero = 1}); }},
      {"omp: X holds no signals", [&] { omp<double>(Matrix<double>(4, 0), D, {.n_nonzero = 1}); }},
  };
  for (const BadInput& row : table) EXPECT_EQ(refusal_of(row.call), row.sentence);
}

}  // namespace
}  // namespace riata::testing
