// The QR decomposition whose columns come and go, against its definition.
#include "riata/linalg/growing_qr.hpp"

#include <gtest/gtest.h>

#include "support/random_arrays.hpp"

namespace riata::testing {
namespace {

void expect_factorises(const GrowingQr& qr, const std::vector<Eigen::VectorXd>& columns) {
  const auto k = static_cast<Index>(columns.size());
  ASSERT_EQ(qr.size(), k);
  if (k == 0) return;
  EXPECT_LE((qr.Q().transpose() * qr.Q() - Eigen::MatrixXd::Identity(k, k)).cwiseAbs().maxCoeff(), 1e-14);
  const Eigen::VectorXd b = Draw(301).normal_vector(k);
  const Eigen::VectorXd u = qr.Q() * qr.solve_transposed(b);
  for (Index j = 0; j < k; ++j) {
    const Eigen::VectorXd& a = columns[static_cast<std::size_t>(j)];
    EXPECT_LE((a - qr.Q() * (qr.Q().transpose() * a)).norm(), 1e-14 * (1 + a.norm()));
    EXPECT_NEAR(a.dot(u), b(j), 1e-13 * (1 + u.norm()));  // A^T Q R^-T b = b
  }
  const Eigen::VectorXd z = qr.solve(b);
  Eigen::VectorXd Az = Eigen::VectorXd::Zero(qr.Q().rows());
  for (Index j = 0; j < k; ++j) Az += columns[static_cast<std::size_t>(j)] * z(j);
  EXPECT_LE((Az - qr.Q() * b).norm(), 1e-14 * (1 + z.norm()) * double(k + 1));
}

TEST(GrowingQr, StaysADecomposition_AsColumnsComeAndGo) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    Draw draw(310 + seed);
    const Index n = draw.integer(1, 12);
    GrowingQr qr(n, 30);
    std::vector<Eigen::VectorXd> columns;
    for (int event = 0; event < 100; ++event) {
      if (!columns.empty() && draw.coin(0.4)) {
        const int k = draw.integer(0, static_cast<int>(columns.size()) - 1);
        qr.remove(k);
        columns.erase(columns.begin() + k);
      } else {
        const Eigen::VectorXd a = draw.normal_vector(n);
        const bool room = static_cast<Index>(columns.size()) < n;
        EXPECT_EQ(qr.append(a, 1e-12), room);
        if (room) columns.push_back(a);
      }
      expect_factorises(qr, columns);
    }
  }
}

TEST(GrowingQr, TellsNearlyDependentColumnsFromDependentOnes) {
  Draw draw(302);
  const Eigen::VectorXd a = draw.normal_vector(10), b = draw.normal_vector(10), noise = draw.normal_vector(10);
  for (const double distance : {1e-3, 1e-7, 1e-10, 1e-12}) {
    GrowingQr qr(10, 10);
    EXPECT_TRUE(qr.append(a, 1e-14) && qr.append(b, 1e-14));
    const Eigen::VectorXd near = 2 * a - b + distance * noise;
    EXPECT_FALSE(qr.append(2 * a - b, 1e-14));
    EXPECT_TRUE(qr.append(near, 1e-14)) << distance;
    expect_factorises(qr, {a, b, near});
    qr.remove(0);
    expect_factorises(qr, {b, near});
    EXPECT_FALSE(qr.append(Eigen::VectorXd::Zero(10), 1e-14));
  }
}

}  // namespace
}  // namespace riata::testing
