// Learning from mini-batches: by statistics of codes, and by a line search on each batch.
#include <gtest/gtest.h>

#include <cmath>

#include "learning/results.hpp"
#include "riata/core/random.hpp"
#include "riata/datasets/generators.hpp"
#include "riata/learning/learn_dictionary.hpp"
#include "riata/learning/recovery.hpp"
#include "riata/optim/adam.hpp"
#include "riata/optim/block_coordinate.hpp"
#include "riata/optim/stochastic_line_search.hpp"
#include "riata/solvers/certificate.hpp"
#include "support/precision.hpp"
#include "support/random_arrays.hpp"
#include "support/sentences.hpp"

namespace riata::testing {
namespace {

using enum LearningMethod;

template <class T>
class MiniBatchLearning : public ::testing::Test {
 protected:
  const datasets::Planted<T> problem =
      datasets::planted<T>({.n_features = 16, .n_atoms = 24, .n_signals = 3000, .density = 0.1, .noise_std = 0.05, .seed = 4});
  LearnOptions options(LearningMethod method) const {
    return {.method = method, .n_layers = 12, .batch_size = 200, .max_iter = method == online ? 80 : 150, .seed = 1};
  }
};
TYPED_TEST_SUITE(MiniBatchLearning, BothPrecisions, PrecisionName);

TYPED_TEST(MiniBatchLearning, FindsAPlantedDictionary_FromRandomSignals) {
  using T = TypeParam;
  for (const LearningMethod method : {online, stochastic})
    for (const Constraint constraint : {Constraint::unit_sphere, Constraint::unit_ball}) {
      LearnOptions options = this->options(method);
      options.constraint = constraint;
      const auto found = learn_dictionary<T>(this->problem.signals, 24, 0.2, options);
      EXPECT_GT(recovery_score<T>(found.dictionary, this->problem.dictionary), 0.95) << to_string(method);
      EXPECT_LE(found.dictionary.colwise().norm().maxCoeff(), 1 + 4 * epsilon<T>);
      EXPECT_EQ(found.status, Status::max_iter_reached);
    }
}

TYPED_TEST(MiniBatchLearning, DoesNotDependOnTheUnitOfTheSignals_NorOnMeansOrSums) {
  using T = TypeParam;
  const T unit = std::ldexp(T(1), -40);
  for (const LearningMethod method : {online, stochastic, pudle_lasso, noodl}) {
    LearnOptions options = this->options(method);
    options.max_iter = 20;
    if (method == pudle_lasso) options.eps = static_cast<double>(unit * unit);  // in the gradient's unit, as the signals are
    if (method == noodl) options.learning_rate = 0.05;
    const auto scaled =
        learn_dictionary<T>(Matrix<T>(unit * this->problem.signals), 24, 0.2 * static_cast<double>(unit), options);
    if (method == pudle_lasso) options.eps = 1;
    const auto plain = learn_dictionary<T>(this->problem.signals, 24, 0.2, options);
    EXPECT_TRUE(scaled.dictionary.isApprox(plain.dictionary, 1e3 * epsilon<T>)) << to_string(method);
    options.reduction = Reduction::sum;
    const auto sums = learn_dictionary<T>(this->problem.signals, 24, 0.2, options);
    EXPECT_TRUE(sums.dictionary.isApprox(plain.dictionary, 1e3 * epsilon<T>)) << to_string(method);
  }
}

TYPED_TEST(MiniBatchLearning, EndsAtTheBestOnSignalsHeldOut_WhenThatIsLongAgo) {
  using T = TypeParam;
  for (const LearningMethod method : {online, stochastic}) {
    LearnOptions options = this->options(method);
    options.max_iter = 3000;
    options.validation = 0.1;
    options.max_no_improvement = 3;
    const auto found = learn_dictionary<T>(this->problem.signals, 24, 0.2, options);
    EXPECT_EQ(found.status, Status::stalled) << to_string(method);
    EXPECT_GT(recovery_score<T>(found.dictionary, this->problem.dictionary), 0.95) << to_string(method);
  }
}

/// A run of the parts, driven by hand.
struct Driven {
  datasets::Planted<double> problem =
      datasets::planted<double>({.n_features = 10, .n_atoms = 15, .n_signals = 400, .density = 0.2, .noise_std = 0.1, .seed = 9});
  DenseDictionary<double> start{datasets::perturbed<double>(problem.dictionary, 0.8, 3)};

