// Networks over dictionaries that are no matrices, and of signals that were seen in part.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <limits>

#include "networks/random_network.hpp"
#include "riata/learning/train.hpp"
#include "riata/networks/shrinks.hpp"
#include "riata/solvers/certificate.hpp"
#include "riata/unrolled/unrolled.hpp"
#include "support/convolution.hpp"
#include "support/sentences.hpp"

namespace riata::testing {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

const std::vector<std::string> of_any_dictionary{"step", "fista", "facnet"};

TEST(NetworksOverAnyDictionary, AreThoseOfItsMatrix) {
  Draw draw(21);
  const Convolution<double> D(draw.atoms(4, 3), 15);
  const MatrixXd X = draw.normal_matrix(15, 70), targets = draw.sparse_matrix(D.code_size(), 70, 0.2);
  for (const std::string& kind : of_any_dictionary) {
    Network<double> net(kind, D, 4), dense(kind, D.dense(), 4);
    shake(net, draw);
    dense.set_parameters(net.parameters());
    EXPECT_LE(largest_difference(net.encode(X, 0.1), dense.encode(X, 0.1)), 1e-12) << kind;
    const NetworkDerivatives wanted{.parameters = net.trainable(0, 4), .reg = true, .signals = true};
    for (const OptionalMatrixRef<double>& target : {OptionalMatrixRef<double>(), OptionalMatrixRef<double>(targets)}) {
      const auto found = net.loss_gradient(X, 0.1, wanted, {}, target),
                 expected = dense.loss_gradient(X, 0.1, wanted, {}, target);
      EXPECT_NEAR(found.value, expected.value, 1e-12 * expected.value);
      for (const auto& [name, gradient] : expected.parameters)
        EXPECT_LE(largest_difference(found.parameters.at(name), gradient), 1e-12 * (1 + gradient.cwiseAbs().maxCoeff())) << name;
      EXPECT_LE(largest_difference(found.signals, expected.signals), 1e-12);
      EXPECT_LE(largest_difference(found.reg, expected.reg), 1e-12 * expected.reg.cwiseAbs().maxCoeff());
    }
    const auto guarded = net.encode_certified(X, 0.1, {.finish = 1e-9, .safeguard = true});
    EXPECT_LE(lasso_certificate<double>(X, D, guarded.codes, 0.1).gap.maxCoeff(), 1e-9 * X.colwise().squaredNorm().maxCoeff());
  }
}

TEST(NetworksOverAnyDictionary, AreTrained) {
  Draw draw(22);
  const Convolution<double> D(draw.atoms(4, 3), 15);
  const MatrixXd X = D.dense() * draw.sparse_matrix(D.code_size(), 70, 0.1);
  for (const std::string& kind : of_any_dictionary) {
    Network<double> net(kind, D, 3), dense(kind, D.dense(), 3);
    const auto result = train<double>(net, X, 0.1, {.max_iter = 15}), expected = train<double>(dense, X, 0.1, {.max_iter = 15});
    EXPECT_LT(result.value, result.initial_value) << kind;
    EXPECT_NEAR(result.value, expected.value, 1e-6 * expected.value) << kind;
  }
}

TEST(NetworksOverAnyDictionary, NeedAMatrix_WhereTheirKindMultipliesWithIt) {
  const Convolution<double> D(Draw(23).atoms(4, 3), 15);
  EXPECT_EQ(refusal_of([&] { Network<double>("coupled", D, 3); }),
            "Network: the kind 'coupled' needs a dictionary that is a matrix or a convolution, which this one is not; 'facnet', "
            "'fista', 'step' "
            "serve it");
  for (const std::string& kind : network_kinds<double>())
    if (!std::ranges::count(of_any_dictionary, kind)) {
      EXPECT_THAT(refusal_of([&] { Network<double>(kind, D, 3); }), ::testing::HasSubstr("needs a dictionary that is a matrix"));
    }
}

TEST(Networks, FistasLayers_AreThoseOfUnrolledFista) {
  Draw draw(24);
  const MatrixXd D = draw.atoms(12, 20), X = draw.normal_matrix(12, 90), start = draw.sparse_matrix(20, 90, 0.2);
  const Network<double> net("fista", D, 9);
  EXPECT_LE(largest_difference(net.encode(X, 0.2), unrolled_encode<double>(X, DenseDictionary(D), 0.2, {.n_layers = 9})), 1e-13);
  EXPECT_LE(largest_difference(net.encode(X, 0.2, {.init = start}),
                               unrolled_encode<double>(X, DenseDictionary(D), 0.2, {.n_layers = 9}, start)),
            1e-13);
}

/// Signals of which each entry was seen with a chance of 0.7, NaN where not.
struct Seen {
  explicit Seen(Draw& draw, Index n_signals = 9) : X(draw.normal_matrix(6, n_signals)), mask(6, n_signals) {
    for (double& w : mask.reshaped()) w = draw.coin(0.3) ? 0 : 1;
    X = (mask.array() == 0).select(nan, X);
  }
  Batch<double> batch() const { return {X, mask}; }
  MatrixXd X, mask;
};

/// Kinds whose layers heed weights, with their options.
std::vector<KindCase> weighted_cases() {
  std::vector<KindCase> cases = network_cases();
  std::erase_if(cases, [](const KindCase& kind) { return !find_network_kind<double>(kind.kind).traits.weights; });
  return cases;
}

TEST(MaskedNetworks, AreThoseOfTheRowsThatWereSeen) {
  Draw draw(25);
  const MatrixXd D = draw.atoms(6, 8);
  const double L = DenseDictionary(D).squared_norm();
  const Seen seen(draw);
  for (const std::string kind : {"step", "fista", "coupled", "tied", "first_step", "group", "hessian", "facnet"}) {
    NetworkOptions options{.groups = kind == "group" ? groups_of_eight : std::vector<std::int64_t>(), .lipschitz = L};
    const Network<double> net(kind, D, 5, options);
    const MatrixXd Z = net.encode(seen.batch(), 0.15);
    double loss = 0;
    for (Index i = 0; i < Z.cols(); ++i) {
      std::vector<Index> rows;
      for (Index t = 0; t < 6; ++t)
        if (seen.mask(t, i) > 0) rows.push_back(t);
      const Network<double> alone(kind, MatrixXd(D(rows, Eigen::all)), 5, options);
      const VectorXd x = seen.X.col(i)(rows);
      EXPECT_LE(largest_difference(Z.col(i), alone.encode(x, 0.15)), 1e-13) << kind;
      loss += alone.loss(x, 0.15) / static_cast<double>(Z.cols());
    }
    EXPECT_NEAR(net.loss(seen.batch(), 0.15), loss, 1e-13) << kind;
  }
}

TEST(MaskedNetworks, HaveTheDerivativesOfTheirLoss) {
  int compared = 0;
  for (const KindCase& kind : weighted_cases()) {
    if (kind.options.support_selection) continue;
    Draw draw(26);
    const Seen seen(draw);
    Network<double> net(kind.kind, draw.atoms(6, 8), 3, kind.options);
    shake(net, draw);
    const auto found = net.loss_gradient(seen.batch(), 0.1, {.parameters = net.trainable(0, 3), .signals = true});
    for (Index k = 0; k < seen.X.size(); ++k) EXPECT_TRUE(seen.mask(k) == 1 || found.signals(k) == 0);
    const double h = 1e-6;
    const auto difference = [&](const auto& move) { return (move(h) - move(-h)) / (2 * h); };
    for (const auto& [name, gradient] : found.parameters) {
      if (name.ends_with("hessian")) continue;  // symmetric: no entry moves alone
      for (const Index k : {Index(0), gradient.size() / 2, gradient.size() - 1}) {
        const double expected = difference([&, name = name](double step) {
          Parameters<double> parameters = net.parameters();
          parameters.at(name)(k) += step;
          Network<double> moved = net;
          moved.set_parameters(parameters);
          return moved.loss(seen.batch(), 0.1);
        });
        EXPECT_NEAR(gradient(k), expected, 1e-7 * (1 + std::abs(expected))) << kind.describe() << ' ' << name << ' ' << k;
        ++compared;
      }
    }
    for (const Index k : {Index(1), Index(20), Index(40)}) {
      if (seen.mask(k) == 0) continue;
      const double expected = difference([&](double step) {
        MatrixXd X = seen.X;
        X(k) += step;
        return net.loss(Batch<double>(X, seen.mask), 0.1);
      });
      EXPECT_NEAR(found.signals(k), expected, 1e-7) << kind.describe();
    }
  }
  EXPECT_GT(compared, 100);
}

TEST(MaskedNetworks, AreCertified_SafeguardedAndFinished) {
  for (const KindCase& kind : weighted_cases()) {
    Draw draw(27);
    const Seen seen(draw, 40);
    const MatrixXd D = draw.atoms(6, 8);
    Network<double> net(kind.kind, D, 4, kind.options);
    shake(net, draw, 0.6);
    const auto certified = net.encode_certified(seen.batch(), 0.1);
    const auto expected = lasso_certificate<double>(seen.batch(), DenseDictionary(D), certified.codes, 0.1, net.penalty());
    EXPECT_LE((certified.objective - expected.objective).cwiseAbs().maxCoeff(), 1e-13) << kind.describe();
    EXPECT_LE((certified.gap - expected.gap).cwiseAbs().maxCoeff(), 1e-12) << kind.describe();
    const auto guarded = net.encode_certified(seen.batch(), 0.1, {.safeguard = true});
    const auto ista = encode<double>(seen.batch(), DenseDictionary(D), 0.1,
                                     {.method = Solver::ista, .tol = 0, .max_iter = 4, .penalty = net.penalty()});
    for (Index i = 0; i < 40; ++i) {
      EXPECT_LE(guarded.objective(i), certified.objective(i) * (1 + 1e-14)) << kind.describe();
      EXPECT_LE(guarded.objective(i), ista.objective(i) * (1 + 1e-13)) << kind.describe();
    }
    const auto finished = net.encode_certified(seen.batch(), 0.1, {.finish = 1e-8});
    EXPECT_LE(lasso_certificate<double>(seen.batch(), DenseDictionary(D), finished.codes, 0.1, net.penalty()).gap.maxCoeff(),
              1e-8 * 0.5 * seen.mask.cwiseProduct(seen.X.array().isNaN().select(0.0, seen.X)).colwise().squaredNorm().maxCoeff());
  }
}

TEST(MaskedNetworks, AreSafeguardedByIsta_NotByTheirOwnSelection) {
  Draw draw(30);
  const Seen seen(draw, 60);
  const MatrixXd D = draw.atoms(6, 8);
  Network<double> net("coupled", D, 4, {.support_selection = SupportSelection{.p = 15, .p_max = 40}});
  shake(net, draw, 2.0);
  const auto guarded = net.encode_certified(seen.batch(), 0.1, {.safeguard = true});
  const auto ista = encode<double>(seen.batch(), DenseDictionary(D), 0.1, {.method = Solver::ista, .tol = 0, .max_iter = 4});
  for (Index i = 0; i < 60; ++i) EXPECT_LE(guarded.objective(i), ista.objective(i) * (1 + 1e-13)) << i;
}

TEST(MaskedNetworks, AreTrained_OnWhatWasSeen) {
  for (const TrainingOptimizer optimizer : {TrainingOptimizer::backtracking, TrainingOptimizer::adam}) {
    Draw draw(28);
    const Seen seen(draw, 60);
    Network<double> net("step", draw.atoms(6, 8), 4);
    const auto result =
        train<double>(net, seen.batch(), 0.1,
                      {.optimizer = optimizer,
                       .batch_size = optimizer == TrainingOptimizer::adam ? std::optional<Index>(16) : std::nullopt,
                       .max_iter = 50});
    EXPECT_LT(result.value, result.initial_value);
    EXPECT_NEAR(result.value, net.loss(seen.batch(), 0.1), 1e-14);
  }
}

TEST(MaskedNetworks, AreRefused_WhereLayersReadTheSignalsThemselves) {
  Draw draw(29);
  const Seen seen(draw);
  const MatrixXd D = draw.atoms(6, 8);
  EXPECT_EQ(refusal_of([&] { Network<double>("lista", D, 3).encode(seen.batch(), 0.1); }),
            "encode: the layers of the kind 'lista' do not heed a mask or weights; those of 'alista', 'coupled', 'facnet', "
            "'first_step', 'fista', 'group', 'hessian', 'step', 'tied' do");
  Network<double> net("lista", D, 3);
  EXPECT_THAT(refusal_of([&] { train<double>(net, seen.batch(), 0.1); }), ::testing::StartsWith("train: the layers of the kind"));
  EXPECT_THAT(refusal_of([&] { net.loss(seen.batch(), 0.1); }), ::testing::StartsWith("loss: the layers of the kind"));
}

/// A layer of ISTA with groups over any dictionary: a kind of one's own.
struct GroupStep : Layer<double> {
  explicit GroupStep(const LayerSite<double>& site)
      : D(site.model.dictionary()), step(site.own("step")), shrink(site), residual(D.signal_size(), site.tile) {}
  static Parameters<double> initial(const NetworkModel<double>& model, int layer) {
    return {{parameter_name(layer, "step"), Matrix<double>::Constant(1, 1, 1 / model.lipschitz)}};
  }
  void forward(const TileInput<double>& input, const LayerState<double>& before, const LayerState<double>& after) override {
    MatrixRef<double> z = after.z, r = residual.leftCols(z.cols());
    D.apply(before.z, r);
    r = input.X - r;
    D.adjoint(r, z);
    z = before.z + step.values(0) * z;
    shrink.forward(z, {input.reg, &step.values});
  }
  /// By the step alone, of a network of one layer.
  void backward(const TileInput<double>& input, const LayerState<double>& before, const LayerState<double>& after,
                const LayerState<double>& cotangent, const LayerGradients<double>& gradients) override {
    MatrixXd c(D.code_size(), input.X.cols());
    D.apply(before.z, residual.leftCols(c.cols()));
    residual.leftCols(c.cols()) = input.X - residual.leftCols(c.cols());
    D.adjoint(residual.leftCols(c.cols()), c);
    shrink.backward(after.z, {input.reg, &step.values}, cotangent.z, {.theta = gradients.find(step.name)});
    if (Matrix<double>* found = gradients.find(step.name)) (*found)(0) += c.cwiseProduct(cotangent.z).sum();
  }
  const Dictionary<double>& D;
  NamedArray<double> step;
  SoftShrink<double> shrink;
  Matrix<double> residual;
};

void train_group_step() {
  register_network<double>("group_step", kind_of<double, GroupStep>({.groups = true, .any_dictionary = true}));
  Draw draw(31);
  const Convolution<double> D(draw.atoms(4, 2), 7);
  const MatrixXd X = D.dense() * draw.sparse_matrix(8, 30, 0.3), targets = draw.sparse_matrix(8, 30, 0.3);
  const NetworkOptions options{.groups = groups_of_eight};
  for (const bool supervised : {false, true}) {
    Network<double> net("group_step", D, 1, options), alike("group", D.dense(), 1, options);
    const double start = supervised ? alike.loss(X, 0.1, {}, targets) : alike.loss(X, 0.1);
    const TrainingOptions training{.loss = supervised ? TrainingLoss::supervised : TrainingLoss::unsupervised, .max_iter = 4};
    const OptionalMatrixRef<double> given = supervised ? OptionalMatrixRef<double>(targets) : std::nullopt;
    const auto result = train<double>(net, X, 0.1, training, given, [&](const TrainingInfo& info) {
      EXPECT_NEAR(info.ista, start, 1e-12 * start);
      EXPECT_EQ(std::isnan(info.optimum), supervised);
      return Action::keep_going;
    });
    EXPECT_NEAR(result.initial_value, start, 1e-12 * start);
    EXPECT_LT(result.value, result.initial_value);
    Network<double> unwatched("group_step", D, 1, options);
    EXPECT_EQ(train<double>(unwatched, X, 0.1, training, given).value, result.value);
  }
}

TEST(NetworksOverAnyDictionary, OfAKindOfOnesOwnWithGroups_AreTrained_AndHeldAgainstIsta) {
  const auto in_a_process_of_its_own = [] {  // other tests list the kinds
    train_group_step();
    std::_Exit(::testing::Test::HasFailure());
  };
  EXPECT_EXIT(in_a_process_of_its_own(), ::testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace riata::testing
