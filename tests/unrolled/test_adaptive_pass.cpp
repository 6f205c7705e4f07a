// The pass that leaves whole tiles for the supports, against the plain pass that it replaces.
#include "riata/unrolled/adaptive_pass.hpp"

#include <gtest/gtest.h>

#include <sstream>

#include "support/random_arrays.hpp"
#include "unrolled/engine.hpp"

namespace riata::testing {
namespace {

struct PassCase {
  Index n_features = 12, n_atoms = 30, n_signals = 11, tile = 4;
  double reg = 0.1;  ///< of each signal's reg_max; beside it a signal of zeros and one with reg_max itself
  int n_layers = 12, stored = 12;
  bool accelerate = true, extrapolated = false, positive = false, weighted = false, started = false;
  double lowest_step = 0.6;

  std::string describe() const {
    std::ostringstream text;
    text << n_features << " features, " << n_atoms << " atoms, " << n_signals << " signals in tiles of " << tile << ", reg "
         << reg << ", last " << stored << " of " << n_layers << " layers" << (accelerate ? ", fista" : ", ista")
         << (extrapolated ? ", extrapolated" : "") << (positive ? ", non-negative" : "") << (weighted ? ", weighted" : "")
         << (started ? ", started" : "") << ", steps from " << lowest_step;
    return text.str();
  }
};

template <class T>
struct PassProblem {
  PassProblem(const PassCase& of_kind, std::uint64_t seed) : kind(of_kind) {
    Draw draw(seed);
    D = draw.atoms(kind.n_features, kind.n_atoms).cast<T>();
    X = draw.normal_matrix(kind.n_features, kind.n_signals).cast<T>();
    if (kind.n_signals > 2) X.col(1).setZero();
    penalty =
        PenaltyOptions{.positive = kind.positive, .weights = kind.weighted ? draw.weights(kind.n_atoms) : std::vector<double>{}};
    const L1<T> l1(penalty, kind.n_atoms);
    reg.resize(kind.n_signals);
    for (Index i = 0; i < kind.n_signals; ++i) {
      const Vector<double> correlations = (D.transpose() * X.col(i)).template cast<double>();
      // Halves of the tiles are much denser than the others, so that one run meets both kinds.
      const double share = i == 2 ? 1 : (i / kind.tile) % 2 == 0 ? kind.reg : kind.reg * 0.1;
      reg(i) = static_cast<T>(std::max(share * l1.largest_pull(correlations.size(), correlations.data()), 1e-3));
    }
    const double lipschitz = (D.transpose() * D).template cast<double>().norm();
    schedule.lipschitz = lipschitz;
    schedule.momenta = layer_momenta(kind.n_layers, kind.accelerate);
    for (int k = 0; k < kind.n_layers; ++k)
      schedule.steps.push_back((kind.lowest_step < 1 ? draw.uniform(kind.lowest_step, 1.2) : 1) / lipschitz);
    if (kind.started) init = draw.sparse_matrix(kind.n_atoms, kind.n_signals, 0.4).cwiseAbs().cast<T>();
  }

  PassResult<T> plain() const {
    return run_layers<T>(DenseDictionary<T>(D), penalty, schedule, X, reg, kind.stored, init, {}, kind.extrapolated);
  }
  PassResult<T> adaptive() const {
    const DenseDictionary<T> dictionary(D);
    const L1<T> l1(penalty, kind.n_atoms);
    const GramProblem<T> gram(view_of(D), l1);
    return run_pass<T>(*adaptive_pass(dictionary, l1, gram), kind.tile, dictionary, l1, schedule, X, reg, init);
  }
  std::unique_ptr<AdaptivePass<T>> adaptive_pass(const DenseDictionary<T>& dictionary, const L1<T>& l1,
                                                 const GramProblem<T>& gram) const {
    return std::make_unique<AdaptivePass<T>>(
        layer_pass<T>(dictionary, penalty, schedule, kind.stored, kind.tile, kind.extrapolated), dictionary, l1, gram, schedule,
        kind.extrapolated, PassRoom{schedule.n_layers(), kind.stored, kind.tile});
  }

