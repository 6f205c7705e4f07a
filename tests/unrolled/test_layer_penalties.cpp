// Unrolled layers, and learning through them, with penalties other than l1.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "riata/learning/learn_dictionary.hpp"
#include "riata/solvers/certificate.hpp"
#include "riata/solvers/encode.hpp"
#include "riata/terms/own_penalty.hpp"
#include "riata/unrolled/jacobian.hpp"
#include "riata/unrolled/unrolled.hpp"
#include "riata/unrolled/unrolled_encoder.hpp"
#include "support/random_arrays.hpp"
#include "support/sentences.hpp"

namespace riata::testing {
namespace {

using Eigen::MatrixXd;

constexpr Index n = 6, m = 8;
const PenaltyOptions group{.kind = PenaltyKind::group, .groups = {0, 1, 0, 2, 2, 2, 1, 0}},
    positive_group{.positive = true, .weights = {0.5, 2, 1}, .kind = PenaltyKind::group, .groups = group.groups},
    elastic_net{.kind = PenaltyKind::elastic_net, .l1_ratio = 0.7}, l0{.kind = PenaltyKind::l0};

/// Groups of one: l1 as a penalty of one's own.
class Own final : public OwnPenalty<double> {
 public:
  std::string name() const override { return "l1"; }
  double value(const ConstVectorRef<double>& z) const override { return z.cwiseAbs().sum(); }
  double dual_norm(const ConstVectorRef<double>& c) const override { return c.cwiseAbs().maxCoeff(); }
  void prox(MatrixRef<double> V, const Thresholds<double>& thresholds) const override {
    for (Index i = 0; i < V.cols(); ++i)
      for (Index j = 0; j < V.rows(); ++j) V(j, i) -= std::clamp(V(j, i), -thresholds.of(j, i), thresholds.of(j, i));
  }
};

struct Case {
  const char* name;
  PenaltyOptions penalty;
  double reg;
};
const std::vector<Case> cases{
    {"group", group, 0.2}, {"positive group", positive_group, 0.2}, {"elastic net", elastic_net, 0.2}, {"l0", l0, 0.02}};

class LayerPenalties : public ::testing::Test {
 protected:
  Draw draw_{81};
  const MatrixXd D_ = draw_.atoms(n, m), X_ = draw_.normal_matrix(n, 70);
};

TEST_F(LayerPenalties, AreThoseOfTheSolversIterations) {
  for (const Case& row : cases) {
    const MatrixXd Z = unrolled_encode<double>(X_, DenseDictionary(D_), row.reg,
                                               {.n_layers = 7, .algorithm = Layers::ista, .penalty = row.penalty});
    const auto found = encode<double>(X_, DenseDictionary(D_), row.reg,
                                      {.method = Solver::ista, .tol = 0, .max_iter = 7, .penalty = row.penalty});
    EXPECT_LE((Z - found.codes).cwiseAbs().maxCoeff(), 1e-13) << row.name;
    EXPECT_GT((Z.array() == 0).count(), 10) << row.name;
    EXPECT_NEAR(unrolled_loss<double>(X_, DenseDictionary(D_), row.reg,
                                      {.n_layers = 7, .algorithm = Layers::ista, .penalty = row.penalty}),
                lasso_objective<double>(X_, DenseDictionary(D_), Z, row.reg, row.penalty).mean(), 1e-13)
        << row.name;
  }
}

TEST_F(LayerPenalties, HaveTheDerivativesOfTheirLoss) {
  MatrixXd mask(n, 70);
  for (double& w : mask.reshaped()) w = draw_.coin(0.2) ? 0 : 1;
  for (const Case& row : cases)
    for (const bool masked : {false, true}) {
      const UnrolledOptions network{.n_layers = 5,
                                    .steps = {0.9, 1.1, 0.8, 1, 1.2},
                                    .lipschitz = DenseDictionary(D_).squared_norm(),
                                    .penalty = row.penalty};
      const auto loss = [&](const MatrixXd& X, const MatrixXd& D, double reg, const UnrolledOptions& options) {
        return unrolled_loss<double>(masked ? Batch<double>(X, mask) : Batch<double>(X), DenseDictionary(D), reg, options);
      };
      const auto found = unrolled_gradient<double>(masked ? Batch<double>(X_, mask) : Batch<double>(X_), DenseDictionary(D_),
                                                   row.reg, network, {.signals = true});
      const double h = 1e-6;
      const auto expect = [&](double derivative, const auto& moved, const char* by) {
        EXPECT_NEAR(derivative, (moved(h) - moved(-h)) / (2 * h), 2e-7)
            << row.name << ", by " << by << (masked ? ", masked" : "");
      };
      for (const Index k : {Index(0), Index(19), Index(47)})
        expect(
            found.parameters.at("dictionary")(k),
            [&](double s) {
              MatrixXd D = D_;
              D(k) += s;
              return loss(X_, D, row.reg, network);
            },
            "dictionary");
      for (const Index k : {Index(3), Index(100), Index(400)})
        expect(
            found.signals(k),
            [&](double s) {
              MatrixXd X = X_;
              X(k) += s;
              return loss(X, D_, row.reg, network);
            },
            "signals");
      for (const std::size_t k : {0, 4})
        expect(
            found.steps(static_cast<Index>(k)),
            [&](double s) {
              UnrolledOptions moved = network;
              moved.steps[k] += s;
              return loss(X_, D_, row.reg, moved);
            },
            "steps");
      expect(
          found.reg(0), [&](double s) { return loss(X_, D_, row.reg + s, network); }, "reg");
    }
}

TEST_F(LayerPenalties, AreLearnedWith_ByLayersAndByExactCodes) {
  for (const Case& row : cases)
    for (const LearningMethod method : {LearningMethod::unrolled, LearningMethod::alternating_exact}) {
      LearnOptions options{.method = method, .n_layers = 10, .max_iter = 6, .penalty = row.penalty};
      if (method == LearningMethod::alternating_exact) options.coder_tol = 1e-4;
      const auto learned = learn_dictionary<double>(X_, m, row.reg, options);
      EXPECT_LT(learned.history.value.back(), learned.initial_value) << row.name;
    }
}

TEST_F(LayerPenalties, AreKnownToACheckpoint) {
  const std::string path = std::filesystem::temp_directory_path() / "riata_layer_penalties.safetensors";
  std::filesystem::remove(path);
  LearnOptions options{.n_layers = 5, .max_iter = 2, .checkpoint = path, .penalty = elastic_net};
  learn_dictionary<double>(X_, m, 0.1, options);
  options.resume = true;
  options.penalty.l1_ratio = 0.6;
  EXPECT_THAT(refusal_of([&] { learn_dictionary<double>(X_, m, 0.1, options); }), ::testing::HasSubstr(path));
  std::filesystem::remove(path);
}

TEST_F(LayerPenalties, FollowTheUnitOfTheSignals_UnlessTheyHaveTheirOwn) {
  for (const Case& row : {cases[0], cases[1], cases[3]})
    for (const int power : {-300, 300}) {
      const UnrolledOptions network{.n_layers = 5, .penalty = row.penalty};
      const double unit = std::ldexp(1.0, power),
                   reg = row.penalty.kind == PenaltyKind::l0 ? unit * unit * row.reg : unit * row.reg;
      const auto here = unrolled_gradient<double>(X_, DenseDictionary(D_), row.reg, network);
      const auto there = unrolled_gradient<double>(unit * X_, DenseDictionary(D_), reg, network);
      EXPECT_TRUE(unit * here.codes == there.codes) << row.name << power;
      EXPECT_EQ(std::ldexp(here.value, 2 * power), there.value);
      EXPECT_EQ(std::ldexp(here.reg(0), row.penalty.kind == PenaltyKind::l0 ? 0 : power), there.reg(0)) << row.name;
    }
  EXPECT_THAT(refusal_of([&] {
                unrolled_gradient<double>(MatrixXd(std::ldexp(1.0, -500) * X_), DenseDictionary(D_), 1e-30,
                                          {.penalty = elastic_net});
              }),
              ::testing::StartsWith("X: the largest entry is"));
  const UnrolledOptions net{.n_layers = 5, .penalty = elastic_net};  // far signals, which need no unit yet
  EXPECT_TRUE(unrolled_gradient<double>(MatrixXd(std::ldexp(1.0, 200) * X_), DenseDictionary(D_), 1e60, net).codes ==
              unrolled_encode<double>(MatrixXd(std::ldexp(1.0, 200) * X_), DenseDictionary(D_), 1e60, net));
}

TEST_F(LayerPenalties, OfOnesOwn_SayWhatTheyLack) {
  const PenaltyOptions own = own_penalty<double>(std::make_shared<Own>());
  const auto found = encode<double>(X_, DenseDictionary(D_), 0.1, {.tol = 1e-8, .penalty = own});
  EXPECT_EQ(found.method, Solver::fista);
  EXPECT_LE(duality_gap<double>(X_, DenseDictionary(D_), found.codes, 0.1).maxCoeff(), 1e-7);
  EXPECT_LE(kkt_violation<double>(X_, DenseDictionary(D_), found.codes, 0.1, own).maxCoeff(), 1e-2);
  EXPECT_LE((reg_max<double>(X_, DenseDictionary(D_), own) - reg_max<double>(X_, DenseDictionary(D_))).cwiseAbs().maxCoeff(),
            1e-14);
  EXPECT_EQ(refusal_of([&] { unrolled_gradient<double>(X_, DenseDictionary(D_), 0.1, {.penalty = own}); }),
            "the penalty 'l1' has no subgradient; expected add_subgradient(), for layers and learning");
  const Matrix<float> D = D_.cast<float>(), X = X_.cast<float>();
  EXPECT_EQ(refusal_of([&] { encode<float>(X, DenseDictionary(D), 0.1, {.penalty = own}); }),
            "penalty: none of one's own is given for float signals");
}

TEST_F(LayerPenalties, AreRefusedBelowZero_WhereTheirProxIsNone) {
  const std::vector<double> steps{1, -0.1};
  for (const PenaltyOptions& penalty : {elastic_net, l0})
    EXPECT_EQ(refusal_of([&] {
                unrolled_encode<double>(X_, DenseDictionary(D_), 0.1, {.n_layers = 2, .steps = steps, .penalty = penalty});
              }),
              std::string("steps: factors below zero are for the penalties 'l1' and 'group', not for '") +
                  to_string(penalty.kind) + "'");
  EXPECT_EQ(refusal_of([&] { learn_dictionary<double>(X_, m, 0.1, {.learn_steps = true, .penalty = l0}); }),
            "learn_steps is for the penalties 'l1' and 'group', not for 'l0'");
}

TEST_F(LayerPenalties, AreRefusedBeforeACheckpointIsTouched) {
  const std::string path = std::filesystem::temp_directory_path() / "riata_layer_penalties_refused.safetensors";
  for (const PenaltyOptions& penalty : {PenaltyOptions{.kind = PenaltyKind::own}, PenaltyOptions{.kind = PenaltyKind::group}})
    EXPECT_NE(refusal_of([&] { learn_dictionary<double>(X_, m, 0.1, {.checkpoint = path, .penalty = penalty}); }), "");
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST_F(LayerPenalties, AreRefusedWhereLayersAreL1s) {
  EXPECT_EQ(refusal_of([&] { UnrolledEncoder<double>(DenseDictionary(D_), {.penalty = group}); }),
            "UnrolledEncoder: penalty = 'group', must be 'l1'");
  EXPECT_EQ(refusal_of([&] { code_jacobian<double>(X_.col(0), DenseDictionary(D_), 0.1, 0, {.penalty = group}); }),
            "code_jacobian: penalty = 'group', must be 'l1'");
}

}  // namespace
}  // namespace riata::testing
