// Views of signals and masks: what had to be copied lives as long as a view of it.
#include "riata/terms/batch.hpp"

#include <gtest/gtest.h>

#include "riata/learning/sampler.hpp"
#include "support/random_arrays.hpp"

namespace riata::testing {
namespace {

using MatrixXd = Matrix<double>;
using RowMajor = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

struct Drawn {
  Draw draw{41};
  MatrixXd X = draw.normal_matrix(12, 90), W = draw.normal_matrix(12, 90).cwiseAbs().cwiseMin(1.0);
};

/// Writes over memory that was given back.
std::vector<MatrixXd> others() { return std::vector<MatrixXd>(50, MatrixXd::Constant(12, 90, 7)); }

void expect_shows(const Batch<double>& batch, const MatrixXd& X, const MatrixXd& W) {
  const auto written = others();
  EXPECT_TRUE(batch.X == X);
  ASSERT_TRUE(batch.is_weighted());
  EXPECT_TRUE(*batch.weights == W);
}

TEST(Batch, KeepsWhatItHadToCopy) {
  const Drawn d;
  const Batch<double> of_expressions(2 * d.X, 0.5 * d.W);
  expect_shows(of_expressions, 2 * d.X, 0.5 * d.W);
  const RowMajor X = d.X, W = d.W;
  const Batch<double> of_rows(X, W);
  expect_shows(of_rows, d.X, d.W);
  const Batch<double> strided(d.X.transpose(), d.W.transpose());
  expect_shows(strided, d.X.transpose(), d.W.transpose());
}

TEST(Batch, SharesWhatItHadToCopy_WithItsCopies) {
  const Drawn d;
  const auto copied = [&] {
    const Batch<double> batch(2 * d.X, 0.5 * d.W), copy = batch;
    return std::vector<Batch<double>>{copy};
  }();
  expect_shows(copied[0], 2 * d.X, 0.5 * d.W);
}

TEST(Batch, CopiesNoMatrix) {
  const Drawn d;
  const Batch<double> whole(d.X, d.W), some(d.X.middleCols(3, 7), d.W.middleCols(3, 7));
  EXPECT_EQ(whole.X.data(), d.X.data());
  EXPECT_EQ(whole.weights->data(), d.W.data());
  EXPECT_EQ(some.X.data(), d.X.col(3).data());
  EXPECT_EQ(some.weights->data(), d.W.col(3).data());
}

TEST(Batch, TakesBooleansForWeights) {
  const Drawn d;
  const Eigen::Matrix<bool, Eigen::Dynamic, Eigen::Dynamic> seen = d.W.array() > 0.5;
  const Batch of_booleans(d.X, seen), of_comparison(d.X, d.W.array() > 0.5);
  expect_shows(of_booleans, d.X, seen.cast<double>());
  expect_shows(of_comparison, d.X, seen.cast<double>());
}

TEST(Samplers, KeepTheSignalsAndTargetsThatHadToBeCopied) {
  const Drawn d;
  const auto expect_all = [&](const Sample<double>& sample) {
    expect_shows(sample.batch, 2 * d.X, 0.5 * d.W);
    EXPECT_TRUE(*sample.targets == 3 * d.X);
  };
  FullBatch<double> full({2 * d.X, 0.5 * d.W}, 3 * d.X);
  expect_all(full.batch(0));
  MiniBatches<double> some({2 * d.X, 0.5 * d.W}, {.batch_size = 4}, 3 * d.X);
  expect_all(some.all());
  FullBatch<double> plain(2 * d.X);
  const auto written = others();
  EXPECT_TRUE(plain.batch(0).batch.X == 2 * d.X);
}

}  // namespace
}  // namespace riata::testing
