#include "riata/solvers/implicit.hpp"

#include <gtest/gtest.h>

#include "support/decompositions.hpp"
#include "support/exact_codes.hpp"
#include "support/precision.hpp"
#include "support/sentences.hpp"
#include "support/unrolled_oracle.hpp"

namespace riata::testing {
namespace {

double relative_error(const Eigen::MatrixXd& computed, const Eigen::MatrixXd& expected) {
  if (computed.rows() != expected.rows() || computed.cols() != expected.cols()) return INFINITY;
  return (computed - expected).norm() / std::max(expected.norm(), 1e-3);
}

/// Calls visit(batch, its exact codes, what it is) for 40 problems of every kind of penalty.
template <class Visit>
void for_each_smooth_batch(const Visit& visit) {
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    Eigen::MatrixXd codes;
    const LassoBatch batch = draw_smooth_batch(4000 + seed, seed & 1, seed & 2, codes);
    visit(batch, codes, "seed " + std::to_string(4000 + seed));
  }
}

TEST(ImplicitGradient, EqualsFiniteDifferencesOfTheExactCodes) {
  for_each_smooth_batch([](LassoBatch batch, const Eigen::MatrixXd& codes, const std::string& about) {
    const Eigen::MatrixXd c = Draw(1).normal_matrix(9, 3);
    const auto value = [&] { return codes_on_the_support_of(codes, batch).cwiseProduct(c).sum(); };
    const auto found = implicit_gradient<double>(batch.X, batch.D, batch.regs(), c, {.penalty = batch.penalty});
    EXPECT_LE(relative_error(found.codes, codes), 1e-5) << about;
    const Matrix<double> exact = codes;
    const auto result = implicit_gradient<double>(batch.X, batch.D, batch.regs(), c, {.penalty = batch.penalty}, exact);
    EXPECT_EQ(result.codes, exact);
    EXPECT_LE(relative_error(result.dictionary, central_differences(batch.D, value)), 1e-6) << about;
    EXPECT_LE(relative_error(result.signals, central_differences(batch.X, value)), 1e-6) << about;
    EXPECT_LE(relative_error(result.reg, central_differences(batch.reg, value)), 1e-6) << about;
    if (!batch.penalty.weights.empty()) {
      Eigen::Map<Eigen::VectorXd> weights(batch.penalty.weights.data(), 9);
      EXPECT_LE(relative_error(result.weights, central_differences(weights, value)), 1e-6) << about;
    }
  });
}

TEST(ImplicitJvp, EqualsFiniteDifferencesOfTheExactCodes) {
  for_each_smooth_batch([](LassoBatch batch, const Matrix<double>& codes, const std::string& about) {
    Draw draw(2);
    const ImplicitDirection<double> direction{draw.normal_matrix(6, 9), draw.normal_matrix(6, 3), draw.normal_vector(3)};
    const auto moved = [&](double h) {
      LassoBatch there = batch;
      there.D += h * direction.dictionary;
      there.X += h * direction.signals;
      there.reg += h * direction.reg;
      return codes_on_the_support_of(codes, there);
    };
    const double h = 1e-5;
    const Eigen::MatrixXd expected = (8 * (moved(h) - moved(-h)) - (moved(2 * h) - moved(-2 * h))) / (12 * h);
    const auto result = implicit_jvp<double>(batch.X, batch.D, batch.regs(), direction, {.penalty = batch.penalty}, codes);
    EXPECT_LE(relative_error(result, expected), 1e-6) << about;
  });
}

TEST(ImplicitJvp, IsTheAdjointOfTheGradient) {
  for_each_smooth_batch([](const LassoBatch& batch, const Matrix<double>& codes, const std::string& about) {
    Draw draw(3);
    const ImplicitDirection<double> d{draw.normal_matrix(6, 9), draw.normal_matrix(6, 3), draw.normal_vector(3)};
    const Eigen::MatrixXd c = draw.normal_matrix(9, 3);
    const ImplicitOptions options{.penalty = batch.penalty};
    const auto forward = implicit_jvp<double>(batch.X, batch.D, batch.regs(), d, options, codes);
    const auto back = implicit_gradient<double>(batch.X, batch.D, batch.regs(), c, options, codes);
    const double left = forward.cwiseProduct(c).sum();
    const double right =
        back.dictionary.cwiseProduct(d.dictionary).sum() + back.signals.cwiseProduct(d.signals).sum() + back.reg.dot(d.reg);
    EXPECT_NEAR(left, right, 1e-12 * (1 + forward.norm() * c.norm())) << about;
    // One direction for a reg that all signals share; nothing moves where nothing is said to.
    ImplicitDirection<double> shared{.reg = Vector<double>::Ones(1)};
    EXPECT_NEAR(implicit_jvp<double>(batch.X, batch.D, batch.regs(), shared, options, codes).cwiseProduct(c).sum(),
                back.reg.sum(), 1e-12 * (1 + back.reg.norm()));
    EXPECT_TRUE(implicit_jvp<double>(batch.X, batch.D, batch.regs(), {}, options, codes).isZero(0));
  });
}

TEST(ImplicitJacobian, EqualsFiniteDifferencesOfTheExactCode) {
  for_each_smooth_batch([](LassoBatch batch, const Eigen::MatrixXd& codes, const std::string& about) {
    for (const Index row : {0, 5}) {
      const Matrix<double> J =
          implicit_jacobian<double>(batch.X.col(1), batch.D, batch.reg(1), row, {.tol = 1e-15, .penalty = batch.penalty});
      Eigen::MatrixXd expected(9, 9);
      for (Index k = 0; k < 9; ++k) {
        const double before = batch.D(row, k), h = 1e-5;
        const auto code = [&](double shift) {
          batch.D(row, k) = before + shift;
          const Eigen::VectorXd z = codes_on_the_support_of(codes, batch).col(1);
          batch.D(row, k) = before;
          return z;
        };
        expected.col(k) = (8 * (code(h) - code(-h)) - (code(2 * h) - code(-2 * h))) / (12 * h);
      }
      EXPECT_LE(relative_error(J, expected), 1e-6) << about << ", row " << row;
    }
  });
}

TEST(ImplicitGradient, OfABatch_IsTheSumOfThoseOfItsSignals_WhateverTheThreads) {
  Draw draw(5);
  const Eigen::MatrixXd D = draw.atoms(20, 40), X = draw.normal_matrix(20, 300), c = draw.normal_matrix(40, 300);
  const auto batch = implicit_gradient<double>(X, D, 0.3, c, {.execution = {.n_threads = 1}});
  for (const int n_threads : {2, 3}) {
    const auto again = implicit_gradient<double>(X, D, 0.3, c, {.execution = {.n_threads = n_threads}});
    EXPECT_EQ(again.dictionary, batch.dictionary);
    EXPECT_EQ(again.signals, batch.signals);
    EXPECT_EQ(again.reg, batch.reg);
    EXPECT_EQ(again.weights, batch.weights);
  }
  Eigen::MatrixXd dictionary = Eigen::MatrixXd::Zero(20, 40);
  double reg = 0;
  for (Index i = 0; i < 300; ++i) {
    const Matrix<double> code = batch.codes.col(i);
    const auto one = implicit_gradient<double>(X.col(i), D, 0.3, c.col(i), {}, code);
    dictionary += one.dictionary;
    reg += one.reg(0);
    EXPECT_LE((one.signals - batch.signals.col(i)).norm(), 1e-12 * (1 + one.signals.norm()));
  }
  EXPECT_LE(relative_error(batch.dictionary, dictionary), 1e-12);
  EXPECT_NEAR(batch.reg(0), reg, 1e-12 * std::abs(reg));
  EXPECT_NEAR(batch.weights.sum(), 0.3 * reg, 1e-12 * std::abs(reg));  // g is of degree one in its weights
}

TEST(ImplicitGradient, OnDependentAtoms_HasTheLeastNorm) {
  Draw draw(6);
  Eigen::MatrixXd D = draw.atoms(6, 4);
  D.col(3) = D.col(0);  // codes on both may be split at will
  const Matrix<double> codes = (Eigen::MatrixXd(4, 1) << 0.5, 0, -0.3, 0.25).finished();
  const Eigen::VectorXd c = draw.normal_vector(4);
  const Eigen::VectorXd x = draw.normal_vector(6);
  const auto result = implicit_gradient<double>(x, D, 0.1, c, {}, codes);
  // a = (D_S^T D_S)^+ c by the singular values; p = D a
  const std::vector<int> S = {0, 2, 3};
  const Eigen::MatrixXd D_S = D(Eigen::all, S);
  const Svd svd = svd_of(D_S);
  const Eigen::VectorXd inverse = (svd.singular.array() > 1e-8).select(svd.singular.array().pow(-2), 0.0);
  const Eigen::VectorXd a = svd.V * inverse.asDiagonal() * svd.V.transpose() * c(S);
  EXPECT_LE(relative_error(result.signals, D_S * a), 1e-12);
  EXPECT_NEAR(result.reg(0), -(a(0) - a(1) + a(2)), 1e-12 * a.norm());
  EXPECT_TRUE(result.dictionary.allFinite());
}

TEST(ImplicitGradient, StandsZeroSignalsAndZeroAtoms) {
  Draw draw(7);
  Eigen::MatrixXd D = draw.atoms(6, 9), X = draw.normal_matrix(6, 3), c = draw.normal_matrix(9, 3);
  D.col(2).setZero();
  X.col(1).setZero();
  const auto result = implicit_gradient<double>(X, D, Reg::fraction_of_max(0.1), c);
  EXPECT_TRUE(result.signals.col(1).isZero(0));
  EXPECT_TRUE(result.dictionary.col(2).isZero(0));
  EXPECT_TRUE(result.dictionary.allFinite());
  EXPECT_EQ(result.reg.size(), 1);
}

TEST(ImplicitGradient, InFloat_FollowsDouble) {
  Draw draw(8);
  const Matrix<float> D = draw.atoms(20, 40).cast<float>(), X = draw.normal_matrix(20, 100).cast<float>();
  const Matrix<float> c = draw.normal_matrix(40, 100).cast<float>();
  const auto rounded = implicit_gradient<float>(X, D, 0.3, c);
  const Matrix<double> codes = rounded.codes.cast<double>();
  const auto exact =
      implicit_gradient<double>(X.cast<double>(), Matrix<double>(D.cast<double>()), 0.3, c.cast<double>(), {}, codes);
  EXPECT_LE(relative_error(rounded.dictionary.cast<double>(), exact.dictionary), 1e-6);
  EXPECT_LE(relative_error(rounded.signals.cast<double>(), exact.signals), 1e-6);
  EXPECT_LE(relative_error(rounded.reg, exact.reg), 1e-6);
}

TEST(Hypergradient, EqualsFiniteDifferences_OfAnotherObservationAndOfHeldOutFeatures) {
  for_each_smooth_batch([](LassoBatch batch, const Matrix<double>& codes, const std::string& about) {
    Draw draw(9);
    for (const Index n_held_out : {6, 4}) {
      const Eigen::MatrixXd D_held_out = n_held_out == 6 ? batch.D : draw.normal_matrix(n_held_out, 9);
      const Eigen::MatrixXd X_held_out = draw.normal_matrix(n_held_out, 3);
      const auto value = [&] { return (X_held_out - D_held_out * codes_on_the_support_of(codes, batch)).squaredNorm() / 6; };
      const HyperGradient result =
          hypergradient<double>(batch.X, batch.D, batch.regs(), X_held_out, D_held_out, {.penalty = batch.penalty}, codes);
      EXPECT_NEAR(result.value, value(), 1e-12 * value()) << about;
      EXPECT_LE(relative_error(result.reg, central_differences(batch.reg, value)), 1e-6) << about;
      if (batch.penalty.weights.empty()) continue;
      Eigen::Map<Eigen::VectorXd> weights(batch.penalty.weights.data(), 9);
      EXPECT_LE(relative_error(result.weights, central_differences(weights, value)), 1e-6) << about;
    }
  });
}

TEST(Implicit, RefusesBadInput_WithOneSentence) {
  const Matrix<double> X = Matrix<double>::Ones(4, 5), Z = Matrix<double>::Zero(3, 5), wrong = Matrix<double>::Zero(3, 2);
  const DenseDictionary<double> D(Matrix<double>(Matrix<double>::Identity(4, 3)));
  const DenseDictionary<double> other(Matrix<double>(Matrix<double>::Identity(4, 2)));
  Matrix<double> not_finite = Z, negative = Z;
  not_finite(1, 2) = NAN;
  negative(0, 0) = -1;
  const BadInput rows[] = {
      {"implicit_gradient: cotangent has shape (2, 3), expected (5, 3)", [&] { implicit_gradient<double>(X, D, 0.1, wrong); }},
      {"implicit_gradient: cotangent holds nan at signal 2, atom 1", [&] { implicit_gradient<double>(X, D, 0.1, not_finite); }},
      {"implicit_gradient: codes has shape (2, 3), expected (5, 3)", [&] { implicit_gradient<double>(X, D, 0.1, Z, {}, wrong); }},
      {"implicit_gradient: positive=True but codes hold -1",
       [&] { implicit_gradient<double>(X, D, 0.1, Z, {.penalty = {.positive = true}}, negative); }},
      {"tol = -1, must be >= 0 and finite", [&] { implicit_gradient<double>(X, D, 0.1, Z, {.tol = -1}); }},
      {"implicit_jvp: the direction of D has shape (2, 3), expected (3, 4)",
       [&] { implicit_jvp<double>(X, D, 0.1, {.dictionary = wrong}); }},
      {"implicit_jvp: the direction of X has shape (2, 3), expected (5, 4)",
       [&] { implicit_jvp<double>(X, D, 0.1, {.signals = wrong}); }},
      {"implicit_jvp: the direction of reg has 2 entries for 5 signals",
       [&] { implicit_jvp<double>(X, D, 0.1, {.reg = Vector<double>::Zero(2)}); }},
      {"row = 4, must be between 0 and n_features - 1 = 3", [&] { implicit_jacobian<double>(X.col(0), D, 0.1, 4); }},
      {"hypergradient: X_held_out has shape (5, 3), expected (5, 4)", [&] { hypergradient<double>(X, D, 0.1, Z, D); }},
      {"hypergradient: D_held_out has 2 atoms but D has 3; they must be equal",
       [&] { hypergradient<double>(X, D, 0.1, X, other); }},
  };
  for (const BadInput& row : rows) EXPECT_EQ(refusal_of(row.call).substr(0, row.sentence.size()), row.sentence);
}

}  // namespace
}  // namespace riata::testing
