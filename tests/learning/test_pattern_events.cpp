#include "riata/learning/pattern_events.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "support/random_arrays.hpp"

namespace riata::testing {
namespace {

/// Two channels, a bump of 21 samples whose peak is sample 12, and one that changes sign each sample.
ConvolutionalDictionary<double> bump_and_zigzag(const RecordingShape& shape) {
  Matrix<double> u(2, 2), v(21, 2);
  u << 0.6, 1, -0.8, 0;
  for (Index l = 0; l < 21; ++l) {
    const double t = static_cast<double>(l);
    v(l, 0) = std::exp(-std::pow((t - 12) / 4, 2));
    v(l, 1) = (l % 2 == 0 ? 1 : -1) * std::exp(-std::pow((t - 5) / 6, 2));
  }
  v.colwise().normalize();
  return ConvolutionalDictionary<double>::rank_one(u, v, shape);
}

TEST(PatternEvents, NeighboursOfASmoothPatternAreOneEventAtItsPeak) {
  const auto D = bump_and_zigzag({2, 200});
  Matrix<double> Z = Matrix<double>::Zero(D.code_size(), 2);
  const Index P = D.n_positions();
  Z(40, 0) = 1, Z(41, 0) = 3;              // one event, at 40.75
  Z(100, 0) = 2;                           // another,
  Z(109, 0) = 0.5;                         // beside which nothing within half a pattern is one;
  Z(120, 0) = 0.1;                         // and one that is small
  Z(10, 1) = 4;                            // in the other trial
  Z(P + 30, 0) = -2, Z(P + 32, 0) = -1.5;  // of the zigzag, which a sample later is its opposite: the larger alone
  const auto events = pattern_events<double>(Z, D);
  ASSERT_EQ(events.size(), 2U);
  ASSERT_EQ(events[0].size(), 3U);
  const Index trials[] = {0, 0, 1}, times[] = {41 + 12, 100 + 12, 10 + 12};
  const double amplitudes[] = {4, 2, 4};
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(events[0][i].trial, trials[i]);
    EXPECT_EQ(events[0][i].time, times[i]);
    EXPECT_NEAR(events[0][i].amplitude, amplitudes[i], 1e-12);
  }
  ASSERT_EQ(events[1].size(), 1U);
  EXPECT_EQ(events[1][0].time, 30 + 5);
  EXPECT_EQ(events[1][0].amplitude, -2);
  EXPECT_EQ(pattern_events<double>(Z, D, 0)[0].size(), 4U);
  EXPECT_EQ(pattern_events<double>(Z, D, 0.9)[0].size(), 2U);
  EXPECT_TRUE(pattern_events<double>(0 * Z, D)[0].empty());
}

TEST(PatternEvents, AreTheSameInAnyUnitAndPrecision) {
  const auto D = bump_and_zigzag({2, 2000});
  Draw draw(1);
  const Matrix<double> Z = draw.sparse_matrix(D.code_size(), 3, 0.03);
  const auto expected = pattern_events<double>(Z, D);
  const ConvolutionalDictionary<float> in_float(D.atoms().cast<float>(), D.shape());
  const Matrix<double> parts[] = {0x1p-500 * Z, 0x1p500 * Z};
  for (const Matrix<double>& other : parts) {
    const auto found = pattern_events<double>(other, D);
    for (std::size_t k = 0; k < 2; ++k) {
      ASSERT_EQ(found[k].size(), expected[k].size());
      for (std::size_t i = 0; i < found[k].size(); ++i) EXPECT_EQ(found[k][i].time, expected[k][i].time);
    }
  }
  const auto found = pattern_events<float>(Z.cast<float>(), in_float);
  for (std::size_t k = 0; k < 2; ++k) EXPECT_EQ(found[k].size(), expected[k].size());
}

TEST(PatternEvents, OfEveryBoundaryLieWithinTheTrial) {
  for (const Boundary boundary : {Boundary::full, Boundary::circular}) {
    const auto D = bump_and_zigzag({2, 50, boundary});
    Matrix<double> Z = Matrix<double>::Zero(D.code_size(), 1);
    Z(0, 0) = 1;
    Z(D.n_positions() - 1, 0) = 1;
    const auto events = pattern_events<double>(Z, D);
    if (boundary == Boundary::full) {
      EXPECT_TRUE(events[0].empty());  // peaks at -8 and 61
    } else {
      ASSERT_EQ(events[0].size(), 2U);
      EXPECT_EQ(events[0][0].time, 11);
      EXPECT_EQ(events[0][1].time, 12);
    }
  }
}

TEST(ExplainedVariance, IsAsItsDefinitionSays) {
  Draw draw(2);
  for (const bool rank_one : {true, false}) {
    const RecordingShape shape{2, 90};
    const auto D = rank_one ? bump_and_zigzag(shape) : ConvolutionalDictionary<double>(draw.atoms(30, 3), shape);
    const Index P = D.n_positions();
    const Matrix<double> Z = draw.sparse_matrix(D.code_size(), 4, 0.1), noise = draw.normal_matrix(180, 4);
    Matrix<double> made(180, 4);
    D.apply(Z, made);
    const Matrix<double> X = made + noise;
    const auto found = explained_variance<double>(X, Z, D);
    EXPECT_NEAR(found.total, 1 - noise.squaredNorm() / X.squaredNorm(), 1e-12);
    for (Index k = 0; k < D.n_atoms(); ++k) {
      Matrix<double> without = Z;
      without.middleRows(k * P, P).setZero();
      D.apply(without, made);
      EXPECT_NEAR(found.per_atom(k), ((X - made).squaredNorm() - noise.squaredNorm()) / X.squaredNorm(), 1e-12);
    }
    const auto small = explained_variance<double>(1e-200 * X, 1e-200 * Z, D);
    EXPECT_NEAR(small.total, found.total, 1e-12);
    EXPECT_LE((small.per_atom - found.per_atom).cwiseAbs().maxCoeff(), 1e-12);
    EXPECT_EQ(explained_variance<double>(0 * X, 0 * Z, D).total, 0);
  }
}

TEST(ExplainedVariance, OfPatternsApartAddsUpToTheTotal) {
  const auto D = bump_and_zigzag({2, 200});
  Matrix<double> Z = Matrix<double>::Zero(D.code_size(), 1), X(400, 1);
  Z(20, 0) = 3;
  Z(D.n_positions() + 100, 0) = 4;
  D.apply(Z, X);
  const auto found = explained_variance<double>(X, Z, D);
  EXPECT_NEAR(found.per_atom(0), 9.0 / 25, 1e-12);
  EXPECT_NEAR(found.per_atom(1), 16.0 / 25, 1e-12);
  EXPECT_NEAR(found.total, 1, 1e-12);
}

TEST(PatternEvents, CountEachActivationOnce) {
  Draw draw(8);
  const ConvolutionalDictionary<double> boxcar(Matrix<double>::Constant(21, 1, 1 / std::sqrt(21.0)), {1, 120});
  for (int train = 0; train < 50; ++train) {
    Matrix<double> Z = Matrix<double>::Zero(boxcar.code_size(), 1);
    for (int i = 0; i < 12; ++i) Z(draw.integer(0, 99), 0) = draw.uniform(0.5, 1.5);
    double sum = 0;
    const auto events = pattern_events<double>(Z, boxcar, 0);
    for (const PatternEvent& event : events[0]) sum += event.amplitude;
    EXPECT_LE(sum, Z.sum() * (1 + 1e-12));
  }
}

TEST(PatternEvents, RefuseWhatDoesNotFit) {
  const auto D = bump_and_zigzag({2, 50});
  const Matrix<double> Z = Matrix<double>::Zero(D.code_size(), 1), X = Matrix<double>::Ones(100, 1);
  EXPECT_THROW(pattern_events<double>(Z.topRows(7), D), std::invalid_argument);
  EXPECT_THROW(pattern_events<double>(Z, D, -1), std::invalid_argument);
  EXPECT_THROW(explained_variance<double>(X.topRows(99), Z, D), std::invalid_argument);
  EXPECT_THROW(explained_variance<double>(X, Matrix<double>::Zero(Z.rows(), 2), D), std::invalid_argument);
  EXPECT_THROW(explained_variance<double>(X, Matrix<double>::Constant(Z.rows(), 1, NAN), D), std::invalid_argument);
}

}  // namespace
}  // namespace riata::testing
