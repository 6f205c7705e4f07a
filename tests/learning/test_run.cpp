// The run's own part: what fits, atoms replaced, constraint, phases, ends. The direction is a known function of each atom.
#include "riata/learning/run.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "riata/optim/line_search.hpp"
#include "support/random_arrays.hpp"
#include "support/sentences.hpp"

namespace riata::testing {
namespace {

using MatrixXd = Matrix<double>;
using Eigen::VectorXd;

/// 1 + 1/2 sum_j w_j ||d_j - a_j||^2 + 1/2 sum_k (steps_k - 2)^2, and what the gradient does not see: hidden_j ||d_j - a_j||^2.
struct Pull final : Direction<double> {
  MatrixXd target;                // a
  VectorXd weight, hidden, lean;  // lean: a gradient that moves nothing, of an atom that is not dead
  std::set<Piece> pieces{Piece::value, Piece::gradient};
  std::vector<std::set<std::string>>* asked = nullptr;  // names of gradients

  explicit Pull(MatrixXd a) : target(std::move(a)), weight(VectorXd::Ones(target.cols())) {
    for (Index j = 0; j < weight.size(); ++j) weight(j) = std::pow(8.0, static_cast<double>(j));  // ends in many steps
    hidden = lean = VectorXd::Zero(target.cols());
  }
  std::set<Piece> produces() const override { return pieces; }
  double value(const Parameters<double>& p) const {
    double value = 1;
    for (Index j = 0; j < target.cols(); ++j)
      value += (0.5 * weight(j) + hidden(j)) * (p.at("dictionary").col(j) - target.col(j)).squaredNorm();
    if (const auto steps = p.find("steps"); steps != p.end()) value += 0.5 * (steps->second.array() - 2).square().sum();
    return value;
  }
  Sums<double> look(const Sample<double>&, const Question<double>& question, const Execution&) override {
    Sums<double> sums{.value = value(question.at)};
    if (!question.gradient.empty()) sums.gradient = gradient(question.at, question.gradient);
    return sums;
  }
  Parameters<double> gradient(const Parameters<double>& p, const std::set<std::string>& names) const {
    if (asked) asked->push_back(names);
    Parameters<double> g{{"dictionary", (p.at("dictionary") - target) * weight.asDiagonal()}};
    g.at("dictionary").row(0) += 1e-200 * lean.transpose();
    if (names.contains("steps")) g["steps"] = p.at("steps").array() - 2;
    return g;
  }
};

struct Result : RunResult<double> {
  MatrixXd dictionary;
  std::vector<double> steps;
};

struct Plan {
  MatrixXd X, initial;
  Pull pull;
  Constraint constraint = Constraint::unit_sphere;
  bool learn_steps = false;
  RunOptions<double> options{.max_iter = 3, .tol = 0, .atoms = {.check_every = 3}};

