#include "riata/learning/learn_patterns.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <functional>

#include "riata/unrolled/unrolled.hpp"
#include "support/random_arrays.hpp"

namespace riata::testing {
namespace {

struct Planted {
  Matrix<double> X, u, v;
  Matrix<double> atoms() const { return ConvolutionalDictionary<double>::rank_one(u, v, {u.rows(), v.rows()}).atoms(); }
};

/// Two trials of two channels, two smooth patterns of 12 samples.
Planted planted(double noise) {
  Draw draw(1);
  Planted made{.X = {}, .u = draw.normal_matrix(2, 2), .v = Matrix<double>(12, 2)};
  for (Index l = 0; l < 12; ++l) {
    made.v(l, 0) = std::sin(3.14159 * static_cast<double>(l) / 11);
    made.v(l, 1) = std::sin(4 * 3.14159 * static_cast<double>(l) / 11);
  }
  made.u.colwise().normalize();
  made.v.colwise().normalize();
  const auto D = ConvolutionalDictionary<double>::rank_one(made.u, made.v, {2, 300});
  Matrix<double> Z = Matrix<double>::Zero(D.code_size(), 2);
  for (int i = 0; i < 80; ++i) Z(draw.integer(0, static_cast<int>(Z.rows()) - 1), i % 2) += draw.uniform(1, 2);
  made.X.resize(600, 2);
  D.apply(Z, made.X);
  made.X += noise * draw.normal_matrix(600, 2);
  return made;
}

/// The mean over the planted patterns of the best |correlation|, at any shift.
double recovery(const Matrix<double>& of, const Matrix<double>& planted, bool shifts) {
  double sum = 0;
  for (Index j = 0; j < planted.cols(); ++j) {
    double best = 0;
    for (Index k = 0; k < of.cols(); ++k)
      for (Index s = shifts ? 1 - of.rows() : 0; s < (shifts ? of.rows() : 1); ++s) {
        double product = 0;
        for (Index l = 0; l < of.rows(); ++l)
          if (l + s >= 0 && l + s < of.rows()) product += of(l + s, k) * planted(l, j);
        best = std::max(best, std::abs(product));
      }
    sum += best;
  }
  return sum / static_cast<double>(planted.cols());
}

class PatternMethods : public ::testing::TestWithParam<LearningMethod> {};

TEST_P(PatternMethods, FindPlantedOnes) {
  const Planted made = planted(0.02);
  for (const bool rank_one : {true, false}) {
    double best = 0, least = std::numeric_limits<double>::infinity();
    for (std::uint64_t seed = 0; seed < (GetParam() == LearningMethod::ksvd ? 10 : 3); ++seed) {
      PatternOptions options{.rank_one = rank_one};
      options.learn.method = GetParam();
      options.learn.max_iter = GetParam() == LearningMethod::stochastic ? 100 : 60;
      options.learn.seed = seed;
      const bool pursues = GetParam() == LearningMethod::ksvd;
      const auto learned =
          learn_patterns<double>(made.X, 2, 2, 12, pursues ? std::nullopt : std::optional(Reg::fraction_of_max(0.1)), options);
      const double value = learned.learned.history.value.back();
      EXPECT_LT(value, learned.learned.history.value.front());
      EXPECT_LE((learned.atoms.colwise().norm().array() - 1).abs().maxCoeff(), 1e-12);
      if (value < least) {
        least = value;
        best = rank_one ? (recovery(learned.u, made.u, false) + recovery(learned.v, made.v, true)) / 2
                        : recovery(learned.atoms, made.atoms(), true);
      }
    }
    EXPECT_GE(best, GetParam() == LearningMethod::stochastic || GetParam() == LearningMethod::ksvd ? 0.9 : 0.95) << rank_one;
  }
}
INSTANTIATE_TEST_SUITE_P(Of, PatternMethods,
                         ::testing::Values(LearningMethod::stochastic, LearningMethod::unrolled,
                                           LearningMethod::alternating_exact, LearningMethod::online, LearningMethod::ksvd),
                         [](const auto& of) { return std::string(to_string(of.param)); });

/// Of a loss that is smooth but for kinks of the shrinkage, which a step of 1e-6 seldom meets.
double by_differences(const std::function<double(double)>& loss) { return (loss(1e-6) - loss(-1e-6)) / 2e-6; }

TEST(LearnPatterns, GradientThroughLayersIsThatOfFiniteDifferences) {
  Draw draw(3);
  for (const Boundary boundary : {Boundary::valid, Boundary::full, Boundary::circular}) {
    const RecordingShape shape{2, 40, boundary};
    const auto rank_one = [&](const Vector<double>& window) {
      return ConvolutionalDictionary<double>::rank_one(draw.atoms(2, 3), draw.atoms(7, 3), shape, window);
    };
    for (const auto& D :
         {rank_one({}), rank_one(tukey_window<double>(7)), ConvolutionalDictionary<double>(draw.atoms(14, 3), shape)}) {
      const Matrix<double> X = draw.normal_matrix(80, 2);
      Matrix<double> mask = Matrix<double>::Ones(80, 2);
      for (Index j = 0; j < mask.size(); j += 7) mask.data()[j] = 0;
      const UnrolledOptions layers{
          .n_layers = 5, .steps = {0.9, 1.0, 1.1, 1.0, 0.8}, .lipschitz = D.squared_norm(), .penalty = {.positive = true}};
      for (const Batch<double>& batch : {Batch<double>(X), Batch<double>(X, mask)}) {
        const auto found = unrolled_gradient<double>(batch, D, 0.2, layers);
        for (const auto& [name, values] : D.parameters())
          for (Index j = 0; j < values.size(); ++j) {
            const double difference = by_differences([&](double h) {
              Parameters<double> moved = D.parameters();
              moved.at(name).data()[j] += h;
              return unrolled_loss<double>(batch, *D.at(moved), 0.2, layers);
            });
            EXPECT_NEAR(found.parameters.at(name).data()[j], difference, 1e-7) << name << " " << j;
          }
        for (std::size_t k = 0; k < 5; ++k) {
          const double difference = by_differences([&](double h) {
            UnrolledOptions moved = layers;
            moved.steps[k] += h;
            return unrolled_loss<double>(batch, D, 0.2, moved);
          });
          EXPECT_NEAR(found.steps(static_cast<Index>(k)), difference, 1e-7);
        }
        EXPECT_NEAR(found.reg(0), by_differences([&](double h) { return unrolled_loss<double>(batch, D, 0.2 + h, layers); }),
                    1e-7);
      }
    }
  }
}

TEST(LearnPatterns, GivesTheSameBitsAfterAStopAndOnAnyNumberOfThreads) {
  const Planted made = planted(0.1);
  const auto folder = std::filesystem::path(::testing::TempDir()) / "riata_patterns";
  std::filesystem::create_directories(folder);
  for (const LearningMethod method :
       {LearningMethod::stochastic, LearningMethod::alternating_exact, LearningMethod::online, LearningMethod::ksvd})
    for (const bool rank_one : {true, false}) {
      PatternOptions options{.rank_one = rank_one};
      options.learn.method = method;
      options.learn.max_iter = 23;
      options.learn.tol = 0;
      options.learn.execution.n_threads = 1;
      const auto reg = method == LearningMethod::ksvd ? std::nullopt : std::optional(Reg::fraction_of_max(0.1));
      const auto whole = learn_patterns<double>(made.X, 2, 3, 12, reg, options);
      options.learn.execution.n_threads = 2;
      options.learn.checkpoint = (folder / (std::string(to_string(method)) + (rank_one ? "1" : "0"))).string();
      std::filesystem::remove(options.learn.checkpoint);
      options.learn.max_iter = 12;
      learn_patterns<double>(made.X, 2, 3, 12, reg, options);
      options.learn.max_iter = 23;
      options.learn.resume = true;
      const auto resumed = learn_patterns<double>(made.X, 2, 3, 12, reg, options);
      EXPECT_EQ(whole.atoms, resumed.atoms) << to_string(method) << " " << rank_one;
      EXPECT_EQ(whole.learned.history.value, resumed.learned.history.value) << to_string(method) << " " << rank_one;
    }
}

TEST(LearnPatterns, DoesNotDependOnTheUnit) {
  const Planted made = planted(0.1);
  PatternOptions options;
  options.learn.max_iter = 15;
  for (const LearningMethod method : {LearningMethod::stochastic, LearningMethod::alternating_exact, LearningMethod::online}) {
    options.learn.method = method;
    const auto here = learn_patterns<double>(made.X, 2, 3, 12, Reg::fraction_of_max(0.1), options),
               small = learn_patterns<double>(std::ldexp(1, -40) * made.X, 2, 3, 12, Reg::fraction_of_max(0.1), options);
    EXPECT_LE((here.atoms - small.atoms).cwiseAbs().maxCoeff(), 1e-9) << to_string(method);
  }
}

TEST(PatternLearner, LearnsFromTrialsAsTheyCome_AndGoesOnFromItsStateBitForBit) {
  const Planted made = planted(0.02);
  Matrix<double> trials(2 * 100, 6);  // thirds of both
  for (Index i = 0; i < 6; ++i)
    for (Index c = 0; c < 2; ++c) trials.col(i).segment(c * 100, 100) = made.X.col(i / 3).segment(c * 300 + i % 3 * 100, 100);
  for (const LearningMethod method : {LearningMethod::online, LearningMethod::stochastic}) {
    PatternOptions options;
    options.learn.method = method;
    PatternLearner<double> whole(2, 2, 12, Reg::fraction_of_max(0.1), options);
    for (int pass = 0; pass < 15; ++pass) whole.partial_fit(trials.middleCols(pass % 2 * 3, 3));
    const auto learned = whole.result();
    EXPECT_LT(learned.learned.history.value.back(), learned.learned.history.value.front());
    if (method == LearningMethod::online) {
      EXPECT_GE((recovery(learned.u, made.u, false) + recovery(learned.v, made.v, true)) / 2, 0.9);
    }

    PatternLearner<double> first(2, 2, 12, Reg::fraction_of_max(0.1), options),
        second(2, 2, 12, Reg::fraction_of_max(0.1), options);
    for (int pass = 0; pass < 7; ++pass) first.partial_fit(trials.middleCols(pass % 2 * 3, 3));
    second.restore(first.state());
    for (int pass = 7; pass < 15; ++pass) second.partial_fit(trials.middleCols(pass % 2 * 3, 3));
    EXPECT_EQ(second.result().atoms, learned.atoms) << to_string(method);
    EXPECT_THROW(second.partial_fit(trials.topRows(150)), std::invalid_argument);
    EXPECT_EQ(second.result().atoms, learned.atoms) << to_string(method);
  }
  EXPECT_THROW(PatternLearner<double>(2, 2, 12, Reg::fraction_of_max(0.1), {.learn = {.method = LearningMethod::unrolled}}),
               std::invalid_argument);
}

TEST(RecordingWindows, LieWithinTheRecordingAndAreTheSameWhenReadAgain) {
  Matrix<double> X(2 * 50, 3);
  for (Index j = 0; j < X.size(); ++j) X.data()[j] = static_cast<double>(j);
  RecordingWindows<double> windows(std::make_shared<RecordingInMemory<double>>(X, 2), 8, 3000, 5);
  Matrix<double> all(16, 3000), one(16, 1);
  windows.read(0, all);
  std::vector<int> starts(3 * 43);
  for (Index i = 0; i < 3000; ++i) {
    const auto first = static_cast<Index>(all(0, i)), trial = first / 100, start = first % 100;
    ASSERT_LT(start, 43);
    ++starts[static_cast<std::size_t>(trial * 43 + start)];
    for (Index c = 0; c < 2; ++c)
      for (Index t = 0; t < 8; ++t) ASSERT_EQ(all(c * 8 + t, i), X(c * 50 + start + t, trial));
  }
  double chi_squared = 0;
  for (const int count : starts) chi_squared += std::pow(count - 3000.0 / 129, 2) / (3000.0 / 129);
  EXPECT_LT(chi_squared, 190);  // of 128 degrees of freedom: beyond it once in 3 000 times
  windows.read(1234, one);
  EXPECT_EQ(one, all.col(1234));
}

TEST(LearnPatterns, RefusesWhatDoesNotFit) {
  const Matrix<double> X = Matrix<double>::Ones(60, 1);
  PatternOptions options;
  EXPECT_THROW(learn_patterns<double>(X, 7, 2, 5, 0.1), std::invalid_argument);
  EXPECT_THROW(learn_patterns<double>(X, 2, 2, 31, 0.1), std::invalid_argument);
  EXPECT_THROW(learn_patterns<double>(X, 2, 0, 5, 0.1), std::invalid_argument);
  options.learn.method = LearningMethod::mod;
  options.learn.n_nonzero = 2;
  EXPECT_THROW(learn_patterns<double>(X, 2, 2, 5, 0.1, options), std::invalid_argument);
  options.learn.method = LearningMethod::unrolled;
  options.n_times_window = 20;
  EXPECT_THROW(learn_patterns<double>(X, 2, 2, 5, 0.1, options), std::invalid_argument);
}

}  // namespace
}  // namespace riata::testing
