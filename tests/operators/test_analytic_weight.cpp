#include "riata/operators/analytic_weight.hpp"

#include <gtest/gtest.h>

#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>

#include "riata/operators/convolutional_dictionary.hpp"
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

/// All translates of all kernels that meet the support of a kernel, cut to it: as columns, those that are not moved first.
MatrixXd translates(const MatrixXd& atoms, Eigen::Index n_channels) {
  const Eigen::Index L = atoms.rows() / n_channels, K = atoms.cols();
  MatrixXd all = MatrixXd::Zero(atoms.rows(), K * (2 * L - 1));
  all.leftCols(K) = atoms;
  Eigen::Index column = K;
  for (Eigen::Index s = 1 - L; s < L; ++s)
    for (Eigen::Index k = 0; s != 0 && k < K; ++k, ++column)
      for (Eigen::Index c = 0; c < n_channels; ++c)
        for (Eigen::Index l = std::max<Eigen::Index>(0, s); l < std::min(L, L + s); ++l)
          all(c * L + l, column) = atoms(c * L + l - s, k);
  return all;
}

TEST(AnalyticWeight, OfAConvolution_IsThatOfItsTranslates) {
  Draw draw(4);
  const auto rank_one = [&](Eigen::Index C, Eigen::Index L, Eigen::Index K) {
    return ConvolutionalDictionary<double>::rank_one(draw.atoms(C, K), draw.atoms(L, K), {.n_channels = C, .n_times = 50},
                                                     tukey_window<double>(L));
  };
  const std::vector<ConvolutionalDictionary<double>> dictionaries{
      {draw.atoms(7, 1), {.n_channels = 1, .n_times = 50}},
      {draw.atoms(9, 4), {.n_channels = 1, .n_times = 50}},
      {3 * draw.normal_matrix(24, 5), {.n_channels = 3, .n_times = 50}},
      rank_one(2, 6, 5),
      rank_one(8, 6, 3)};  // more channels than atoms: the kernels span three
  for (const auto& D : dictionaries) {
    const MatrixXd W = D.analytic_weight(), atoms = D.atoms(), all = translates(atoms, D.shape().n_channels);
    const double rho = 0.01 * (all * all.transpose()).eval().selfadjointView<Eigen::Lower>().eigenvalues().maxCoeff();
    MatrixXd with_rho(all.rows(), all.cols() + all.rows());
    with_rho << all, std::sqrt(rho) * MatrixXd::Identity(all.rows(), all.rows());
    const MatrixXd expected = analytic_weight<double>(with_rho).leftCols(D.n_atoms());
    EXPECT_LE((W - expected).norm(), 1e-9 * expected.norm()) << atoms.rows();
    EXPECT_LT((W.transpose() * all).norm(), (atoms.transpose() * all).norm() / atoms.colwise().squaredNorm().minCoeff());
    for (Eigen::Index k = 0; k < D.n_atoms(); ++k) EXPECT_NEAR(W.col(k).dot(atoms.col(k)), 1, 1e-12);
    EXPECT_EQ(D.unstructured()->parameters().at("kernels"), atoms);
  }
}

TEST(AnalyticWeight, OfConvolutionsThatHaveNone_IsRefusedInASentence) {
  Draw draw(5);
  EXPECT_EQ(refusal_of(
                [] { ConvolutionalDictionary<double>(MatrixXd::Zero(6, 2), {.n_channels = 2, .n_times = 9}).analytic_weight(); }),
            "analytic_weight: the dictionary is zero");
  EXPECT_EQ(
      refusal_of(
          [&] { ConvolutionalDictionary<double>(draw.atoms(7000, 1), {.n_channels = 1, .n_times = 9000}).analytic_weight(); }),
      "analytic_weight: kernels of 7000 samples in 1 channels that are independent need a matrix of 7000 x 7000, must be of "
      "at most 6000 x 6000; take fewer samples or fewer channels");
}

TEST(AnalyticWeight, BadInputs_AreRefusedInASentence) {
  EXPECT_EQ(refusal_of([] { analytic_weight<double>(MatrixXd(0, 0)); }), "analytic_weight: the dictionary is empty");
  EXPECT_EQ(refusal_of([] { analytic_weight<double>(MatrixXd::Zero(3, 4)); }), "analytic_weight: the dictionary is zero");
  EXPECT_EQ(refusal_of([] { analytic_weight<double>(MatrixXd::Constant(1, 1, NAN)); }),
            "analytic_weight: dictionary holds nan at atom 0, feature 0; expected finite numbers");
}

}  // namespace
}  // namespace riata::testing