  Run<double> run(std::unique_ptr<Update<double>> update, std::unique_ptr<Direction<double>> direction) const {
    return Run<double>(std::make_unique<MiniBatches<double>>(problem.signals, MiniBatchOptions{.batch_size = 50, .seed = 2}),
                       std::move(direction), std::move(update), {{.moves = {"dictionary"}}}, start.parameters(),
                       {.max_iter = 60, .project = [this](Parameters<double>& p) { start.project(p); }, .make_tangent = tangent});
  }
  static void tangent(const Parameters<double>& at, Parameters<double>& g) {
    const Matrix<double>& D = at.at("dictionary");
    Matrix<double>& G = g.at("dictionary");
    G -= D * (D.transpose() * G).diagonal().asDiagonal();
  }
};

TEST(StochasticLineSearch, AcceptsWhereTheDecreaseIsThatOfTheSlopeAlongTheSphere_AndOnlyThere) {
  const Driven driven;
  const double slope = 0.2;
  auto run = driven.run(
      std::make_unique<StochasticLineSearch<double>>(StochasticLineSearchOptions{.slope = slope, .per_epoch = 8}),
      std::make_unique<UnrolledDirection<double>>(driven.start, 0.1, UnrolledDirectionOptions{.network = {.n_layers = 10}}));
  int n_accepted = 0, n_refused = 0;
  double value = 0, square = 0;
  Matrix<double> from, gradient;
  while (const Question<double>* question = run.question()) {
    const Question<double> asked = *question;
    const Sums<double> answer = run.answer(asked);
    if (!asked.gradient.empty()) {
      Parameters<double> along = answer.gradient;
      Driven::tangent(asked.at, along);
      value = answer.value;
      square = along.at("dictionary").squaredNorm();
      from = asked.at.at("dictionary");
      gradient = answer.gradient.at("dictionary");
      run.tell(answer);
      continue;
    }
    // Which eta was tried: the length along an atom's gradient before it was put onto the sphere.
    const Vector<double> d = from.col(0), g = gradient.col(0), moved = asked.at.at("dictionary").col(0);
    const double a = moved.dot(d) - 0, b = moved.dot(g);  // moved = (d - eta g) / norm
    const double eta = (d.dot(g) * a - b) / (g.squaredNorm() * a - d.dot(g) * b);
    EXPECT_TRUE(((d - eta * g).normalized() - moved).isZero(1e-9));
    const bool is_armijo = answer.value <= value - slope * eta * square;
    const bool was_accepted = run.tell(answer);
    EXPECT_EQ(was_accepted, is_armijo);
    (was_accepted ? n_accepted : n_refused) += 1;
  }
  EXPECT_GT(n_accepted, 40);
  EXPECT_GT(n_refused, 10);
}

TEST(OnlineStatistics, WeighTheKthOfTBatchesAsAPowerOfItsShare_AndTheirSurrogateNeverRises) {
  const Driven driven;
  const double rho = 3;
  auto run = driven.run(
      std::make_unique<BlockCoordinate<double>>(BlockCoordinateOptions{.forgetting = rho}),
      std::make_unique<ExactDirection<double>>(driven.start, 0.1, EncodeOptions{}, Reduction::mean, CodesOf::changing_batches));
  std::vector<Matrix<double>> all_A, all_B;
  while (const Question<double>* question = run.question()) {
    if (!question->statistics) {  // where atoms are replaced
      run.tell(run.answer(*question));
      continue;
    }
    const Matrix<double> before = question->at.at("dictionary");
    const Sums<double> answer = run.answer(*question);
    all_A.push_back(answer.statistics.at("A"));
    all_B.push_back(answer.statistics.at("B"));
    ASSERT_TRUE(run.tell(answer));
    const auto t = static_cast<double>(all_A.size());
    Matrix<double> A = Matrix<double>::Zero(15, 15), B = Matrix<double>::Zero(10, 15);
    for (std::size_t k = 0; k < all_A.size(); ++k) {
      const double weight = std::pow(static_cast<double>(k + 1) / t, rho);
      A += weight * all_A[k];
      B += weight * all_B[k];
    }
    const NamedTensors state = run.state();
    EXPECT_TRUE(get_matrix<double>(state, "A", "").isApprox(A, 1e-12));
    EXPECT_TRUE(get_matrix<double>(state, "B", "").isApprox(B, 1e-12));
    const auto surrogate = [&](const Matrix<double>& D) { return 0.5 * (D * A).cwiseProduct(D).sum() - D.cwiseProduct(B).sum(); };
    const Matrix<double> after = get_matrix<double>(state, "parameter.dictionary", "");
    EXPECT_LE(surrogate(after), surrogate(before) + 1e-12 * std::abs(surrogate(before)));
  }
  EXPECT_EQ(std::ssize(all_A), 60);
}

TEST(RareAtoms, AreThoseFarBelowTheMedian_AndNoneWhereAllAreUnused) {
  const AtomPolicy policy{.rare = 0.1};
  EXPECT_EQ(rare_atoms(Vector<double>{{1e6, 2, 1, 0, 0.05, 3}}, policy),
            (std::vector<bool>{false, false, false, true, true, false}));
  EXPECT_TRUE(rare_atoms(Vector<double>::Zero(4), policy).empty());
}

TEST(UpdatesThatRemember, ForgetAtomsThatAreReplaced) {
  const Driven driven;
  for (const bool adam : {false, true}) {
    std::unique_ptr<Update<double>> update;
    if (adam)
      update = std::make_unique<Adam<double>>();
    else
      update = std::make_unique<BlockCoordinate<double>>(BlockCoordinateOptions{.forgetting = 1});
    auto* its = update.get();
    auto run = driven.run(std::move(update), std::make_unique<ExactDirection<double>>(
                                                 driven.start, 0.1, EncodeOptions{}, Reduction::mean, CodesOf::changing_batches));
    run.fit();
    its->forget_atoms({3});
    const NamedTensors state = its->state();
    for (const char* name : adam ? std::vector{"adam.m.dictionary", "adam.v.dictionary"} : std::vector{"A", "B"}) {
      const Matrix<double> remembered = get_matrix<double>(state, name, "");
      EXPECT_TRUE(remembered.col(3).isZero(0)) << name;
      EXPECT_FALSE(remembered.col(4).isZero(0)) << name;
    }
  }
}

TYPED_TEST(MiniBatchLearning, LooksAtSignalsHeldOutAtTheEnd) {
  using T = TypeParam;
  LearnOptions options = this->options(online);
  options.validation = 0.1;
  options.max_iter = 9;  // before the second look
  const Matrix<T> start = datasets::perturbed<T>(this->problem.dictionary, 1, 3);
  const auto found = learn_dictionary<T>(this->problem.signals, start, 0.2, options);
  EXPECT_GT(recovery_score<T>(found.dictionary, this->problem.dictionary),
            0.1 + recovery_score<T>(start, this->problem.dictionary));
}

TYPED_TEST(MiniBatchLearning, LeavesTheAtomsWhereNoSignalUsesOne) {
  using T = TypeParam;
  for (const LearningMethod method : {online, pudle_dec}) {
    LearnOptions options = this->options(method);
    options.max_iter = 25;
    if (method == pudle_dec) options.batch_size.reset();
    const auto found = learn_dictionary<T>(this->problem.signals, this->problem.dictionary, 1e3, options);
    EXPECT_TRUE(found.dictionary.isApprox(this->problem.dictionary, 10 * epsilon<T>)) << to_string(method);
  }
}

TEST(ResolveRunReg, TakesAFractionOfTheQuantile_OfSignalsDrawnByTheSeed) {
  Draw draw(3);
  const Matrix<double> D = draw.atoms(5, 8);
  Matrix<double> X = draw.normal_matrix(5, 1000);
  X.col(17) *= 1e12;  // an artefact
  X.col(18).setZero();
  const Reg reg = Reg::fraction_of_max(0.5);
  const auto resolved = [&](std::uint64_t seed) { return resolve_run_reg<double>(reg, X, DenseDictionary(D), {}, seed, {}); };
  const Vector<double> largest = reg_max<double>(X, DenseDictionary(D));
  const double found = resolved(0) / 0.5;
  EXPECT_EQ((largest.array() > found).count(), 9);  // of 999 that are not zero one in a hundred lies above
  EXPECT_EQ((largest.array() == found).count(), 1);
  EXPECT_EQ(resolved(1), resolved(0));
  X = draw.normal_matrix(5, 30000);
  const double one = resolved(0), other = resolved(1);
  EXPECT_NE(one, other);
  EXPECT_NEAR(one, other, 0.05 * one);
  EXPECT_EQ(resolve_run_reg<double>(0.25, X, DenseDictionary(D), {}, 0, {}), 0.25);
}

TEST(MiniBatchOptionsOfLearning, AreRefusedWhereTheyDoNotFit) {
  const auto with = [](const LearnOptions& options) { return [options] { options.validate(); }; };
  const BadInput table[] = {
      {"batch_size and validation are for methods that take mini-batches, not for 'unrolled'", with({.batch_size = 10})},
      {"batch_size and validation are for methods that take mini-batches, not for 'alternating'",
       with({.method = alternating, .validation = 0.1})},
      {"forgetting is for method 'online' alone", with({.method = stochastic, .forgetting = 1})},
      {"coder_tol is for methods of exact codes, 'alternating_exact' and 'online', not for 'stochastic'",
       with({.method = stochastic, .coder_tol = 1e-3})},
      {"loss = 'least_squares' needs unrolled layers; 'online' minimises the lasso loss",
       with({.method = online, .loss = Loss::least_squares})},
      {"batch_size = 50, must be at most the 40 signals to train on",
       [] { learn_dictionary<double>(Matrix<double>::Ones(3, 40), 4, 0.1, {.method = online, .batch_size = 50}); }},
      {"block coordinate descent: forgetting = -1, must be >= 0 and finite",
       [] { BlockCoordinate<double>(BlockCoordinateOptions{.forgetting = -1}); }},
      {"the stochastic line search: shrink = 1, must be > 0 and < 1",
       [] { StochasticLineSearch<double>(StochasticLineSearchOptions{.shrink = 1}); }},
  };
  for (const BadInput& row : table) EXPECT_EQ(refusal_of(row.call), row.sentence);
}

}  // namespace
}  // namespace riata::testing
