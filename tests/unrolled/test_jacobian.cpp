#include "riata/unrolled/jacobian.hpp"

#include <gtest/gtest.h>

#include "riata/solvers/implicit.hpp"
#include "support/decompositions.hpp"
#include "support/exact_codes.hpp"
#include "support/sentences.hpp"
#include "unrolled/networks.hpp"

namespace riata::testing {
namespace {

/// dz_N / dD_l by central differences of the oracle, its first N - K iterates held. One signal.
Eigen::MatrixXd jacobian_by_differences(DrawnNetwork net, Index row, int kept) {
  const Index n_atoms = net.input.D.cols();
  const auto n_held = std::ssize(net.trace.z) - kept;
  Eigen::MatrixXd J(n_atoms, n_atoms);
  for (Index k = 0; k < n_atoms; ++k) {
    const double before = net.input.D(row, k), h = 1e-5;
    const auto code = [&](double shift) {
      net.input.D(row, k) = before + shift;
      OracleTrace rerun;
      rerun.z.assign(net.trace.z.begin(), net.trace.z.begin() + n_held);
      rerun.y.assign(net.trace.y.begin(), net.trace.y.begin() + n_held);
      run_layers(net.oracle, net.input, rerun);
      net.input.D(row, k) = before;
      return Eigen::VectorXd(rerun.output(net.oracle).col(0));
    };
    J.col(k) = (8 * (code(h) - code(-h)) - (code(2 * h) - code(-2 * h))) / (12 * h);
  }
  return J;
}

template <class Visit>
void for_each_jacobian_case(const Visit& visit) {
  for (unsigned bits = 0; bits < 32; ++bits)
    for (const int kept : {0, 1, 3, 6})
      visit(NetworkCase{.algorithm = bits & 1 ? Layers::ista : Layers::fista,
                        .reduction = Reduction::sum,
                        .return_extrapolated = (bits & 2) != 0,
                        .positive = (bits & 4) != 0,
                        .weighted = (bits & 8) != 0,
                        .own_lipschitz = (bits & 16) != 0,
                        .kept = kept},
            std::uint64_t{5000} + bits);
}

TEST(CodeJacobian, EqualsFiniteDifferences_InEveryVariant) {
  for_each_jacobian_case([](const NetworkCase& kind, std::uint64_t seed) {
    const DrawnNetwork net = draw_network(kind, seed, 5, 7, 1);
    for (const Index row : {0, 4}) {
      const Matrix<double> J =
          code_jacobian<double>(net.input.X.col(0), net.input.D, net.reg(), row, net.options, net.gradient.backprop);
      EXPECT_LE((J - jacobian_by_differences(net, row, kind.kept)).norm(), 1e-8 * (1 + J.norm()))
          << kind.describe() << ", seed " << seed;
    }
  });
}

TEST(CodeJacobian, EqualsReverseMode) {
  // g2 = g1 + sum_l (row l) J_l^T (D^T (D z - x) + reg w sign z): the two modes share no line.
  for_each_jacobian_case([](const NetworkCase& kind, std::uint64_t seed) {
    const DrawnNetwork net = draw_network(kind, seed, 8, 12, 1);
    const auto reverse =
        unrolled_gradient<double>(net.input.X, DenseDictionary(net.input.D), net.reg(), net.options, net.gradient);
    const Eigen::VectorXd z = reverse.codes.col(0), r = net.input.D * z - net.input.X.col(0);
    const Eigen::VectorXd c = net.input.D.transpose() * r + net.input.reg(0) * net.oracle.weights.cwiseProduct(z.cwiseSign());
    Eigen::MatrixXd expected = r * z.transpose();
    for (Index row = 0; row < 8; ++row)
      expected.row(row) += c.transpose() * code_jacobian<double>(net.input.X.col(0), net.input.D, net.reg(), row, net.options,
                                                                 net.gradient.backprop);
    EXPECT_LE((reverse.parameters.at("dictionary") - expected).norm(), 1e-11 * (1 + expected.norm())) << kind.describe() << seed;
  });
}

/// One signal whose iterates settle on the exact support.
struct Settled {
  LassoBatch batch;
  Matrix<double> code;
  double lipschitz;
};

Settled draw_settled(std::uint64_t seed) {
  Settled problem;
  Eigen::MatrixXd code;
  problem.batch = draw_smooth_batch(seed, false, false, code, 10, 14, 1);
  problem.code = code;
  problem.lipschitz = lipschitz_of(problem.batch.D);
  return problem;
}

TEST(CodeJacobian, TendsToTheClosedForm) {
  for (std::uint64_t seed = 5100; seed < 5110; ++seed) {
    const auto [batch, code, L] = draw_settled(seed);
    for (const Layers method : {Layers::ista, Layers::fista}) {
      const Matrix<double> J =
          code_jacobian<double>(batch.X.col(0), batch.D, batch.reg(0), 3, {.n_layers = 20'000, .algorithm = method});
      const Matrix<double> limit = implicit_jacobian<double>(batch.X.col(0), batch.D, batch.reg(0), 3, {.tol = 1e-15});
      EXPECT_LE((J - limit).norm(), 1e-6 * (1 + limit.norm())) << "seed " << seed;
    }
  }
}

TEST(CodeJacobian, TheClosedFormIsAFixedPoint_AndItsResidualVanishes) {
  // R(J, S) = J^T (D^T D . 1_S) + d^2_21 f . 1_S per row l of D: (D^T D J)_S + (D_l z^T + (D_l^T z - x_l) I)_S
  for (std::uint64_t seed = 5100; seed < 5110; ++seed) {
    const auto [batch, code, L] = draw_settled(seed);
    for (Index row = 0; row < 10; ++row) {
      const Eigen::MatrixXd J = implicit_jacobian<double>(batch.X.col(0), batch.D, batch.reg(0), row, {.tol = 1e-15});
      const double residual = batch.D.row(row).dot(code.col(0)) - batch.X(row, 0);
      Eigen::MatrixXd R = batch.D.transpose() * batch.D * J + batch.D.row(row).transpose() * code.transpose();
      R.diagonal().array() += residual;
      for (Index j = 0; j < 14; ++j)
        if (code(j) == 0) R.row(j).setZero();
      EXPECT_LE(R.norm(), 1e-6 * (1 + J.norm())) << "seed " << seed << ", row " << row;
    }
  }
}

TEST(CodeJacobian, OnTheSupport_ObeysTheCorrectedBound) {
  // With S_k = S* for the last K layers, e_k = ||J_k - J*|| falls by 1 - mu/L per layer but for what the codes' own error
  // feeds it, (1/L) ||D_l (z_k - z*)^T + D_l^T (z_k - z*) I|| <= (2/L) ||D_l|| ||z_k - z*|| in the spectral norm.
  for (std::uint64_t seed = 5100; seed < 5110; ++seed) {
    const auto [batch, code, L] = draw_settled(seed);
    const int N = 2000;
    std::vector<Eigen::VectorXd> z;
    for (int k = 1; k <= N; ++k)
      if (k > N - 61)
        z.push_back(
            unrolled_encode<double>(batch.X, DenseDictionary(batch.D), batch.reg(0), {.n_layers = k, .algorithm = Layers::ista}));
    std::vector<Index> S;
    for (Index j = 0; j < 14; ++j)
      if (code(j) != 0) S.push_back(j);
    for (const auto& z_k : z) ASSERT_EQ((z_k.array() != 0).count(), std::ssize(S));
    const Eigen::VectorXd singular = singular_values_of(batch.D(Eigen::all, S));
    const double rho = 1 - singular(std::ssize(S) - 1) * singular(std::ssize(S) - 1) / L;
    const auto norm = [](const Eigen::MatrixXd& A) { return largest_singular_value(A); };
    for (const Index row : {0, 7}) {
      const Eigen::MatrixXd limit = implicit_jacobian<double>(batch.X.col(0), batch.D, batch.reg(0), row, {.tol = 1e-15});
      double bound = norm(limit);
      for (int K = 1; K <= 60; ++K) {
        const Eigen::MatrixXd J =
            code_jacobian<double>(batch.X.col(0), batch.D, batch.reg(0), row, {.n_layers = N, .algorithm = Layers::ista}, K);
        bound = std::pow(rho, K) * norm(limit);
        for (int k = 1; k <= K; ++k)
          bound +=
              std::pow(rho, k - 1) * 2 / L * batch.D.row(row).norm() * (z[static_cast<std::size_t>(60 - k)] - code.col(0)).norm();
        EXPECT_LE(norm(J - limit), bound * (1 + 1e-9) + 1e-6) << "seed " << seed << ", K = " << K;
      }
    }
  }
}

TEST(CodeJacobian, RefusesBadInput_WithOneSentence) {
  const Vector<double> x = Vector<double>::Ones(4);
  const DenseDictionary<double> D(Matrix<double>(Matrix<double>::Identity(4, 3)));
  const BadInput rows[] = {
      {"row = 4, must be between 0 and n_features - 1 = 3", [&] { code_jacobian<double>(x, D, 0.1, 4); }},
      {"row = -1, must be between 0", [&] { code_jacobian<double>(x, D, 0.1, -1); }},
      {"backprop = 21, must be between 0 and n_layers = 20", [&] { code_jacobian<double>(x, D, 0.1, 0, {}, 21); }},
      {"n_layers = 0, must be between 1", [&] { code_jacobian<double>(x, D, 0.1, 0, {.n_layers = 0}); }},
      {"code_jacobian: signals have 3 features but atoms have 4", [&] { code_jacobian<double>(x.head(3), D, 0.1, 0); }},
  };
  for (const BadInput& row : rows) EXPECT_EQ(refusal_of(row.call).substr(0, row.sentence.size()), row.sentence);
}

}  // namespace
}  // namespace riata::testing