  PassCase kind;
  Matrix<T> D, X, init;
  Vector<T> reg;
  PenaltyOptions penalty;
  LayerSchedule schedule;
};

void expect_equal(const PassCase& kind, std::uint64_t seed) {
  const PassProblem<double> problem(kind, seed);
  const auto plain = problem.plain(), adaptive = problem.adaptive();
  EXPECT_NEAR(adaptive.value, plain.value, 1e-12 * (1 + plain.value)) << kind.describe();
  EXPECT_LE(distance(adaptive.codes, plain.codes), 1e-12) << kind.describe();
  EXPECT_LE(distance(adaptive.dictionary(), plain.dictionary()), 1e-12) << kind.describe();
  EXPECT_LE(distance(adaptive.signals, plain.signals), 1e-12) << kind.describe();
  EXPECT_LE(distance(as_vector(adaptive.steps), as_vector(plain.steps)), 1e-12) << kind.describe();
  EXPECT_LE(distance(as_vector(adaptive.reg), as_vector(plain.reg)), 1e-12) << kind.describe();
}

TEST(AdaptivePass, EqualsThePassThroughLayers_InEveryVariant) {
  std::uint64_t seed = 300;
  for (const int stored : {12, 5, 1, 0})
    for (const bool accelerate : {true, false})
      for (const bool extrapolated : {false, true})
        for (const bool positive : {false, true})
          for (const bool weighted : {false, true})
            for (const bool started : {false, true})
              expect_equal({.stored = stored,
                            .accelerate = accelerate,
                            .extrapolated = extrapolated,
                            .positive = positive,
                            .weighted = weighted,
                            .started = started},
                           ++seed);
}

TEST(AdaptivePass, EqualsThePassThroughLayers_OnAnyShapeAndDensity) {
  std::uint64_t seed = 400;
  for (const auto& [n, m] : {std::pair<Index, Index>{1, 1}, {1, 70}, {40, 1}, {3, 130}, {20, 64}, {33, 65}, {64, 256}})
    for (const Index n_signals : {1, 2, 9})
      for (const double reg : {0.002, 0.1, 0.5, 0.99})
        expect_equal({.n_features = n, .n_atoms = m, .n_signals = n_signals, .tile = 5, .reg = reg, .n_layers = 15, .stored = 15},
                     ++seed);
}

TEST(AdaptivePass, EqualsThePassThroughLayers_WhereTheCodesHaveSettledLongBeforeTheEnd) {
  std::uint64_t seed = 500;
  for (const bool accelerate : {true, false})
    for (const int stored : {700, 30})
      expect_equal({.n_features = 20,
                    .n_atoms = 8,
                    .reg = 0.3,
                    .n_layers = 700,
                    .stored = stored,
                    .accelerate = accelerate,
                    .lowest_step = 1},
                   ++seed);
}

TEST(AdaptivePass, EqualsThePassThroughLayers_WhereNoAtomIsEverActive) {
  for (const int stored : {12, 5}) {
    PassProblem<double> problem({.stored = stored}, 550);
    problem.X.setZero();
    const auto plain = problem.plain(), adaptive = problem.adaptive();
    EXPECT_TRUE(adaptive.codes.isZero(0) && plain.codes.isZero(0));
    EXPECT_TRUE(adaptive.dictionary().isZero(0) && adaptive.signals.isZero(0));
    EXPECT_TRUE(as_vector(adaptive.steps).isZero(0) && as_vector(adaptive.reg).isZero(0));
  }
}

TEST(AdaptivePass, EqualsThePassThroughLayers_WithStepsOfZero) {
  PassProblem<double> problem({}, 600);
  problem.schedule.steps[3] = problem.schedule.steps[11] = 0;
  const auto plain = problem.plain(), adaptive = problem.adaptive();
  EXPECT_LE(distance(adaptive.codes, plain.codes), 1e-12);
  EXPECT_LE(distance(adaptive.dictionary(), plain.dictionary()), 1e-12);
  EXPECT_LE(distance(as_vector(adaptive.steps), as_vector(plain.steps)), 1e-12);
}

/// Is a threshold's argument of the plain pass, in double, so near a kink that rounding may decide on which side it falls?
bool is_near_kink(const PassProblem<double>& problem, Index i) {
  Vector<double> z = Vector<double>::Zero(problem.D.cols()), y = z;
  for (std::size_t k = 0; k < problem.schedule.steps.size(); ++k) {
    const double alpha = problem.schedule.steps[k], threshold = alpha * problem.reg(i);
    const Vector<double> v = y - alpha * (problem.D.transpose() * (problem.D * y - problem.X.col(i)));
    if (((v.array().abs() - threshold).abs() < 1e-5 * problem.X.col(i).norm()).any()) return true;
    const Vector<double> next = v.array().sign() * (v.array().abs() - threshold).max(0.0);
    y = next + problem.schedule.momenta[k] * (next - z);
    z = next;
  }
  return false;
}

/// Signals whose codes stay dense, from starts that are not.
TEST(AdaptivePass, ByASparseStart_IsNotLedToTheSupportsOfDenseCodes) {
  const PassCase kind{
      .n_features = 20, .n_atoms = 60, .n_signals = 2, .tile = 2, .reg = 1e-4, .n_layers = 10, .stored = 10, .lowest_step = 1};
  PassProblem<double> problem(kind, 800);
  const DenseDictionary<double> D(problem.D);
  const L1<double> l1(problem.penalty, kind.n_atoms);
  const GramProblem<double> gram(view_of(problem.D), l1);
  const auto dense_layers = [&](const Matrix<double>& start) {
    const auto pass = problem.adaptive_pass(D, l1, gram);
    pass->forward({problem.X, problem.reg}, start);
    EXPECT_GE((pass->codes().array() != 0).count(), 2 * 40);  // codes are dense indeed
    return pass->n_dense_layers();
  };
  EXPECT_EQ(dense_layers(Matrix<double>()), kind.n_layers);
  EXPECT_EQ(dense_layers(Matrix<double>::Zero(kind.n_atoms, kind.n_signals)), kind.n_layers);
  problem.schedule.steps[0] = 0;
  EXPECT_EQ(dense_layers(Matrix<double>::Zero(kind.n_atoms, kind.n_signals)), kind.n_layers);
}

TEST(AdaptivePass, InFloat_EqualsThePassThroughLayersInDouble_AwayFromKinks) {
  for (const double reg : {0.1, 0.5}) {
    const PassCase kind{
        .n_features = 20, .n_atoms = 50, .n_signals = 60, .tile = 16, .reg = reg, .n_layers = 15, .stored = 15, .lowest_step = 1};
    PassProblem<double> exact(kind, 700);
    PassProblem<float> rounded(kind, 700);
    exact.D = rounded.D.cast<double>();
    exact.X = rounded.X.cast<double>();
    exact.reg = rounded.reg.cast<double>();
    std::vector<Index> kept;
    for (Index i = 0; i < kind.n_signals; ++i)
      if (!is_near_kink(exact, i)) kept.push_back(i);
    ASSERT_GE(std::ssize(kept), 15);
    for (auto* X : {&exact.X}) *X = Matrix<double>((*X)(Eigen::all, kept));
    rounded.X = Matrix<float>(rounded.X(Eigen::all, kept));
    exact.reg = Vector<double>(exact.reg(kept));
    rounded.reg = Vector<float>(rounded.reg(kept));
    const auto plain = exact.plain();
    const auto adaptive = rounded.adaptive();
    EXPECT_LE((adaptive.dictionary().cast<double>() - plain.dictionary()).norm(), 1e-5 * plain.dictionary().norm());
    EXPECT_LE((adaptive.signals.cast<double>() - plain.signals).norm(), 1e-5 * plain.signals.norm());
    EXPECT_LE((adaptive.codes.cast<double>() - plain.codes).norm(), 1e-5 * plain.codes.norm());
  }
}

}  // namespace
}  // namespace riata::testing
