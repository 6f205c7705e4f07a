// Every function that takes an Execution ends when it is asked to: at once if the first answer is yes, and within half a second
// wherever it is.
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "riata/core/error.hpp"
#include "riata/core/stopping.hpp"
#include "riata/imaging/denoise.hpp"
#include "riata/learning/learn_dictionary.hpp"
#include "riata/learning/recovery.hpp"
#include "riata/learning/train.hpp"
#include "riata/neuro/sparse_inverse.hpp"
#include "riata/operators/analytic_weight.hpp"
#include "riata/optim/line_search.hpp"
#include "riata/solvers/certificate.hpp"
#include "riata/solvers/debias.hpp"
#include "riata/solvers/encode.hpp"
#include "riata/solvers/encode_stream.hpp"
#include "riata/solvers/implicit.hpp"
#include "riata/solvers/joint.hpp"
#include "riata/solvers/lars.hpp"
#include "riata/solvers/omp.hpp"
#include "riata/solvers/tv_solve.hpp"
#include "riata/terms/total_variation.hpp"
#include "riata/unrolled/jacobian.hpp"
#include "riata/unrolled/stability.hpp"
#include "riata/unrolled/unrolled.hpp"
#include "support/long.hpp"
#include "support/random_arrays.hpp"

namespace riata::testing {
namespace {

using Clock = std::chrono::steady_clock;
using Call = std::function<void(const Execution&)>;
using Calls = std::map<std::string, Call>;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

/// A run that keeps what it has returns so; as an exception here.
template <class Result>
void throw_if_stopped(const Result& result) {
  if (result.status == Status::interrupted) throw Interrupted();
}

constexpr Solver every_solver[] = {Solver::automatic,          Solver::ista, Solver::fista, Solver::oista, Solver::backtracking,
                                   Solver::coordinate_descent, Solver::lars};

/// Every function that takes an Execution, on these signals. They must outlive the calls.
struct Problem {
  Matrix<double> X;
  DenseDictionary<double> D;
  Network<double> net;
  Picture picture;
  int layers, max_iter;  // of what is as long as one likes
  double tol;
  double reg = 0.01;

