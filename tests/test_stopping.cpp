// Every function that takes an Execution ends when it is asked to: at once if the first answer is yes, and within half a second
// wherever it is.
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>

#include "riata/core/error.hpp"
#include "riata/core/stopping.hpp"
#include "riata/imaging/denoise.hpp"
#include "riata/learning/learn_dictionary.hpp"
#include "riata/learning/recovery.hpp"
#include "riata/learning/train.hpp"
#include "riata/neuro/sparse_inverse.hpp"
#include "riata/solvers/certificate.hpp"
#include "riata/solvers/debias.hpp"
#include "riata/solvers/encode.hpp"
#include "riata/solvers/encode_stream.hpp"
#include "riata/solvers/implicit.hpp"
#include "riata/solvers/joint.hpp"
#include "riata/solvers/lars.hpp"
#include "riata/solvers/omp.hpp"
#include "riata/unrolled/jacobian.hpp"
#include "riata/unrolled/stability.hpp"
#include "riata/unrolled/unrolled.hpp"
#include "support/random_arrays.hpp"

namespace riata::testing {
namespace {

using Clock = std::chrono::steady_clock;
using Call = std::function<void(const Execution&)>;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

/// A run that keeps what it has returns so; as an exception here.
template <class Result>
void throw_if_stopped(const Result& result) {
  if (result.status == Status::interrupted) throw Interrupted();
}

std::map<std::string, Call> calls_on(const Matrix<double>& X, const DenseDictionary<double>& D, const Network<double>& net) {
  const double reg = 0.1;
  const auto codes = [=](Index n_atoms, Index n) { return Matrix<double>(Matrix<double>::Zero(n_atoms, n)); };
  const Matrix<double> Z = codes(D.code_size(), X.cols());
  std::map<std::string, Call> calls;
  for (const Solver method : {Solver::automatic, Solver::ista, Solver::fista, Solver::oista, Solver::backtracking,
                              Solver::coordinate_descent, Solver::lars})
    calls[std::string("encode ") + to_string(method)] = [=](const Execution& e) {
      encode<double>(X, D, reg, {.method = method, .execution = e});
    };
  calls["encode_stream"] = [=](const Execution& e) {
    encode_stream<double>(X, D, reg, [](CodeBlock<double>&&) {}, {.encode = {.execution = e}});
  };
  calls["joint_encode"] = [=](const Execution& e) { joint_encode<double>(X, D, reg, {.execution = e}); };
  calls["lasso_path"] = [=](const Execution& e) { lasso_path<double>(X.col(0), D, {.execution = e}); };
  calls["omp"] = [=](const Execution& e) { omp<double>(X, D, {.n_nonzero = 2, .execution = e}); };
  calls["debias"] = [=](const Execution& e) { debias<double>(X, D, Z, 0, e); };
  calls["reg_max"] = [=](const Execution& e) { reg_max<double>(X, D, {}, e); };
  calls["duality_gap"] = [=](const Execution& e) { duality_gap<double>(X, D, Z, reg, {}, e); };
  calls["lasso_objective"] = [=](const Execution& e) { lasso_objective<double>(X, D, Z, reg, {}, e); };
  calls["lasso_certificate"] = [=](const Execution& e) { lasso_certificate<double>(X, D, Z, reg, {}, e); };
  calls["kkt_violation"] = [=](const Execution& e) { kkt_violation<double>(X, D, Z, reg, {}, e); };
  calls["implicit_gradient"] = [=](const Execution& e) { implicit_gradient<double>(X, D, reg, Z, {.execution = e}); };
  calls["implicit_gradient at codes"] = [=](const Execution& e) {
    implicit_gradient<double>(X, D, reg, Z, {.execution = e}, &Z);
  };
  calls["implicit_jvp"] = [=](const Execution& e) {
    implicit_jvp<double>(X, D, reg, {.dictionary = D.atoms()}, {.execution = e});
  };
  calls["implicit_jacobian"] = [=](const Execution& e) { implicit_jacobian<double>(X.col(0), D, reg, 0, {.execution = e}); };
  calls["hypergradient"] = [=](const Execution& e) { hypergradient<double>(X, D, reg, X, D, {.execution = e}); };
  calls["unrolled_encode"] = [=](const Execution& e) { unrolled_encode<double>(X, D, reg, {.layers = 3, .execution = e}); };
  calls["unrolled_gradient"] = [=](const Execution& e) { unrolled_gradient<double>(X, D, reg, {.layers = 3, .execution = e}); };
  calls["unrolled_vjp"] = [=](const Execution& e) { unrolled_vjp<double>(X, D, reg, Z, {.layers = 3, .execution = e}); };
  calls["code_jacobian"] = [=](const Execution& e) { code_jacobian<double>(X.col(0), D, reg, 0, {.layers = 3, .execution = e}); };
  calls["unrolled_stability"] = [=](const Execution& e) {
    unrolled_stability<double>(X, D, reg, {.network = {.layers = 3, .execution = e}});
  };
  calls["Network.encode"] = [=](const Execution& e) { net.encode(X, reg, {.execution = e}); };
  calls["Network.outputs"] = [=](const Execution& e) { net.outputs(X, reg, {.execution = e}); };
  calls["Network.loss_gradient"] = [=](const Execution& e) { net.loss_gradient(X, reg, {}, {.execution = e}); };
  calls["Network.vjp"] = [=](const Execution& e) { net.vjp(X, reg, Z, {}, {.execution = e}); };
  calls["train"] = [=](const Execution& e) {
    Network<double> mine = net;
    throw_if_stopped(train<double>(mine, X, reg, {.execution = e}));
  };
  for (const LearningMethod method : {LearningMethod::unrolled, LearningMethod::alternating_exact})
    calls["learn_dictionary " + std::to_string(static_cast<int>(method))] = [=](const Execution& e) {
      throw_if_stopped(learn_dictionary<double>(X, D.atoms(), reg, {.method = method, .layers = 3, .execution = e}));
    };
  calls["sparse_inverse"] = [=](const Execution& e) {
    sparse_inverse(X, D.atoms(), Matrix<double>::Identity(X.rows(), X.rows()), Reg::fraction_of_max(0.5), {.execution = e});
  };
  return calls;
}

TEST(Stopping, AnAnswerOfYesEndsEveryCall_AtAnyNumberOfThreads) {
  Draw draw(1);
  const Matrix<double> X = draw.normal_matrix(6, 5);
  const DenseDictionary<double> D(draw.atoms(6, 9));
  const Network<double> net("step", D, 2);
  Picture picture{16, 16, 1, std::vector<float>(256)};
  for (float& sample : picture.samples) sample = static_cast<float>(draw.uniform(0, 255));
  auto calls = calls_on(X, D, net);
  calls["denoise"] = [=](const Execution& e) { denoise(picture, {.sigma = 25, .execution = e}); };
  for (const auto& [name, call] : calls)
    for (const int n_threads : {1, 2, 8}) {
      const Execution always{.n_threads = n_threads, .stop_requested = [] { return true; }};
      int n_stopped = 0;
      const int n_calls = name == "denoise" ? 20 : 1000;
      for (int i = 0; i < n_calls; ++i) try {
          call(always);
        } catch (const Interrupted&) {
          ++n_stopped;
        }
      EXPECT_EQ(n_stopped, n_calls) << name << ", " << n_threads << " threads";
    }
}

/// Half a second is promised; other tests run beside this one, and what did not hear took tens of seconds.
constexpr double patience = 2;

/// Seconds from the answer of yes, `after` so many seconds, to the end of the call.
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
  } catch (const Interrupted&) {
    return std::max(seconds_since(*said), longest_silence);
  }
  ADD_FAILURE() << "it ended before it was stopped, after " << seconds_since(start) << " s";
  return 0;
}

