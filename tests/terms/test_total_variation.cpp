#include "riata/terms/total_variation.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <string>

#include "support/instruction_sets.hpp"
#include "support/long.hpp"
#include "support/precision.hpp"
#include "support/random_arrays.hpp"
#include "support/sentences.hpp"
#include "support/tv_oracle.hpp"

namespace riata::testing {
namespace {

enum class Shape { noise, constant, alternating, steps, walk, ramp, integers, wave, fan, count };

Vector<double> draw_signal(Draw& draw, Shape shape, Index n) {
  Vector<double> y(n);
  double level = draw.normal();
  for (Index t = 0; t < n; ++t) {
    switch (shape) {
      case Shape::constant:
        y(t) = level;
        break;
      case Shape::alternating:
        y(t) = t % 2 == 0 ? level : -level;
        break;
      case Shape::steps:
        if (draw.coin(0.1)) level = 3 * draw.normal();
        y(t) = level + 0.3 * draw.normal();
        break;
      case Shape::walk:
        y(t) = level += draw.normal();
        break;
      case Shape::ramp:
        y(t) = static_cast<double>(t) / static_cast<double>(n) + 1e-3 * draw.normal();
        break;
      case Shape::integers:
        y(t) = draw.integer(-3, 3);
        break;
      case Shape::fan:  // which sends those back who look for the next jump by starting over
        y(t) = level / (1 + 10 * static_cast<double>(t) / static_cast<double>(n));
        break;
      case Shape::wave:
        y(t) = std::sin(0.05 * static_cast<double>(t)) + 0.1 * draw.normal();
        break;
      default:
        y(t) = draw.normal();
    }
  }
  return y;
}

struct Problem {
  Vector<double> y;
  double weight = 0;
  Vector<double> jumps = {};  ///< or none

