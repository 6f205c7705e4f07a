// FISTA's momenta and restarts against their definitions and rates.
#include <gtest/gtest.h>

#include "riata/solvers/encode.hpp"
#include "support/lasso_iterates.hpp"
#include "support/lasso_problems.hpp"
#include "support/precision.hpp"
#include "support/unrolled_oracle.hpp"

namespace riata::testing {
namespace {

/// FISTA by its definition, for one signal, in double; shares no code with the library.
std::vector<Eigen::VectorXd> plain_fista(const Eigen::MatrixXd& D, const Eigen::VectorXd& x, double reg,
                                         const EncodeOptions& options, int n_iterations) {
  const double L = lipschitz_of(D);
  const LassoOracle oracle(D, {}, false);
  Eigen::VectorXd z = Eigen::VectorXd::Zero(D.cols()), y = z;
  std::vector<Eigen::VectorXd> all = {z};
  int k = 1;  // since the last restart
  double t = 1;
  for (int n = 0; n < n_iterations; ++n) {
    const Eigen::VectorXd v = y - D.transpose() * (D * y - x) / L, before = z;
    z = v.cwiseSign().cwiseProduct((v.cwiseAbs().array() - reg / L).cwiseMax(0).matrix());
    const bool uphill = (y - z).dot(z - before) > 0;
    const bool risen = n > 0 && oracle.objective(x, z, reg) > oracle.objective(x, before, reg);
    if ((options.restart == Restart::gradient && uphill) || (options.restart == Restart::objective && risen)) k = 1, t = 1;
    const double t_next = (1 + std::sqrt(1 + 4 * t * t)) / 2;
    double momentum = (t - 1) / t_next;
    if (options.momentum == Momentum::chambolle_dossal) momentum = (k - 1) / (k + options.momentum_delay);
    if (options.momentum == Momentum::greedy) momentum = k == 1 ? 0 : 1;
    y = z + momentum * (z - before);
    t = t_next;
    ++k;
    all.push_back(z);
  }
  return all;
}

TEST(FistaMomenta, FollowTheirDefinitions) {
  const Matrix<double> D = Draw(241).atoms(15, 30), X = Draw(242).normal_matrix(15, 4);
  for (const Momentum momentum : {Momentum::beck_teboulle, Momentum::chambolle_dossal, Momentum::greedy})
    for (const Restart restart : {Restart::never, Restart::gradient, Restart::objective}) {
      if (momentum == Momentum::greedy && restart == Restart::never) continue;
      const EncodeOptions options{.method = Solver::fista, .momentum = momentum, .momentum_delay = 4, .restart = restart};
      const Iterates run = iterates_of(X, D, 0.1, options, 60);
      for (Index i = 0; i < X.cols(); ++i) {
        const auto plain = plain_fista(D, X.col(i), 0.1, options, 60);
        for (std::size_t k = 0; k <= 60; ++k)
          EXPECT_LE((run.codes[k].col(i) - plain[k]).cwiseAbs().maxCoeff(), 1e-11)
              << "momentum " << static_cast<int>(momentum) << ", restart " << static_cast<int>(restart) << ", iteration " << k;
      }
    }
}

TEST(FistaMomenta, KeepTheRateOfChambolleAndDossal) {
  const Matrix<double> D = Draw(243).atoms(15, 40), X = Draw(244).normal_matrix(15, 6);
  const LassoOracle oracle(D, {}, false);
  const auto best = encode<double>(X, DenseDictionary(D), 0.05, {.method = Solver::coordinate_descent, .tol = 1e-14});
  for (const double a : {2.0, 3.0, 6.0}) {
    const Iterates run = iterates_of(
        X, D, 0.05,
        {.method = Solver::fista, .momentum = Momentum::chambolle_dossal, .momentum_delay = a, .restart = Restart::never}, 150);
    for (int k = 1; k <= 150; ++k)
      for (Index i = 0; i < X.cols(); ++i) {
        const double t = (k + a - 1) / a;
        EXPECT_LE(oracle.objective(X.col(i), run.codes[static_cast<std::size_t>(k)].col(i), 0.05) -
                      oracle.objective(X.col(i), best.codes.col(i), 0.05),
                  lipschitz_of(D) * best.codes.col(i).squaredNorm() / (2 * t * t))
            << "a = " << a << ", iteration " << k;
      }
  }
}

TEST(FistaMomenta, ReachThePromisedGapWithAnyRestart) {
  for (int seed = 0; seed < n_random_problems() / 4; ++seed) {
    const auto problem = random_lasso<double>(seed);
    if (problem.fraction < 0.1) continue;
    for (const Momentum momentum : {Momentum::beck_teboulle, Momentum::chambolle_dossal, Momentum::greedy})
      for (const Restart restart : {Restart::gradient, Restart::objective}) {
        const auto result = encode<double>(problem.X, DenseDictionary(problem.D), Reg(problem.regs),
                                           {.method = Solver::fista,
                                            .tol = 1e-9,
                                            .max_iter = 200'000,
                                            .momentum = momentum,
                                            .restart = restart,
                                            .penalty = problem.penalty,
                                            .execution = {}});
        for (const Status status : result.status)
          EXPECT_EQ(status, Status::converged) << problem.describe() << ", momentum " << static_cast<int>(momentum);
      }
  }
}

}  // namespace
}  // namespace riata::testing
