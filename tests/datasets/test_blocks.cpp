#include "riata/datasets/blocks.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "riata/operators/causal_convolution.hpp"
#include "support/sentences.hpp"

namespace riata::testing {
namespace {

TEST(Blocks, HaveTheirJumps_AndExactlyTheirNoise) {
  const CausalConvolution<double> A(Vector<double>{{0.0, 0.5, 0.3, 0.2}}, 200);
  const auto made = datasets::blocks<double>(A, {.n_signals = 50, .density = 0.04, .snr_db = 6, .seed = 3});
  Matrix<double> clean(200, 50);
  A.apply(made.activity, clean);
  Index n_jumps = 0;
  for (Index i = 0; i < 50; ++i) {
    const double ratio = clean.col(i).norm() / (made.signals.col(i) - clean.col(i)).norm();
    EXPECT_NEAR(20 * std::log10(ratio), 6, 1e-10);
    Index of_signal = 0;
    for (Index t = 1; t < 200; ++t) of_signal += made.activity(t, i) != made.activity(t - 1, i);
    EXPECT_LE(of_signal, 8);
    n_jumps += of_signal;
  }
  EXPECT_GT(n_jumps, 50 * 7);
  EXPECT_EQ(datasets::blocks<double>(A, {.n_signals = 50, .density = 0.04, .snr_db = 6, .seed = 3}).signals, made.signals);
}

TEST(Blocks, BadSizesAreRefused) {
  const CausalConvolution<double> A(Vector<double>{{1.0}}, 10);
  EXPECT_EQ(refusal_of([&] { datasets::blocks<double>(A, {.density = 0}); }), "blocks: density = 0, must be in (0, 1]");
  EXPECT_EQ(refusal_of([&] { datasets::blocks<double>(A, {.n_signals = 0}); }),
            "blocks: n_signals = 0, must be at least 1 and fit in memory");
}

}  // namespace
}  // namespace riata::testing
