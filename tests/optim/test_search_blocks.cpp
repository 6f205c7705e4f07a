// Blocks of the line search (arrays whose names end alike): their weights, the search of each alone, and the certificate.
#include <gtest/gtest.h>

#include <cmath>

#include "optim/quadratic.hpp"

namespace riata::testing {
namespace {

Matrix<double> column(std::initializer_list<double> entries) {
  Matrix<double> A(std::ssize(entries), 1);
  std::copy(entries.begin(), entries.end(), A.data());
  return A;
}

double stored(const NamedTensors& state, const std::string& name) { return get_vector<double>(state, name, "state").at(0); }

/// Weights are ones, and the first joint step 1.
NamedTensors started(const std::vector<std::string>& blocks) {
  NamedTensors state{{"line_search.t", to_tensor(std::vector<double>{2})}};
  for (const std::string& block : blocks) state["line_search.weight." + block] = to_tensor(std::vector<double>{1});
  return state;
}

TEST(SearchBlocks, OfAnyCurvatures_ReachTheMinimumInOneStep) {
  // Each carries half of the loss 1, so its alone unit loss / ||g||^2 is one over its curvature.
  Quadratic<double> f{{{"a.x", 1024}, {"b.x", 1024}, {"y", 0x1p-4}},
                      {{"a.x", column({0, 0})}, {"b.x", column({7})}, {"y", column({0})}}};
  Parameters<double> p{{"a.x", column({0x1p-6, 0x1p-6})}, {"b.x", column({7 + std::sqrt(2) * 0x1p-6})}, {"y", column({4})}};
  LineSearch<double> search({.first = 64});
  const auto outcome = one_step(search, p, f.gradient(p), f.value(p), f.objective());
  EXPECT_TRUE(outcome.moved && !outcome.ends_phase);
  EXPECT_NEAR(outcome.value, 0, 1e-13);
  EXPECT_NEAR((p.at("b.x")(0)), 7, 1e-9);
  const NamedTensors state = search.state();
  EXPECT_NEAR(stored(state, "line_search.weight.x"), 0x1p-10, 1e-12);
  EXPECT_NEAR(stored(state, "line_search.weight.y"), 16, 1e-9);
  EXPECT_EQ(state.size(), 3U);
  EXPECT_NEAR(outcome.step, 16, 1e-9);  // the longest of its blocks
}

TEST(SearchBlocks, WeighWhatLowersTheLossMost_AmongHalvingsOfEachAlone) {
  Draw draw(4);
  for (int problem = 0; problem < 30; ++problem) {
    Quadratic<double> f{{{"x", draw.log_uniform(1e-3, 1e3)}, {"y", draw.log_uniform(1e-3, 1e3)}},
                        {{"x", draw.normal_matrix(3, 2)}, {"y", draw.normal_matrix(1, 4)}},
                        0.1,
                        draw.log_uniform(1e-3, 1)};
    Parameters<double> p{{"x", draw.normal_matrix(3, 2)}, {"y", draw.normal_matrix(1, 4)}};
    const Parameters<double> start = p, g = f.gradient(p);
    const double loss = f.value(p);
    LineSearch<double> search({.first = 64});
    ASSERT_TRUE(one_step(search, p, g, loss, f.objective()).moved);
    std::map<std::string, double> best_step;
    for (const std::string block : {"x", "y"}) {
      double lowest = loss;
      for (int k = 1; k < 60; ++k) {
        const double s = std::ldexp(64 * loss / g.at(block).squaredNorm(), -k);
        Parameters<double> q = start;
        q.at(block) -= s * g.at(block);
        if (f.value(q) < lowest) lowest = f.value(q), best_step[block] = s;
      }
      EXPECT_NEAR(stored(search.state(), "line_search.weight." + block) / best_step[block], 1, 1e-12) << block << problem;
    }
    // The joint step is t times the two, t = 1, 1/2, ...
    const double t = (start.at("x") - p.at("x")).norm() / (best_step["x"] * g.at("x").norm());
    EXPECT_NEAR(std::exp2(std::round(std::log2(t))) / t, 1, 1e-10) << problem;
    EXPECT_LE(t, 1 + 1e-10);
    EXPECT_LE((start.at("y") - t * best_step["y"] * g.at("y") - p.at("y")).norm(), 1e-10 * p.at("y").norm()) << problem;
  }
}

/// A kink: |x| at 0, with a gradient that promises a fall where there is none, beside 1/2 y^2.
struct Kink : Quadratic<double> {
  Kink() : Quadratic<double>{{{"x", 0}, {"y", 1}}, {{"x", column({0})}, {"y", column({0})}}, 1} {}
  static constexpr double slope = 1e6;
  Asked<double> objective() {
    auto f = Quadratic<double>::objective();
    f.evaluate = [this](const Parameters<double>& p) { return value(p) + slope * std::abs(p.at("x")(0)); };
    f.gradient = [this](const Parameters<double>& p) { return gradient_at(p); };
    return f;
  }
  Parameters<double> gradient_at(const Parameters<double>& p) const {
    auto g = gradient(p);
    g.at("x")(0) = slope;
    return g;
  }
};

TEST(SearchBlocks, ABlockThatOnlyRises_HoldsNothingBack) {
  for (const bool begins : {true, false}) {  // at the start of a phase, and where a joint search has failed
    Kink f;
    Parameters<double> p{{"x", column({0})}, {"y", column({3})}};
    LineSearch<double> search({.first = 64});
    if (!begins) search.restore(started({"x", "y"}), {});
    const auto outcome = one_step(search, p, f.gradient_at(p), 5.5, f.objective());
    EXPECT_TRUE(outcome.moved && !outcome.ends_phase);
    EXPECT_EQ(p.at("x")(0), 0);
    EXPECT_LT(outcome.value, 1 + 0.5 * 9 * 0.3);  // the best halving of a step is within a factor of sqrt(2) of it
    EXPECT_EQ(outcome.value, 1 + 0.5 * p.at("y")(0) * p.at("y")(0));
    EXPECT_EQ(stored(search.state(), "line_search.weight.x"), 0);
    EXPECT_EQ(stored(search.state(), "line_search.weight.y"), outcome.step);
  }
}

TEST(SearchBlocks, WhereEachOnlyRises_EndWithTheCertificate_AndStayAsTheyWere) {
  Kink f;
  Parameters<double> p{{"x", column({0})}, {"y", column({0})}};
  LineSearch<double> search({.first = 64});
  search.restore(started({"x", "y"}), {});
  const auto outcome = one_step(search, p, f.gradient_at(p), 1, f.objective());
  EXPECT_TRUE(outcome.ends_phase && outcome.certified && !outcome.moved);
  EXPECT_EQ(p.at("x")(0), 0);
  EXPECT_EQ(p.at("y")(0), 0);
}

/// One search in 1 + p^2 / 2 from `start`, whose first step is `step`, under `tol`.
struct End {
  Outcome<double> outcome;
  double p, lowered_by;
};
End end_of(double start, double tol, double step = 0.75) {
  Quadratic<double> f{{{"x", 1}}, {{"x", column({0})}}, 1};
  Parameters<double> p{{"x", column({start})}};
  LineSearch<double> search({.first = 2 * step, .relative = false});
  const double value = f.value(p);
  const auto outcome = one_step(search, p, f.gradient(p), value, f.objective(), tol);
  return {outcome, p.at("x")(0), (value - outcome.value) / value};
}

TEST(SearchEnd, IsAStepBelowTol_WhichIsTaken_UnlessABlockAloneFallsByMore) {
  // A step of 3/4 leaves p / 4 and lowers the loss by 15/32 p^2; from there a block alone lowers it by 1/32 p^2.
  const End goes_on = end_of(0.1, 1e-3);
  EXPECT_FALSE(goes_on.outcome.ends_phase);
  EXPECT_GT(goes_on.lowered_by, 1e-3);

  const End small = end_of(0x1p-7, 1e-4);
  EXPECT_TRUE(small.outcome.ends_phase && small.outcome.certified && small.outcome.moved);
  EXPECT_EQ(small.p, 0x1p-9);
  EXPECT_EQ(small.outcome.value, 1 + 0x1p-19);

  const End not_asked = end_of(0x1p-7, 0);
  EXPECT_FALSE(not_asked.outcome.ends_phase);

  // A step of 1.9 leads to -0.9 p and is slow; alone, along the gradient there, p falls to nearly 0.
  const End looks_anew = end_of(0.03, 1e-4, 1.9);
  EXPECT_FALSE(looks_anew.outcome.ends_phase);
  EXPECT_LT(std::abs(looks_anew.p), 0.01);

  const End rests_on_tol = end_of(0.25, 0.5);  // above 1e-4 tol has the last word, but no certificate
  EXPECT_TRUE(rests_on_tol.outcome.ends_phase && rests_on_tol.outcome.moved);
  EXPECT_FALSE(rests_on_tol.outcome.certified);
  EXPECT_EQ(rests_on_tol.p, 0.0625);
}

TEST(SearchEnd, CanFall_IsWhetherABlockAloneLowersTheLossByATenThousandth) {
  Quadratic<double> f{{{"x", 1}, {"y", 100}}, {{"x", column({0})}, {"y", column({0})}}, 1};
  const LineSearch<double> search({});
  const auto can_fall = [&](double x, double y) {
    const Parameters<double> p{{"x", column({x})}, {"y", column({y})}};
    const std::set<std::string> moves{"x", "y"};
    const auto objective = f.objective();
    return answered<double, bool>(search.can_fall({.parameters = p, .moves = moves}),
                                  [&](const Question<double>& question) { return objective.answer(question); });
  };
  EXPECT_FALSE(can_fall(0, 0));
  EXPECT_FALSE(can_fall(0.99 * std::sqrt(2e-4), 0.99 * std::sqrt(2e-6)));
  EXPECT_TRUE(can_fall(1.5 * std::sqrt(2e-4), 0));
  EXPECT_TRUE(can_fall(0, 1.5 * std::sqrt(2e-6)));
}

}  // namespace
}  // namespace riata::testing
