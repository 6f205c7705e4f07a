// Convolutional matching pursuit against its definition, and K-SVD on its activations.
#include "riata/optim/pattern_ksvd.hpp"

#include <gtest/gtest.h>

#include <Eigen/SVD>

#include "riata/learning/pattern_pursuit_direction.hpp"
#include "support/random_arrays.hpp"

namespace riata::testing::of_ksvd {
namespace {

constexpr Index n_channels = 2, n_times = 50, L = 6, K = 3;

ConvolutionalDictionary<double> patterns(Draw& draw, bool rank_one, bool window = false) {
  if (!rank_one) return {draw.atoms(n_channels * L, K), {n_channels, n_times}};
  return ConvolutionalDictionary<double>::rank_one(draw.atoms(n_channels, K), draw.atoms(L, K), {n_channels, n_times},
                                                   window ? tukey_window<double>(L) : Vector<double>());
}

/// Column j of D is what activation j alone makes.
Matrix<double> as_matrix(const Dictionary<double>& D) {
  Matrix<double> columns(D.signal_size(), D.code_size());
  D.apply(Matrix<double>::Identity(D.code_size(), D.code_size()), columns);
  return columns;
}

TEST(ConvPursuit, TakesEachTimeWhatCorrelatesMost) {
  Draw draw(4);
  for (const bool rank_one : {true, false})
    for (const bool positive : {true, false}) {
      const auto D = patterns(draw, rank_one, rank_one);
      const Matrix<double> columns = as_matrix(D), X = draw.normal_matrix(n_channels * n_times, 2);
      const Matrix<double> Z = conv_pursuit<double>(X, D, {.n_nonzero = 25, .least = 0.3, .positive = positive});
      for (Index i = 0; i < 2; ++i) {
        Vector<double> r = X.col(i), z = Vector<double>::Zero(D.code_size());
        double first = 0;
        int n_steps = 0;
        for (; n_steps < 25; ++n_steps) {
          Vector<double> move = (columns.transpose() * r).cwiseQuotient(columns.colwise().norm().transpose());
          if (positive) move = move.cwiseMax(-z.cwiseProduct(columns.colwise().norm().transpose()));
          Index best = 0;
          const double size = move.cwiseAbs().maxCoeff(&best);
          if (n_steps == 0) first = size;
          if (size < 0.3 * first) break;
          const double step = move(best) / columns.col(best).norm();
          z(best) += step;
          r -= step * columns.col(best);
        }
        EXPECT_LE((Z.col(i) - z).cwiseAbs().maxCoeff(), 1e-10) << rank_one << " " << positive;
        EXPECT_GT(n_steps, 5);
      }
    }
}

TEST(PatternKSvd, NeverRaisesWhatIsLeft_WhichItSaysRightly) {
  Draw draw(7);
  for (const bool rank_one : {true, false}) {
    const auto D = patterns(draw, rank_one, rank_one);
    const Matrix<double> X = draw.normal_matrix(n_channels * n_times, 3);
    PatternPursuitDirection<double> direction(D, {.n_nonzero = 20, .least = 0.1}, Reduction::mean);
    Parameters<double> at = D.parameters();
    auto sums = direction.look({Batch<double>(X)}, {.at = at, .codes_by_atom = true}, {});
    double left = sums.by_atom.residual.norm();
    const double before = left;
    for (int sweep = 0; sweep < 5; ++sweep) {
      refit_patterns<double>(at, D, false, sums.by_atom);
      const double now = sums.by_atom.residual.norm();
      EXPECT_LE(now, left * (1 + 1e-12));
      left = now;
    }
    EXPECT_LT(left, 0.99 * before);
    Matrix<double> Z = Matrix<double>::Zero(D.code_size(), 3);
    for (Index k = 0; k < K; ++k)
      for (Index a = sums.by_atom.starts[static_cast<std::size_t>(k)]; a < sums.by_atom.starts[static_cast<std::size_t>(k) + 1];
           ++a) {
        const int place = sums.by_atom.signals[static_cast<std::size_t>(a)];
        Z(k * D.n_positions() + place % D.n_positions(), place / D.n_positions()) =
            sums.by_atom.values[static_cast<std::size_t>(a)];
      }
    Matrix<double> explained(X.rows(), 3);
    D.at(at)->apply(Z, explained);
    EXPECT_LE((X - explained - sums.by_atom.residual).cwiseAbs().maxCoeff(), 1e-12);
    for (const auto& [name, values] : at) EXPECT_LE((values.colwise().norm().array() - 1).abs().maxCoeff(), 1e-12) << name;
  }
}

TEST(PatternKSvd, LeavesPatternsThatMadeTheSignals_AlsoWindowedAndWhereActivationsOverlap) {
  Draw draw(5);
  for (const bool window : {false, true}) {
    const auto D = patterns(draw, true, window);
    CodesByAtom<double> codes{
        .starts = {0, 3, 6, 8}, .signals = {0, 2, 30, 4, 20, 21, 10, 40}, .values = {1, -2, 1, 3, 0.5, 2, 1, 1}};
    codes.residual = Matrix<double>::Zero(n_channels * n_times, 1);
    Parameters<double> at = D.parameters();
    refit_patterns<double>(at, D, false, codes);
    for (const auto& [name, values] : D.parameters()) EXPECT_LE((at.at(name) - values).cwiseAbs().maxCoeff(), 1e-12) << name;
    EXPECT_LE(codes.residual.cwiseAbs().maxCoeff(), 1e-12);
  }
}

TEST(PatternKSvd, GivesTheBestRankOneOfWindowsThatDoNotOverlap) {
  Draw draw(2);
  const ConvolutionalDictionary<double> D(draw.atoms(n_channels * L, 1), {n_channels, n_times});
  CodesByAtom<double> codes{.starts = {0, 5}, .signals = {0, 8, 17, 25, 40}, .values = {1, -2, 1, 3, 0.5}};
  codes.residual = draw.normal_matrix(n_channels * n_times, 1);
  Matrix<double> E(n_channels * L, 5);
  const Eigen::Map<const Matrix<double>> R(codes.residual.data(), n_times, n_channels);
  for (Index i = 0; i < 5; ++i) {
    const Matrix<double> piece = R.middleRows(codes.signals[static_cast<std::size_t>(i)], L);
    E.col(i) =
        Eigen::Map<const Vector<double>>(piece.data(), piece.size()) + codes.values[static_cast<std::size_t>(i)] * D.atoms();
  }
  Parameters<double> at = D.parameters();
  for (int sweep = 0; sweep < 60; ++sweep) refit_patterns<double>(at, D, false, codes);
  const Eigen::JacobiSVD<Matrix<double>> svd(E, Eigen::ComputeThinU);
  EXPECT_NEAR(std::abs(svd.matrixU().col(0).dot(at.at("kernels").col(0))), 1, 1e-10);
  EXPECT_NEAR(Eigen::Map<const Vector<double>>(codes.values.data(), 5).norm(), svd.singularValues()(0), 1e-8);
}

}  // namespace
}  // namespace riata::testing::of_ksvd