  Calls solvers() const;
  Calls derivatives() const;
  Calls networks() const;
  Calls learners() const;
  Calls all() const {
    Calls calls = solvers();
    calls.merge(derivatives());
    calls.merge(networks());
    calls.merge(learners());
    return calls;
  }
  Matrix<double> codes() const { return D.atoms().transpose() * X; }
  PenaltyOptions groups() const {
    PenaltyOptions penalty{.kind = PenaltyKind::group,
                           .groups = std::vector<std::int64_t>(static_cast<std::size_t>(D.code_size()))};
    for (std::size_t j = 0; j < penalty.groups.size(); ++j) penalty.groups[j] = static_cast<std::int64_t>(j / 3);
    return penalty;
  }
};

Calls Problem::solvers() const {
  Calls calls;
  const EncodeOptions options{.tol = tol, .max_iter = max_iter};
  const auto with = [=](const Execution& e, Solver method = Solver::automatic, PenaltyOptions penalty = {}) {
    EncodeOptions o = options;
    o.method = method;
    o.penalty = std::move(penalty);
    o.execution = e;
    return o;
  };
  for (const Solver method : every_solver) {
    calls[std::string("encode ") + to_string(method)] = [=, this](const Execution& e) {
      encode<double>(X, D, reg, with(e, method));
    };
    calls[std::string("encode one, ") + to_string(method)] = [=, this](const Execution& e) {
      encode<double>(X.leftCols(1), D, reg, with(e, method));
    };
  }
  for (const Solver method : {Solver::ista, Solver::fista, Solver::backtracking})
    calls[std::string("encode groups ") + to_string(method)] = [=, this](const Execution& e) {
      encode<double>(X, D, reg, with(e, method, groups()));
    };
  calls["encode l0"] = [=, this](const Execution& e) {
    encode<double>(X, D, reg, with(e, Solver::ista, {.kind = PenaltyKind::l0}));
  };
  const Matrix<double> mask = Matrix<double>::Ones(X.rows(), X.cols());
  for (const Solver method : {Solver::ista, Solver::fista, Solver::backtracking})
    calls[std::string("encode masked, ") + to_string(method)] = [=, this](const Execution& e) {
      encode<double>({X, mask}, D, reg, with(e, method));
    };
  const CodeSink<double> nowhere = [](CodeBlock<double>&&) {};
  calls["encode_stream"] = [=, this](const Execution& e) { encode_stream<double>(X, D, reg, nowhere, {.encode = with(e)}); };
  const auto folder = std::filesystem::temp_directory_path();
  const std::filesystem::path output = folder / ("riata_stopped_" + std::to_string(::getpid()) + ".npz");
  calls["encode_stream to a file"] = [=, this](const Execution& e) {
    encode_stream<double>(X, D, reg, output, {.encode = with(e)});
  };
  calls["joint_encode"] = [=, this](const Execution& e) {
    joint_encode<double>(X, D, reg, {.tol = tol, .max_iter = max_iter, .execution = e});
  };
  calls["lasso_path"] = [=, this](const Execution& e) { lasso_path<double>(X.col(0), D, {.execution = e}); };
  calls["omp"] = [=, this](const Execution& e) {
    omp<double>(X, D, {.n_nonzero = static_cast<int>(X.rows() - 1), .execution = e});
  };
  const Matrix<double> Z = codes();
  calls["debias"] = [=, this](const Execution& e) { debias<double>(X, D, Z, 0, e); };
  calls["reg_max"] = [=, this](const Execution& e) { reg_max<double>(X, D, {}, e); };
  calls["resolve_reg"] = [=, this](const Execution& e) { resolve_reg<double>(Reg::fraction_of_max(0.5), X, D, {}, e); };
  calls["resolve_batch_reg"] = [=, this](const Execution& e) {
    resolve_batch_reg<double>(Reg::fraction_of_max(0.5), X, D, {}, e);
  };
  calls["duality_gap"] = [=, this](const Execution& e) { duality_gap<double>(X, D, Z, reg, {}, e); };
  calls["lasso_objective"] = [=, this](const Execution& e) { lasso_objective<double>(X, D, Z, reg, {}, e); };
  calls["lasso_certificate"] = [=, this](const Execution& e) { lasso_certificate<double>(X, D, Z, reg, {}, e); };
  calls["kkt_violation"] = [=, this](const Execution& e) { kkt_violation<double>(X, D, Z, reg, {}, e); };
  for (const TvSolver method :
       {TvSolver::working_set, TvSolver::synthesis, TvSolver::pgd, TvSolver::apgd, TvSolver::condat_vu, TvSolver::admm})
    calls[std::string("tv_solve ") + to_string(method)] = [=, this](const Execution& e) {
      tv_solve<double>(X, D, Reg::fraction_of_max(0.01), {.method = method, .tol = tol, .max_iter = max_iter, .execution = e});
    };
  calls["tv_certificate"] = [=, this](const Execution& e) { tv_certificate<double>(X, D, Z, reg, {}, e); };
  calls["tv_reg_max"] = [=, this](const Execution& e) { tv_reg_max<double>(X, D, {}, e); };
  calls["prox_tv"] = [=, this](const Execution& e) { prox_tv<double>(X, 1.0, e); };
  calls["prox_tv_vjp"] = [=, this](const Execution& e) { prox_tv_vjp<double>(X, 1.0, X, e); };
  calls["sparse_inverse"] = [=, this](const Execution& e) {
    sparse_inverse(X, D.atoms(), Matrix<double>::Identity(X.rows(), X.rows()), Reg::fraction_of_max(0.01),
                   {.tol = tol, .max_iter = max_iter, .execution = e});
  };
  calls["sparse_inverse l1"] = [=, this](const Execution& e) {
    sparse_inverse(X, D.atoms(), Matrix<double>::Identity(X.rows(), X.rows()), Reg::fraction_of_max(0.01),
                   {.penalty = SourcePenalty::l1, .tol = tol, .max_iter = max_iter, .execution = e});
  };
  return calls;
}

Calls Problem::derivatives() const {
  Calls calls;
  const Matrix<double> Z = codes();
  const auto network = [this](const Execution& e) { return UnrolledOptions{.n_layers = layers, .execution = e}; };
  calls["implicit_gradient"] = [=, this](const Execution& e) { implicit_gradient<double>(X, D, reg, Z, {.execution = e}); };
  calls["implicit_gradient at codes"] = [=, this](const Execution& e) {
    implicit_gradient<double>(X, D, reg, Z, {.execution = e}, Z);
  };
  calls["implicit_jvp"] = [=, this](const Execution& e) {
    implicit_jvp<double>(X, D, reg, {.dictionary = D.atoms()}, {.execution = e});
  };
  calls["implicit_jvp at codes"] = [=, this](const Execution& e) {
    implicit_jvp<double>(X, D, reg, {.dictionary = D.atoms()}, {.execution = e}, Z);
  };
  calls["implicit_jacobian"] = [=, this](const Execution& e) {
    implicit_jacobian<double>(X.col(0), D, reg, 0, {.execution = e});
  };
  calls["hypergradient"] = [=, this](const Execution& e) { hypergradient<double>(X, D, reg, X, D, {.execution = e}); };
  calls["hypergradient at codes"] = [=, this](const Execution& e) {
    hypergradient<double>(X, D, reg, X, D, {.execution = e}, Z);
  };
  calls["unrolled_encode"] = [=, this](const Execution& e) { unrolled_encode<double>(X, D, reg, network(e)); };
  calls["unrolled_encode one"] = [=, this](const Execution& e) { unrolled_encode<double>(X.leftCols(1), D, reg, network(e)); };
  calls["unrolled_loss"] = [=, this](const Execution& e) { unrolled_loss<double>(X, D, reg, network(e)); };
  calls["unrolled_gradient"] = [=, this](const Execution& e) { unrolled_gradient<double>(X, D, reg, network(e)); };
  calls["unrolled_vjp"] = [=, this](const Execution& e) { unrolled_vjp<double>(X, D, reg, Z, network(e)); };
  calls["code_jacobian"] = [=, this](const Execution& e) { code_jacobian<double>(X.col(0), D, reg, 0, network(e)); };
  calls["unrolled_stability"] = [=, this](const Execution& e) { unrolled_stability<double>(X, D, reg, {.network = network(e)}); };
  return calls;
}

Calls Problem::networks() const {
  Calls calls;
  const Matrix<double> Z = codes();
  calls["Network.encode"] = [=, this](const Execution& e) { net.encode(X, reg, {.execution = e}); };
  calls["Network.encode_certified"] = [=, this](const Execution& e) { net.encode_certified(X, reg, {}, {.execution = e}); };
  calls["Network.encode_certified, finished"] = [=, this](const Execution& e) {
    net.encode_certified(X, reg, {.finish = tol, .safeguard = true}, {.execution = e});
  };
  calls["Network.outputs"] = [=, this](const Execution& e) { net.outputs(X, reg, {.execution = e}); };
  calls["Network.loss"] = [=, this](const Execution& e) { net.loss(X, reg, {.execution = e}); };
  calls["Network.loss_gradient"] = [=, this](const Execution& e) {
    net.loss_gradient(X, reg, {.parameters = net.trainable(0, net.n_layers())}, {.execution = e});
  };
  calls["Network.vjp"] = [=, this](const Execution& e) { net.vjp(X, reg, Z, {.signals = true}, {.execution = e}); };
  return calls;
}

Calls Problem::learners() const {
  Calls calls;
  const auto training = [=, this](TrainingOptions options) {
    return [=, this](const Execution& e) {
      Network<double> mine = net;
      TrainingOptions o = options;
      o.execution = e;
      const Matrix<double> targets = o.loss == TrainingLoss::supervised ? codes() : Matrix<double>();
      throw_if_stopped(train<double>(mine, X, reg, o, targets.size() > 0 ? OptionalMatrixRef<double>(targets) : std::nullopt));
    };
  };
  calls["train"] = training({.max_iter = max_iter});
  calls["train supervised"] = training({.loss = TrainingLoss::supervised, .mode = TrainingMode::greedy, .max_iter = max_iter});
  calls["train semi"] = training({.loss = TrainingLoss::semi, .max_iter = max_iter});
  calls["train by Adam"] = training({.optimizer = TrainingOptimizer::adam, .validation = 0.4, .max_iter = max_iter});
  for (const auto& [name, method] : std::map<std::string, LearningMethod>{{"unrolled", LearningMethod::unrolled},
                                                                          {"alternating", LearningMethod::alternating},
                                                                          {"truncated", LearningMethod::truncated},
                                                                          {"exact", LearningMethod::alternating_exact},
                                                                          {"online", LearningMethod::online},
                                                                          {"stochastic", LearningMethod::stochastic},
                                                                          {"mod", LearningMethod::mod},
                                                                          {"ksvd", LearningMethod::ksvd},
                                                                          {"aksvd", LearningMethod::aksvd},
                                                                          {"arora_unbiased", LearningMethod::arora_unbiased},
                                                                          {"admm", LearningMethod::admm}})
    calls["learn_dictionary " + name] = [=, this, method = method](const Execution& e) {
      const bool by_pursuit = parts_of(method).codes == CodesBy::pursuit;
      throw_if_stopped(
          learn_dictionary<double>(X, D.atoms(), by_pursuit ? std::nullopt : std::optional<Reg>(reg),
                                   {.method = method,
                                    .n_layers = std::min(layers, 10000),
                                    .backprop = method == LearningMethod::truncated ? std::optional(1) : std::nullopt,
                                    .n_nonzero = by_pursuit ? std::optional(3) : std::nullopt,
                                    .max_iter = max_iter,
                                    .tol = tol,
                                    .execution = e}));
    };
  calls["learn_dictionary from data"] = [=, this](const Execution& e) {
    throw_if_stopped(
        learn_dictionary<double>(X, D.code_size(), reg, {.n_layers = 20, .max_iter = max_iter, .tol = tol, .execution = e}));
  };
  calls["Run.answer"] = [=, this](const Execution& e) {
    Run<double> run(
        std::make_unique<FullBatch<double>>(X),
        std::make_unique<UnrolledDirection<double>>(D, 0.1, UnrolledDirectionOptions{.network = {.n_layers = layers}}),
        std::make_unique<LineSearch<double>>(LineSearchOptions{}), {{.moves = {"dictionary"}}}, D.parameters());
    run.answer(*run.question(), e);
  };
  calls["denoise"] = [=, this](const Execution& e) { denoise(picture, {.sigma = 25, .execution = e}); };
  calls["denoise, plain"] = [=, this](const Execution& e) { denoise(picture, {.sigma = 25, .plain = true, .execution = e}); };
  calls["denoise, sigma unknown"] = [=, this](const Execution& e) { denoise(picture, {.learn = false, .execution = e}); };
  return calls;
}

Picture random_picture(Draw& draw, Index side) {
  Picture picture{side, side, 1, std::vector<float>(static_cast<std::size_t>(side * side))};
  for (float& sample : picture.samples) sample = static_cast<float>(draw.uniform(0, 255));
  return picture;
}

Problem problem(Index n_features, Index n_atoms, Index n_signals, Index side, int layers, int max_iter, double tol) {
  Draw draw(1);
  const Matrix<double> X = draw.normal_matrix(n_features, n_signals);
  const DenseDictionary<double> D(draw.atoms(n_features, n_atoms));
  return {X, D, Network<double>("step", D, 20), random_picture(draw, side), layers, max_iter, tol};
}

TEST(Stopping, AnAnswerOfYesEndsEveryCall_AtAnyNumberOfThreads) {
  const Problem small = problem(6, 9, 5, 16, 3, 10, 1e-6);
  for (const auto& [name, call] : small.all())
    for (const int n_threads : {1, 2, 8}) {
      const Execution always{.n_threads = n_threads, .stop_requested = [] { return true; }};
      int n_stopped = 0;
      const int n_calls = is_long() ? 1000 : 30;
      for (int i = 0; i < n_calls; ++i) try {
          call(always);
        } catch (const Interrupted&) {
          ++n_stopped;
        }
      EXPECT_EQ(n_stopped, n_calls) << name << ", " << n_threads << " threads";
    }
}

/// Half a second is promised; other tests run beside this one, and what did not hear took tens of seconds.
#ifdef RIATA_NO_DISPATCH  // sanitized, all takes ten times as long
constexpr double patience = 20;
#else
constexpr double patience = 2;
#endif

/// Seconds from the answer of yes, `after` so many seconds, to the end of the call, or without a question, if that was longer.
double seconds_to_stop(const Call& call, int n_threads, double after) {
  const auto start = Clock::now();
  std::optional<Clock::time_point> said;
  double longest_silence = 0;
  auto last_ask = start;
  const Execution execution{.n_threads = n_threads, .stop_requested = [&] {
                              longest_silence = std::max(longest_silence, seconds_since(last_ask));
                              last_ask = Clock::now();
                              if (seconds_since(start) < after) return false;
                              if (!said) said = Clock::now();
                              return true;
                            }};
  try {
    call(execution);
    EXPECT_FALSE(said) << "it went on to its end";
  } catch (const Interrupted&) {
    longest_silence = std::max(longest_silence, seconds_since(*said));
  }
  return longest_silence;
}

void expect_soon(const Calls& calls) {
  for (const auto& [name, call] : calls)
    for (const int n_threads : is_long() ? std::vector{1, 2, 8} : std::vector{2})
      EXPECT_LT(seconds_to_stop(call, n_threads, is_long() ? 0.2 : 0.03), patience) << name << ", " << n_threads << " threads";
}

/// Whose calls last for minutes, most of them in one tile or signal.
const Problem& long_problem() {
  static const Problem large = problem(500, 1000, 130, 400, 20'000, 1'000'000, 0);
  return large;
}

TEST(Stopping, SolversHearItSoon) { expect_soon(long_problem().solvers()); }
TEST(Stopping, DerivativesHearItSoon) { expect_soon(long_problem().derivatives()); }
TEST(Stopping, NetworksHearItSoon) { expect_soon(long_problem().networks()); }
TEST(Stopping, LearnersHearItSoon) { expect_soon(long_problem().learners()); }

TEST(Stopping, WhatTakesNoExecutionHearsThatAroundIt) {
  const Problem& large = long_problem();
  const auto within = [](const auto& work) {
    return [work](const Execution& e) {
      const StopScope scope(e);
      for (int i = 0; i < 1000; ++i) work();
    };
  };
  expect_soon({{"squared_norm", within([&] { large.D.squared_norm(); })},
               {"analytic_weight", within([&] { analytic_weight<double>(large.D.atoms()); })},
               {"recovery_score", within([&] { recovery_score<double>(large.X, large.D.atoms()); })},
               {"estimate_sigma", within([&] { estimate_sigma(large.picture); })},
               {"joint_certificate", within([&] { joint_certificate<double>(large.X, large.D, large.codes(), 0.1); })}});
}

}  // namespace
}  // namespace riata::testing
