// Lagged statistics of activations, the descent of patterns by them, and what mends patterns.
#include "riata/optim/pattern_descent.hpp"

#include <gtest/gtest.h>

#include "riata/learning/activation_direction.hpp"
#include "riata/learning/pattern_atoms.hpp"
#include "support/random_arrays.hpp"

namespace riata::testing {
namespace {

constexpr Index n_channels = 3, n_times = 60, L = 7, K = 4;

enum class Kind { rank_one, windowed, kernels };

ConvolutionalDictionary<double> patterns(Draw& draw, Kind kind) {
  if (kind == Kind::kernels) return {draw.atoms(n_channels * L, K), {n_channels, n_times}};
  return ConvolutionalDictionary<double>::rank_one(draw.atoms(n_channels, K), draw.atoms(L, K), {n_channels, n_times},
                                                   kind == Kind::windowed ? tukey_window<double>(L) : Vector<double>());
}

Matrix<double> decoded(const Dictionary<double>& D, const Matrix<double>& Z) {
  Matrix<double> X(D.signal_size(), Z.cols());
  D.apply(Z, X);
  return X;
}

class PatternStatistics : public ::testing::TestWithParam<Kind> {
 protected:
  double fit(const Parameters<double>& at) const { return (X_ - decoded(*D_.at(at), Z_)).squaredNorm() / 2; }
  Parameters<double> step(const Parameters<double>& at, double forgetting = -1) {
    const std::set<std::string> moves{"u", "v", "kernels"};
    PatternDescent<double> update(D_, forgetting < 0 ? std::nullopt : std::optional(forgetting));
    const auto outcome =
        answered<double, Outcome<double>>(update.step({.parameters = at, .moves = moves}), [&](const Question<double>& question) {
          EXPECT_TRUE(question.statistics);
          return Sums<double>{.value = 1, .statistics = lagged_statistics<double>(X_, Z_, D_)};
        });
    return outcome.parameters;
  }

