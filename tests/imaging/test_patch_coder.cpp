// Clean patches from noisy ones, where the atoms are orthonormal: sparse codes, least squares and the weights have closed forms.
#include "riata/imaging/patch_coder.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "riata/datasets/generators.hpp"
#include "support/random_arrays.hpp"

namespace riata::testing {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;

constexpr double sigma = 2;

/// Fifteen cosines without mean over 4 x 4 pixels.
Matrix<float> cosines() { return datasets::dct_dictionary<float>(16, 16).rightCols(15); }

/// The estimate of one patch; `mixed` is the largest share of a fit that is not the first.
struct Expected {
  VectorXd patch;
  double weight = 0, mixed = 0;
};

/// Fits: the mean; least squares, with a ridge of 1e-4, on { j : |d_j^T x| > level sigma } for level = 5, 3, 2, at most eight of
/// them; the patch itself. Of a fit of size k the weight is exp(-(||r||^2 / sigma^2 + 1.2 k (1 + log(16 / k))) / 4).
Expected expected_of(const VectorXd& noisy, const MatrixXd& D) {
  const double mean = noisy.mean();
  const VectorXd x = noisy.array() - mean, c = D.transpose() * x;
  std::vector<double> largest;
  for (const double v : c) largest.push_back(std::abs(v));
  std::ranges::sort(largest, std::greater());
  std::vector<VectorXd> fits{VectorXd::Zero(16)};
  std::vector<double> sizes{0};
  for (const double level : {5.0, 3.0, 2.0}) {
    fits.push_back(VectorXd::Zero(16));
    sizes.push_back(0);
    for (Index j = 0; j < 15; ++j)
      if (std::abs(c(j)) > level * sigma && std::abs(c(j)) >= largest[7]) {
        fits.back() += c(j) / (1 + 1e-4) * D.col(j);
        ++sizes.back();
      }
  }
  fits.push_back(x);
  sizes.push_back(15);
  std::vector<double> w;
  double sum = 0, size = 0;
  for (std::size_t i = 0; i < 5; ++i) {
    const double k = sizes[i], price = k == 0 ? 0 : 1.2 * k * (1 + std::log(16 / k));
    w.push_back(std::exp(-((x - fits[i]).squaredNorm() / (sigma * sigma) + price) / 4));
    sum += w[i];
  }
  Expected expected{VectorXd::Constant(16, mean)};
  for (std::size_t i = 0; i < 5; ++i) {
    expected.patch += w[i] / sum * fits[i];
    size += w[i] / sum * sizes[i];
    if (i > 0) expected.mixed = std::max(expected.mixed, std::min(w[i] / sum, 1 - w[i] / sum));
  }
  expected.weight = 1 / (1 + size);
  return expected;
}

/// Patches from flat to rich. No correlation is so near a threshold that the tolerance of the codes decides: a gap of 1e-4 of
/// 1/2 ||x||^2 leaves a correlation of reg + 0.01 ||x|| without a code.
Matrix<float> draw_patches(const MatrixXd& D, Index n) {
  Draw draw(1);
  Matrix<float> patches(16, n);
  for (Index i = 0; i < n;) {
    const MatrixXd z = draw.sparse_matrix(15, 1, draw.uniform()) * draw.log_uniform(0.1, 20) * sigma;
    const VectorXd x = (D * z + sigma * draw.uniform(0, 1.2) * draw.normal_vector(16)).array() + 100;
    patches.col(i) = x.cast<float>();
    const VectorXd c = D.transpose() * x;
    double nearest = INFINITY;
    for (const double v : c)
      for (const double level : {5.0, 3.0, 2.0}) nearest = std::min(nearest, std::abs(std::abs(v) / sigma - level));
    if (nearest * sigma > 0.01 * (x.array() - x.mean()).matrix().norm()) ++i;
  }
  return patches;
}

TEST(PatchCoder, AveragesTheFitsOfItsPath_WithExponentialWeights) {
  const Matrix<float> D = cosines();
  const MatrixXd D_double = D.cast<double>();
  const Matrix<float> patches = draw_patches(D_double, 300);
  const PatchEstimate estimate = estimate_by_aggregation(patches, D, sigma, {});
  ASSERT_EQ(estimate.patches.cols(), 300);
  ASSERT_EQ(estimate.weights.size(), 300);
  int n_mixed = 0;
  for (Index i = 0; i < 300; ++i) {
    const Expected expected = expected_of(patches.col(i).cast<double>(), D_double);
    EXPECT_LE((estimate.patches.col(i).cast<double>() - expected.patch).cwiseAbs().maxCoeff(), 1e-3) << "patch " << i;
    EXPECT_NEAR(estimate.weights(i), expected.weight, 1e-4 * expected.weight) << "patch " << i;
    n_mixed += expected.mixed > 0.05;
  }
  EXPECT_GT(n_mixed, 100);  // where the weights decide
}

TEST(PatchCoder, GivesFlatPatchesBack_WithTheLargestWeight) {
  const Matrix<float> flat = Matrix<float>::Constant(16, 2, 77.0f);
  const PatchEstimate estimate = estimate_by_aggregation(flat, cosines(), 1e-3, {});
  EXPECT_LE((estimate.patches - flat).cwiseAbs().maxCoeff(), 1e-4f);
  EXPECT_LE((estimate.weights.array() - 1).abs().maxCoeff(), 0.15f);  // the patch itself, of size 15, has weight e^-4.8
}

TEST(PatchCoder, Unrolled_GivesTheCodesOfItsLayers_AllWithTheSameWeight) {
  const Matrix<float> D = cosines();
  const MatrixXd D_double = D.cast<double>();
  const Matrix<float> patches = draw_patches(D_double, 200);
  for (const int layers : {1, 4}) {  // of orthonormal atoms one layer is enough
    const PatchEstimate estimate = estimate_by_unrolling(patches, D, 3 * sigma, layers, {});
    EXPECT_TRUE((estimate.weights.array() == 1).all() && estimate.weights.size() == 200);
    MatrixXd codes = D_double.transpose() * patches.cast<double>();
    for (double& z : codes.reshaped()) z = z > 0 ? std::max(z - 3 * sigma, 0.0) : std::min(z + 3 * sigma, 0.0);
    EXPECT_LE((estimate.patches.cast<double>() - D_double * codes).cwiseAbs().maxCoeff(), 1e-3);
  }
}

TEST(PatchCoder, BitsDoNotDependOnThreads) {
  const Matrix<float> D = datasets::dct_dictionary<float>(16, 40);
  const Matrix<float> patches = draw_patches(cosines().cast<double>(), 300);
  const PatchEstimate one = estimate_by_aggregation(patches, D, sigma, {.n_threads = 1});
  const PatchEstimate two = estimate_by_aggregation(patches, D, sigma, {.n_threads = 2});
  EXPECT_TRUE(one.patches == two.patches && one.weights == two.weights);
}

}  // namespace
}  // namespace riata::testing