  TvWeight<double> weights() const { return TvWeight<double>(Vector<double>::Constant(1, weight), jumps); }
  std::vector<double> all() const {
    std::vector<double> w(static_cast<std::size_t>(y.size() - 1), weight);
    for (Index t = 0; t < jumps.size(); ++t) w[static_cast<std::size_t>(t)] *= jumps(t);
    return w;
  }
  double size() const { return y.cwiseAbs().maxCoeff(); }
};

Problem draw_problem(Draw& draw, Index longest) {
  const Index n = std::max<Index>(1, static_cast<Index>(draw.log_uniform(1, static_cast<double>(longest) + 1)));
  Problem p{.y = draw_signal(draw, static_cast<Shape>(draw.integer(0, static_cast<int>(Shape::count) - 1)), n)};
  p.y.array() += draw.coin(0.3) ? draw.log_uniform(1, 1e6) : 0.0;
  const double kind = draw.uniform();
  p.weight = kind < 0.1   ? draw.log_uniform(1e6, 1e300)
             : kind < 0.2 ? draw.log_uniform(1e-300, 1e-9)
             : kind < 0.3 ? draw.integer(0, 4)
                          : draw.log_uniform(1e-3, 3 * std::sqrt(static_cast<double>(n)));
  if (n > 1 && draw.coin(0.3)) {
    p.jumps.resize(n - 1);
    for (double& w : p.jumps) w = draw.coin(0.1) ? 0 : draw.log_uniform(0.1, 10);
  }
  return p;
}

/// The largest violation of |v_t| <= w_t, v_t = w_t sign(jump) up to its sign, v_n = 0, for the running sums v of y - u.
double dual_violation(const Problem& p, const Vector<double>& u) {
  const std::vector<double> w = p.all();
  long double v = 0, worst = 0;
  for (Index t = 0; t < u.size(); ++t) {
    v += static_cast<long double>(p.y(t)) - static_cast<long double>(u(t));
    const long double bound = t + 1 < u.size() ? w[static_cast<std::size_t>(t)] : 0;
    worst = std::max(worst, std::abs(v) - bound);
    if (t + 1 < u.size() && u(t + 1) != u(t)) worst = std::max(worst, std::abs(v + (u(t + 1) > u(t) ? bound : -bound)));
  }
  return static_cast<double>(worst);
}

TEST(TotalVariation, ProxIsThatOfAnotherExactSolver) {
  Draw draw(7001);
  const int n_signals = is_long() ? 10000 : 400;
  for (int i = 0; i < n_signals; ++i) {
    const Problem p = draw_problem(draw, is_long() ? 10000 : 1000);
    const Vector<double> expected = exact_prox_tv(p.y, p.all());
    for (const InstructionSet set : available_sets()) {
      const UseInstructionSet use(set);
      const Vector<double> u = prox_tv<double>(p.y, p.weights());
      const double error = (u - expected).cwiseAbs().maxCoeff();
      ASSERT_LE(error, 1e-12 * p.size()) << "signal " << i << " of " << p.y.size() << " samples, weight " << p.weight;
      const double length = static_cast<double>(p.y.size());
      ASSERT_LE(dual_violation(p, u), 1e-14 * length * p.size()) << "signal " << i << ", " << to_string(set);
    }
  }
}

TEST(TotalVariation, ProxOfTheSpecifiedExample) {
  const Vector<double> y{{0.1, 0.3, 1.2, 1.0, -0.5, -0.2}};
  const Vector<double> u = prox_tv<double>(y, 0.25);
  const Vector<double> expected{{0.325, 0.325, 0.85, 0.85, -0.225, -0.225}};
  EXPECT_LE((u - expected).cwiseAbs().maxCoeff(), 2e-16);
}

TEST(TotalVariation, ProxWithoutWeightIsTheSignal_AndWithMuchItsMean) {
  Draw draw(7002);
  const Vector<double> y = draw.normal_vector(300);
  EXPECT_EQ((prox_tv<double>(y, 0.0)), y);
  for (const double weight : {1e3, 1e100, std::numeric_limits<double>::max()})
    EXPECT_LE((prox_tv<double>(y, weight).array() - y.mean()).abs().maxCoeff(), 1e-15) << weight;
}

TEST(TotalVariation, ProxOfLongAndHostileSignalsTakesLinearTime) {
  const Index n = 1000000;
  Draw draw(7003);
  for (const Shape shape : {Shape::ramp, Shape::alternating, Shape::walk, Shape::wave}) {
    const Problem p{.y = draw_signal(draw, shape, n), .weight = 50, .jumps = {}};
    EXPECT_LE(dual_violation(p, prox_tv<double>(p.y, p.weights())), 1e-10 * p.size() * static_cast<double>(n));
  }
  const Problem fan{.y = draw_signal(draw, Shape::fan, n), .weight = 100, .jumps = {}};
  EXPECT_LE(dual_violation(fan, prox_tv<double>(fan.y, fan.weights())), 1e-10 * static_cast<double>(n));
  const Matrix<double> fans = fan.y(Eigen::seqN(0, 4000, 250)).replicate(1, 200);  // by no means 700 times as long as others
  const Matrix<double> together = prox_tv<double>(fans, 10.0);
  EXPECT_EQ(together.col(0), together.col(199));
}

TEST(TotalVariation, ProxFollowsTheUnitOfSignalAndWeight) {
  Draw draw(7004);
  const Vector<double> y = draw_signal(draw, Shape::steps, 200);
  const Vector<double> u = prox_tv<double>(y, 0.5);
  for (const int e : {-1000, -300, 17, 300, 1000}) {
    const Vector<double> scaled = prox_tv<double>(y.unaryExpr([e](double v) { return std::ldexp(v, e); }), std::ldexp(0.5, e));
    const double error = (scaled.unaryExpr([e](double v) { return std::ldexp(v, -e); }) - u).cwiseAbs().maxCoeff();
    EXPECT_LE(error, 4e-15) << e;
  }
}

TEST(TotalVariation, ProxIsTheSameInPlace_BesideOthers_AndOnAnyNumberOfThreads) {
  Draw draw(7005);
  const Matrix<double> Y = draw.normal_matrix(250, 400);
  const TvWeight<double> weight{Vector<double>(draw.normal_vector(400).cwiseAbs())};
  const Matrix<double> U = prox_tv<double>(Y, weight, {.n_threads = 1}), of_many = prox_tv<double>(Y, weight, {.n_threads = 3});
  EXPECT_EQ(std::memcmp(U.data(), of_many.data(), sizeof(double) * static_cast<std::size_t>(U.size())), 0);
  Matrix<double> in_place = Y;
  prox_tv<double>(in_place, weight, in_place);
  EXPECT_EQ(in_place, U);
  for (const Index i : {0, 7, 399}) EXPECT_EQ(Matrix<double>(prox_tv<double>(Y.col(i), weight.per_signal(i))), U.col(i)) << i;
}

TEST(TotalVariation, ProxInFloatIsThatOfDoubleRounded) {
  Draw draw(7006);
  for (int i = 0; i < 50; ++i) {
    const Vector<float> y = draw_signal(draw, static_cast<Shape>(i % static_cast<int>(Shape::count)), 500).cast<float>();
    const float weight = static_cast<float>(draw.log_uniform(0.01, 100));
    const Vector<float> u = prox_tv<float>(y, static_cast<double>(weight));
    const Vector<float> expected = prox_tv<double>(y.cast<double>(), static_cast<double>(weight)).cast<float>();
    EXPECT_EQ(u, expected) << i;
  }
}

TEST(TotalVariation, DerivativesAreTheMeansOfBlocks) {
  Draw draw(7007);
  for (int i = 0; i < 100; ++i) {
    const Problem p = draw_problem(draw, 500);
    const Index n = p.y.size();
    const Vector<double> u = prox_tv<double>(p.y, p.weights()), h = draw.normal_vector(n);
    const auto by = prox_tv_vjp<double>(u, p.weights(), h);
    const Vector<double> none = Vector<double>::Zero(n - 1);
    EXPECT_LE((by.signals - block_means(u, h, none)).cwiseAbs().maxCoeff(), 1e-14 * h.cwiseAbs().maxCoeff()) << i;

    TvDerivative<double> along{.signals = draw.normal_vector(n), .weight = Vector<double>::Constant(1, draw.normal())};
    Vector<double> pulls = along.weight(0) * Vector<double>(p.jumps.size() > 0 ? p.jumps : Vector<double>::Ones(n - 1));
    if (p.jumps.size() > 0 && p.weight < 1e6) {
      along.jumps = draw.normal_vector(n - 1);
      pulls += p.weight * along.jumps;
    }
    const Vector<double> du = prox_tv_jvp<double>(u, p.weights(), along), expected = block_means(u, along.signals.col(0), pulls);
    const double size = along.signals.cwiseAbs().maxCoeff() + (n > 1 ? pulls.cwiseAbs().maxCoeff() : 0);
    EXPECT_LE((du - expected).cwiseAbs().maxCoeff(), 1e-14 * size) << i;

    // <h, du> = <J^T h, tangent>
    const double there = h.dot(du), back = by.signals.col(0).dot(along.signals.col(0)) + by.weight.dot(along.weight) +
                                           (along.jumps.size() > 0 ? by.jumps.dot(along.jumps) : 0.0);
    EXPECT_NEAR(there, back, 1e-12 * size * static_cast<double>(n)) << i;
  }
}

TEST(TotalVariation, DerivativesAreThoseOfFiniteDifferences) {
  Draw draw(7008);
  int n_compared = 0;
  for (int i = 0; i < 60; ++i) {
    const Index n = draw.integer(2, 60);
    const Vector<double> y = draw.normal_vector(n), dy = draw.normal_vector(n), h = draw.normal_vector(n);
    Vector<double> jumps(n - 1), djumps = draw.normal_vector(n - 1);
    for (double& w : jumps) w = draw.uniform(0.5, 2);
    const double weight = draw.log_uniform(0.05, 2), dweight = draw.normal(), step = 1e-6;
    const auto at = [&](double s) -> Vector<double> {
      return prox_tv<double>(y + s * dy, TvWeight<double>(Vector<double>::Constant(1, weight + s * dweight), jumps + s * djumps));
    };
    const Vector<double> u = at(0), left = at(-step), right = at(step);
    if (blocks_of(left) != blocks_of(u) || blocks_of(right) != blocks_of(u)) continue;  // a kink lies between
    ++n_compared;
    const Vector<double> difference = (right - left) / (2 * step);
    const TvWeight<double> weights(Vector<double>::Constant(1, weight), jumps);
    const Vector<double> du =
        prox_tv_jvp<double>(u, weights, {.signals = dy, .weight = Vector<double>::Constant(1, dweight), .jumps = djumps});
    EXPECT_LE((du - difference).cwiseAbs().maxCoeff(), 1e-8) << i;
    const auto by = prox_tv_vjp<double>(u, weights, h);
    EXPECT_NEAR(h.dot(difference), by.signals.col(0).dot(dy) + by.weight(0) * dweight + by.jumps.dot(djumps), 1e-8) << i;
  }
  EXPECT_GT(n_compared, 40);
}

TEST(TotalVariation, CotangentsOfWhatSignalsShareAreSums_OnAnyNumberOfThreads) {
  Draw draw(7009);
  const Matrix<double> Y = draw.normal_matrix(30, 700), H = draw.normal_matrix(30, 700);
  const Vector<double> jumps = draw.normal_vector(29).cwiseAbs();
  const TvWeight<double> shared(Vector<double>::Constant(1, 0.7), jumps), each(Vector<double>::Constant(700, 0.7), jumps);
  const Matrix<double> U = prox_tv<double>(Y, shared);
  const auto one = prox_tv_vjp<double>(U, shared, H, {.n_threads = 1}),
             many = prox_tv_vjp<double>(U, shared, H, {.n_threads = 3});
  const auto separate = prox_tv_vjp<double>(U, each, H);
  EXPECT_NEAR(one.weight(0), separate.weight.sum(), 1e-12 * separate.weight.cwiseAbs().sum());
  EXPECT_EQ(one.weight, many.weight);
  EXPECT_EQ(one.jumps, many.jumps);
  Vector<double> sum = Vector<double>::Zero(29);
  for (Index i = 0; i < 700; ++i) sum += prox_tv_vjp<double>(U.col(i), shared, H.col(i)).jumps;
  EXPECT_LE((one.jumps - sum).cwiseAbs().maxCoeff(), 1e-11);
}

TEST(TotalVariation, PenaltyAgreesWithTheFunctions) {
  Draw draw(7010);
  const Matrix<double> Y = draw.normal_matrix(20, 5), H = draw.normal_matrix(20, 5);
  const Vector<double> rho{{0.1, 0.2, 0.5, 1, 2}};
  const double theta = 1.5, step = 1e-6;
  const Matrix<double> scale = Matrix<double>::Constant(1, 1, theta), per_jump = draw.normal_matrix(19, 1).cwiseAbs();
  TotalVariation<double> g;
  Matrix<double> U = Y;
  g.prox(U, Thresholds<double>(rho, &scale));
  EXPECT_LE((U - prox_tv<double>(Y, TvWeight<double>(Vector<double>(theta * rho)))).cwiseAbs().maxCoeff(), 1e-15);
  Matrix<double> by_theta = Matrix<double>::Zero(1, 1), h = H;
  std::vector<double> by_rho(5);
  g.prox_vjp(U, Thresholds<double>(rho, &scale), h, {.rho = by_rho, .theta = &by_theta});
  const auto by = prox_tv_vjp<double>(U, TvWeight<double>(Vector<double>(theta * rho)), H);
  EXPECT_LE((h - by.signals).cwiseAbs().maxCoeff(), 1e-15);
  for (Index i = 0; i < 5; ++i) EXPECT_NEAR(by_rho[static_cast<std::size_t>(i)], theta * by.weight(i), 1e-13);
  EXPECT_NEAR(by_theta(0), rho.dot(by.weight), 1e-13);

  U = Y;
  g.prox(U, Thresholds<double>(rho, &per_jump));
  EXPECT_EQ(U, (prox_tv<double>(Y, TvWeight<double>(rho, per_jump.col(0)))));
  Matrix<double> by_jumps = Matrix<double>::Ones(19, 1);
  h = H;
  g.prox_vjp(U, Thresholds<double>(rho, &per_jump), h, {.rho = {}, .theta = &by_jumps});
  const auto jumps = prox_tv_vjp<double>(U, TvWeight<double>(rho, per_jump.col(0)), H).jumps;
  EXPECT_LE((by_jumps.col(0) - Vector<double>::Ones(19) - jumps).cwiseAbs().maxCoeff(), 1e-13);

  // The value's slope along a direction that keeps the signs of all jumps.
  Matrix<double> slope = Matrix<double>::Zero(20, 1);
  g.add_subgradient(Y.col(0), Vector<double>::Constant(1, 1.0), slope);
  const Vector<double> right = Y.col(0) + step * H.col(0), left = Y.col(0) - step * H.col(0);
  EXPECT_NEAR(slope.col(0).dot(H.col(0)), (g.value(right) - g.value(left)) / (2 * step), 1e-8);
}

TEST(TotalVariation, LeastSubgradientIsZeroAtTheOptimum_AndElsewhereWhatAShortProximalStepGoes) {
  Draw draw(7011);
  const Matrix<double> Y = draw.normal_matrix(60, 8);
  const Vector<double> rho = draw.normal_vector(8).cwiseAbs();
  const Matrix<double> jumps = draw.normal_matrix(59, 1).cwiseAbs(), none;
  TotalVariation<double> g;
  for (const Matrix<double>* theta : {&none, &jumps}) {
    const Thresholds<double> weights(rho, theta->size() > 0 ? theta : nullptr);
    Matrix<double> U = Y;
    g.prox(U, weights);
    Matrix<double> H = U - Y;  // the gradient of 1/2 ||u - y||^2
    g.least_subgradient(U, weights, H);
    EXPECT_LE(H.cwiseAbs().maxCoeff(), 1e-13);

    // (u - prox(u - step f'(u))) / step, whose blocks are those of u and no longer change with the step.
    const double step = 1e-4;
    const Matrix<double> slope = draw.normal_matrix(60, 8);
    H = slope;
    g.least_subgradient(U, weights, H);
    Matrix<double> after = U - step * slope;
    g.prox(after, Thresholds<double>(step * rho, theta->size() > 0 ? theta : nullptr));
    EXPECT_LE((H - (U - after) / step).cwiseAbs().maxCoeff(), 1e-10);
  }
}

TEST(TotalVariation, BadInputsAreRefused) {
  const Matrix<double> Y = Matrix<double>::Ones(4, 3);
  Matrix<double> holed = Y;
  holed(2, 1) = std::nan("");
  const auto weights = [](std::initializer_list<double> w) {
    return Vector<double>(Vector<double>::Map(w.begin(), std::ssize(w)));
  };
  const std::vector<BadInput> rows{
      {"prox_tv: Y holds nan at signal 1, sample 2; expected finite numbers", [&] { prox_tv<double>(holed, 1.0); }},
      {"prox_tv: weight = -1, must be >= 0 and finite", [&] { prox_tv<double>(Y, -1.0); }},
      {"prox_tv: weight: entry 1 is inf, must be >= 0 and finite",
       [&] {
         prox_tv<double>(Y, TvWeight<double>(weights({1, INFINITY, 1})));
       }},
      {"prox_tv: weight has 2 entries for 3 signals; expected one number or one per signal",
       [&] {
         prox_tv<double>(Y, TvWeight<double>(weights({1, 2})));
       }},
      {"prox_tv: jump_weights has 4 entries, expected 3, one between two of 4 samples",
       [&] {
         prox_tv<double>(Y, TvWeight<double>(weights({1}), weights({1, 1, 1, 1})));
       }},
      {"prox_tv_vjp: cotangent has shape (3, 3), expected the signals' (3, 4)",
       [&] { prox_tv_vjp<double>(Y, 1.0, Matrix<double>::Ones(3, 3)); }},
      {"prox_tv: Y has no samples", [&] { prox_tv<double>(Matrix<double>(0, 3), 1.0); }},
  };
  for (const BadInput& row : rows) EXPECT_EQ(refusal_of(row.call), row.sentence);
}

}  // namespace
}  // namespace riata::testing
