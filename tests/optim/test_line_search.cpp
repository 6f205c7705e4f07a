#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <utility>

#include "optim/quadratic.hpp"
#include "riata/datasets/generators.hpp"
#include "riata/learning/run.hpp"

namespace riata::testing {
namespace {

using Eigen::MatrixXd;

/// Counts how often the batch is coded.
struct CountedDirection final : Direction<double> {
  CountedDirection(const Dictionary<double>& D, double reg, int* count)
      : exact(D, reg, {.tol = 1e-8}, Reduction::mean), n_coded(count) {}
  std::set<Piece> produces() const override { return exact.produces(); }
  Sums<double> look(const Sample<double>& sample, const Question<double>& question, const Execution& execution) override {
    *n_coded += question.coding != Coding::held;
    return exact.look(sample, question, execution);
  }
  bool holds_codes() const override { return true; }
  void forget_looks() override { exact.forget_looks(); }
  void keep() override { exact.keep(); }

  ExactDirection<double> exact;
  int* n_coded;
};

TEST(LineSearch, CodesTheBatchAFewTimesPerIteration_AlsoToCertifyTheEndOfExactAlternation) {
  for (const double tol : {1e-4, 1e-6}) {
    const auto problem = datasets::planted<double>({.n_features = 8, .n_atoms = 12, .n_signals = 60, .density = 0.2});
    int n_coded = 0, n_before = 0, most = 0;
    const auto note = [&] { most = std::max(most, n_coded - std::exchange(n_before, n_coded)); };
    const DenseDictionary<double> start(datasets::perturbed<double>(problem.dictionary, 0.2, 0));
    riata::Run<double> run(
        std::make_unique<FullBatch<double>>(problem.signals), std::make_unique<CountedDirection>(start, 0.1, &n_coded),
        std::make_unique<LineSearch<double>>(LineSearchOptions{.first = 64}), {{.moves = {"dictionary"}}}, start.parameters(),
        {.max_iter = 300, .tol = tol, .project = [&](Parameters<double>& p) { start.project(p); }, .atoms = {}});
    const auto result = run.fit([&](const IterationInfo&) {
      note();
      return Action::keep_going;
    });
    note();  // what follows the last step
    EXPECT_EQ(result.status, Status::converged);
    EXPECT_LE(most, 16) << "tol = " << tol;
  }
}

/// (p - 1)^2 + 1/10, of which what holds codes sees nothing beyond `visible` of where it stands.
struct Hidden {
  double at, visible;
  int n_afresh = 0;

  static double loss(const Parameters<double>& p) { return std::pow(p.at("p")(0) - 1, 2) + 0.1; }
  Asked<double> objective() {
    Asked<double> f;
    f.project = [](Parameters<double>&) {};
    f.evaluate = [this](const Parameters<double>& p) {
      return std::abs(p.at("p")(0) - at) <= visible ? loss(p) : std::numeric_limits<double>::infinity();
    };
    f.evaluate_afresh = [this](const Parameters<double>& p) { return ++n_afresh, at = p.at("p")(0), loss(p); };
    f.gradient = [](const Parameters<double>& p) {
      return Parameters<double>{{"p", MatrixXd::Constant(1, 1, 2 * (p.at("p")(0) - 1))}};
    };
    return f;
  }
};

TEST(LineSearch, FindsAFallThatHeldCodesHide_AtAnyDistance) {
  for (const double visible : {1e-7, 1e-9, 1e-12}) {
    Hidden hidden{3, visible};
    auto f = hidden.objective();
    LineSearch<double> search({});
    Parameters<double> p{{"p", MatrixXd::Constant(1, 1, 3)}};
    Outcome<double> outcome{.value = Hidden::loss(p)};
    for (int i = 0; i < 200 && !outcome.ends_phase; ++i) {
      hidden.at = p.at("p")(0);
      outcome = one_step(search, p, f.gradient(p), outcome.value, f, 1e-6);
    }
    EXPECT_TRUE(outcome.certified);
    EXPECT_LT(Hidden::loss(p), 0.1 * (1 + 2e-4)) << visible;
  }
}

}  // namespace
}  // namespace riata::testing
