// Dictionary learning in one call: a planted dictionary is found, the same bits come from any threads and across any stop.
#include "riata/learning/learn_dictionary.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "io/files.hpp"
#include "learning/results.hpp"
#include "riata/core/error.hpp"
#include "riata/datasets/generators.hpp"
#include "riata/learning/recovery.hpp"
#include "support/lasso_oracle.hpp"
#include "support/precision.hpp"
#include "support/random_arrays.hpp"

namespace riata::testing {
namespace {

constexpr double reg = 0.1;

template <class T>
class LearnDictionary : public ::testing::Test {
 protected:
  const datasets::Planted<T> problem =  // two tiles of signals

      datasets::planted<T>({.n_features = 8, .n_atoms = 10, .n_signals = 200, .density = 0.15, .noise_std = 0.02, .seed = 2});
  const Matrix<T> start = datasets::perturbed<T>(problem.dictionary, 1, 3);

  LearnResult<T> learn(const LearnOptions& options, const Observer& observer = {}) const {
    const bool has_reg = parts_of(options.method).codes != CodesBy::pursuit;
    return learn_dictionary<T>(problem.signals, start, has_reg ? std::optional<Reg>(reg) : std::nullopt, options, observer);
  }
  double score(const Matrix<T>& D) const { return recovery_score<T>(D, problem.dictionary); }
};
TYPED_TEST_SUITE(LearnDictionary, BothPrecisions, PrecisionName);

/// Every method; those that differentiate layers also with learned steps.
std::vector<LearnOptions> all_methods(int max_iter) {
  using enum LearningMethod;
  std::vector<LearnOptions> methods{
      {.method = unrolled},
      {.method = unrolled, .algorithm = Layers::ista, .learn_steps = true},
      {.method = alternating},
      {.method = truncated, .backprop = 2, .learn_steps = true},
      {.method = alternating_exact},
      {.method = stochastic, .batch_size = 50},
      {.method = stochastic, .batch_size = 50, .learn_steps = true},
      {.method = online, .batch_size = 50, .validation = 0.2},
      {.method = pudle_ls, .batch_size = 50, .threshold = Threshold::decay, .decay_every = 20, .learning_rate = 0.03},
      {.method = pudle_dec, .threshold = Threshold::hard, .learning_rate = 0.03},
      {.method = noodl, .learning_rate = 0.5},
      {.method = mod, .n_nonzero = 2},
      {.method = ksvd, .n_nonzero = 2},
      {.method = aksvd, .batch_size = 50, .n_nonzero = 2},
      {.method = arora, .learning_rate = 0.05, .least_code = 1.5},
      {.method = LearningMethod::admm}};
  for (LearnOptions& options : methods) {
    options.n_layers = 8;
    options.max_iter = max_iter;
    options.execution.n_threads = 1;
  }
  return methods;
}

std::string describe(const LearnOptions& o) {
  return "method " + std::to_string(static_cast<int>(o.method)) + (o.learn_steps ? ", steps" : "") +
         (o.constraint == Constraint::unit_ball ? ", ball" : ", sphere");
}

TYPED_TEST(LearnDictionary, FindsANonNegativeDictionary_WhoseAtomsNeverFallBelowZero) {
  using T = TypeParam;
  Matrix<T> truth = datasets::gaussian_dictionary<T>(12, 10, 8);
  project_atoms(truth, Constraint::non_negative);
  truth.colwise().normalize();
  Draw draw(6);
  const Matrix<T> X = truth * (2 * draw.sparse_matrix(10, 800, 0.15)).template cast<T>();
  Matrix<T> start = (truth.template cast<double>() + 0.25 * draw.normal_matrix(12, 10)).template cast<T>();
  start = start.cwiseMax(T(0)).eval();
  start.colwise().normalize();
  const double score = recovery_score<T>(start, truth);
  ASSERT_LT(score, 0.93);
  for (LearnOptions options : all_methods(60)) {
    const auto [codes, moves, batches] = parts_of(options.method);
    if (codes == CodesBy::pursuit || codes == CodesBy::hard_thresholding || options.learn_steps) continue;
    options.constraint = Constraint::non_negative;
    const LearnResult<T> result = learn_dictionary<T>(X, start, 0.05, options);
    EXPECT_GE(result.dictionary.minCoeff(), T(0)) << to_string(options.method);
    EXPECT_LE(result.dictionary.colwise().norm().maxCoeff(), 1 + 4 * epsilon<T>) << to_string(options.method);
    const bool is_slow =
        codes == CodesBy::layers && moves != MovesBy::stochastic_line_search && options.method != LearningMethod::unrolled;
    EXPECT_GT(recovery_score<T>(result.dictionary, truth), is_slow ? score : 0.96) << to_string(options.method);
  }
  for (const Init init : {Init::data, Init::random, Init::dct}) {
    const auto result = learn_dictionary<T>(
        Matrix<T>(-X), 10, 0.05,
        {.method = LearningMethod::online, .constraint = Constraint::non_negative, .init = init, .max_iter = 3});
    EXPECT_GE(result.dictionary.minCoeff(), T(0));
    EXPECT_GT(result.dictionary.colwise().norm().minCoeff(), T(0));
  }
  EXPECT_THROW(
      learn_dictionary<T>(X, 10, {}, {.method = LearningMethod::ksvd, .n_nonzero = 2, .constraint = Constraint::non_negative}),
      std::invalid_argument);
}

TYPED_TEST(LearnDictionary, FindsAPlantedDictionary_ByEveryMethodUnderEachConstraint) {
  using T = TypeParam;
  ASSERT_LT(this->score(this->start), 0.8);
  for (LearnOptions options : all_methods(18))
    for (const Constraint constraint : {Constraint::unit_sphere, Constraint::unit_ball}) {
      options.constraint = constraint;
      if (options.learn_steps) options.tol = 5e-3;  // steps move in the second phase
      const BatchesOf batches = parts_of(options.method).batches;
      const bool falls = parts_of(options.method).moves == MovesBy::line_search;
      if (!falls) options.max_iter = 80;
      const LearnResult<T> result = this->learn(options);
      const double least = batches == BatchesOf::all_unless_asked ? this->score(this->start) : 0.9;  // they go slowly
      EXPECT_GT(this->score(result.dictionary), least) << describe(options);
      const auto norms = result.dictionary.colwise().norm().eval();
      EXPECT_LE(norms.maxCoeff(), 1 + 4 * epsilon<T>) << describe(options);
      EXPECT_TRUE(constraint == Constraint::unit_ball || norms.minCoeff() > 1 - 4 * epsilon<T>) << describe(options);
      if (options.learn_steps) {
        EXPECT_NE(result.steps, std::vector<double>(8, 1.0)) << describe(options);
      }
      if (!falls) continue;  // values are those of other batches, or steps unverified
      double before = result.initial_value;
      for (const double value : result.history.value) EXPECT_LT(value, std::exchange(before, value)) << describe(options);
      EXPECT_EQ(result.reg, reg);
      if (options.method == LearningMethod::alternating_exact) {
        EXPECT_TRUE(result.steps.empty());
        continue;
      }
      const UnrolledOptions network{.n_layers = 8, .algorithm = options.algorithm, .steps = result.steps};
      EXPECT_EQ((unrolled_loss<T>(this->problem.signals, DenseDictionary(result.dictionary), reg, network)), before)
          << describe(options);
      EXPECT_EQ(result.steps != std::vector<double>(8, 1.0), options.learn_steps) << describe(options);
    }
}

TYPED_TEST(LearnDictionary, TruncatedAtNoLayerAndAtAll_IsAlternatingAndUnrolled) {
  using enum LearningMethod;
  const auto learn = [&](LearningMethod method, std::optional<int> backprop) {
    return this->learn({.method = method, .n_layers = 5, .backprop = backprop, .max_iter = 4});
  };
  const auto alternate = learn(alternating, {}), unroll = learn(unrolled, {});
  expect_same(learn(truncated, 0), alternate, "no layer");
  expect_same(learn(truncated, 5), unroll, "all layers");
  EXPECT_FALSE(alternate.dictionary == unroll.dictionary || learn(truncated, 2).dictionary == unroll.dictionary);
}

TYPED_TEST(LearnDictionary, HasTheSameBitsForAnyNumberOfThreads) {
  for (LearnOptions options : all_methods(6)) {
    options.tol = 0.05;  // so that steps move too
    const auto one = this->learn(options);
    options.execution.n_threads = 2;
    expect_same(this->learn(options), one, describe(options));
  }
}

TYPED_TEST(LearnDictionary, StoppedAnywhereAndResumed_HasTheBitsOfTheWholeRun) {
  const TemporaryFolder folder;
  int n_stopped = 0, n_runs = 0;
  for (LearnOptions options : all_methods(6)) {
    options.tol = 0.03;
    const auto whole = this->learn(options);
    for (const int last : {1, 40, -3}) {  // of the questions to stop_requested; negative: of the observer's
      LearnOptions stopped = options;
      stopped.checkpoint = (folder / std::to_string(++n_runs)).string();
      stopped.checkpoint_every = 100;
      LearnOptions resumed = stopped;
      resumed.resume = true;
      int n_asked = 0;
      if (last > 0) stopped.execution.stop_requested = [&] { return ++n_asked >= last; };
      const std::string about = describe(options) + ", stopped at " + std::to_string(last);
      try {
        const auto part = this->learn(
            stopped, [&](const IterationInfo& info) { return info.iteration == -last ? Action::stop : Action::keep_going; });
        n_stopped += part.status == Status::interrupted;
        EXPECT_TRUE(part.status == Status::interrupted || part.history.value == whole.history.value) << about;
        EXPECT_LE(part.history.value.size(), whole.history.value.size()) << about;
      } catch (const Interrupted&) {
        ++n_stopped;
        EXPECT_LE(n_asked, options.batch_size ? last + 1 : 4) << about;  // there was nothing to keep; copies of batches ask, too
      }
      expect_same(this->learn(resumed), whole, about);
    }
  }
  EXPECT_GE(n_stopped, 2 * n_runs / 3);
}

TYPED_TEST(LearnDictionary, StartsFromWhatIsAskedFor) {
  using T = TypeParam;
  const Matrix<T> X = this->problem.signals.leftCols(30);
  LearnOptions options{.n_layers = 10, .max_iter = 1, .seed = 4};
  const auto value_at = [&](const Matrix<T>& D) { return unrolled_loss<T>(X, DenseDictionary(D), reg, {.n_layers = 10}); };
  const auto first_value = [&](Init init, Index n_atoms) {
    options.init = init;
    return learn_dictionary<T>(X, n_atoms, reg, options).initial_value;
  };
  const double rounding = 100 * epsilon<T>;
  EXPECT_NEAR(first_value(Init::dct, 12), value_at(datasets::dct_dictionary<T>(8, 12)), rounding);
  EXPECT_NEAR(first_value(Init::random, 12), value_at(datasets::gaussian_dictionary<T>(8, 12, 4)), rounding);
  const Matrix<T> all = X.colwise().normalized();  // as many atoms as signals: each of them once
  EXPECT_NEAR(first_value(Init::data, 30), value_at(all), rounding);

  const Matrix<T> half = this->start / 2;
  options.constraint = Constraint::unit_ball;
  EXPECT_EQ(learn_dictionary<T>(X, half, reg, options).initial_value, value_at(half));
  options.constraint = Constraint::unit_sphere;
  EXPECT_NEAR(learn_dictionary<T>(X, half, reg, options).initial_value, value_at(this->start), rounding);
}

TYPED_TEST(LearnDictionary, TakesAFractionOfTheQuantileOfRegMaxAtTheStart_OfCentredSignalsIfAsked) {
  using T = TypeParam;
  Matrix<T> X = this->problem.signals;
  X.array() += T(3);
  for (const bool centre : {false, true}) {
    const auto result =
        learn_dictionary<T>(X, this->start, Reg::fraction_of_max(0.25), {.n_layers = 3, .centre = centre, .max_iter = 1});
    const LassoOracle oracle(this->start, {}, false);
    std::vector<double> all;
    for (Index i = 0; i < X.cols(); ++i) {
      Eigen::VectorXd x = X.col(i).template cast<double>();
      if (centre) x.array() -= x.mean();
      all.push_back(oracle.reg_max(x));
    }
    std::ranges::sort(all);
    const double largest = all[197];  // of 200 signals two lie above
    EXPECT_NEAR(result.reg, 0.25 * largest, 100 * epsilon<T> * largest);
  }
}

TYPED_TEST(LearnDictionary, FollowsItsSeed) {
  using T = TypeParam;
  const auto from_seed = [&](std::uint64_t seed) {
    return learn_dictionary<T>(this->problem.signals, 10, reg, {.n_layers = 3, .max_iter = 3, .seed = seed});
  };
  expect_same(from_seed(5), from_seed(5), "seed 5");
  EXPECT_FALSE(from_seed(5).dictionary == from_seed(6).dictionary);
}

}  // namespace
}  // namespace riata::testing