TEST(Stopping, LongCallsHearItWithinHalfASecond) {
  Draw draw(2);
  const Matrix<double> atoms = draw.atoms(700, 1400), X = draw.normal_matrix(700, 130);
  const DenseDictionary<double> D(atoms);
  const Matrix<double> small_X = draw.normal_matrix(10, 3);
  const DenseDictionary<double> small(draw.atoms(10, 20));
  const Matrix<double> Z = draw.normal_matrix(1400, 130);
  const std::map<std::string, Call> calls{
      {"fista",
       [&](const Execution& e) {
         encode<double>(X, D, Reg::fraction_of_max(1e-3),
                        {.method = Solver::fista, .tol = 0, .max_iter = 100000, .execution = e});
       }},
      {"coordinate descent",
       [&](const Execution& e) {
         encode<double>(X, D, Reg::fraction_of_max(1e-4),
                        {.method = Solver::coordinate_descent, .tol = 0, .max_iter = 100000, .execution = e});
       }},
      {"lars",
       [&](const Execution& e) {
         encode<double>(X.leftCols(3), D, Reg::fraction_of_max(1e-4),
                        {.method = Solver::lars, .tol = 0, .max_iter = 100000, .execution = e});
       }},
      {"lasso_path", [&](const Execution& e) { lasso_path<double>(X.col(0), D, {.execution = e}); }},
      {"omp", [&](const Execution& e) { omp<double>(X, D, {.n_nonzero = 700, .execution = e}); }},
      {"joint_encode",
       [&](const Execution& e) {
         joint_encode<double>(X, D, Reg::fraction_of_max(0.01), {.tol = 0, .max_iter = 100000, .execution = e});
       }},
      {"implicit_gradient", [&](const Execution& e) { implicit_gradient<double>(X, D, 0.1, Z, {.execution = e}, &Z); }},
      {"debias", [&](const Execution& e) { debias<double>(X, D, Z, 0, e); }},
      {"unrolled_encode", [&](const Execution& e) { unrolled_encode<double>(X, D, 0.01, {.layers = 100000, .execution = e}); }},
      {"few signals, many layers",
       [&](const Execution& e) { unrolled_encode<double>(small_X, small, 0.01, {.layers = 1000000, .execution = e}); }},
      {"code_jacobian",
       [&](const Execution& e) { code_jacobian<double>(X.col(0), D, 0.01, 0, {.layers = 1000, .execution = e}); }},
      {"unrolled_stability",
       [&](const Execution& e) {
         unrolled_stability<double>(X, D, 0.01, {.network = {.layers = 100, .execution = e}, .directions = 1});
       }},
      {"exact norm",
       [&](const Execution& e) {
         const StopScope scope(e);
         for (int i = 0; i < 100; ++i) D.squared_norm();
       }},
      {"analytic weight",
       [&](const Execution& e) {
         const StopScope scope(e);
         Network<double>("alista", D, 2);
       }},
      {"assignment",
       [&](const Execution& e) {
         const StopScope scope(e);
         for (int i = 0; i < 1000; ++i) recovery_score<double>(X, atoms);
       }},
  };
  for (const auto& [name, call] : calls)
    for (const int n_threads : {1, 2}) EXPECT_LT(seconds_to_stop(call, n_threads, 0.15), patience) << name << ", " << n_threads;
}

}  // namespace
}  // namespace riata::testing
