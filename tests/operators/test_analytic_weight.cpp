#include "riata/operators/analytic_weight.hpp"

#include <gtest/gtest.h>

#include "support/decompositions.hpp"
#include "support/random_arrays.hpp"
#include "support/sentences.hpp"

namespace riata::testing {
namespace {

using Eigen::MatrixXd;

double energy(const MatrixXd& W, const MatrixXd& D) { return (W.transpose() * D).squaredNorm(); }

/// sum_j 1 / (D_j^T (D D^T)^+ D_j)
double least_energy(const MatrixXd& D) {
  const MatrixXd P = pseudo_inverse(D * D.transpose());
  return (D.transpose() * P * D).diagonal().cwiseInverse().sum();
}

TEST(AnalyticWeight, OfAnyShapeAndRank_MeetsItsConstraintAndItsEnergy) {
  Draw draw(1);
  std::vector<MatrixXd> dictionaries{draw.atoms(8, 20), draw.atoms(20, 8), draw.atoms(9, 9), 7 * draw.normal_matrix(10, 30)};
  dictionaries.push_back(draw.normal_matrix(16, 5) * draw.normal_matrix(5, 40));  // rank 5
  dictionaries.push_back(draw.atoms(64, 256));
  for (const MatrixXd& D : dictionaries) {
    const MatrixXd W = analytic_weight<double>(D);
    ASSERT_EQ(W.rows(), D.rows());
    ASSERT_EQ(W.cols(), D.cols());
    for (Index j = 0; j < D.cols(); ++j) EXPECT_NEAR(W.col(j).dot(D.col(j)), 1, 1e-12);
    EXPECT_NEAR(energy(W, D), least_energy(D), 1e-9 * energy(W, D));
  }
}

TEST(AnalyticWeight, IsWhereProjectedGradientGoes) {
  Draw draw(2);
  const MatrixXd D = draw.atoms(10, 30), expected = analytic_weight<double>(D);
  MatrixXd W = D;
  const double step = 1 / (D * D.transpose()).norm();
  for (int k = 0; k < 5000; ++k) {
    W -= step * D * (D.transpose() * W - MatrixXd::Identity(30, 30));
    for (Index j = 0; j < 30; ++j) W.col(j) += (1 - D.col(j).dot(W.col(j))) * D.col(j);
  }
  EXPECT_LE((W - expected).cwiseAbs().maxCoeff(), 1e-8);
}

TEST(AnalyticWeight, OfAnAtomThatIsZero_IsZero) {
  Draw draw(3);
  MatrixXd D = draw.atoms(8, 20);
  D.col(4).setZero();
  const MatrixXd W = analytic_weight<double>(D);
  EXPECT_TRUE(W.col(4).isZero(0));
  EXPECT_NEAR(W.col(5).dot(D.col(5)), 1, 1e-12);
}

TEST(AnalyticWeight, BadInputs_AreRefusedInASentence) {
  EXPECT_EQ(refusal_of([] { analytic_weight<double>(MatrixXd(0, 0)); }), "analytic_weight: the dictionary is empty");
  EXPECT_EQ(refusal_of([] { analytic_weight<double>(MatrixXd::Zero(3, 4)); }), "analytic_weight: the dictionary is zero");
  EXPECT_EQ(refusal_of([] { analytic_weight<double>(MatrixXd::Constant(1, 1, NAN)); }),
            "analytic_weight: dictionary holds nan at atom 0, feature 0; expected finite numbers");
}

}  // namespace
}  // namespace riata::testing
