// The line search step by step: which parameters it tries, which it leaves, what a restored one goes on with, how it ends.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <utility>

#include "optim/quadratic.hpp"
#include "support/precision.hpp"
#include "support/sentences.hpp"

namespace riata::testing {
namespace {

template <class T>
class SearchSequence : public ::testing::Test {};
TYPED_TEST_SUITE(SearchSequence, BothPrecisions, PrecisionName);

/// The steps that one search tries from p in 1/2 a p^2, and whether what it returns is the last of them.
template <class T>
std::vector<double> steps_tried(LineSearch<T>& search, T& p, double a) {
  Quadratic<T> f{{{"x", a}}, {{"x", Matrix<T>::Zero(1, 1)}}};
  Parameters<T> moved{{"x", Matrix<T>::Constant(1, 1, p)}};
  const T g = f.gradient(moved).at("x")(0);
  const auto outcome = one_step(search, moved, f.gradient(moved), f.value(moved), f.objective());
  std::vector<double> steps;
  for (const auto& tried : f.tried) steps.push_back(static_cast<double>((p - tried.at("x")(0)) / g));
  EXPECT_TRUE(outcome.moved && !outcome.ends_phase);
  EXPECT_EQ(outcome.step, steps.back());
  EXPECT_EQ(outcome.value, f.value(moved));
  EXPECT_TRUE(moved == f.tried.back());
  p = moved.at("x")(0);
  return steps;
}

TYPED_TEST(SearchSequence, HalvesUntilTheLossFalls_AndBeginsAgainAtTenTimesTheAcceptedStep) {
  LineSearch<TypeParam> search({.first = 64, .relative = false});
  TypeParam p = 3;  // in 3/16 p^2 a step lowers the loss if it is below 16/3
  EXPECT_EQ(steps_tried(search, p, 0.375), (std::vector<double>{32, 16, 8, 4}));
  EXPECT_EQ(steps_tried(search, p, 0.375), (std::vector<double>{40, 20, 10, 5}));
  EXPECT_EQ(steps_tried(search, p, 0.375), (std::vector<double>{50, 25, 12.5, 6.25, 3.125}));
  search.reset();
  EXPECT_EQ(steps_tried(search, p, 0.375), (std::vector<double>{32, 16, 8, 4}));
}

TYPED_TEST(SearchSequence, RefusesAStepThatLeavesTheLossAsItWas) {
  LineSearch<TypeParam> search({.first = 8, .relative = false});
  TypeParam p = 3;
  EXPECT_EQ(steps_tried(search, p, 0.5), (std::vector<double>{4, 2}));  // 4 leads to -p
}

TYPED_TEST(SearchSequence, FollowsItsOptions) {
  LineSearch<TypeParam> slow({.first = 8, .shrink = 0.25, .grow = 3, .relative = false}), held({.largest = 2, .relative = false});
  TypeParam p = 4, q = 4;
  EXPECT_EQ(steps_tried(slow, p, 1), (std::vector<double>{2, 0.5}));
  EXPECT_EQ(steps_tried(slow, p, 1), (std::vector<double>{1.5}));
  EXPECT_EQ(steps_tried(slow, p, 1), (std::vector<double>{4.5, 1.125}));
  for (const double step : {0.5, 1.0, 1.0}) EXPECT_EQ(steps_tried(held, q, 0.5), std::vector<double>{step});
}

TYPED_TEST(SearchSequence, OfRelativeSteps_IsInUnitsOfTheLossOverTheSquaredGradient) {
  using T = TypeParam;
  std::vector<Parameters<T>> first_tried;
  for (const int exponent : {0, 40, -40}) {  // the loss in another unit
    Quadratic<T> f{{{"a.x", std::ldexp(2.0, exponent)}, {"b.x", std::ldexp(0.5, exponent)}},
                   {{"a.x", Matrix<T>::Zero(1, 2)}, {"b.x", Matrix<T>::Zero(1, 1)}}};
    Parameters<T> p{{"a.x", Matrix<T>::Ones(1, 2)}, {"b.x", Matrix<T>::Constant(1, 1, 4)}};
    LineSearch<T> search({.first = 64});
    one_step(search, p, f.gradient(p), f.value(p), f.objective());
    if (first_tried.empty()) first_tried = f.tried;
    EXPECT_TRUE(f.tried == first_tried);
  }
  // loss = 6, g = (2, 2; 2), so the first step is 32 * 6 / 12
  EXPECT_EQ(first_tried[0].at("a.x")(0), 1 - 16 * 2);
  EXPECT_EQ(first_tried[0].at("b.x")(0), 4 - 16 * 2);
}

TYPED_TEST(SearchSequence, ThatFindsNoStep_LeavesTheParametersAndTheNextSearchAsTheyWere) {
  using T = TypeParam;
  Draw draw(1);
  Quadratic<T> f{{{"x", 0.7}}, {{"x", draw.normal_matrix(4, 3).cast<T>()}}};
  Parameters<T> p{{"x", draw.normal_matrix(4, 3).cast<T>()}}, uphill = f.gradient(p);
  uphill.at("x") *= -1;
  const Parameters<T> before = p;
  LineSearch<T> search({.first = 64, .smallest = 1, .relative = false});
  const auto outcome = one_step(search, p, uphill, f.value(p), f.objective());
  EXPECT_FALSE(outcome.moved);
  EXPECT_TRUE(outcome.ends_phase && outcome.certified);
  EXPECT_EQ(outcome.value, f.value(before));
  EXPECT_EQ(outcome.step, 0);
  EXPECT_TRUE(p == before);
  ASSERT_GE(f.tried.size(), 7U);
  for (std::size_t k = 0; k < 7; ++k)  // t = 64, ..., 1
    EXPECT_TRUE(f.tried[k].at("x") == before.at("x") + static_cast<T>(std::ldexp(32, -static_cast<int>(k))) * -uphill.at("x"));
  f.tried.clear();
  EXPECT_TRUE(one_step(search, p, f.gradient(p), f.value(p), f.objective()).moved);
  EXPECT_TRUE(f.tried[0].at("x") == before.at("x") - T(32) * f.gradient(before).at("x"));
}

TYPED_TEST(SearchSequence, WhereTheGradientIsZero_EndsWithoutAnEvaluation) {
  using T = TypeParam;
  Quadratic<T> f{{{"x", 1}}, {{"x", Matrix<T>::Ones(2, 2)}}, 1};
  Parameters<T> p = f.minimum;
  LineSearch<T> search({});
  const NamedTensors state = search.state();
  const auto outcome = one_step(search, p, f.gradient(p), f.value(p), f.objective());
  EXPECT_TRUE(outcome.ends_phase && outcome.certified && !outcome.moved && f.tried.empty());
  EXPECT_TRUE(p == f.minimum && search.state() == state);
}

TYPED_TEST(SearchSequence, ValuesProjectedParameters_AndReturnsWhatItValued) {
  using T = TypeParam;
  Draw draw(2);
  Quadratic<T> f{{{"x", 3}}, {{"x", -draw.normal_matrix(5, 4).cwiseAbs().cast<T>()}}};
  Parameters<T> p{{"x", draw.normal_matrix(5, 4).cwiseAbs().cast<T>()}};
  auto objective = f.objective();
  objective.project = [](Parameters<T>& q) { q.at("x") = q.at("x").cwiseMax(T(-0.125)); };
  LineSearch<T> search({});
  double value = f.value(p);
  for (int i = 0; i < 5; ++i) {
    const auto outcome = one_step(search, p, f.gradient(p), value, objective);
    if (!outcome.moved) break;
    EXPECT_TRUE(p == f.tried.back());
    EXPECT_EQ(outcome.value, f.value(p));
    EXPECT_LT(outcome.value, std::exchange(value, outcome.value));
  }
  for (const auto& tried : f.tried) EXPECT_GE(tried.at("x").minCoeff(), T(-0.125));
  EXPECT_EQ(p.at("x").minCoeff(), T(-0.125));
}

TYPED_TEST(SearchSequence, NeverValuesWhatIsNotFinite_NorAcceptsALossThatIsNone) {
  using T = TypeParam;
  Quadratic<T> f{{{"x", 1}}, {{"x", Matrix<T>::Zero(1, 1)}}};
  const T start = std::ldexp(T(1), std::numeric_limits<T>::max_exponent - 4);
  Parameters<T> p{{"x", Matrix<T>::Constant(1, 1, start)}};
  auto objective = f.objective();
  bool saw_infinity = false, saw_nan = false;
  objective.evaluate = [&](const Parameters<T>& q) {
    const double x = static_cast<double>(q.at("x")(0) / start);
    saw_infinity |= !std::isfinite(x);
    saw_nan |= std::abs(x) > 0.5;
    return std::abs(x) > 0.5 ? std::nan("") : x * x;
  };
  LineSearch<T> search({.first = 256, .relative = false});
  const auto outcome = one_step(search, p, {{"x", Matrix<T>::Constant(1, 1, start)}}, 1, objective);
  EXPECT_TRUE(outcome.moved && saw_nan && !saw_infinity);
  EXPECT_EQ(outcome.step, 1);
}

TYPED_TEST(SearchSequence, RestoredFromItsState_TakesTheStepsOfTheUninterruptedSearch) {
  using T = TypeParam;
  Draw draw(3);
  for (const bool one_block : {true, false}) {
    const std::string x = "layer.0.x", y = one_block ? "layer.1.x" : "layer.0.y";
    Quadratic<T> f{
        {{x, 300}, {y, 0.02}}, {{x, draw.normal_matrix(3, 2).cast<T>()}, {y, draw.normal_matrix(4, 1).cast<T>()}}, 0.01, 0.3};
    Parameters<T> p{{x, draw.normal_matrix(3, 2).cast<T>()}, {y, draw.normal_matrix(4, 1).cast<T>()}};
    double value = f.value(p);
    LineSearch<T> whole({.first = 64});
    struct Point {
      Parameters<T> p;
      double value;
      NamedTensors state;
    };
    std::vector<Point> points;
    for (int k = 0; k < 20; ++k) {
      points.push_back({p, value, whole.state()});
      value = one_step(whole, p, f.gradient(p), value, f.objective()).value;
    }
    EXPECT_LT(value, 0.5 * points[0].value);
    for (std::size_t k = 0; k < points.size(); k += 3) {
      LineSearch<T> restored({.first = 64});
      restored.restore(points[k].state, {});
      EXPECT_TRUE(restored.state() == points[k].state);
      Parameters<T> q = points[k].p;
      double loss = points[k].value;
      for (std::size_t i = k; i < points.size(); ++i) {
        ASSERT_TRUE(q == points[i].p && loss == points[i].value) << "from " << k << ", step " << i;
        loss = one_step(restored, q, f.gradient(q), loss, f.objective()).value;
      }
      EXPECT_TRUE(q == p && loss == value);
    }
    whole.reset();
    EXPECT_TRUE(whole.state() == LineSearch<T>({}).state());
  }
}

TEST(SearchState, ThatIsDamaged_IsRefused) {
  LineSearch<double> search({});
  const auto refusal = [&](const std::string& name, const std::vector<double>& values) {
    return refusal_of([&] {
      NamedTensors state{{"line_search.t", to_tensor(std::vector<double>{1})}};
      state[name] = to_tensor(values);
      search.restore(state, {});
    });
  };
  for (const std::string name : {"line_search.t", "line_search.weight.x"})
    for (const std::vector<double>& values : std::vector<std::vector<double>>{{-1}, {NAN}, {INFINITY}, {1, 2}})
      EXPECT_EQ(refusal(name, values), "checkpoint: tensor '" + name + "' is damaged");
  EXPECT_EQ(refusal_of([&] { search.restore({}, {}); }), "checkpoint: tensor 'line_search.t' is missing");
}

}  // namespace
}  // namespace riata::testing
