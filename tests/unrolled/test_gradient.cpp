#include <gtest/gtest.h>

#include "riata/solvers/certificate.hpp"
#include "unrolled/networks.hpp"

namespace riata::testing {
namespace {

double relative_error(const Eigen::MatrixXd& computed, const Eigen::MatrixXd& expected) {
  if (computed.rows() != expected.rows() || computed.cols() != expected.cols()) return INFINITY;
  const double error = (computed - expected).norm();
  return error == 0 ? 0 : error / std::max(expected.norm(), 1e-3);  // below 1e-3 differences have no digits left
}

/// Every gradient of the library against central differences of the oracle, with its first N - K iterates
/// held.
void expect_gradients_to_equal_differences(const NetworkCase& kind, std::uint64_t seed) {
  DrawnNetwork net = draw_network(kind, seed);
  const auto result =
      unrolled_gradient<double>(net.input.X, DenseDictionary(net.input.D), net.reg(), net.options, net.gradient, net.target());
  const auto value = [&] { return loss_with_held(net.oracle, net.input, net.trace, kind.kept); };
  const std::string about = kind.describe() + ", seed " + std::to_string(seed);
  EXPECT_NEAR(result.value, value(), 1e-13 * (1 + value())) << about;
  EXPECT_LE((result.codes - net.trace.output(net.oracle)).cwiseAbs().maxCoeff(), 1e-12) << about;
  EXPECT_LE(relative_error(result.parameters.at("dictionary"), central_differences(net.input.D, value)), 1e-7)
      << "dictionary: " << about;
  EXPECT_LE(relative_error(result.steps, central_differences(net.input.steps, value)), 1e-7) << "steps: " << about;
  EXPECT_LE(relative_error(result.signals, central_differences(net.input.X, value)), 1e-7) << "signals: " << about;
  const Eigen::MatrixXd per_signal = central_differences(net.input.reg, value);
  const Eigen::MatrixXd reg = kind.reg_per_signal ? per_signal : Eigen::MatrixXd::Constant(1, 1, per_signal.sum());
  EXPECT_LE(relative_error(result.reg, reg), 1e-7) << "reg: " << about;
}

TEST(UnrolledGradient, EqualsFiniteDifferences_InEveryVariant) { for_each_network_case(expect_gradients_to_equal_differences); }

TEST(UnrolledGradient, Truncated_EqualsFiniteDifferencesWithTheFirstIteratesHeld) {
  for (const int kept : {0, 1, 2, 4})
    for_each_network_case([&](NetworkCase kind, std::uint64_t seed) {
      kind.kept = kept;
      expect_gradients_to_equal_differences(kind, seed + 1000);
    });
}

TEST(UnrolledGradient, EqualsFiniteDifferences_WithOneLayerAndWithMany) {
  for (const Layers method : {Layers::ista, Layers::fista})
    for (const int layers : {1, 2, 25})
      expect_gradients_to_equal_differences({.algorithm = method, .n_layers = layers, .kept = layers}, 71);
}

TEST(UnrolledGradient, WithNoLayerKept_IsTheAlternatingGradient) {
  for (const bool extrapolated : {false, true}) {
    const DrawnNetwork net = draw_network({.return_extrapolated = extrapolated, .kept = 0}, 72);
    const auto result =
        unrolled_gradient<double>(net.input.X, DenseDictionary(net.input.D), net.reg(), net.options, net.gradient);
    const Eigen::MatrixXd& Z = net.trace.output(net.oracle);
    const Eigen::MatrixXd r = net.input.D * Z - net.input.X;
    EXPECT_LE((result.parameters.at("dictionary") - r * Z.transpose() / 3).norm(), 1e-13);
    EXPECT_LE((result.signals + r / 3).norm(), 1e-13);
    EXPECT_NEAR(result.reg(0), Z.cwiseAbs().sum() / 3, 1e-13);
    EXPECT_TRUE(result.steps == Eigen::VectorXd::Zero(6));
  }
}

TEST(UnrolledGradient, OfABatch_IsTheSumOfThoseOfItsSignals) {
  // Several tiles, of which the last is short: 300 signals.
  const DrawnNetwork net = draw_network(
      {.reduction = Reduction::sum, .weighted = true, .reg_per_signal = true, .n_layers = 10, .kept = 10}, 73, 20, 40, 300, 0);
  for (const std::optional<int> kept : {std::optional<int>(), std::optional<int>(3), std::optional<int>(0)}) {
    GradientOptions wanted = net.gradient;
    wanted.backprop = kept;
    const auto batch = unrolled_gradient<double>(net.input.X, DenseDictionary(net.input.D), net.reg(), net.options, wanted);
    UnrolledOptions alone = net.options;
    alone.lipschitz = net.oracle.lipschitz;
    double value = 0;
    Matrix<double> dictionary = Matrix<double>::Zero(20, 40), signals(20, 300);
    Vector<double> steps = Vector<double>::Zero(10), reg(300);
    for (Index i = 0; i < 300; ++i) {
      const auto one =
          unrolled_gradient<double>(net.input.X.col(i), DenseDictionary(net.input.D), net.input.reg(i), alone, wanted);
      value += one.value;
      dictionary += one.parameters.at("dictionary");
      steps += one.steps;
      reg(i) = one.reg(0);
      signals.col(i) = one.signals;
      EXPECT_LE((one.codes - batch.codes.col(i)).cwiseAbs().maxCoeff(), 1e-12);
    }
    EXPECT_NEAR(batch.value, value, 1e-12 * value);
    EXPECT_LE((batch.parameters.at("dictionary") - dictionary).norm(), 1e-12 * dictionary.norm());
    EXPECT_LE((batch.steps - steps).norm(), 1e-12 * steps.norm());
    EXPECT_LE((batch.reg - reg).norm(), 1e-12 * reg.norm());
    EXPECT_LE((batch.signals - signals).norm(), 1e-12 * signals.norm());
  }
}

TEST(UnrolledGradient, ValueIsTheMeanObjectiveAtTheCodes) {
  for (const bool positive : {false, true}) {
    const DrawnNetwork net =
        draw_network({.positive = positive, .weighted = true, .n_layers = 10, .kept = 10}, 74, 20, 40, 300, 0);
    const auto result = unrolled_gradient<double>(net.input.X, DenseDictionary(net.input.D), net.reg(), net.options);
    const Vector<double> objective =
        lasso_objective<double>(net.input.X, DenseDictionary(net.input.D), result.codes, net.reg(), net.options.penalty);
    EXPECT_NEAR(result.value, objective.mean(), 1e-13 * objective.mean());
    EXPECT_NEAR(result.value, loss_at(net.oracle, net.input, net.trace.output(net.oracle)), 1e-12 * result.value);
    EXPECT_EQ(unrolled_loss<double>(net.input.X, DenseDictionary(net.input.D), net.reg(), net.options), result.value);
  }
}

TEST(UnrolledGradient, GivesOnlyWhatIsWanted) {
  DrawnNetwork net = draw_network({}, 75);
  net.gradient.usage = true;
  const auto all = unrolled_gradient<double>(net.input.X, DenseDictionary(net.input.D), net.reg(), net.options, net.gradient);
  for (unsigned bits = 0; bits < 64; ++bits) {
    GradientOptions wanted = net.gradient;
    wanted.dictionary = bits & 1;
    wanted.steps = bits & 2;
    wanted.reg = bits & 4;
    wanted.signals = bits & 8;
    wanted.codes = bits & 16;
    wanted.usage = bits & 32;
    const auto some = unrolled_gradient<double>(net.input.X, DenseDictionary(net.input.D), net.reg(), net.options, wanted);
    EXPECT_EQ(some.value, all.value);
    EXPECT_EQ(some.parameters, wanted.dictionary ? all.parameters : Parameters<double>());
    EXPECT_EQ(some.steps, wanted.steps ? all.steps : Vector<double>());
    EXPECT_EQ(some.reg, wanted.reg ? all.reg : Vector<double>());
    EXPECT_EQ(some.signals, wanted.signals ? all.signals : Matrix<double>());
    EXPECT_EQ(some.codes, wanted.codes ? all.codes : Matrix<double>());
    EXPECT_EQ(some.usage, wanted.usage ? all.usage : Vector<double>());
  }
}

TEST(UnrolledGradient, UsageIsTheSquaredNormOfEachAtomsCodes) {
  for (const Reduction reduction : {Reduction::mean, Reduction::sum}) {
    DrawnNetwork net = draw_network({.reduction = reduction, .n_layers = 10, .kept = 10}, 78, 20, 40, 300, 0);
    net.gradient.usage = true;
    const auto result =
        unrolled_gradient<double>(net.input.X, DenseDictionary(net.input.D), net.reg(), net.options, net.gradient);
    const Eigen::VectorXd expected = net.trace.output(net.oracle).rowwise().squaredNorm();
    EXPECT_LE((result.usage - expected / (reduction == Reduction::mean ? 300 : 1)).norm(), 1e-12 * expected.norm());
  }
}

TEST(UnrolledGradient, InFloat_FollowsDouble) {
  for (const Layers method : {Layers::ista, Layers::fista}) {
    const DrawnNetwork net = draw_network({.algorithm = method, .n_layers = 10, .kept = 10}, 76, 20, 40, 300, 1e-6);
    const auto exact = unrolled_gradient<double>(net.input.X, DenseDictionary(net.input.D), net.reg(), net.options, net.gradient);
    const Matrix<float> X = net.input.X.cast<float>(), D = net.input.D.cast<float>();
    const UnrolledGradient<float> rounded = unrolled_gradient<float>(X, DenseDictionary(D), net.reg(), net.options, net.gradient);
    EXPECT_NEAR(rounded.value, exact.value, 1e-4 * exact.value);
    EXPECT_LE(relative_error(rounded.parameters.at("dictionary").cast<double>(), exact.parameters.at("dictionary")), 1e-4);
    EXPECT_LE(relative_error(rounded.steps, exact.steps), 1e-4);
    EXPECT_LE(relative_error(rounded.reg, exact.reg), 1e-4);
    EXPECT_LE(relative_error(rounded.signals.cast<double>(), exact.signals), 1e-4);
    EXPECT_LE(relative_error(rounded.codes.cast<double>(), exact.codes), 1e-4);
  }
}

TEST(UnrolledGradient, StandsZeroSignalsAndZeroAtoms) {
  DrawnNetwork net = draw_network({}, 77);
  net.input.X.col(1).setZero();
  net.input.D.col(2).setZero();
  const auto result = unrolled_gradient<double>(net.input.X, DenseDictionary(net.input.D), net.reg(), net.options, net.gradient);
  EXPECT_TRUE(result.codes.col(1).isZero(0));
  EXPECT_TRUE(result.codes.row(2).isZero(0));
  EXPECT_TRUE(result.parameters.at("dictionary").allFinite());
  EXPECT_TRUE(result.parameters.at("dictionary").col(2).isZero(0));
  const Matrix<double> zero = Matrix<double>::Zero(5, 7);
  const auto nothing = unrolled_gradient<double>(net.input.X, DenseDictionary(zero), net.reg(), net.options, net.gradient);
  EXPECT_TRUE(nothing.codes.isZero(0));
  EXPECT_NEAR(nothing.value, 0.5 * net.input.X.squaredNorm() / 3, 1e-13);
}

TEST(UnrolledGradient, EqualsDifferencesAtNegativeStepFactors) {
  DrawnNetwork net = draw_network({}, 79);
  net.options.steps.assign(static_cast<std::size_t>(net.options.n_layers), 1.0);
  net.options.steps[1] = -0.5;
  net.options.lipschitz = net.oracle.lipschitz;
  const auto value = [&](const UnrolledOptions& o) {
    return unrolled_loss<double>(net.input.X, DenseDictionary(net.input.D), net.reg(), o, net.gradient);
  };
  const auto result = unrolled_gradient<double>(net.input.X, DenseDictionary(net.input.D), net.reg(), net.options, net.gradient);
  for (int k = 0; k < net.options.n_layers; ++k) {
    UnrolledOptions up = net.options, down = net.options;
    up.steps[static_cast<std::size_t>(k)] += 1e-6;
    down.steps[static_cast<std::size_t>(k)] -= 1e-6;
    EXPECT_NEAR(result.steps(k), (value(up) - value(down)) / 2e-6, 1e-7) << "layer " << k;
  }
}

TEST(UnrolledVjp, WithALosssCotangent_IsTheGradientButForItsExplicitTerms) {
  for_each_network_case([](NetworkCase kind, std::uint64_t seed) {
    kind.reduction = Reduction::sum;
    kind.kept = seed % 2 == 0 ? 6 : 2;
    const DrawnNetwork net = draw_network(kind, seed + 3000);
    const auto loss =
        unrolled_gradient<double>(net.input.X, DenseDictionary(net.input.D), net.reg(), net.options, net.gradient, net.target());
    const Eigen::MatrixXd& Z = loss.codes;
    const Eigen::MatrixXd r = net.input.D * Z - (net.target() ? Eigen::MatrixXd(*net.target()) : net.input.X);
    Eigen::MatrixXd cotangent = net.input.D.transpose() * r;
    Eigen::VectorXd explicit_reg = Eigen::VectorXd::Zero(3);
    if (kind.loss == Loss::lasso)
      for (Index i = 0; i < 3; ++i) {
        cotangent.col(i) += net.input.reg(i) * net.oracle.weights.cwiseProduct(Z.col(i).cwiseSign());
        explicit_reg(i) = net.oracle.weights.dot(Z.col(i).cwiseAbs());
      }
    const auto result =
        unrolled_vjp<double>(net.input.X, DenseDictionary(net.input.D), net.reg(), cotangent, net.options, net.gradient.backprop);
    const std::string about = kind.describe() + ", seed " + std::to_string(seed + 3000);
    EXPECT_EQ(result.codes, Z);
    EXPECT_LE(relative_error(result.parameters.at("dictionary") + r * Z.transpose(), loss.parameters.at("dictionary")), 1e-11)
        << about;
    EXPECT_LE(relative_error(result.steps, loss.steps), 1e-11) << about;
    EXPECT_LE(relative_error(net.target() ? result.signals : Matrix<double>(result.signals - r), loss.signals), 1e-11) << about;
    const Eigen::VectorXd reg = kind.reg_per_signal ? explicit_reg : Eigen::VectorXd::Constant(1, explicit_reg.sum());
    EXPECT_LE(relative_error(result.reg + reg, loss.reg), 1e-11) << about;
  });
}

TEST(UnrolledVjp, ThroughNoLayer_IsZero) {
  Draw draw(78);
  const Matrix<double> D = draw.atoms(20, 40), X = draw.normal_matrix(20, 50), cotangent = draw.normal_matrix(40, 50);
  for (const double of_max : {0.9, 0.01}) {  // sparse codes and dense ones
    const auto result =
        unrolled_vjp<double>(X, DenseDictionary<double>(D), Reg::fraction_of_max(of_max), cotangent, {.n_layers = 8}, 0);
    EXPECT_EQ(result.codes,
              unrolled_encode<double>(X, DenseDictionary<double>(D), Reg::fraction_of_max(of_max), {.n_layers = 8}));
    EXPECT_TRUE(result.parameters.at("dictionary").isZero(0) && result.signals.isZero(0) && result.steps.isZero(0) &&
                result.reg.isZero(0));
  }
}

}  // namespace
}  // namespace riata::testing