  Draw draw_{3};
  ConvolutionalDictionary<double> D_ = patterns(draw_, GetParam());
  Matrix<double> Z_ = draw_.sparse_matrix(D_.code_size(), 2, 0.1);
  Matrix<double> X_ = draw_.normal_matrix(n_channels * n_times, 2);
};

/// 1/2 ||x - sum_k d_k * z_k||^2 = 1/2 ||x||^2 - sum_k <d_k, B_k> + 1/2 sum_kj <d_k, A_kj * d_j>
TEST_P(PatternStatistics, SayWhatTheFitIs) {
  const auto statistics = lagged_statistics<double>(X_, Z_, D_);
  const Matrix<double>&A = statistics.at("A"), &B = statistics.at("B"), d = D_.atoms();
  double value = X_.squaredNorm() / 2 - d.cwiseProduct(B).sum();
  for (Index k = 0; k < K; ++k)
    for (Index j = 0; j < K; ++j)
      for (Index c = 0; c < n_channels; ++c)
        for (Index l = 0; l < L; ++l)
          for (Index m = 0; m < L; ++m) value += d(c * L + l, k) * d(c * L + m, j) * A(j * (2 * L - 1) + l - m + L - 1, k) / 2;
  EXPECT_NEAR(value, fit(D_.parameters()), 1e-10);
}

TEST_P(PatternStatistics, LowerTheFitToWhereNoStepOnTheSphereDoes) {
  Parameters<double> at = D_.parameters();
  double value = fit(at);
  const double before = value;
  for (int k = 0; k < 400; ++k) {
    at = step(at);
    for (const auto& [name, values] : at) EXPECT_LE((values.colwise().norm().array() - 1).abs().maxCoeff(), 1e-12) << name;
    const double now = fit(at);
    ASSERT_LE(now, value * (1 + 1e-12));
    value = now;
  }
  EXPECT_LT(value, 0.97 * before);
  for (auto& [name, values] : at)  // the gradient along the sphere, by differences
    for (Index k = 0; k < K; ++k) {
      Vector<double> along = draw_.normal_vector(values.rows());
      along -= along.dot(values.col(k)) * values.col(k);
      along.normalize();
      const auto moved = [&](double h) {
        Parameters<double> other = at;
        other.at(name).col(k) += h * along;
        return fit(other);
      };
      EXPECT_NEAR((moved(1e-5) - moved(-1e-5)) / 2e-5, 0, 1e-4 * value) << name << " " << k;
    }
}

TEST_P(PatternStatistics, LeavePatternsThatMadeTheSignals) {
  X_ = decoded(D_, Z_);
  const Parameters<double> at = step(D_.parameters());
  for (const auto& [name, values] : D_.parameters()) EXPECT_LE((at.at(name) - values).cwiseAbs().maxCoeff(), 1e-10) << name;
}

TEST_P(PatternStatistics, LeaveThoseWithoutAnActivation) {
  Z_.middleRows(D_.n_positions(), D_.n_positions()).setZero();
  const Parameters<double> at = step(D_.parameters());
  for (const auto& [name, values] : D_.parameters()) {
    EXPECT_EQ(at.at(name).col(1), values.col(1)) << name;
    EXPECT_NE(at.at(name).col(0), values.col(0)) << name;
  }
}

INSTANTIATE_TEST_SUITE_P(Of, PatternStatistics, ::testing::Values(Kind::rank_one, Kind::windowed, Kind::kernels));

TEST(RunningStatistics, OfTheKthOfTBatchesCountKOverTToThePower) {
  constexpr double rho = 2;
  Draw draw(1);
  RunningStatistics running;
  std::vector<Parameters<double>> batches;
  for (int t = 1; t <= 5; ++t) {
    batches.push_back({{"A", draw.normal_matrix(6, 2)}, {"B", draw.normal_matrix(4, 2)}});
    running = running.with(batches.back(), rho);
  }
  Matrix<double> A = Matrix<double>::Zero(6, 2), B = Matrix<double>::Zero(4, 2);
  for (int k = 1; k <= 5; ++k) {
    A += std::pow(k / 5.0, rho) * batches[static_cast<std::size_t>(k - 1)].at("A");
    B += std::pow(k / 5.0, rho) * batches[static_cast<std::size_t>(k - 1)].at("B");
  }
  EXPECT_LE((running.A - A).cwiseAbs().maxCoeff(), 1e-14);
  EXPECT_LE((running.B - B).cwiseAbs().maxCoeff(), 1e-14);
  running.forget({1});
  EXPECT_TRUE(running.A.bottomRows(3).isZero(0) && running.A.col(1).isZero(0) && running.B.col(1).isZero(0));
  EXPECT_EQ(running.A.col(0).head(3), RunningStatistics(running).A.col(0).head(3));
  EXPECT_FALSE(running.A.col(0).head(3).isZero(0) || running.B.col(0).isZero(0));
}

/// Two channels, one pattern of a bump of 9 samples at six places, 20 samples long.
struct Bumps {
  Vector<double> bump =
      Vector<double>::NullaryExpr(9, [](Index l) { return std::sin(3.14159265 * (static_cast<double>(l) + 1) / 10); });
  Vector<double> u = Vector<double>::Constant(2, std::sqrt(0.5));
  Matrix<double> X = Matrix<double>::Zero(2 * 400, 1);
  Bumps() {
    bump.normalize();
    for (const Index t : {20, 90, 150, 210, 280, 350})
      for (Index c = 0; c < 2; ++c) X.col(0).segment(c * 400 + t, 9) += 5 * u(c) * bump;
  }
  ConvolutionalDictionary<double> patterns(const std::vector<Index>& begins) const {
    Matrix<double> v = Matrix<double>::Zero(20, std::ssize(begins));
    for (std::size_t k = 0; k < begins.size(); ++k)
      for (Index l = 0; l < 9; ++l)
        if (begins[k] + l >= 0 && begins[k] + l < 20) v(begins[k] + l, static_cast<Index>(k)) = bump(l);
    v.colwise().normalize();
    return ConvolutionalDictionary<double>::rank_one(u.replicate(1, v.cols()), v, {2, 400});
  }
};

const PatternCoder<double> coder = [](const ConstMatrixRef<double>& X, const ConvolutionalDictionary<double>& D) {
  return conv_encode<double>(X, D, 0.1, {.tol = 1e-2}).codes;
};

TEST(MendPatterns, MovesOneOfWhichAPartLiesOutside) {
  const Bumps made;
  const auto D = made.patterns({-4});  // the second half of a bump
  Parameters<double> at = D.parameters();
  const auto changed = mend_patterns<double>(at, D, {false}, Batch<double>(made.X), 0, coder);
  ASSERT_EQ(changed, std::vector<Index>{0});
  Index first = 0;
  Vector<double> found(12);  // of the whole bump, wherever it lies
  for (Index from = 0; from < 12; ++from) found(from) = at.at("v").col(0).segment(from, 9).dot(made.bump);
  EXPECT_LT(made.bump.tail(5).norm(), 0.8);  // which is what there was of it
  EXPECT_GT(found.maxCoeff(&first), 0.85);
  EXPECT_NEAR(static_cast<double>(first), 5.5, 2);  // in the middle
}

TEST(MendPatterns, MakesOneOfTwoThatShareAWaveform) {
  const Bumps made;
  const auto D = made.patterns({-3, 14});  // its last six samples, and its first six
  Parameters<double> at = D.parameters();
  EXPECT_EQ(mend_patterns<double>(at, D, {false, false}, Batch<double>(made.X), 0, coder), (std::vector<Index>{0, 1}));
  double of_bump = 0;
  for (Index from = 0; from < 12; ++from) of_bump = std::max(of_bump, at.at("v").col(0).segment(from, 9).dot(made.bump));
  EXPECT_LT(made.bump.tail(6).norm(), 0.9);  // which is what there was of it
  EXPECT_GT(of_bump, 0.95);
}

TEST(MendPatterns, LeavesWhatLiesInTheMiddle) {
  const Bumps made;
  const auto D = made.patterns({5});
  Parameters<double> at = D.parameters();
  EXPECT_TRUE(mend_patterns<double>(at, D, {false}, Batch<double>(made.X), 0, coder).empty());
  EXPECT_EQ(at, D.parameters());
}

TEST(MendPatterns, PutsWhatIsExplainedWorstInThePlaceOfACopyAtAnotherShift) {
  Bumps made;
  for (Index l = 0; l < 20; ++l) made.X(120 + l, 0) += l % 2 == 0 ? 3 : -3;  // which bumps do not explain
  const auto D = made.patterns({5, 9});
  Parameters<double> at = D.parameters();
  EXPECT_EQ(mend_patterns<double>(at, D, {false, false}, Batch<double>(made.X), 0, coder), (std::vector<Index>{0, 1}));
  double of_bump = 0;
  for (Index from = 0; from < 12; ++from) of_bump = std::max(of_bump, at.at("v").col(0).segment(from, 9).dot(made.bump));
  EXPECT_GT(of_bump, 0.98);
  double against = 0;
  for (Index l = 0; l < 20; ++l) against += (l % 2 == 0 ? 1 : -1) * at.at("v")(l, 1) / std::sqrt(20.0);
  EXPECT_GT(std::abs(against), 0.9);
  EXPECT_GT(std::abs(at.at("u")(0, 1)), 0.99);
}

}  // namespace
}  // namespace riata::testing
