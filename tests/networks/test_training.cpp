#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <thread>

#include "networks/random_network.hpp"
#include "riata/core/error.hpp"
#include "riata/io/safetensors.hpp"
#include "riata/learning/train.hpp"
#include "riata/solvers/encode.hpp"
#include "support/precision.hpp"
#include "support/sentences.hpp"

namespace riata::testing {
namespace {

using Eigen::MatrixXd;

struct Problem {
  MatrixXd D, X, Z;
};

/// 60 signals of sparse codes.
Problem draw_problem(std::uint64_t seed) {
  Draw draw(seed);
  Problem problem{draw.atoms(6, 8), {}, draw.sparse_matrix(8, 60, 0.3)};
  problem.X = problem.D * problem.Z + 0.01 * draw.normal_matrix(6, 60);
  return problem;
}

bool starts_as_ista(const std::string& kind) { return kind != "alista" && kind != "iht" && kind != "lamp"; }

constexpr TrainingMode all_modes[] = {TrainingMode::oneshot, TrainingMode::recursive, TrainingMode::greedy};

class TrainingFile : public ::testing::Test {
 protected:
  void TearDown() override { std::filesystem::remove(path); }
  const std::string path =
      std::filesystem::temp_directory_path() /
      (std::string("riata_") + ::testing::UnitTest::GetInstance()->current_test_info()->name() + ".safetensors");
};

TEST(Training, LossFallsAtEveryStepOfAStage_AndEndsBelowIstasAtEqualDepth) {
  const Problem problem = draw_problem(1);
  for (const KindCase& kind : network_cases())
    for (const TrainingMode mode : all_modes)
      for (const int max_iter : {2, 40}) {
        Network<double> net(kind.kind, problem.D, 4, kind.options);
        const double before = net.loss(problem.X, 0.1);
        const auto result = train<double>(net, problem.X, 0.1, {.mode = mode, .max_iter = max_iter});
        const std::string about = kind.describe() + ", " + to_string(mode);
        EXPECT_EQ(result.value, net.loss(problem.X, 0.1)) << about;
        EXPECT_LE(result.value, before) << about;
        const auto& [value, step, seconds, stage] = result.history;
        ASSERT_LE(std::ssize(value), max_iter) << about;
        for (std::size_t k = 1; k < value.size(); ++k) EXPECT_TRUE(stage[k] != stage[k - 1] || value[k] < value[k - 1]) << about;
        if (kind.kind == "iht") continue;  // the Lasso is not what it unfolds
        EXPECT_GE(value.size(), 1U) << about;
        EXPECT_LT(result.value, before) << about;
        if (starts_as_ista(kind.kind) && !kind.options.support_selection && kind.kind != "group") {
          const double ista = Network<double>("step", problem.D, 4, {.positive = kind.options.positive}).loss(problem.X, 0.1);
          EXPECT_LE(result.value, ista) << about;
        }
      }
}

TEST(Training, Supervised_And_Semi_ApproachTheirTargets) {
  const Problem problem = draw_problem(2);
  const auto solve = [&](bool positive) {
    return encode<double>(problem.X, DenseDictionary(problem.D), 0.05, {.tol = 1e-10, .penalty = {.positive = positive}}).codes;
  };
  const MatrixXd of_any_sign = solve(false), positive = solve(true);
  for (const KindCase& kind : network_cases()) {
    if (kind.kind == "group") continue;
    Network<double> supervised(kind.kind, problem.D, 3, kind.options), semi = supervised, by_hand = supervised;
    const double before = supervised.loss(problem.X, 0.05, {}, problem.Z);
    const auto result = train<double>(supervised, problem.X, 0.05, {.loss = TrainingLoss::supervised, .max_iter = 30}, problem.Z);
    EXPECT_LT(result.value, before) << kind.describe();
    EXPECT_EQ(result.value, supervised.loss(problem.X, 0.05, {}, problem.Z));
    train<double>(semi, problem.X, 0.05, {.loss = TrainingLoss::semi, .max_iter = 10});
    train<double>(by_hand, problem.X, 0.05, {.loss = TrainingLoss::supervised, .max_iter = 10},
                  kind.options.positive ? positive : of_any_sign);
    EXPECT_TRUE(semi.parameters() == by_hand.parameters()) << kind.describe();
  }
}

TEST(Training, StagesTakeTheirShareOfTheSteps_AndMoveTheirLayersAlone) {
  const Problem problem = draw_problem(3);
  for (const TrainingMode mode : {TrainingMode::recursive, TrainingMode::greedy}) {
    Network<double> net("coupled", problem.D, 4);
    const auto before = net.parameters();
    // 3 steps for 4 stages: 0, 1, 1, 1.
    const auto result = train<double>(net, problem.X, 0.1, {.mode = mode, .max_iter = 3});
    EXPECT_EQ(result.history.phase, (std::vector<std::int64_t>{1, 2, 3}));
    Network<double> two("coupled", problem.D, 4);
    train<double>(two, problem.X, 0.1, {.mode = mode, .max_iter = 3}, {},
                  [](const TrainingInfo& info) { return info.phase == 1 ? Action::stop : Action::keep_going; });
    for (const auto& [name, values] : two.parameters())
      EXPECT_EQ(values == before.at(name), name.starts_with("layer.2") || name.starts_with("layer.3")) << name;
  }
}

TEST(Training, TellsIstaAndTheOptimum) {
  const Problem problem = draw_problem(4);
  Network<double> net("step", problem.D, 3);
  const double optimum = encode<double>(problem.X, DenseDictionary(problem.D), 0.1, {.tol = 1e-9}).objective.mean();
  int calls = 0;
  train<double>(net, problem.X, 0.1, {.mode = TrainingMode::recursive, .max_iter = 9}, {}, [&](const TrainingInfo& info) {
    ++calls;
    EXPECT_EQ(info.iteration, calls);
    EXPECT_EQ(info.n_layers, info.phase + 1);
    EXPECT_EQ(info.ista, (Network<double>("step", problem.D, 3).loss(problem.X, 0.1, {.n_layers = info.n_layers})));
    EXPECT_NEAR(info.optimum, optimum, 1e-5 * optimum);
    EXPECT_LE(info.value, info.ista);
    EXPECT_GE(info.value, info.optimum * (1 - 1e-6));
    return Action::keep_going;
  });
  EXPECT_EQ(calls, 9);
}

TEST(Training, Rotations_StayOrthogonal_AndStepsPositive) {
  const Problem problem = draw_problem(5);
  Network<double> facnet("facnet", problem.D, 3);
  train<double>(facnet, problem.X, 0.1, {.max_iter = 20});
  for (const auto& [name, values] : facnet.parameters()) {
    const bool is_rotation = name.ends_with("rotation");
    EXPECT_TRUE(!is_rotation || (values.transpose() * values - MatrixXd::Identity(8, 8)).norm() < 1e-13) << name;
    EXPECT_TRUE(is_rotation || values.minCoeff() > 0) << name;
  }
  // From a step that wants to be negative: the target is what a step backward gives.
  Network<double> free("step", problem.D, 1), held = free;
  const MatrixXd backward = -0.3 * problem.D.transpose() * problem.X;
  const TrainingOptions options{.loss = TrainingLoss::supervised, .max_iter = 30};
  TrainingOptions positive = options;
  positive.positive_steps = true;
  train<double>(free, problem.X, 1e-3, options, backward);
  train<double>(held, problem.X, 1e-3, positive, backward);
  EXPECT_LT(free.parameters().at("layer.0.step")(0), 0);
  EXPECT_GT(held.parameters().at("layer.0.step")(0), 0);
}

TEST(Training, BitsDoNotDependOnThreads) {
  const Problem problem = draw_problem(6);
  for (const KindCase& kind : network_cases()) {
    Network<double> one(kind.kind, problem.D, 3, kind.options), two = one;
    train<double>(one, problem.X, 0.1, {.max_iter = 5, .execution = {.n_threads = 1}});
    train<double>(two, problem.X, 0.1, {.max_iter = 5, .execution = {.n_threads = 2}});
    EXPECT_TRUE(one.parameters() == two.parameters()) << kind.describe();
  }
}

TEST(Training, InFloat_Falls) {
  const Problem problem = draw_problem(7);
  for (const KindCase& kind : network_cases()) {
    if (kind.kind == "iht") continue;
    Network<float> net(kind.kind, Matrix<float>(problem.D.cast<float>()), 3, kind.options);
    const Matrix<float> X = problem.X.cast<float>();
    const double before = net.loss(X, 0.1);
    EXPECT_LT(train<float>(net, X, 0.1, {.max_iter = 10}).value, before) << kind.describe();
  }
}

TEST(Training, Adam_IsWhatItsPaperSays) {
  const Problem problem = draw_problem(11);
  Network<double> net("coupled", problem.D, 2), by_hand = net;
  train<double>(net, problem.X, 0.1, {.optimizer = TrainingOptimizer::adam, .learning_rate = 0.01, .max_iter = 5});
  Parameters<double> m, v;
  double eps = 0;  // 1e-8 of the root mean square of the first gradient
  for (int t = 1; t <= 5; ++t) {
    Parameters<double> parameters = by_hand.parameters();
    const auto gradient = by_hand.loss_gradient(problem.X, 0.1, {.parameters = by_hand.trainable(0, 2)}).parameters;
    if (t == 1) {
      double sum = 0, count = 0;
      for (const auto& [name, g] : gradient) sum += g.squaredNorm(), count += static_cast<double>(g.size());
      eps = 1e-8 * std::sqrt(sum / count);
    }
    for (const auto& [name, g] : gradient) {
      if (t == 1) m[name] = v[name] = 0 * g;
      for (Index k = 0; k < g.size(); ++k) {
        m[name](k) = 0.9 * m[name](k) + 0.1 * g(k);
        v[name](k) = 0.999 * v[name](k) + 0.001 * g(k) * g(k);
        const double m_hat = m[name](k) / (1 - std::pow(0.9, t)), v_hat = v[name](k) / (1 - std::pow(0.999, t));
        parameters.at(name)(k) -= 0.01 * m_hat / (std::sqrt(v_hat) + eps);
      }
    }
    by_hand.set_parameters(parameters);
  }
  for (const auto& [name, values] : net.parameters())
    EXPECT_LE((values - by_hand.parameters().at(name)).cwiseAbs().maxCoeff(), 1e-11) << name;
}

TEST(Training, Adam_OnMiniBatches_LearnsTheCodes) {
  const Problem problem = draw_problem(12);
  for (const TrainingMode mode : all_modes)
    for (const double validation : {0.0, 0.25}) {
      Network<double> net("coupled", problem.D, 3), again = net;
      const double before = net.loss(problem.X, 0.05, {}, problem.Z);
      const TrainingOptions options{.loss = TrainingLoss::supervised,
                                    .mode = mode,
                                    .optimizer = TrainingOptimizer::adam,
                                    .batch_size = 20,
                                    .validation = validation,
                                    .learning_rate = 3e-3,
                                    .max_iter = 400};
      const auto result = train<double>(net, problem.X, 0.05, options, problem.Z);
      EXPECT_LT(result.value, 0.9 * before) << to_string(mode) << ", " << validation;
      EXPECT_EQ(result.value, net.loss(problem.X, 0.05, {}, problem.Z));
      train<double>(again, problem.X, 0.05, options, problem.Z);
      EXPECT_TRUE(net.parameters() == again.parameters());
    }
}

TEST(Training, Adam_InRecursiveStages_MovesTheNewLayerFirstAndOlderOnesLess) {
  const Problem problem = draw_problem(13);
  Network<double> net("step", problem.D, 2);
  // Six stages of one step: Adam's first step is its rate.
  const double rate = 1e-3;
  std::vector<double> moves[2];
  for (int n = 1; n <= 6; ++n) {
    Network<double> cut("step", problem.D, 2);
    train<double>(cut, problem.X, 0.1,
                  {.mode = TrainingMode::recursive, .optimizer = TrainingOptimizer::adam, .learning_rate = rate, .max_iter = 6},
                  {}, [&](const TrainingInfo& info) { return info.iteration == n ? Action::stop : Action::keep_going; });
    for (int t = 0; t < 2; ++t) moves[t].push_back(cut.parameters().at(parameter_name(t, "step"))(0));
  }
  const double start = net.parameters().at("layer.0.step")(0);
  const double expected[2][6] = {{1, 0.2, 0.02, 0, 0.06, 0.006}, {0, 0, 0, 1, 0.2, 0.02}};
  for (int t = 0; t < 2; ++t)
    for (std::size_t k = 0; k < 6; ++k)
      EXPECT_NEAR(std::abs(moves[t][k] - (k == 0 ? start : moves[t][k - 1])), rate * expected[t][k], 1e-6 * rate)
          << t << " " << k;
}

TEST(Training, Adam_WithValidation_ReturnsTheBestAndStopsWhenItsPatienceEnds) {
  const Problem problem = draw_problem(14);
  Network<double> net("coupled", problem.D, 2);
  // A rate far too large: nothing is ever better than the start.
  const auto result = train<double>(net, problem.X, 0.1,
                                    {.optimizer = TrainingOptimizer::adam,
                                     .validation = 0.2,
                                     .validate_every = 2,
                                     .patience = 6,
                                     .learning_rate = 3,
                                     .max_iter = 100});
  EXPECT_EQ(result.status, Status::stalled);  // its patience ended, but the loss can fall
  EXPECT_EQ(result.history.value.size(), 6U);
  EXPECT_TRUE(net.parameters() == (Network<double>("coupled", problem.D, 2).parameters()));
}

TEST_F(TrainingFile, Adam_Resumed_EndsBitForBitWhereTheUninterruptedRunDoes) {
  const Problem problem = draw_problem(15);
  for (const TrainingMode mode : all_modes)
    for (const double validation : {0.0, 0.3}) {
      Network<double> whole("tied", problem.D, 2), cut = whole, resumed = whole;
      TrainingOptions options{.mode = mode,
                              .optimizer = TrainingOptimizer::adam,
                              .batch_size = 7,
                              .validation = validation,
                              .validate_every = 3,
                              .learning_rate = 1e-2,
                              .max_iter = 40};
      const auto expected = train<double>(whole, problem.X, 0.1, options);
      options.checkpoint = path;
      std::filesystem::remove(path);
      train<double>(cut, problem.X, 0.1, options, {},
                    [&](const TrainingInfo& info) { return info.iteration == 17 ? Action::stop : Action::keep_going; });
      options.resume = true;
      const auto result = train<double>(resumed, problem.X, 0.1, options);
      EXPECT_EQ(result.history.value, expected.history.value);
      EXPECT_TRUE(resumed.parameters() == whole.parameters()) << to_string(mode) << ", " << validation;
    }
}

TEST_F(TrainingFile, ResumedRun_EndsBitForBitWhereTheUninterruptedOneDoes) {
  const Problem problem = draw_problem(8);
  for (const TrainingMode mode : all_modes)
    for (const int stop_at : {1, 6, 11}) {
      Network<double> whole("coupled", problem.D, 3), first = whole, second = whole;
      const TrainingOptions plain{.mode = mode, .max_iter = 15};
      const auto expected = train<double>(whole, problem.X, 0.1, plain);
      TrainingOptions options = plain;
      options.checkpoint = path;
      options.checkpoint_every = 4;
      std::filesystem::remove(path);
      const auto cut = train<double>(first, problem.X, 0.1, options, {}, [&](const TrainingInfo& info) {
        return info.iteration == stop_at ? Action::stop : Action::keep_going;
      });
      EXPECT_EQ(cut.status, Status::interrupted);
      options.resume = true;
      const auto result = train<double>(second, problem.X, 0.1, options);
      EXPECT_EQ(result.history.value, expected.history.value);
      EXPECT_EQ(result.history.phase, expected.history.phase);
      EXPECT_EQ(result.value, expected.value);
      EXPECT_EQ(result.initial_value, expected.initial_value);
      EXPECT_TRUE(second.parameters() == whole.parameters());
      // Once more: there is nothing left to do.
      Network<double> third("coupled", problem.D, 3);
      EXPECT_EQ(train<double>(third, problem.X, 0.1, options).history.value, expected.history.value);
    }
}

TEST_F(TrainingFile, Adam_Resumed_WithMoreSteps_EndsWhereTheLongRunDoes) {
  const Problem problem = draw_problem(17);
  const MatrixXd X = problem.X.leftCols(12);
  Network<double> whole("lista", problem.D, 2), resumed = whole;
  // Few signals, so that it soon overfits: the short runs end where the long one does not look, better than it is where it does.
  TrainingOptions options{.optimizer = TrainingOptimizer::adam,
                          .batch_size = 4,
                          .validation = 0.5,
                          .validate_every = 500,
                          .learning_rate = 2e-2,
                          .max_iter = 600};
  train<double>(whole, X, 0.1, options);
  options.checkpoint = path;
  options.resume = true;
  for (const int max_iter : {10, 20, 40, 80, 160, 600}) {
    options.max_iter = max_iter;
    resumed = Network<double>("lista", problem.D, 2);
    train<double>(resumed, X, 0.1, options);
  }
  EXPECT_TRUE(resumed.parameters() == whole.parameters());
}

TEST_F(TrainingFile, WhatTheObserverThrows_LeavesTheRun_AndNothingIsLost) {
  const Problem problem = draw_problem(18);
  for (const TrainingOptimizer optimizer : {TrainingOptimizer::backtracking, TrainingOptimizer::adam}) {
    Network<double> whole("coupled", problem.D, 3), cut = whole, resumed = whole, stopped = whole;
    TrainingOptions options{.mode = TrainingMode::recursive, .optimizer = optimizer, .max_iter = 12};
    train<double>(whole, problem.X, 0.1, options);
    train<double>(stopped, problem.X, 0.1, options, {},
                  [](const TrainingInfo& info) { return info.iteration == 7 ? Action::stop : Action::keep_going; });
    options.checkpoint = path;
    std::filesystem::remove(path);
    const TrainingObserver fails = [](const TrainingInfo& info) {
      if (info.iteration == 7) throw std::domain_error("mine");
      return Action::keep_going;
    };
    EXPECT_THROW(train<double>(cut, problem.X, 0.1, options, {}, fails), std::domain_error);
    EXPECT_TRUE(cut.parameters() == stopped.parameters());
    options.resume = true;
    train<double>(resumed, problem.X, 0.1, options);
    EXPECT_TRUE(resumed.parameters() == whole.parameters()) << to_string(optimizer);
  }
}

TEST_F(TrainingFile, WhatIsRefused_LeavesNetworkAndCheckpointAsTheyWere) {
  const Problem problem = draw_problem(22);
  Network<double> net("facnet", problem.D, 2);
  const TrainingOptions options{.optimizer = TrainingOptimizer::adam, .max_iter = 4, .checkpoint = path};
  train<double>(net, problem.X, 0.1, options);
  auto start = net.parameters();
  start.at("layer.0.rotation") *= 2;  // what training would put onto the set first
  net.set_parameters(start);
  const TensorFile before = read_safetensors(path);
  TrainingOptions diverges = options, supervised = options;
  diverges.learning_rate = 1e300;
  supervised.loss = TrainingLoss::supervised;
  const MatrixXd few = MatrixXd::Zero(8, 2);
  EXPECT_THROW(train<double>(net, problem.X, 0.1, diverges), std::invalid_argument);
  EXPECT_THROW(train<double>(net, 1e200 * problem.X, 0.1, options), std::invalid_argument);
  EXPECT_THROW(train<double>(net, problem.X, 0.1, supervised, few), std::invalid_argument);
  EXPECT_TRUE(net.parameters() == start);
  EXPECT_TRUE(read_safetensors(path).tensors == before.tensors);
}

TEST(Training, Adam_InterruptedBetweenLooks_AlsoLooksAtTheLastStep) {
  const Problem problem = draw_problem(23);
  Network<double> stopped("coupled", problem.D, 2), cut = stopped;
  TrainingOptions options{
      .optimizer = TrainingOptimizer::adam, .validation = 0.3, .validate_every = 1000, .learning_rate = 1e-2, .max_iter = 100};
  int n_steps = 0;
  TrainingOptions asked = options;
  asked.execution.stop_requested = [&] {
    if (n_steps < 30) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(60));  // work between calls of riata's asks again after 50
    return true;
  };
  const auto result = train<double>(cut, problem.X, 0.1, asked, {}, [&](const TrainingInfo& info) {
    n_steps = info.iteration;
    return Action::keep_going;
  });
  EXPECT_EQ(result.status, Status::interrupted);
  const auto expected = train<double>(stopped, problem.X, 0.1, options, {}, [&](const TrainingInfo& info) {
    return info.iteration == n_steps ? Action::stop : Action::keep_going;
  });
  EXPECT_LT(expected.value, Network<double>("coupled", problem.D, 2).loss(problem.X, 0.1));
  EXPECT_TRUE(cut.parameters() == stopped.parameters());
}

TEST_F(TrainingFile, WhatStopRequestedThrows_LeavesTheRun_AndNothingIsLost) {
  const Problem problem = draw_problem(24);
  Network<double> whole("step", problem.D, 3), cut = whole, resumed = whole;
  TrainingOptions options{.max_iter = 12};
  train<double>(whole, problem.X, 0.1, options);
  options.checkpoint = path;
  int polls = 0;
  options.execution = {.n_threads = 1, .stop_requested = [&] {
                         if (++polls == 40) throw std::domain_error("mine");
                         return false;
                       }};
  EXPECT_THROW(train<double>(cut, problem.X, 0.1, options), std::domain_error);
  EXPECT_LT(cut.loss(problem.X, 0.1), resumed.loss(problem.X, 0.1));
  options.execution = {};
  options.resume = true;
  train<double>(resumed, problem.X, 0.1, options);
  EXPECT_TRUE(resumed.parameters() == whole.parameters());
}

TEST(Training, OfANearlySymmetricHessian_KeepsItSymmetric) {
  const Problem problem = draw_problem(25);
  Network<double> net("hessian", problem.D, 2);
  auto start = net.parameters();
  for (auto& [name, values] : start) values *= 10;
  start.at("layer.0.hessian")(0, 1) += 0.9e-3 * start.at("layer.0.hessian")(0, 0);
  net.set_parameters(start);
  EXPECT_GT(train<double>(net, problem.X, 0.1, {.max_iter = 20}).history.value.size(), 5U);
  const MatrixXd& A = net.parameters().at("layer.0.hessian");
  EXPECT_TRUE(A == A.transpose());
}

TEST(Training, StartsOnTheSetThatItKeepsTo) {
  const Problem problem = draw_problem(19);
  Network<double> step("step", problem.D, 2), facnet("facnet", problem.D, 2);
  auto steps = step.parameters();
  steps.at("layer.0.step")(0) = -1;
  step.set_parameters(steps);
  const auto from_step = train<double>(step, problem.X, 0.1, {.learning_rate = 1e-12, .positive_steps = true, .max_iter = 1});
  EXPECT_GT(step.parameters().at("layer.0.step")(0), 0);
  steps.at("layer.0.step")(0) = 1e-6 / step.lipschitz();
  step.set_parameters(steps);
  EXPECT_EQ(from_step.initial_value, step.loss(problem.X, 0.1));

  Draw draw(20);
  auto rotations = facnet.parameters();
  rotations.at("layer.1.rotation") = 2 * draw.normal_matrix(8, 8);
  facnet.set_parameters(rotations);
  const auto from_rotation = train<double>(facnet, problem.X, 0.1, {.learning_rate = 1e-12, .max_iter = 1});
  const MatrixXd& A = facnet.parameters().at("layer.1.rotation");
  EXPECT_LT((A.transpose() * A - MatrixXd::Identity(8, 8)).norm(), 1e-12);
  EXPECT_NEAR(from_rotation.initial_value, facnet.loss(problem.X, 0.1), 1e-6);
}

TEST_F(TrainingFile, AdamsMoments_ThatDoNotFit_AreRefused) {
  const Problem problem = draw_problem(21);
  const TrainingOptions options{.optimizer = TrainingOptimizer::adam, .max_iter = 2, .checkpoint = path, .resume = true};
  Network<double> net("coupled", problem.D, 2), again = net;
  train<double>(net, problem.X, 0.1, options);
  TensorFile file = read_safetensors(path);
  file.tensors["adam.v.layer.0.weight"] = to_tensor<double>(MatrixXd::Zero(2, 2));
  write_safetensors(path, file);
  EXPECT_EQ(refusal_of([&] { train<double>(again, problem.X, 0.1, options); }),
            "checkpoint: tensor 'adam.v.layer.0.weight' is damaged");
}

TEST_F(TrainingFile, InterruptedWithinAStep_KeepsTheLastAcceptedOne) {
  const Problem problem = draw_problem(9);
  Network<double> whole("coupled", problem.D, 3), cut = whole, resumed = whole;
  int polls = 0, last_poll = std::numeric_limits<int>::max();
  TrainingOptions options{.max_iter = 12};
  options.execution = {.n_threads = 1, .stop_requested = [&] { return ++polls > last_poll; }};
  train<double>(whole, problem.X, 0.1, options);
  last_poll = std::exchange(polls, 0) / 2;
  options.checkpoint = path;
  const auto result = train<double>(cut, problem.X, 0.1, options);
  EXPECT_EQ(result.status, Status::interrupted);
  EXPECT_EQ(result.value, cut.loss(problem.X, 0.1));
  ASSERT_FALSE(result.history.value.empty());
  EXPECT_EQ(result.value, result.history.value.back());
  options.execution = {};
  options.resume = true;
  train<double>(resumed, problem.X, 0.1, options);
  EXPECT_TRUE(resumed.parameters() == whole.parameters());
}

TEST_F(TrainingFile, InterruptedAnywhere_WhileProgressIsShown_ResumesBitForBit) {
  const Problem problem = draw_problem(9);
  const TrainingObserver watch = [](const TrainingInfo&) { return Action::keep_going; };
  const TrainingOptions options{.mode = TrainingMode::recursive, .max_iter = 9, .checkpoint = path};
  Network<double> whole("coupled", problem.D, 3);
  int n_polls = 0, n_cut = 0;
  TrainingOptions counting = options;
  counting.execution = {.n_threads = 1, .stop_requested = [&] { return ++n_polls < 0; }};
  train<double>(whole, problem.X, 0.1, counting, {}, watch);
  const int stride = 1 + n_polls / 50;
  for (int last_poll = 1; last_poll < n_polls; last_poll += stride) {
    std::filesystem::remove(path);
    Network<double> cut("coupled", problem.D, 3), resumed = cut;
    int polls = 0;
    TrainingOptions until = options;
    until.execution = {.n_threads = 1, .stop_requested = [&] { return ++polls > last_poll; }};
    try {
      n_cut += train<double>(cut, problem.X, 0.1, until, {}, watch).status == Status::interrupted;
    } catch (const Interrupted&) {  // before the first step began
    }
    until.execution = {};
    until.resume = true;
    train<double>(resumed, problem.X, 0.1, until, {}, watch);
    ASSERT_TRUE(resumed.parameters() == whole.parameters()) << "interrupted at poll " << last_poll << " of " << n_polls;
  }
  EXPECT_GT(n_cut, 20);
}

TEST_F(TrainingFile, BadInputs_AreRefusedInASentence) {
  const Problem problem = draw_problem(10);
  const auto call = [&](const TrainingOptions& options, const OptionalMatrixRef<double>& targets = {},
                        const std::string& kind = "coupled") {
    return [&problem, options, targets, kind] {
      Network<double> net(kind, problem.D, 3);
      train<double>(net, problem.X, 0.1, options, targets);
    };
  };
  const MatrixXd wrong = MatrixXd::Zero(8, 2);
  const std::vector<BadInput> rows{
      {"loss = 'lasso', must be 'unsupervised', 'supervised' or 'semi'", [] { parse<TrainingLoss>("lasso", "loss"); }},
      {"mode = 'one', must be 'oneshot', 'recursive' or 'greedy'", [] { parse<TrainingMode>("one", "mode"); }},
      {"learning_rate = 0, must be > 0 and finite", call({.learning_rate = 0})},
      {"max_iter = 0, must be >= 1", call({.max_iter = 0})},
      {"tol = -1, must be >= 0 and finite", call({.tol = -1})},
      {"max_time = 0, must be > 0 seconds", call({.max_time = 0})},
      {"checkpoint_every = 0, must be >= 1", call({.checkpoint_every = 0})},
      {"resume needs the path of a checkpoint", call({.resume = true})},
      {"targets are for loss = 'supervised'; loss = 'unsupervised' has none", call({}, problem.Z)},
      {"targets are for loss = 'supervised'; loss = 'semi' has none", call({.loss = TrainingLoss::semi}, problem.Z)},
      {"loss = 'supervised' needs targets, one code per signal", call({.loss = TrainingLoss::supervised})},
      {"targets have shape (2, 8), expected (60, 8)", call({.loss = TrainingLoss::supervised}, wrong)},
      {"targets have shape (2, 8), expected (60, 8)",
       call({.loss = TrainingLoss::supervised, .optimizer = TrainingOptimizer::adam, .validation = 0.5}, wrong)},
      {"optimizer = 'sgd', must be 'backtracking' or 'adam'", [] { parse<TrainingOptimizer>("sgd", "optimizer"); }},
      {"batch_size is for optimizer = 'adam' alone", call({.batch_size = 4})},
      {"batch_size = 0, must be >= 1", call({.optimizer = TrainingOptimizer::adam, .batch_size = 0})},
      {"batch_size = 61, must be at most the 60 signals to train on",
       call({.optimizer = TrainingOptimizer::adam, .batch_size = 61})},
      {"validation = 1, must be between 0 and below 1", call({.optimizer = TrainingOptimizer::adam, .validation = 1})},
      {"validation is for optimizer = 'adam' alone", call({.validation = 0.5})},
      {"validation = 0.005 of 60 signals holds none out", call({.optimizer = TrainingOptimizer::adam, .validation = 0.005})},
      {"train: the gradient by 'layer.0.weight' is not finite after 0 steps; are the signals or reg too large?",
       [&problem] {
         Network<float> net("coupled", Matrix<float>(problem.D.cast<float>()), 1);
         const Matrix<float> X = 1e10F * problem.X.cast<float>(), targets = 1e30F * problem.Z.cast<float>();
         train<float>(net, X, 1e-3, {.loss = TrainingLoss::supervised}, targets);
       }},
      {"validate_every = 0, must be >= 1", call({.optimizer = TrainingOptimizer::adam, .validate_every = 0})},
      {"patience = 0, must be >= 1", call({.optimizer = TrainingOptimizer::adam, .patience = 0})},
      {"tol is for optimizer = 'backtracking' alone; 'adam' takes patience",
       call({.optimizer = TrainingOptimizer::adam, .tol = 1e-3})},
      {"learning_rate = 1e+300: the loss is not finite after 1 steps; use a smaller one",
       call({.optimizer = TrainingOptimizer::adam, .learning_rate = 1e300})},
      {"positive_steps = true, but the kind 'coupled' has no steps", call({.positive_steps = true})},
      {"train: X holds an entry of size 2.18e+200, must be at most 1e+150: its square overflows; scale signals and reg down",
       [&problem] {
         Network<double> net("step", problem.D, 3);
         train<double>(net, 1e200 * problem.X, 0.1);
       }},
  };
  for (const BadInput& row : rows) EXPECT_EQ(refusal_of(row.call), row.sentence);
  call({.max_iter = 2, .checkpoint = path})();
  EXPECT_EQ(refusal_of(call({.mode = TrainingMode::greedy, .max_iter = 2, .checkpoint = path, .resume = true})),
            "checkpoint " + path + " belongs to another run: it was made with mode = \"oneshot\", this run has \"greedy\"");
  // What only one of the two runs has counts too.
  Network<double> selecting("coupled", problem.D, 3, {.support_selection = SupportSelection{}});
  train<double>(selecting, problem.X, 0.1, {.max_iter = 2, .checkpoint = path, .overwrite_checkpoint = true});
  EXPECT_EQ(
      refusal_of(call({.max_iter = 2, .checkpoint = path, .resume = true})),
      "checkpoint " + path + " belongs to another run: it was made with support_selection = [1.2,13.0], this run has nothing");
}

}  // namespace
}  // namespace riata::testing
