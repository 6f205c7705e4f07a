// The direction of deep dictionary learning: what it adds to unrolled_gradient(), whose derivatives tests/unrolled checks.
#include <gtest/gtest.h>

#include "riata/learning/direction.hpp"
#include "unrolled/networks.hpp"

namespace riata::testing {
namespace {

using MatrixXd = Matrix<double>;

/// A network away from kinks, with the bound that the direction uses.
DrawnNetwork draw_for(const NetworkCase& kind, bool frobenius, std::uint64_t seed) {
  for (;; ++seed) {
    DrawnNetwork net = draw_network(kind, seed);
    if (frobenius) net.oracle.lipschitz = (net.input.D.transpose() * net.input.D).norm();
    net.trace = run_network(net.oracle, net.input);
    if (net.trace.kink_distance > 1e-3) return net;
  }
}

Parameters<double> parameters_of(const DrawnNetwork& net) { return {{"dictionary", net.input.D}, {"steps", net.input.steps}}; }

UnrolledDirectionOptions options_of(const DrawnNetwork& net, bool frobenius) {
  UnrolledDirectionOptions options{.network = net.options,
                                   .loss = net.gradient.loss,
                                   .reduction = net.gradient.reduction,
                                   .backprop = net.gradient.backprop,
                                   .lipschitz_bound = frobenius ? LipschitzBound::frobenius : LipschitzBound::spectral};
  options.network.steps.clear();  // those of the parameters
  return options;
}

/// Asked for one thing at a time.
template <Scalar T>
struct AskedUnrolled {
  UnrolledDirection<T> direction;
  AskedUnrolled(const DrawnNetwork& net, double reg, const UnrolledDirectionOptions& options)
      : direction(DenseDictionary<T>(Matrix<T>(net.input.D.cast<T>())), reg, options) {}
  double value(const Matrix<T>& X, const Parameters<T>& p) { return direction.look({X}, {.at = p}, {}).value; }
  Parameters<T> gradient(const Matrix<T>& X, const Parameters<T>& p, const std::set<std::string>& names) {
    return direction.look({X}, {.at = p, .gradient = names}, {}).gradient;
  }
};

TEST(UnrolledDirection, HasTheGradientOfItsObjective_InEveryVariant) {
  for (unsigned bits = 0; bits < 64; ++bits) {
    const auto bit = [&](unsigned b) { return (bits >> b & 1) != 0; };
    const NetworkCase kind{.algorithm = bit(0) ? Layers::ista : Layers::fista,
                           .loss = bit(1) ? Loss::least_squares : Loss::lasso,
                           .reduction = bit(2) ? Reduction::sum : Reduction::mean,
                           .return_extrapolated = bit(3),
                           .positive = bit(4),
                           .weighted = true,
                           .kept = static_cast<int>(bits % 4) * 2};
    const bool frobenius = bit(5);
    DrawnNetwork net = draw_for(kind, frobenius, 900 + bits);
    const Parameters<double> parameters = parameters_of(net);
    AskedUnrolled<double> direction(net, net.input.reg(0), options_of(net, frobenius));
    const auto value = [&] { return loss_with_held(net.oracle, net.input, net.trace, kind.kept); };
    EXPECT_NEAR(direction.value(net.input.X, parameters), value(), 1e-13 * (1 + value())) << kind.describe();

    const auto gradient = direction.gradient(net.input.X, parameters, {"dictionary", "steps"});
    const MatrixXd by_D = central_differences(net.input.D, value), by_steps = central_differences(net.input.steps, value);
    EXPECT_LE((gradient.at("dictionary") - by_D).norm(), 1e-7 * (1e-3 + by_D.norm())) << kind.describe();
    EXPECT_LE((gradient.at("steps") - by_steps).norm(), 1e-7 * (1e-3 + by_steps.norm())) << kind.describe();
    const auto alone = direction.gradient(net.input.X, parameters, {"dictionary"});
    EXPECT_EQ(alone.size(), 1U);
    EXPECT_TRUE(alone.at("dictionary") == gradient.at("dictionary"));
  }
}

TEST(UnrolledDirection, WithoutStepsAmongTheParameters_TakesThoseOfItsNetwork) {
  const DrawnNetwork net = draw_for({}, false, 40);
  UnrolledDirectionOptions options = options_of(net, false);
  Parameters<double> parameters = parameters_of(net);
  const double with = AskedUnrolled<double>(net, net.input.reg(0), options).value(net.input.X, parameters);
  parameters.erase("steps");
  EXPECT_NE(AskedUnrolled<double>(net, net.input.reg(0), options).value(net.input.X, parameters), with);
  options.network.steps = net.options.steps;
  EXPECT_EQ(AskedUnrolled<double>(net, net.input.reg(0), options).value(net.input.X, parameters), with);
}

TEST(UnrolledDirection, ScaledByUsage_DividesEachAtomByTheMeanSquareOfItsCodes) {
  const DrawnNetwork net = draw_network({.n_layers = 8, .kept = 8}, 41, 6, 9, 40, 0);
  UnrolledDirectionOptions options = options_of(net, false);
  Parameters<double> parameters = parameters_of(net);
  const auto gradients = [&](double reg) {
    options.scale_by_usage = false;
    const MatrixXd plain =
        AskedUnrolled<double>(net, reg, options).gradient(net.input.X, parameters, {"dictionary"}).begin()->second;
    options.scale_by_usage = true;
    return std::pair(
        plain,
        MatrixXd(AskedUnrolled<double>(net, reg, options).gradient(net.input.X, parameters, {"dictionary"}).begin()->second));
  };
  const auto [plain, scaled] = gradients(net.input.reg(0));
  const Eigen::VectorXd usage = net.trace.z.back().rowwise().squaredNorm() / 40;
  for (Index j = 0; j < 9; ++j) {
    const Eigen::VectorXd expected = plain.col(j) / (usage(j) + usage.mean() / 10);
    EXPECT_LE((scaled.col(j) - expected).norm(), 1e-12 * expected.norm()) << j;
  }
  EXPECT_TRUE(gradients(1e3).second.isZero(0));  // no atom is used

  parameters.at("dictionary").col(4) = Eigen::VectorXd::Unit(6, 0) * 1e-9;  // this one is not
  const auto [of_dead, scaled_dead] = gradients(net.input.reg(0));
  EXPECT_TRUE(scaled_dead.col(4).isZero(0) && of_dead.col(4).isZero(0) && scaled_dead.allFinite());
}

TEST(UnrolledDirection, InFloat_FollowsDouble) {
  const DrawnNetwork net = draw_network({}, 42, 6, 9, 40, 1e-5);
  const Parameters<float> parameters{{"dictionary", net.input.D.cast<float>()}, {"steps", net.input.steps.cast<float>()}};
  const Matrix<float> X = net.input.X.cast<float>();
  AskedUnrolled<float> rounded(net, net.input.reg(0), options_of(net, false));
  AskedUnrolled<double> exact(net, net.input.reg(0), options_of(net, false));
  const double value = exact.value(net.input.X, parameters_of(net));
  EXPECT_NEAR(rounded.value(X, parameters), value, 1e-5 * value);
  const auto expected = exact.gradient(net.input.X, parameters_of(net), {"dictionary", "steps"});
  const auto found = rounded.gradient(X, parameters, {"dictionary", "steps"});
  for (const auto& [name, values] : expected)
    EXPECT_LE((found.at(name).cast<double>() - values).norm(), 1e-4 * values.norm()) << name;
}

/// What optim/question.hpp says of the answers on parts of a batch.
TEST(UnrolledDirection, OfPartsOfABatch_AddsUpToTheWhole_EachValueAndGradientByItsShare) {
  Draw draw(17);
  const MatrixXd X = draw.normal_matrix(8, 100), D = draw.atoms(8, 12);
  const Question<double> question{.at = {{"dictionary", D}}, .gradient = {"dictionary"}, .statistics = true};
  for (const Reduction reduction : {Reduction::mean, Reduction::sum}) {
    UnrolledDirection<double> direction(DenseDictionary<double>(D), 0.1, {.network = {.n_layers = 6}, .reduction = reduction});
    const Sums<double> whole = direction.look({X}, question, {}), first = direction.look({X.leftCols(30)}, question, {}),
                       last = direction.look({X.rightCols(70)}, question, {});
    const double a = reduction == Reduction::mean ? 0.3 : 1, b = reduction == Reduction::mean ? 0.7 : 1;
    EXPECT_NEAR(a * first.value + b * last.value, whole.value, 1e-12 * whole.value);
    const auto difference = [](const MatrixXd& one, const MatrixXd& other) { return (one - other).cwiseAbs().maxCoeff(); };
    EXPECT_LE(
        difference(a * first.gradient.at("dictionary") + b * last.gradient.at("dictionary"), whole.gradient.at("dictionary")),
        1e-12 * whole.gradient.at("dictionary").cwiseAbs().maxCoeff());
    for (const char* name : {"A", "B"})
      EXPECT_LE(difference(first.statistics.at(name) + last.statistics.at(name), whole.statistics.at(name)), 1e-11);
  }
}

}  // namespace
}  // namespace riata::testing
