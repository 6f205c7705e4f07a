#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "networks/random_network.hpp"
#include "riata/solvers/certificate.hpp"
#include "riata/unrolled/unrolled.hpp"
#include "support/decompositions.hpp"
#include "support/precision.hpp"
#include "support/sentences.hpp"
#include "support/unrolled_oracle.hpp"

namespace riata::testing {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;

double soft(double v, double threshold) { return std::copysign(std::max(std::abs(v) - threshold, 0.0), v); }
double hard(double v, double threshold) { return std::abs(v) > threshold ? v : 0; }

double lipschitz(const MatrixXd& D) {
  const double norm = largest_singular_value(D);
  return norm * norm;
}

// K steps of the classical algorithms, as their papers write them, for one signal.

double shrunk(double v, double threshold, bool positive) { return positive && v < 0 ? 0 : soft(v, threshold); }

VectorXd ista(const MatrixXd& D, const VectorXd& x, double reg, int n_steps, bool positive) {
  const double L = lipschitz(D);
  VectorXd z = VectorXd::Zero(D.cols());
  for (int k = 0; k < n_steps; ++k)
    z = (z - D.transpose() * (D * z - x) / L).unaryExpr([&](double v) { return shrunk(v, reg / L, positive); }).eval();
  return z;
}

VectorXd group_ista(const MatrixXd& D, const VectorXd& x, double reg, int n_steps) {
  const double L = lipschitz(D);
  VectorXd z = VectorXd::Zero(D.cols());
  for (int k = 0; k < n_steps; ++k) {
    const VectorXd a = z - D.transpose() * (D * z - x) / L;
    for (Index j = 0; j < a.size(); ++j) {
      double length_sq = 0;
      for (Index l = 0; l < a.size(); ++l)
        if (groups_of_eight[static_cast<std::size_t>(l)] == groups_of_eight[static_cast<std::size_t>(j)])
          length_sq += a(l) * a(l);
      z(j) = a(j) * std::max(0.0, 1 - reg / L / std::sqrt(length_sq));
    }
  }
  return z;
}

VectorXd fista(const MatrixXd& D, const VectorXd& x, double reg, int n_steps, bool positive) {
  const double L = lipschitz(D);
  VectorXd z = VectorXd::Zero(D.cols()), y = z;
  double t = 1;
  for (int k = 0; k < n_steps; ++k) {
    const VectorXd before = z;
    z = (y - D.transpose() * (D * y - x) / L).unaryExpr([&](double v) { return shrunk(v, reg / L, positive); });
    const double t_next = (1 + std::sqrt(1 + 4 * t * t)) / 2;
    y = z + (t - 1) / t_next * (z - before);
    t = t_next;
  }
  return z;
}

VectorXd iterative_hard_thresholding(const MatrixXd& D, const VectorXd& x, double reg, int n_steps) {
  const double L = lipschitz(D);
  VectorXd z = VectorXd::Zero(D.cols());
  for (int k = 0; k < n_steps; ++k)
    z = (z - D.transpose() * (D * z - x) / L).unaryExpr([&](double v) { return hard(v, std::sqrt(2 * reg / L)); }).eval();
  return z;
}

VectorXd approximate_message_passing(const MatrixXd& D, const VectorXd& x, int n_steps) {
  const double n = static_cast<double>(D.rows());
  const MatrixXd B = D.transpose() / (1.001 * lipschitz(D));
  VectorXd z = VectorXd::Zero(D.cols()), v = VectorXd::Zero(D.rows());
  for (int k = 0; k < n_steps; ++k) {
    const double onsager = static_cast<double>((z.array() != 0).count()) / n;
    v = (x - D * z + onsager * v).eval();
    z = (z + B * v).unaryExpr([&](double a) { return soft(a, v.norm() / std::sqrt(n) / (1.001 * lipschitz(D))); }).eval();
  }
  return z;
}

VectorXd analytic_ista(const MatrixXd& D, const MatrixXd& W, const VectorXd& x, double reg, int n_steps, bool positive) {
  const double L = lipschitz(D);
  VectorXd z = VectorXd::Zero(D.cols());
  for (int k = 0; k < n_steps; ++k)
    z = (z - W.transpose() * (D * z - x) / L).unaryExpr([&](double v) { return shrunk(v, reg / L, positive); }).eval();
  return z;
}

TEST(Networks, AtTheStart_AreTheClassicalAlgorithms) {
  Draw draw(1);
  for (const KindCase& kind : network_cases()) {
    if (kind.options.support_selection) continue;  // has none
    const MatrixXd D = draw.atoms(6, 8), X = draw.normal_matrix(6, 5);
    for (const int depth : {1, 2, 7}) {
      const Network<double> net(kind.kind, D, 7, kind.options);
      const double reg = 0.2;
      const MatrixXd Z = net.encode(X, reg, {.n_layers = depth});
      EXPECT_GT((Z.array() != 0).count(), 3) << kind.describe();
      for (Index i = 0; i < X.cols(); ++i) {
        const VectorXd expected =
            kind.kind == "group"    ? group_ista(D, X.col(i), reg, depth)
            : kind.kind == "iht"    ? iterative_hard_thresholding(D, X.col(i), reg, depth)
            : kind.kind == "fista"  ? fista(D, X.col(i), reg, depth, kind.options.positive)
            : kind.kind == "lamp"   ? approximate_message_passing(D, X.col(i), depth)
            : kind.kind == "alista" ? analytic_ista(D, net.parameters().at("weight"), X.col(i), reg, depth, kind.options.positive)
                                    : ista(D, X.col(i), reg, depth, kind.options.positive);
        EXPECT_LE(largest_difference(Z.col(i), expected), 1e-12) << kind.describe() << ", depth " << depth;
      }
    }
  }
}

TEST(Networks, OutputsOfLayers_AreThoseOfShorterNetworks) {
  Draw draw(2);
  for (const KindCase& kind : network_cases()) {
    Network<double> net(kind.kind, draw.atoms(6, 8), 4, kind.options);
    shake(net, draw);
    const MatrixXd X = draw.normal_matrix(6, 5);
    const auto outputs = net.outputs(X, 0.2);
    ASSERT_EQ(outputs.size(), 4U);
    for (int t = 0; t < 4; ++t)
      EXPECT_TRUE(outputs[static_cast<std::size_t>(t)] == net.encode(X, 0.2, {.n_layers = t + 1})) << kind.describe();
  }
}

TEST(Networks, WarmStarted_GoOnFromThere) {
  Draw draw(3);
  const MatrixXd D = draw.atoms(6, 8), X = draw.normal_matrix(6, 5);
  const Network<double> net("coupled", D, 6);
  const MatrixXd half = net.encode(X, 0.2, {.n_layers = 3});
  EXPECT_LE(largest_difference(net.encode(X, 0.2, {.n_layers = 3, .init = half}), net.encode(X, 0.2)), 1e-12);
}

/// A draw whose output does not move in kind when an entry moves by what central_differences() moves it. Where the support or
/// the selection is on the verge, differences have no meaning; those are found by two step sizes that disagree.
double relative_error(const MatrixXd& computed, const std::function<MatrixXd(double)>& differences) {
  const MatrixXd fine = differences(3e-5), coarse = differences(1e-4);
  const double scale = std::max(fine.norm(), 1e-3);
  if ((fine - coarse).norm() > 3e-8 * scale) return -1;  // on the verge of a kink
  return (computed - fine).norm() / scale;
}

/// Every derivative of a network against central differences. -1 if the draw is on the verge of a kink.
double worst_error(const KindCase& kind, std::uint64_t seed, bool supervised, bool per_signal) {
  Draw draw(seed);
  Network<double> net(kind.kind, draw.atoms(6, 8), 3, kind.options);
  shake(net, draw);
  MatrixXd X = draw.normal_matrix(6, 3);
  const MatrixXd targets = draw.sparse_matrix(8, 3, 0.5), start = 0.3 * draw.normal_matrix(8, 3);
  VectorXd reg = VectorXd::Constant(per_signal ? 3 : 1, 0.1);
  if (per_signal)
    for (double& value : reg) value = draw.uniform(0.05, 0.2);
  const auto weight = [&] { return per_signal ? Reg(std::vector<double>(reg.begin(), reg.end())) : Reg(reg(0)); };
  const NetworkRun<double> run{.init = start};
  const OptionalMatrixRef<double> wanted_targets = supervised ? OptionalMatrixRef<double>(targets) : std::nullopt;
  const auto value = [&] { return net.loss(X, weight(), run, wanted_targets); };
  const auto g =
      net.loss_gradient(X, weight(), {.parameters = net.trainable(0, 3), .reg = true, .signals = true}, run, wanted_targets);
  EXPECT_NEAR(g.value, value(), 1e-13 * (1 + value()));
  EXPECT_GT((net.encode(X, weight(), run).array() != 0).count(), 3) << kind.describe();

  double worst = 0;
  const auto compare = [&](const std::string& what, const MatrixXd& computed,
                           const std::function<MatrixXd(double)>& differences) {
    const double error = relative_error(computed, differences);
    if (error < 0 || worst < 0)
      worst = -1;
    else
      worst = std::max(worst, error);
    if (error > 1e-7) ADD_FAILURE() << kind.describe() << ", " << what << ", seed " << seed << ": " << error;
  };
  for (const auto& [name, computed] : g.parameters) {
    Parameters<double> parameters = net.parameters();
    Matrix<double>& moved = parameters.at(name);
    const auto differences = [&, name = name](double h) {
      MatrixXd found = central_differences(
          moved,
          [&] {
            net.set_parameters(parameters);
            return value();
          },
          h);
      net.set_parameters(parameters);
      if (name.ends_with("hessian")) found = ((found + found.transpose()) / 2).eval();  // along symmetric matrices
      return found;
    };
    compare(name, computed, differences);
  }
  compare("signals", g.signals, [&](double h) { return central_differences(X, value, h); });
  compare("reg", g.reg, [&](double h) { return central_differences(reg, value, h); });
  return worst;
}

TEST(Networks, Derivatives_EqualFiniteDifferences) {
  for (const KindCase& kind : network_cases())
    for (const bool supervised : {false, true})
      for (const bool per_signal : {false, true}) {
        int compared = 0;
        for (std::uint64_t seed = 10; seed < 40 && compared < 2; ++seed)
          compared += worst_error(kind, seed, supervised, per_signal) >= 0;
        EXPECT_EQ(compared, 2) << kind.describe();
      }
}

TEST(Networks, Group_DifferentiatesAZeroInAnActiveGroup) {
  Draw draw(6);
  const MatrixXd D = draw.atoms(30, 8), X = D.col(4) + D.col(5);
  Network<double> net("group", DenseDictionary<double>(D), 3, {.groups = groups_of_eight});
  Parameters<double> parameters = net.parameters();
  Matrix<double>& W = parameters.at("layer.0.weight");
  W.col(3).setZero();
  net.set_parameters(parameters);
  const Reg reg = Reg::fraction_of_max(0.8);
  const MatrixXd Z = net.outputs(X, reg)[0];
  ASSERT_EQ(Z(3, 0), 0);
  ASSERT_NE(Z(4, 0), 0);                   // of the same group
  ASSERT_LE((Z.array() != 0).count(), 3);  // sparse enough for the products on supports
  const double weight = 0.8 * reg_max<double>(X, net.dictionary(), net.penalty())(0);
  const MatrixXd gradient = net.loss_gradient(X, weight, {.parameters = {"layer.0.weight"}}).parameters.at("layer.0.weight");
  for (Index f = 0; f < 30; ++f) {
    const double h = 1e-6;
    double values[2];
    for (const int side : {0, 1}) {
      W(f, 3) = side == 0 ? -h : h;
      net.set_parameters(parameters);
      values[side] = net.loss(X, weight);
    }
    W(f, 3) = 0;
    EXPECT_NEAR(gradient(f, 3), (values[1] - values[0]) / (2 * h), 1e-8);
  }
  EXPECT_GT(gradient.col(3).norm(), 1e-4);
}

TEST(Networks, Vjp_IsTheDerivativeOfTheSupervisedLoss) {
  Draw draw(4);
  for (const KindCase& kind : network_cases()) {
    Network<double> net(kind.kind, draw.atoms(6, 8), 3, kind.options);
    shake(net, draw);
    const MatrixXd X = draw.normal_matrix(6, 3), targets = draw.normal_matrix(8, 3);
    const NetworkDerivatives wanted{.parameters = net.trainable(0, 3), .reg = true, .signals = true, .codes = true};
    const auto loss = net.loss_gradient(X, 0.1, wanted, {}, targets);
    const auto vjp = net.vjp(X, 0.1, (loss.codes - targets) / 3, wanted);
    for (const auto& [name, gradient] : loss.parameters) EXPECT_LE(largest_difference(vjp.parameters.at(name), gradient), 1e-13);
    EXPECT_LE(largest_difference(vjp.signals, loss.signals), 1e-13);
    EXPECT_LE(largest_difference(vjp.reg, loss.reg), 1e-13);
  }
}

TEST(Networks, DerivativesOfTheLastLayersAlone_AreThoseOfAll) {
  Draw draw(5);
  for (const KindCase& kind : network_cases()) {
    Network<double> net(kind.kind, draw.atoms(6, 8), 3, kind.options);
    const MatrixXd X = draw.normal_matrix(6, 3);
    const auto all = net.loss_gradient(X, 0.1, {.parameters = net.trainable(0, 3)});
    const auto last = net.loss_gradient(X, 0.1, {.parameters = net.trainable(2, 3)});
    EXPECT_GE(last.parameters.size(), 1U);
    for (const auto& [name, gradient] : last.parameters) EXPECT_TRUE(gradient == all.parameters.at(name)) << kind.describe();
  }
}

template <class T>
class NetworksInBothPrecisions : public ::testing::Test {};
TYPED_TEST_SUITE(NetworksInBothPrecisions, BothPrecisions, PrecisionName);

TYPED_TEST(NetworksInBothPrecisions, BitsDoNotDependOnThreads_NorCodesOnTheBatch) {
  using T = TypeParam;
  Draw draw(6);
  const Matrix<T> X = draw.normal_matrix(6, 301).cast<T>();
  for (const KindCase& kind : network_cases()) {
    Network<T> net(kind.kind, Matrix<T>(draw.atoms(6, 8).cast<T>()), 3, kind.options);
    shake(net, draw);
    const NetworkDerivatives wanted{.parameters = net.trainable(0, 3), .reg = true, .signals = true, .codes = true};
    const auto one = net.loss_gradient(X, 0.1, wanted, {.execution = {.n_threads = 1}});
    for (const int n_threads : {2, 3}) {
      const auto more = net.loss_gradient(X, 0.1, wanted, {.execution = {.n_threads = n_threads}});
      EXPECT_EQ(one.value, more.value);
      EXPECT_TRUE(one.parameters == more.parameters && one.reg == more.reg && one.signals == more.signals &&
                  one.codes == more.codes)
          << kind.describe();
    }
    EXPECT_TRUE(net.encode(X, 0.1) == one.codes) << kind.describe();
    double total = 0;
    for (const Index i : {0, 150, 300}) {
      const Matrix<T> alone = net.encode(X.col(i), 0.1);
      total = std::max(total, static_cast<double>((alone - one.codes.col(i)).cwiseAbs().maxCoeff()));
    }
    EXPECT_LE(total, 200 * epsilon<T>) << kind.describe();
  }
}

TEST(Networks, OfABatch_TheGradientIsTheMeanOfThoseOfItsSignals) {
  Draw draw(7);
  for (const KindCase& kind : network_cases()) {
    Network<double> net(kind.kind, draw.atoms(6, 8), 3, kind.options);
    shake(net, draw);
    const MatrixXd X = draw.normal_matrix(6, 300);
    const NetworkDerivatives wanted{.parameters = net.trainable(0, 3)};
    const auto batch = net.loss_gradient(X, 0.1, wanted);
    Parameters<double> sum;
    double value = 0;
    for (Index i = 0; i < X.cols(); ++i) {
      const auto alone = net.loss_gradient(X.col(i), 0.1, wanted);
      value += alone.value / 300;
      for (const auto& [name, gradient] : alone.parameters) {
        if (sum[name].size() == 0) sum[name].setZero(gradient.rows(), gradient.cols());
        sum[name] += gradient / 300;
      }
    }
    EXPECT_NEAR(batch.value, value, 1e-12);
    for (const auto& [name, gradient] : batch.parameters)
      EXPECT_LE(largest_difference(gradient, sum.at(name)), 1e-12) << kind.describe();
  }
}

TEST(Networks, SupportSelection_LeavesTheLargestAsTheyAre) {
  const MatrixXd D = MatrixXd::Identity(5, 5);
  // One layer of alista on D = I at L = 1: a = x, threshold reg. 40 % of 5 atoms: the two largest.
  const Network<double> net("alista", D, 1, {.support_selection = SupportSelection{.p = 40, .p_max = 40}, .lipschitz = 1});
  VectorXd x(5), small(5);
  x << 3, -2, 1, 0.7, 0.2;
  small << 0.9, 0.4, 0.3, 0.2, 0.1;
  VectorXd expected(5), expected_small(5);
  expected << 3, -2, 0.5, 0.2, 0;
  expected_small << 0.9, 0, 0, 0, 0;  // what does not exceed the threshold is not selected
  EXPECT_LE(largest_difference(net.encode(x, 0.5), expected), 1e-15);
  EXPECT_LE(largest_difference(net.encode(small, 0.5), expected_small), 1e-15);
}

TEST(Networks, BadInputs_AreRefusedInASentence) {
  Draw draw(8);
  const MatrixXd D = draw.atoms(6, 8), X = draw.normal_matrix(6, 3);
  const Network<double> net("coupled", D, 3);
  const auto make = [&](const std::string& kind, int n_layers, const NetworkOptions& options = {}) {
    return [&D, kind, n_layers, options] { Network<double>(kind, D, n_layers, options); };
  };
  const auto set = [&](const std::function<void(Parameters<double>&)>& damage, const std::string& kind = "coupled") {
    return [&D, damage, kind] {
      Network<double> other(kind, D, 3);
      Parameters<double> parameters = other.parameters();
      damage(parameters);
      other.set_parameters(parameters);
    };
  };
  const MatrixXd wrong = MatrixXd::Zero(8, 2);
  const std::vector<BadInput> rows{
      {"kind = 'lasso', must be one of alista, coupled, facnet, first_step, fista, group, hessian, iht, lamp, lista, step, tied",
       make("lasso", 3)},
      {"n_layers = 0, must be between 1 and 10000", make("step", 0)},
      {"threshold = 'atom', must be 'scalar' for the kind 'step'", make("step", 3, {.threshold = ThresholdShape::atom})},
      {"threshold = 'vector', must be 'scalar' or 'atom'", [] { parse<ThresholdShape>("vector", "threshold"); }},
      {"support_selection is given, but the kind 'step' has none; coupled, tied and alista do",
       make("step", 3, {.support_selection = SupportSelection{}})},
      {"support_selection = (20, 13), must be (p, p_max) with 0 < p <= p_max <= 100",
       make("coupled", 3, {.support_selection = SupportSelection{20, 13}})},
      {"groups are given, but the kind 'coupled' has none; group does", make("coupled", 3, {.groups = groups_of_eight})},
      {"lipschitz = -1, must be > 0", make("coupled", 3, {.lipschitz = -1})},
      {"encode: n_layers = 4, must be between 1 and the network's 3", [&] { net.encode(X, 0.1, {.n_layers = 4}); }},
      {"encode: init has shape (2, 8), expected (3, 8)", [&] { net.encode(X, 0.1, {.init = wrong}); }},
      {"targets have shape (2, 8), expected (3, 8)", [&] { net.loss(X, 0.1, {}, wrong); }},
      {"vjp: cotangent has shape (2, 8), expected (3, 8)", [&] { net.vjp(X, 0.1, wrong, {}); }},
      {"parameters: a network of kind 'coupled' with 3 layers has no 'layer.3.weight'",
       [&] { net.loss_gradient(X, 0.1, {.parameters = {"layer.3.weight"}}); }},
      {"parameters: 'layer.2.weight' is not among the first 2 layers",
       [&] { net.loss_gradient(X, 0.1, {.parameters = {"layer.2.weight"}}, {.n_layers = 2}); }},
      {"parameters: 'weight' of the kind 'alista' is fixed",
       [&] { Network<double>("alista", D, 3).loss_gradient(X, 0.1, {.parameters = {"weight"}}); }},
      {"parameters: 'layer.1.weight' is missing", set([](auto& p) { p.erase("layer.1.weight"); })},
      {"parameters: 'layer.1.weight' has shape (3, 2), expected (8, 6)",
       set([](auto& p) { p.at("layer.1.weight").setZero(2, 3); })},
      {"parameters: layer.1.weight holds nan at row 1, column 2; expected finite numbers",
       set([](auto& p) { p.at("layer.1.weight")(2, 1) = NAN; })},
      {"parameters: a network of kind 'coupled' with 3 layers has no 'bias'", set([](auto& p) { p["bias"].setZero(1, 1); })},
      {"parameters: 'layer.1.hessian' differs from its transpose by 0.1, must be symmetric",
       set([](auto& p) { p.at("layer.1.hessian")(2, 3) += 0.1; }, "hessian")},
      {"parameters: 'layer.1.scales' holds 0, must be > 0", set([](auto& p) { p.at("layer.1.scales")(2) = 0; }, "facnet")},
  };
  for (const BadInput& row : rows) EXPECT_EQ(refusal_of(row.call), row.sentence);
  EXPECT_NE(refusal_of(make("group", 3)), "");
  EXPECT_NE(refusal_of([&] { net.encode(draw.normal_matrix(5, 3), 0.1); }), "");
  EXPECT_NE(refusal_of([&] { Network<double>("step", MatrixXd(MatrixXd::Zero(6, 8)), 3); }), "");
}

}  // namespace
}  // namespace riata::testing
