// The M/EEG inverse problem: whitening undone, gaps recomputed from M and G alone, planted sources found, units.
#include "riata/neuro/sparse_inverse.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "riata/neuro/whitening.hpp"
#include "riata/solvers/encode.hpp"
#include "support/decompositions.hpp"
#include "support/random_arrays.hpp"
#include "support/sentences.hpp"

namespace riata::testing {
namespace {

/// Two kinds of channels whose units differ by 1e8, sources of very different strength at the sensors.
struct Recording {
  Matrix<double> M, G, C;
  std::vector<std::string> types;
  std::vector<Index> planted;

  explicit Recording(std::uint64_t seed, Index n_orient = 1, Index n_sources = 40, Index n_times = 9) {
    Draw draw(seed);
    const Index n = 24;
    G = draw.atoms(n, n_sources * n_orient, 0.8);
    for (Index s = 0; s < n_sources; ++s) G.middleCols(s * n_orient, n_orient) *= draw.log_uniform(0.05, 1);
    Matrix<double> A = draw.normal_matrix(n, n);
    C = A * A.transpose() / n + 0.3 * Matrix<double>::Identity(n, n);
    const Matrix<double> L = cholesky_factor(C);
    M = 0.02 * L * draw.normal_matrix(n, n_times);
    planted = {3, 17, 31};
    for (const Index s : planted)
      M += G.middleCols(s * n_orient, n_orient) / G.middleCols(s * n_orient, n_orient).norm() *
           (4 * draw.normal_matrix(n_orient, n_times));
    C *= 0.02 * 0.02;
    for (Index i = 0; i < n; ++i) {
      types.push_back(i % 3 ? "grad" : "mag");
      const double unit = i % 3 ? 1e-12 : 1e-20;
      M.row(i) *= unit, G.row(i) *= unit, C.row(i) *= unit, C.col(i) *= unit;
    }
  }
};

using Reals = Eigen::Matrix<long double, Eigen::Dynamic, Eigen::Dynamic>;

/// Gap of the whitened, weighted problem at the sources, from the definition. Whitens by its own means: W is only checked to
/// satisfy W C W^T = I and to annihilate nothing of full-rank C.
double gap_of(const Recording& recording, const SparseInverseResult& result, const SparseInverseOptions& options) {
  const Reals W = result.whitener.cast<long double>(), X = W * recording.M.cast<long double>();
  Reals D = W * recording.G.cast<long double>(), Z = result.sources.cast<long double>();
  const Index size = options.n_orient;
  for (Index s = 0; s < D.cols() / size; ++s) {
    const long double w = std::pow(D.middleCols(s * size, size).norm(), static_cast<long double>(options.depth));
    D.middleCols(s * size, size) /= w;
    Z.middleRows(s * size, size) *= w;
  }
  const long double reg = result.reg;
  const Reals R = X - D * Z, Corr = D.transpose() * R;
  const auto gap = [&](const Reals& x, const Reals& r, long double penalty, long double largest) {
    const long double scale = std::min(1.0L, reg / largest);
    return r.squaredNorm() / 2 + reg * penalty - (x.squaredNorm() - (x - scale * r).squaredNorm()) / 2;
  };
  if (options.penalty == SourcePenalty::group) {
    long double penalty = 0, largest = 0;
    for (Index s = 0; s < D.cols() / size; ++s) {
      penalty += Z.middleRows(s * size, size).norm();
      largest = std::max(largest, Corr.middleRows(s * size, size).norm());
    }
    return static_cast<double>(gap(X, R, penalty, largest));
  }
  long double sum = 0;
  for (Index t = 0; t < X.cols(); ++t)
    sum += gap(X.col(t), R.col(t), Z.col(t).cwiseAbs().sum(), Corr.col(t).cwiseAbs().maxCoeff());
  return static_cast<double>(sum);
}

TEST(Whitener, MakesTheNoiseWhite_InEveryUnit) {
  const Recording recording(1);
  const Matrix<double> W = whitener(recording.C, recording.types);
  ASSERT_EQ(W.rows(), 24);
  EXPECT_LE((W * recording.C * W.transpose() - Matrix<double>::Identity(24, 24)).norm(), 1e-10);
}

TEST(Whitener, DropsTheProjectedDirections_OfDataThatWereNotProjected) {
  // Noise of very unequal channels, projected; the data carry an artefact along the projected direction.
  Draw draw(2);
  const Index n = 30;
  Vector<double> sd(n);
  for (Index i = 0; i < n; ++i) sd(i) = draw.log_uniform(0.3, 3);
  const Matrix<double> U = orthogonal_factor(draw.normal_matrix(n, 2)).leftCols(2);
  const Matrix<double> P = Matrix<double>::Identity(n, n) - U * U.transpose();
  const Matrix<double> C = P * sd.cwiseAbs2().asDiagonal() * P;
  const Matrix<double> W = whitener(C);
  EXPECT_EQ(W.rows(), n - 2);
  EXPECT_LE((W * U).norm(), 1e-6 * W.norm());
  EXPECT_LE((W * C * W.transpose() - Matrix<double>::Identity(n - 2, n - 2)).norm(), 1e-9);
  // Channels in other units, one scale per type: still so, the artefact in those units.
  Vector<double> unit(n);
  std::vector<std::string> types;
  for (Index i = 0; i < n; ++i) types.push_back(i % 3 ? "grad" : "mag");
  Matrix<double> U_of_type = Matrix<double>::Zero(n, 1);  // a projection within one type, as for SSP
  for (Index i = 0; i < n; ++i) unit(i) = i % 3 ? 1e-12 : 1e-15, U_of_type(i) = i % 3 ? 0 : draw.normal();
  U_of_type.normalize();
  const Matrix<double> Q = Matrix<double>::Identity(n, n) - U_of_type * U_of_type.transpose();
  const Matrix<double> scaled = unit.asDiagonal() * (Q * sd.cwiseAbs2().asDiagonal() * Q) * unit.asDiagonal();
  const Matrix<double> W_typed = whitener(scaled, types);
  EXPECT_EQ(W_typed.rows(), n - 1);
  EXPECT_LE((W_typed * unit.asDiagonal() * U_of_type).norm(), 1e-6);
}

TEST(SparseInverse, MeetsTheGapOfTheDefinition_ForEveryPenaltyAndOrientation) {
  for (std::uint64_t seed = 10; seed < 30; ++seed)
    for (const auto& [penalty, n_orient] :
         {std::pair{SourcePenalty::l1, 1}, {SourcePenalty::group, 1}, {SourcePenalty::group, 3}})
      for (const double depth : {0.0, 0.8, 1.0}) {
        const Recording recording(seed, n_orient);
        const SparseInverseOptions options{
            .depth = depth, .penalty = penalty, .n_orient = n_orient, .channel_types = recording.types, .tol = 1e-11};
        const auto result = sparse_inverse(recording.M, recording.G, recording.C, Reg::fraction_of_max(0.2), options);
        const double half_norm_sq = 0.5 * (result.whitener * recording.M).squaredNorm();
        const double gap = gap_of(recording, result, options);
        EXPECT_LE(gap, 1e-10 * half_norm_sq) << "seed " << seed << ", depth " << depth;
        EXPECT_NEAR(gap, result.gap, 1e-13 * half_norm_sq);
        EXPECT_NEAR(result.gap_rel, result.gap / half_norm_sq, 1e-15);
        EXPECT_EQ(result.status, Status::converged);
        EXPECT_EQ(result.whitener.rows(), 24);
      }
}

TEST(SparseInverse, FindsPlantedSources_InTheirUnits) {
  for (const Index n_orient : {1, 3}) {
    const Recording recording(50, n_orient);
    const auto result = sparse_inverse(recording.M, recording.G, recording.C, Reg::fraction_of_max(0.02),
                                       {.n_orient = n_orient, .channel_types = recording.types});
    for (const Index s : recording.planted) EXPECT_EQ(std::count(result.active.begin(), result.active.end(), s), 1) << s;
    // Fields of the sources found explain the measured ones, in the channels' own units.
    for (const std::string type : {"mag", "grad"}) {
      double left = 0, all = 0;
      const Matrix<double> R = recording.M - recording.G * result.sources;
      for (Index i = 0; i < R.rows(); ++i)
        if (recording.types[static_cast<std::size_t>(i)] == type)
          left += R.row(i).squaredNorm(), all += recording.M.row(i).squaredNorm();
      EXPECT_LE(left, 0.05 * all) << type;
    }
  }
}

TEST(SparseInverse, DoesNotDependOnUnitsOrOnTheScaleOfTheNoise) {
  Recording recording(60);
  const SparseInverseOptions options{.channel_types = recording.types, .tol = 1e-13};
  const auto before = sparse_inverse(recording.M, recording.G, recording.C, Reg::fraction_of_max(0.3), options);
  const double unit = 1e14;  // of the magnetometers alone
  for (Index i = 0; i < 24; i += 3)
    recording.M.row(i) *= unit, recording.G.row(i) *= unit, recording.C.row(i) *= unit, recording.C.col(i) *= unit;
  const auto after = sparse_inverse(recording.M, recording.G, recording.C / 7, Reg::fraction_of_max(0.3), options);
  EXPECT_EQ(before.active, after.active);
  EXPECT_LE((before.sources - after.sources).norm(), 1e-5 * before.sources.norm());
}

TEST(SparseInverse, AgreesBetweenPenalties_ForOneInstant) {
  const Recording recording(70, 1, 40, 1);
  const auto lasso = sparse_inverse(recording.M, recording.G, recording.C, Reg::fraction_of_max(0.2),
                                    {.penalty = SourcePenalty::l1, .channel_types = recording.types, .tol = 1e-13});
  const auto group = sparse_inverse(recording.M, recording.G, recording.C, Reg::fraction_of_max(0.2),
                                    {.penalty = SourcePenalty::group, .channel_types = recording.types, .tol = 1e-13});
  EXPECT_NEAR(lasso.reg, group.reg, 1e-13 * lasso.reg);
  EXPECT_LE((lasso.sources - group.sources).norm(), 1e-5 * lasso.sources.norm());
}

TEST(SparseInverse, FindsNothingAtRegMax) {
  const Recording recording(80);
  for (const SourcePenalty penalty : {SourcePenalty::l1, SourcePenalty::group}) {
    const auto result = sparse_inverse(recording.M, recording.G, recording.C, Reg::fraction_of_max(1),
                                       {.penalty = penalty, .channel_types = recording.types});
    EXPECT_TRUE(result.active.empty());
    EXPECT_TRUE(result.sources.isZero(0));
    EXPECT_FALSE(sparse_inverse(recording.M, recording.G, recording.C, 0.99 * result.reg,
                                {.penalty = penalty, .channel_types = recording.types})
                     .active.empty());
  }
}

/// Of a forward model of thousands of sources, one may be silent: radial to a magnetometer's sphere, or projected away.
TEST(SparseInverse, GivesASilentSourceNoAmplitude_AndTheOthersTheirOwn) {
  const Recording recording(12);
  Matrix<double> P = Matrix<double>::Identity(24, 24), seen = recording.G;  // the projection of channel 5 empties it
  P(5, 5) = 0;
  seen.col(8).setZero();
  const Matrix<double> C = P * recording.C * P;
  for (const SourcePenalty penalty : {SourcePenalty::l1, SourcePenalty::group})
    for (const double depth : {0.0, 0.8})
      for (const bool is_zero : {true, false}) {
        Matrix<double> G = seen;
        if (!is_zero) G(5, 8) = 1e-13;  // in the null space of the noise
        const auto others = [](const Matrix<double>& A) {
          Matrix<double> B(A.rows(), A.cols() - 1);
          B << A.leftCols(8), A.rightCols(A.cols() - 9);
          return B;
        };
        const SparseInverseOptions options{.depth = depth, .penalty = penalty, .channel_types = recording.types, .tol = 1e-13};
        const auto all = sparse_inverse(recording.M, G, C, Reg::fraction_of_max(0.2), options);
        const auto without = sparse_inverse(recording.M, others(G), C, Reg::fraction_of_max(0.2), options);
        EXPECT_EQ(all.status, Status::converged);
        EXPECT_TRUE(all.sources.row(8).isZero(0));
        EXPECT_EQ(all.depth_weights(8), 0);
        EXPECT_DOUBLE_EQ(all.reg, without.reg);
        const Matrix<double> difference = others(all.sources.transpose()) - without.sources.transpose();
        EXPECT_LT(difference.norm(), 1e-5 * without.sources.norm());
      }
}

TEST(SparseInverseBadInput, IsRefusedInOneSentence) {
  const Matrix<double> M = Draw(90).normal_matrix(4, 3), G = Draw(91).atoms(4, 6), C = Matrix<double>::Identity(4, 4);
  const auto changed = [](Matrix<double> A, Index i, Index j, double value) {
    A(i, j) = value;
    return A;
  };
  const auto solve = [](const Matrix<double>& m, const Matrix<double>& g, const Matrix<double>& c, const Reg& reg = 1,
                        const SparseInverseOptions& options = {}) { return [=] { sparse_inverse(m, g, c, reg, options); }; };
  Matrix<double> hidden = Matrix<double>::Zero(4, 4);
  hidden.diagonal() << 1, 1, 1, 0;
  const Matrix<double> only_hidden = changed(Matrix<double>::Zero(4, 6), 3, 5, 1);
  const BadInput table[] = {
      {"sparse_inverse: M has shape (4, 0), must have at least one channel and one instant", solve(Matrix<double>(4, 0), G, C)},
      {"sparse_inverse: G has shape (5, 6) but M has 4 channels; expected (4, n_sources)",
       solve(M, Matrix<double>::Ones(5, 6), C)},
      {"sparse_inverse: noise_cov has shape (3, 3), expected (4, 4), a row and a column per channel",
       solve(M, G, Matrix<double>::Identity(3, 3))},
      {"sparse_inverse: M holds nan at instant 1, channel 1; expected finite numbers",
       solve(changed(M, 1, 1, std::nan("")), G, C)},
      {"sparse_inverse: G holds inf at column 0, channel 0; expected finite numbers", solve(M, changed(G, 0, 0, HUGE_VAL), C)},
      {"noise_cov is not symmetric: entry (2, 0) is 0 but (0, 2) is 0.1", solve(M, G, changed(C, 0, 2, 0.1))},
      {"noise_cov: channel 1 has the variance -1, must be >= 0", solve(M, G, changed(C, 1, 1, -1))},
      {"noise_cov is not positive semidefinite: scaled per channel type, its eigenvalues run from -1 to 3",
       solve(M, G, changed(changed(C, 0, 1, 2), 1, 0, 2))},
      {"noise_cov: all variances of channel type 'all channels' are 0; leave these channels out",
       solve(M, G, Matrix<double>::Zero(4, 4))},
      {"noise_cov: all variances of channel type 'eeg' are 0; leave these channels out",
       solve(M, G, hidden, 1, {.channel_types = {"mag", "mag", "mag", "eeg"}})},
      {"channel_types has 2 entries for 4 channels; they must be equal", solve(M, G, C, 1, {.channel_types = {"mag", "mag"}})},
      {"sparse_inverse: no channel sees any of the 6 sources of G: each is zero, or lies in the null space of noise_cov",
       solve(M, only_hidden, hidden)},
      {"sparse_inverse: G has 4 columns, no multiple of n_orient = 3", solve(M, G.leftCols(4), C, 1, {.n_orient = 3})},
      {"n_orient = 2, must be 1 (fixed orientation) or 3 (free)", solve(M, G, C, 1, {.n_orient = 2})},
      {"n_orient = 3 is for penalty = 'group': l1 would prefer the axes of the coordinate system",
       solve(M, G, C, 1, {.penalty = SourcePenalty::l1, .n_orient = 3})},
      {"depth = 1.5, must be between 0 and 1", solve(M, G, C, 1, {.depth = 1.5})},
      {"depth = nan, must be between 0 and 1", solve(M, G, C, 1, {.depth = std::nan("")})},
      {"rank_tol = 1, must be between 0 and 1", solve(M, G, C, 1, {.rank_tol = 1})},
      {"tol = -1, must be >= 0 and finite", solve(M, G, C, 1, {.tol = -1})},
      {"max_iter = 0, must be >= 1", solve(M, G, C, 1, {.max_iter = 0})},
      {"reg: sparse_inverse takes one weight for all instants, not one per instant",
       solve(M, G, C, Reg(std::vector<double>{1, 1, 1}))},
      {"penalty = 'l2', must be 'l1' or 'group'", [] { parse<SourcePenalty>("l2", "penalty"); }},
  };
  for (const BadInput& row : table) EXPECT_EQ(refusal_of(row.call), row.sentence);
}

}  // namespace
}  // namespace riata::testing
