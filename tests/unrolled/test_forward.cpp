#include <gtest/gtest.h>
#include <sys/resource.h>

#include "riata/solvers/encode.hpp"
#include "support/precision.hpp"
#include "support/sentences.hpp"
#include "unrolled/networks.hpp"

namespace riata::testing {
namespace {

TEST(UnrolledEncode, EqualsPlainLayers_InEveryVariant) {
  for_each_network_case([](const NetworkCase& kind, std::uint64_t seed) {
    const DrawnNetwork net = draw_network(kind, seed);
    const Matrix<double> codes = unrolled_encode<double>(net.input.X, DenseDictionary(net.input.D), net.reg(), net.options);
    EXPECT_LE((codes - net.trace.output(net.oracle)).cwiseAbs().maxCoeff(), 1e-12) << kind.describe() << ", seed " << seed;
  });
}

TEST(UnrolledEncode, StartsFromInit) {
  for (const bool accelerate : {false, true}) {
    const DrawnNetwork net = draw_network({.algorithm = accelerate ? Layers::fista : Layers::ista}, 61);
    const Matrix<double> init = Draw(62).normal_matrix(7, 3);
    const OracleTrace trace = run_network(net.oracle, net.input, init);
    const Matrix<double> codes = unrolled_encode<double>(net.input.X, DenseDictionary(net.input.D), net.reg(), net.options, init);
    EXPECT_LE((codes - trace.output(net.oracle)).cwiseAbs().maxCoeff(), 1e-12) << "accelerate " << accelerate;
  }
}

TEST(UnrolledEncode, DefaultsAreUnitStepsOverTheSquaredSpectralNorm) {
  DrawnNetwork net = draw_network({.n_layers = 12}, 63);
  net.input.steps.setOnes();
  const OracleTrace trace = run_network(net.oracle, net.input);
  const Matrix<double> codes = unrolled_encode<double>(net.input.X, DenseDictionary(net.input.D), net.reg(), {.n_layers = 12});
  EXPECT_LE((codes - trace.output(net.oracle)).cwiseAbs().maxCoeff(), 1e-12);
}

TEST(UnrolledEncode, InFloat_FollowsDouble) {
  for (const Layers method : {Layers::ista, Layers::fista}) {
    const DrawnNetwork net =
        draw_network({.algorithm = method, .weighted = true, .n_layers = 30, .kept = 30}, 64, 20, 40, 300, 0);
    const Matrix<double> exact = net.trace.output(net.oracle);
    const Matrix<float> X = net.input.X.cast<float>(), D = net.input.D.cast<float>();
    const Matrix<float> codes = unrolled_encode<float>(X, DenseDictionary(D), net.reg(), net.options);
    EXPECT_LE((codes.cast<double>() - exact).norm(), 1e-4 * exact.norm());
  }
}

TEST(UnrolledEncode, ReachesTheLassoSolution_WithEnoughLayers) {
  const DrawnNetwork net = draw_network({}, 65);
  const Matrix<double> deep = unrolled_encode<double>(net.input.X, DenseDictionary(net.input.D), net.reg(), {.n_layers = 20'000});
  const auto solved = encode<double>(net.input.X, DenseDictionary(net.input.D), net.reg(), {.tol = 1e-14});
  EXPECT_LE((deep - solved.codes).cwiseAbs().maxCoeff(), 1e-6);
}

TEST(UnrolledEncode, MemoryDoesNotGrowWithTheLayers) {
  Draw draw(69);
  const DenseDictionary<float> D(draw.atoms(16, 256).cast<float>());
  const Matrix<float> X = draw.normal_matrix(16, 40).cast<float>();
  const auto peak_mb = [] {
    rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return static_cast<double>(usage.ru_maxrss) / 1024;
  };
  const auto encode_with = [&](int layers) {
    UnrolledOptions options{.n_layers = layers};
    options.execution.n_threads = 1;
    unrolled_encode<float>(X, D, Reg::fraction_of_max(0.7), options);
  };
  encode_with(100);
  const double before = peak_mb();
  encode_with(50'000);  // kept lists would take 200 MB
  EXPECT_LE(peak_mb() - before, 40);
}

template <class T>
class UnrolledThreads : public ::testing::Test {};
TYPED_TEST_SUITE(UnrolledThreads, BothPrecisions, PrecisionName);

TYPED_TEST(UnrolledThreads, DoNotChangeABitOfCodesOrGradients) {
  using T = TypeParam;
  Draw draw(66);
  const Matrix<T> X = draw.normal_matrix(20, 1500).template cast<T>();
  const DenseDictionary<T> D(draw.atoms(20, 40).template cast<T>());
  const auto run = [&](int n_threads) {
    UnrolledOptions options{.n_layers = 10};
    options.execution.n_threads = n_threads;
    GradientOptions gradient;
    gradient.signals = true;
    return unrolled_gradient<T>(X, D, 0.1, options, gradient);
  };
  const auto one = run(1);
  for (const int n_threads : {2, 3}) {
    const auto many = run(n_threads);
    EXPECT_EQ(many.value, one.value) << n_threads << " threads";
    EXPECT_TRUE(many.parameters.at("dictionary") == one.parameters.at("dictionary")) << n_threads << " threads";
    EXPECT_TRUE(many.steps == one.steps) << n_threads << " threads";
    EXPECT_TRUE(many.reg == one.reg) << n_threads << " threads";
    EXPECT_TRUE(many.signals == one.signals) << n_threads << " threads";
    EXPECT_TRUE(many.codes == one.codes) << n_threads << " threads";
    UnrolledOptions options{.n_layers = 10};
    options.execution.n_threads = n_threads;
    EXPECT_TRUE(unrolled_encode<T>(X, D, 0.1, options) == one.codes) << n_threads << " threads";
    EXPECT_EQ(unrolled_loss<T>(X, D, 0.1, options), one.value) << n_threads << " threads";
  }
}

TEST(UnrolledBadInput, IsRefusedInOneSentence) {
  const Matrix<double> D = Draw(67).atoms(4, 6), X = Draw(68).normal_matrix(4, 3), wrong = Matrix<double>::Ones(3, 3);
  Matrix<double> bad = X, nan_codes = Matrix<double>::Zero(6, 3);
  bad(1, 2) = INFINITY;
  nan_codes(5, 0) = NAN;
  const DenseDictionary<double> dictionary(D);
  const auto forward = [&](const UnrolledOptions& options) {
    return [&, options] { unrolled_encode<double>(X, dictionary, 0.1, options); };
  };
  const auto backward = [&](int kept) {
    return [&, kept] { unrolled_gradient<double>(X, dictionary, 0.1, {.n_layers = 5}, {.backprop = kept}); };
  };
  const BadInput table[] = {
      {"n_layers = 0, must be between 1 and 1000000", forward({.n_layers = 0})},
      {"n_layers = 1000001, must be between 1 and 1000000", forward({.n_layers = 1'000'001})},
      {"steps: 2 entries for 3 layers; they must be equal", forward({.n_layers = 3, .steps = {1, 1}})},
      {"steps: entry 1 is nan, must be finite", forward({.n_layers = 2, .steps = {1, NAN}})},
      {"lipschitz = 0, must be > 0 and finite", forward({.n_layers = 2, .lipschitz = 0.0})},
      {"lipschitz = inf, must be > 0 and finite", forward({.n_layers = 2, .lipschitz = INFINITY})},
      {"weights: 1 entries for 6 atoms; they must be equal", forward({.penalty = {.positive = false, .weights = {1}}})},
      {"n_threads = -2, must be >= 0 (0 means all cores)", forward({.execution = {.n_threads = -2, .stop_requested = {}}})},
      {"backprop = 6, must be between 0 and n_layers = 5", backward(6)},
      {"backprop = -1, must be between 0 and n_layers = 5", backward(-1)},
      {"unrolled_encode: X holds no signals", [&] { unrolled_encode<double>(Matrix<double>(4, 0), dictionary, 0.1); }},
      {"unrolled_encode: signals have 3 features but atoms have 4; they must be equal",
       [&] { unrolled_encode<double>(wrong, dictionary, 0.1); }},
      {"unrolled_gradient: X holds inf at signal 2, feature 1; expected finite numbers",
       [&] { unrolled_gradient<double>(bad, dictionary, 0.1); }},
      {"unrolled_encode: init has shape (3, 3), expected (3, 6)",
       [&] { unrolled_encode<double>(X, dictionary, 0.1, {}, wrong); }},
      {"unrolled_encode: init holds nan at signal 0, atom 5; expected finite numbers",
       [&] { unrolled_encode<double>(X, dictionary, 0.1, {}, nan_codes); }},
      {"unrolled_gradient: targets has shape (3, 3), expected the signals' (3, 4)",
       [&] { unrolled_gradient<double>(X, dictionary, 0.1, {}, {}, wrong); }},
      {"unrolled_gradient: targets holds inf at signal 2, feature 1; expected finite numbers",
       [&] { unrolled_gradient<double>(X, dictionary, 0.1, {}, {}, bad); }},
      {"reg: 2 entries for 3 signals; they must be equal",
       [&] {
         unrolled_gradient<double>(X, dictionary, Reg(std::vector<double>{1, 1}));
       }},
      {"algorithm = 'cd', must be 'fista' or 'ista'", [] { parse<Layers>("cd", "algorithm"); }},
      {"loss = 'l1', must be 'lasso' or 'least_squares'", [] { parse<Loss>("l1", "loss"); }},
      {"reduction = '', must be 'mean' or 'sum'", [] { parse<Reduction>("", "reduction"); }},
  };
  for (const BadInput& row : table) EXPECT_EQ(refusal_of(row.call), row.sentence);
}

TEST(UnrolledNames, ParseToWhatTheySay) {
  EXPECT_EQ(parse<Layers>("ista", "algorithm"), Layers::ista);
  EXPECT_EQ(parse<Layers>("fista", "algorithm"), Layers::fista);
  EXPECT_EQ(parse<Loss>("lasso", "loss"), Loss::lasso);
  EXPECT_EQ(parse<Loss>("least_squares", "loss"), Loss::least_squares);
  EXPECT_EQ(parse<Reduction>("mean", "reduction"), Reduction::mean);
  EXPECT_EQ(parse<Reduction>("sum", "reduction"), Reduction::sum);
}

}  // namespace
}  // namespace riata::testing
