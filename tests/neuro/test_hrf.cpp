#include "riata/neuro/hrf.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "support/sentences.hpp"

namespace riata::testing {
namespace {

TEST(Hrf, PeaksAndUndershootsWhenTheModelsDo) {
  for (const auto& [model, peak, trough] : {std::tuple{HrfModel::spm, 5.0, 15.7}, {HrfModel::glover, 5.4, 13.0}}) {
    const Vector<double> h = hrf(0.01, model);
    Index highest, lowest;
    h.maxCoeff(&highest);
    h.minCoeff(&lowest);
    EXPECT_NEAR(0.01 * static_cast<double>(highest), peak, 0.35) << to_string(model);
    EXPECT_NEAR(0.01 * static_cast<double>(lowest), trough, 1.5) << to_string(model);
    EXPECT_LT(h.minCoeff(), -0.05 * h.maxCoeff());
    EXPECT_GT(h.minCoeff(), -0.3 * h.maxCoeff());
    EXPECT_EQ(h(0), 0);
    EXPECT_NEAR(h.sum(), 1, 1e-14);
  }
}

TEST(Hrf, SpmIsTheDifferenceOfItsDensities) {
  const Vector<double> h = hrf(2);
  const auto value = [](double t) {
    return std::pow(t, 5) * std::exp(-t) / 120 - std::pow(t, 15) * std::exp(-t) / std::tgamma(16) / 6;
  };
  ASSERT_EQ(h.size(), 17);
  for (Index i = 1; i < 17; ++i) EXPECT_NEAR(h(i) / h(3), value(2.0 * static_cast<double>(i)) / value(6), 1e-12) << i;
}

TEST(Hrf, DilationSpeedsItUp) {
  const Vector<double> plain = hrf(1, HrfModel::glover, 1), fast = hrf(0.5, HrfModel::glover, 2);
  ASSERT_EQ(fast.size(), plain.size());
  EXPECT_LE((fast - plain).cwiseAbs().maxCoeff(), 1e-15);
}

TEST(Hrf, BadTimesAreRefused) {
  EXPECT_EQ(refusal_of([] { hrf(0); }), "hrf: tr = 0, must be between 0.01 and 10 seconds");
  EXPECT_EQ(refusal_of([] { hrf(std::nan("")); }), "hrf: tr = nan, must be between 0.01 and 10 seconds");
  EXPECT_EQ(refusal_of([] { hrf(1, HrfModel::spm, 5); }), "hrf: dilation = 5, must be between 0.25 and 4");
}

}  // namespace
}  // namespace riata::testing