  Run<double> make_run(const Parameters<double>& start) const {
    RunOptions<double> with_constraint = options;
    with_constraint.project = [this](Parameters<double>& p) { project_atoms(p.at("dictionary"), constraint); };
    std::vector<Phase> phases{{.moves = {"dictionary"}}};
    if (learn_steps) phases.push_back({.moves = {"dictionary", "steps"}});
    return {std::make_unique<FullBatch<double>>(X),
            std::make_unique<Pull>(pull),
            std::make_unique<LineSearch<double>>(LineSearchOptions{.first = 64}),
            phases,
            start,
            with_constraint};
  }
  Result fit(std::optional<MatrixXd> steps = {}) const {
    Parameters<double> start{{"dictionary", initial}};
    if (steps) start["steps"] = *steps;
    Result result{make_run(start).fit(), {}, {}};
    result.dictionary = result.parameters.at("dictionary");
    if (steps) result.steps.assign(result.parameters["steps"].data(), result.parameters["steps"].data() + steps->size());
    return result;
  }
};

Plan draw_plan(std::uint64_t seed, Index n_atoms = 3) {
  Draw draw(seed);
  return {draw.normal_matrix(5, 6), draw.atoms(5, n_atoms), Pull(draw.atoms(5, n_atoms))};
}

/// Which signal an atom is, to the rounding of projections; -1: none.
Index signal_of(const VectorXd& atom, const MatrixXd& X) {
  for (Index i = 0; i < X.cols(); ++i)
    if ((atom - X.col(i).normalized()).norm() < 1e-14) return i;
  return -1;
}

TEST(Run, RefusesADirectionThatLacksAPiece_AndNamesIt) {
  Plan plan = draw_plan(1);
  const std::vector<std::pair<std::set<Piece>, std::string>> rows{
      {{Piece::value}, "gradient"}, {{Piece::gradient, Piece::codes}, "value"}, {{Piece::value, Piece::statistics}, "gradient"}};
  for (const auto& [pieces, missing] : rows) {
    plan.pull.pieces = pieces;
    EXPECT_EQ(refusal_of([&] {
                plan.make_run({{"dictionary", plan.initial}});
              }),
              "run: the line search needs the " + missing + " of the direction, which does not produce it");
  }
  plan = draw_plan(1);
  plan.options.atoms.check_every = 0;
  EXPECT_EQ(refusal_of([&] { plan.make_run({{"dictionary", plan.initial}}); }), "learner: check_every = 0, must be >= 1");
}

TEST(AtomPolicy, PutsARandomSignalInThePlaceOfADeadAtom_AtEveryCheck) {
  Plan plan = draw_plan(2);
  plan.pull.weight(1) = 0;
  const auto at = [&](int n_iterations, std::uint64_t seed) {
    plan.options.max_iter = n_iterations;
    plan.options.atoms.seed = seed;
    const auto result = plan.fit();
    EXPECT_EQ(std::ssize(result.history.value), n_iterations);
    EXPECT_EQ(result.n_replaced, n_iterations / 3);
    EXPECT_EQ(signal_of(result.dictionary.col(0), plan.X), -1);
    return signal_of(result.dictionary.col(1), plan.X);
  };
  EXPECT_EQ(at(2, 0), -1);
  std::set<Index> chosen, chosen_next;
  bool moves_on = false;
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    const Index third = at(3, seed), sixth = at(6, seed);
    EXPECT_EQ(third, at(3, seed));
    EXPECT_EQ(third, at(5, seed));
    moves_on |= third != sixth;
    chosen.insert(third);
    chosen_next.insert(sixth);
  }
  EXPECT_TRUE(moves_on);
  EXPECT_EQ(chosen, (std::set<Index>{0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(chosen_next, chosen);
  plan.options.atoms.replace = false;
  plan.options.max_iter = 6;
  const auto result = plan.fit();
  EXPECT_EQ(result.n_replaced, 0);
  EXPECT_LE((result.dictionary.col(1) - plan.initial.col(1)).norm(), 1e-15);
}

TEST(AtomPolicy, KeepsASignalThatDoesNotRaiseTheValue_WhichIsThenTheLastOfTheHistory) {
  for (const double hidden : {-0.01, 0.0, 0.01}) {
    Plan plan = draw_plan(3);
    plan.pull.weight(2) = 0;
    plan.pull.hidden(2) = hidden;
    plan.pull.target.col(2) = plan.initial.col(2);
    plan.options.max_iter = 4;
    plan.fit();  // one step goes on from the signal
    plan.options.max_iter = 3;
    const auto result = plan.fit();
    const bool is_signal = signal_of(result.dictionary.col(2), plan.X) >= 0;
    EXPECT_EQ(is_signal, hidden <= 0) << hidden;
    EXPECT_EQ(result.n_replaced, is_signal) << hidden;
    EXPECT_EQ(result.history.value.back(), plan.pull.value({{"dictionary", result.dictionary}}));
  }
}

TEST(AtomPolicy, TakesTheLaterOfTwoAtomsThatPointAlikeForACopy_InEitherSignAndAtAnyLength) {
  for (const Constraint constraint : {Constraint::unit_sphere, Constraint::unit_ball})
    for (const double cosine : {1.0, 0.995, -0.995, 0.985, -0.985, 0.0}) {
      Plan plan = draw_plan(4);
      plan.constraint = constraint;
      plan.pull.weight << 0, 1, 0;
      plan.pull.lean << 1, 0, 1;  // alive
      plan.initial.setZero();
      plan.initial(1, 0) = constraint == Constraint::unit_ball ? 0.25 : 1;
      plan.initial(1, 2) = cosine;
      plan.initial(2, 2) = std::sqrt(1 - cosine * cosine);
      plan.initial(3, 1) = 1;
      plan.pull.target.col(1) = VectorXd::Unit(5, 4);
      plan.options.atoms.check_every = plan.options.max_iter = 1;
      const auto result = plan.fit();
      const bool is_copy = std::abs(cosine) > 0.99;
      EXPECT_EQ(result.n_replaced, is_copy) << cosine;
      EXPECT_EQ(signal_of(result.dictionary.col(2), plan.X) >= 0, is_copy) << cosine;
      EXPECT_LE((result.dictionary.col(0) - plan.initial.col(0)).norm(), 1e-15);
      plan.options.atoms.duplicate = 0.98;
      EXPECT_EQ(plan.fit().n_replaced, std::abs(cosine) > 0.98);
    }
}

TEST(AtomPolicy, LeavesTheAtomWhereTheSignalIsZero) {
  Plan plan = draw_plan(5);
  plan.pull.weight(2) = 0;
  plan.X.setZero();
  const auto result = plan.fit();
  EXPECT_EQ(result.n_replaced, 0);
  EXPECT_LE((result.dictionary.col(2) - plan.initial.col(2)).norm(), 1e-15);
}

TEST(Run, KeepsAtomsOnTheSphereOrInTheBall_FromTheStart) {
  Plan plan = draw_plan(6);
  plan.initial *= 3;
  plan.pull.target.col(0) *= 0.5;
  plan.pull.target.col(1) *= 2;
  plan.options.max_iter = 300;
  for (const Constraint constraint : {Constraint::unit_sphere, Constraint::unit_ball}) {
    plan.constraint = constraint;
    const auto result = plan.fit();
    EXPECT_NEAR(result.initial_value, plan.pull.value({{"dictionary", plan.initial / 3}}), 1e-13);
    for (Index j = 0; j < 3; ++j) {
      const bool inside = constraint == Constraint::unit_ball && j == 0;
      const VectorXd nearest = plan.pull.target.col(j) * (inside ? 1 : 1 / plan.pull.target.col(j).norm());
      EXPECT_LE((result.dictionary.col(j) - nearest).norm(), 0.02) << "atom " << j;
      EXPECT_NEAR(result.dictionary.col(j).norm(), inside ? 0.5 : 1, inside ? 0.02 : 1e-15) << "atom " << j;
    }
  }
}

TEST(Run, MovesTheDictionaryAlone_ThenStepsBesideIt) {
  Plan plan = draw_plan(7);
  std::vector<std::set<std::string>> asked;
  plan.pull.asked = &asked;
  plan.learn_steps = true;
  plan.options.max_iter = 500;
  plan.options.tol = 1e-5;
  const auto result = plan.fit(MatrixXd::Ones(4, 1));
  const auto& [value, step, seconds, phase] = result.history;
  EXPECT_TRUE(std::ranges::is_sorted(phase) && phase.front() == 0 && phase.back() == 1);
  for (std::size_t k = 1; k < value.size(); ++k) EXPECT_LT(value[k], value[k - 1]);
  const auto first_with_steps = std::ranges::find_if(asked, [](const auto& names) { return names.contains("steps"); });
  for (auto names = asked.begin(); names != asked.end(); ++names) EXPECT_EQ(names->size(), names < first_with_steps ? 1U : 2U);
  const auto phase_one = std::ranges::find(phase, 1) - phase.begin();
  EXPECT_GE(value[static_cast<std::size_t>(phase_one - 1)], 3);  // 1 and four steps of 1
  ASSERT_EQ(result.steps.size(), 4U);
  for (const double s : result.steps) EXPECT_NEAR(s, 2, 0.05);
  EXPECT_EQ(result.status, Status::converged);

  // The search begins anew: each block moves by its own step, though the dictionary is far from its end and bends more.
  plan.options.tol = 0.3;
  const auto early = plan.fit(MatrixXd::Ones(4, 1)).history;
  const auto turn = static_cast<std::size_t>(std::ranges::find(early.phase, 1) - early.phase.begin());
  EXPECT_GT(early.value[turn - 1], 10);
  EXPECT_LT(early.value[turn], 3);

  plan.options.tol = 1e-5;
  plan.learn_steps = false;
  const auto alone = plan.fit(MatrixXd::Ones(4, 1));
  EXPECT_EQ(alone.steps, std::vector<double>(4, 1.0));
  EXPECT_EQ(alone.history.value.back(), value[static_cast<std::size_t>(phase_one - 1)]);
}

TEST(Run, SaysHowItEnded) {
  Plan plan = draw_plan(8);
  plan.options.max_iter = 500;
  plan.options.tol = 1e-6;
  EXPECT_EQ(plan.fit().status, Status::converged);
  plan.options.tol = 0.5;
  EXPECT_EQ(plan.fit().status, Status::stalled);
  plan.options.max_iter = 2;
  plan.options.tol = 0;
  EXPECT_EQ(plan.fit().status, Status::max_iter_reached);
  plan.options.max_time = 1e-12;
  const auto late = plan.fit();
  EXPECT_EQ(late.status, Status::max_time_reached);
  EXPECT_TRUE(late.history.value.empty() && std::isnan(late.initial_value));
  EXPECT_LE((late.dictionary - plan.initial).norm(), 1e-15);
}

TEST(Run, WhoseValueOrGradientIsNotFinite_SaysSo) {
  Plan plan = draw_plan(9);
  plan.pull.hidden(1) = NAN;
  EXPECT_EQ(refusal_of([&] { plan.fit(); }), "learn: the objective is nan after 0 iterations; are the signals or reg too large?");
  plan.pull.hidden(1) = 0;
  plan.pull.lean(1) = INFINITY;
  EXPECT_EQ(refusal_of([&] { plan.fit(); }),
            "learn: the gradient by 'dictionary' is not finite after 0 iterations; are the signals or reg too large?");
}

/// 1/2 ||d - x||^2 of each atom and the batch's only signal: another loss at every iteration.
struct FollowTheBatch final : Direction<double> {
  std::set<Piece> produces() const override { return {Piece::value, Piece::gradient}; }
  Sums<double> look(const Sample<double>& sample, const Question<double>& question, const Execution&) override {
    const MatrixXd residual = question.at.at("dictionary") - sample.batch.X;
    Sums<double> sums{.value = 0.5 * residual.squaredNorm()};
    if (!question.gradient.empty()) sums.gradient = {{"dictionary", residual}};
    return sums;
  }
};

TEST(Run, OnMiniBatches_ComparesValuesOfOneBatchAlone_AndGoesOnWhereAStepIsRefused) {
  Draw draw(10);
  MatrixXd X = draw.normal_matrix(4, 5);
  X.col(2) = X.col(3) = X.col(0);  // drawn one after another, no step is left
  const MatrixXd start = X.col(0);
  riata::Run<double> run(std::make_unique<MiniBatches<double>>(X, MiniBatchOptions{.batch_size = 1}),
                         std::make_unique<FollowTheBatch>(),
                         std::make_unique<LineSearch<double>>(LineSearchOptions{.first = 2, .grow = 1, .relative = false}),
                         {{.moves = {"dictionary"}}}, {{"dictionary", start}}, {.max_iter = 40, .tol = 0.5});
  const auto result = run.fit();
  EXPECT_EQ(result.status, Status::max_iter_reached);
  const auto n = std::ssize(result.history.value);
  EXPECT_GT(n, 5);
  EXPECT_LT(n, 40);                                                         // some were refused
  for (const double value : result.history.value) EXPECT_LT(value, 1e-12);  // a step of 1 leads to the signal
}

TEST(Run, WhoseDirectionHoldsCodesOfABatch_TakesOneBatchAlone) {
  Draw draw(11);
  const MatrixXd X = draw.normal_matrix(4, 5);
  const DenseDictionary<double> D(draw.atoms(4, 3));
  EXPECT_EQ(refusal_of([&] {
              riata::Run<double>(std::make_unique<MiniBatches<double>>(X, MiniBatchOptions{.batch_size = 2}),
                                 std::make_unique<ExactDirection<double>>(D, 0.1, EncodeOptions{}, Reduction::mean),
                                 std::make_unique<LineSearch<double>>(LineSearchOptions{}), {{.moves = {"dictionary"}}},
                                 D.parameters());
            }),
            "run: the direction holds codes of one batch, and the sampler gives another at each iteration; use one that codes "
            "anew");
}

}  // namespace
}  // namespace riata::testing
