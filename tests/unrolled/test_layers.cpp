// The layers with other parts than a matrix and least squares: a data fit with weights that differ from signal to signal, and a
// small convolutional dictionary. Each against the dense problem that equals it.
#include "riata/unrolled/coupled_layer.hpp"

#include <gtest/gtest.h>

#include "riata/operators/dense_dictionary.hpp"
#include "riata/terms/l1.hpp"
#include "support/convolution.hpp"
#include "unrolled/engine.hpp"
#include "unrolled/networks.hpp"

namespace riata::testing {
namespace {

constexpr int n_layers = 8;
constexpr int stored_layers[] = {n_layers, 3, 1};

LayerSchedule schedule_with(double lipschitz, const std::vector<double>& factors, Layers method) {
  LayerSchedule schedule{.steps = factors, .momenta = layer_momenta(n_layers, method == Layers::fista), .lipschitz = lipschitz};
  for (double& s : schedule.steps) s /= lipschitz;
  return schedule;
}

std::vector<double> random_factors(Draw& draw) {
  std::vector<double> factors(n_layers);
  for (double& s : factors) s = draw.uniform(0.6, 1.2);
  return factors;
}

TEST(LayersWithAMaskedFit, EqualTheDenseProblemWithScaledRows) {
  // sqrt(M_i) moved into the dictionary and the signal makes the same problem, another one for every signal.
  Draw draw(81);
  const Index n = 9, m = 14, n_signals = 5;
  const Matrix<double> D = draw.atoms(n, m), X = draw.normal_matrix(n, n_signals);
  Matrix<double> M(n, n_signals);
  for (Index i = 0; i < M.size(); ++i) M.data()[i] = draw.coin(0.3) ? 0 : draw.uniform(0.3, 1);  // gaps and weights
  Vector<double> reg(n_signals);
  for (double& r : reg) r = draw.uniform(0.05, 0.2);
  const PenaltyOptions options{.positive = false, .weights = draw.weights(m)};
  const std::vector<double> factors = random_factors(draw);
  const double lipschitz = lipschitz_of(D);
  for (const Layers method : {Layers::ista, Layers::fista})
    for (const int stored : stored_layers) {
      const auto engine = run_layers<double>(DenseDictionary<double>(D), options, schedule_with(lipschitz, factors, method), X,
                                             reg, stored, {}, M);
      double value = 0;
      Matrix<double> dictionary = Matrix<double>::Zero(n, m), signals(n, n_signals), codes(m, n_signals);
      Vector<double> steps = Vector<double>::Zero(n_layers), reg_gradient(n_signals);
      for (Index i = 0; i < n_signals; ++i) {
        const Vector<double> root = M.col(i).cwiseSqrt();
        const Matrix<double> x = root.cwiseProduct(X.col(i));
        const auto dense = unrolled_gradient<double>(
            x, DenseDictionary<double>(root.asDiagonal() * D), reg(i),
            {.n_layers = n_layers, .algorithm = method, .steps = factors, .lipschitz = lipschitz, .penalty = options},
            {.backprop = stored, .reduction = Reduction::sum, .signals = true});
        value += dense.value;
        codes.col(i) = dense.codes;
        dictionary += root.asDiagonal() * dense.parameters.at("dictionary");
        signals.col(i) = root.asDiagonal() * dense.signals;
        steps += dense.steps;
        reg_gradient(i) = dense.reg(0);
      }
      EXPECT_NEAR(engine.value, value, 1e-12 * value) << stored << " layers kept";
      EXPECT_LE(distance(engine.codes, codes), 1e-12) << stored << " layers kept";
      EXPECT_LE(distance(engine.dictionary(), dictionary), 1e-12) << stored << " layers kept";
      EXPECT_LE(distance(engine.signals, signals), 1e-12) << stored << " layers kept";
      EXPECT_LE(distance(as_vector(engine.steps), steps), 1e-12) << stored << " layers kept";
      EXPECT_LE(distance(as_vector(engine.reg), reg_gradient), 1e-12) << stored << " layers kept";
    }
}

TEST(LayersWithAConvolutionalDictionary, EqualTheDenseProblemOfItsMatrix) {
  Draw draw(82);
  const Index n_signals = 3;
  const Convolution<double> D(draw.atoms(4, 3), 15);
  const Matrix<double> A = D.dense(), X = draw.normal_matrix(15, n_signals);
  const std::vector<double> factors = random_factors(draw);
  const Vector<double> reg = Vector<double>::Constant(n_signals, 0.2);
  const double lipschitz = D.squared_norm();
  for (const Layers method : {Layers::ista, Layers::fista})
    for (const bool positive : {false, true})
      for (const int stored : stored_layers) {
        const PenaltyOptions options{.positive = positive, .weights = {}};
        const auto engine = run_layers<double>(D, options, schedule_with(lipschitz, factors, method), X, reg, stored);
        const auto dense = unrolled_gradient<double>(
            X, DenseDictionary(A), 0.2,
            {.n_layers = n_layers, .algorithm = method, .steps = factors, .lipschitz = lipschitz, .penalty = options},
            {.backprop = stored, .reduction = Reduction::sum, .signals = true});
        EXPECT_NEAR(engine.value, dense.value, 1e-12 * dense.value) << stored << " layers kept";
        EXPECT_LE(distance(engine.codes, dense.codes), 1e-12) << stored << " layers kept";
        EXPECT_LE(distance(engine.dictionary(), D.kernels_gradient(dense.parameters.at("dictionary"))), 1e-12)
            << stored << " layers kept";
        EXPECT_LE(distance(engine.signals, dense.signals), 1e-12) << stored << " layers kept";
        EXPECT_LE(distance(as_vector(engine.steps), dense.steps), 1e-12) << stored << " layers kept";
        EXPECT_NEAR(as_vector(engine.reg).sum(), dense.reg(0), 1e-12 * std::abs(dense.reg(0)));
      }
}

TEST(LayerMomenta, FollowTheRecursionOfBeckAndTeboulle) {
  const std::vector<double> momenta = layer_momenta(4, true);
  double t = 1;
  for (const double m : momenta) {
    const double t_next = (1 + std::sqrt(1 + 4 * t * t)) / 2;
    EXPECT_NEAR(m, (t - 1) / t_next, 1e-15);
    t = t_next;
  }
  EXPECT_EQ(layer_momenta(3, false), (std::vector<double>{0, 0, 0}));
}

}  // namespace
}  // namespace riata::testing
