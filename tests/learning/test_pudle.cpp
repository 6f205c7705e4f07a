// PUDLE and NOODL: what their layers and steps are, and what they find.
#include <gtest/gtest.h>

#include <cmath>

#include "riata/datasets/generators.hpp"
#include "riata/learning/learn_dictionary.hpp"
#include "support/precision.hpp"
#include "support/random_arrays.hpp"
#include "support/sentences.hpp"

namespace riata::testing {
namespace {

using Real64 = Eigen::MatrixXd;

/// N layers z <- keep(z + alpha D^T (x - D z), k), by plain loops.
template <class Keep>
Real64 layers(const Real64& D, const Real64& X, int n_layers, double alpha, const Keep& keep) {
  Real64 Z = Real64::Zero(D.cols(), X.cols());
  for (int k = 0; k < n_layers; ++k) {
    const Real64 V = Z + alpha * (D.transpose() * (X - D * Z));
    for (Eigen::Index i = 0; i < V.size(); ++i) Z(i) = keep(V(i), k);
  }
  return Z;
}

TEST(PudleLayers, KeepWhatIsBeyondAHardThreshold_AndDifferentiateIt) {
  Draw draw(11);
  const Real64 D = draw.atoms(8, 12), X = draw.normal_matrix(8, 5);
  const double b = 0.2;
  for (const std::optional<double> step : {std::optional<double>(0.15), std::optional<double>()}) {
    UnrolledDirection<double> direction(
        DenseDictionary<double>(D), b,
        {.network = {.n_layers = 6, .algorithm = Layers::ista}, .loss = Loss::least_squares, .step = step, .hard_threshold = b});
    const double alpha = step.value_or(1 / DenseDictionary<double>(D).squared_norm());
    const auto value = [&](const Real64& atoms) {
      const Real64 Z = layers(atoms, X, 6, alpha, [&](double v, int) { return std::abs(v) > b ? v : 0.0; });
      return 0.5 * (X - atoms * Z).squaredNorm() / 5;
    };
    const Sums<double> sums = direction.look({Matrix<double>(X)}, {.at = {{"dictionary", D}}, .gradient = {"dictionary"}}, {});
    EXPECT_NEAR(sums.value, value(D), 1e-13);
    Real64 differences(8, 12);
    for (Eigen::Index i = 0; i < D.size(); ++i) {
      const double h = 1e-6;
      Real64 up = D, down = D;
      up(i) += h;
      down(i) -= h;
      differences(i) = (value(up) - value(down)) / (2 * h);
    }
    EXPECT_LE((differences - sums.gradient.at("dictionary")).cwiseAbs().maxCoeff(), 1e-7);
  }
}

TEST(PudleLayers, ShrinkLessFromLayerToLayer_AsTheRunGoesOn) {
  Draw draw(12);
  const Real64 D = draw.atoms(8, 12), X = draw.normal_matrix(8, 5);
  UnrolledDirection<double> direction(
      DenseDictionary<double>(D), 0.3,
      {.network = {.n_layers = 6, .algorithm = Layers::ista}, .step = 0.15, .decay = {.drop = 0.02, .every = 10}});
  for (const auto& [iteration, beta] : std::map<Index, double>{{0, 1}, {9, 1}, {10, 0.98}, {57, 0.9}, {100000, 0.5}}) {
    const auto shrink = [&, beta = beta](double v, int k) {
      const double t = 0.15 * 0.3 * std::pow(beta, k);
      return v > t ? v - t : v < -t ? v + t : 0.0;
    };
    const Sums<double> sums =
        direction.look({Matrix<double>(X)}, {.at = {{"dictionary", D}}, .codes = true, .iteration = iteration}, {});
    EXPECT_TRUE(sums.codes.isApprox(layers(D, X, 6, 0.15, shrink), 1e-13)) << iteration;
  }
}

/// Codes of one sign or the other, of sizes from 1 to `largest`, k of them a signal.
struct Sparse {
  Matrix<double> dictionary, signals;
  Sparse(Index n, Index m, Index k, double largest, Index n_signals) {
    Draw draw(21);
    dictionary = draw.atoms(n, m);
    Matrix<double> codes = Matrix<double>::Zero(m, n_signals);
    for (Index i = 0; i < n_signals; ++i)
      for (Index a = 0; a < k; ++a)
        codes(draw.integer(0, static_cast<int>(m) - 1), i) = (draw.coin(0.5) ? 1 : -1) * draw.uniform(1, largest);
    signals = dictionary * codes;
  }
  double error(const Matrix<double>& D) const { return (D - dictionary).norm() / dictionary.norm(); }
};

TEST(Pudle, LeastSquaresWithDecayOrHardThresholds_ComeNearTheDictionary_WherePlainShrinkageStays) {
  const Sparse problem(100, 130, 3, 2, 1500);
  const Matrix<double> start = datasets::perturbed<double>(problem.dictionary, 0.25, 5);
  const auto error = [&](LearningMethod method, Threshold threshold) {
    const bool is_decayed = threshold == Threshold::decay;
    return problem.error(learn_dictionary<double>(problem.signals, start, 0.2,
                                                  {.method = method,
                                                   .n_layers = 30,
                                                   .batch_size = 100,
                                                   .threshold = threshold,
                                                   .decay = is_decayed ? std::optional(0.01) : std::nullopt,
                                                   .decay_every = is_decayed ? std::optional<Index>(20) : std::nullopt,
                                                   .learning_rate = 4e-3,
                                                   .max_iter = 120,
                                                   .replace_atoms = false})
                             .dictionary);
  };
  using enum LearningMethod;
  const double plain = error(pudle_ls, Threshold::soft);
  EXPECT_LT(plain, 0.05);
  EXPECT_LT(plain, 0.5 * error(pudle_lasso, Threshold::soft));
  EXPECT_LT(error(pudle_ls, Threshold::decay), 0.5 * plain);
  EXPECT_LT(error(pudle_ls, Threshold::hard), 0.5 * plain);
}

TEST(Noodl, RecoversADictionaryToRounding_WithoutLookingAtIt) {
  const Sparse problem(80, 100, 2, 1, 1500);
  const Matrix<double> start = datasets::perturbed<double>(problem.dictionary, 0.3, 5);
  EXPECT_GT(problem.error(start), 0.2);
  const auto learned = [&](double unit, int max_iter) {
    return learn_dictionary<double>(Matrix<double>(unit * problem.signals), start, 0.1 * unit,
                                    {.method = LearningMethod::noodl,
                                     .n_layers = 60,
                                     .batch_size = 500,
                                     .least_code = unit,
                                     .max_iter = max_iter,
                                     .replace_atoms = false})
        .dictionary;
  };
  EXPECT_LT(problem.error(learned(1, 50)), 1e-6);
  EXPECT_EQ(learned(0x1p-60, 3), learned(1, 3));
}

TEST(Arora, DirectionsAreThoseThatAreWritten) {
  Draw draw(23);
  const Real64 D = draw.atoms(6, 9), X = draw.normal_matrix(6, 40);
  const double least = 0.6;
  for (const bool unbiased : {false, true}) {
    Real64 g = Real64::Zero(6, 9);
    double size = 0;
    for (int k = 0; k < 40; ++k) {
      const auto beyond = [&](const Eigen::VectorXd& c) -> Eigen::VectorXd {
        return (c.array().abs() > least / 2).select(c, 0.0);
      };
      const Eigen::VectorXd x = X.col(k), z = beyond(D.transpose() * x);
      size += z.cwiseAbs().sum();
      for (int i = 0; i < 9; ++i) {
        Real64 B = D;
        if (unbiased)
          for (int j = 0; j < 9; ++j)
            if (j != i) B.col(j) -= D.col(i).dot(D.col(j)) * D.col(i);
        const Eigen::VectorXd z_i = beyond(B.transpose() * x);
        if (z_i(i) != 0) g.col(i) -= std::copysign(1.0, z_i(i)) * (x - B * z_i);
      }
    }
    g *= 9 / size;
    NoodlDirection<double> direction(DenseDictionary<double>(D),
                                     {.threshold = 0.1, .least_code = least, .n_layers = 0, .unbiased = unbiased});
    const Sums<double> sums = direction.look({Matrix<double>(X)}, {.at = {{"dictionary", D}}, .gradient = {"dictionary"}}, {});
    EXPECT_LE((sums.gradient.at("dictionary") - g).norm(), 1e-12 * g.norm()) << unbiased;
  }
}

TEST(Arora, ComesNearTheDictionary_AndWithoutBiasNearer_WhereNoodlGoesOn) {
  const Sparse problem(80, 100, 2, 1, 3000);
  const Matrix<double> start = datasets::perturbed<double>(problem.dictionary, 0.3, 5);
  const auto error = [&](LearningMethod method) {
    return problem.error(learn_dictionary<double>(problem.signals, start, 0.1,
                                                  {.method = method,
                                                   .n_layers = 60,
                                                   .batch_size = 500,
                                                   .learning_rate = 0.1,
                                                   .least_code = 1,
                                                   .max_iter = 80,
                                                   .replace_atoms = false})
                             .dictionary);
  };
  using enum LearningMethod;
  const double biased = error(arora), unbiased = error(arora_unbiased);
  EXPECT_LT(biased, 0.1);
  EXPECT_LT(unbiased, 0.7 * biased);
  EXPECT_LT(error(noodl), 0.1 * unbiased);
}

TEST(PudleAndNoodl, RefuseWhatDoesNotFit) {
  using enum LearningMethod;
  const auto with = [](const LearnOptions& options) { return [options] { options.validate(); }; };
  const BadInput table[] = {
      {"threshold is for the methods 'pudle_*', not for 'unrolled'", with({.threshold = Threshold::hard})},
      {"threshold = 'hard' has no lasso loss; choose 'pudle_ls' or 'pudle_dec'",
       with({.method = pudle_lasso, .threshold = Threshold::hard})},
      {"hard thresholds are for the penalty 'l1' without positive and weights",
       with({.method = noodl, .penalty = {.positive = true}})},
      {"step and learning_rate are for 'pudle_*', 'noodl' and 'arora*', not for 'online'", with({.method = online, .step = 0.1})},
      {"eps is for the methods 'pudle_*', not for 'noodl'", with({.method = noodl, .eps = 1e-8})},
      {"least_code is for the methods 'noodl' and 'arora*', not for 'pudle_ls'", with({.method = pudle_ls, .least_code = 1})},
      {"loss: method 'pudle_dec' has its own", with({.method = pudle_dec, .loss = Loss::least_squares})},
      {"decay = 0.5, must be > 0 and < 0.5", with({.method = pudle_ls, .threshold = Threshold::decay, .decay = 0.5})},
      {"decay and decay_every are for threshold = 'decay'", with({.method = pudle_ls, .decay = 0.01})},
      {"step and lipschitz_bound = 'frobenius' exclude each other",
       with({.method = pudle_ls, .step = 0.2, .lipschitz_bound = LipschitzBound::frobenius})},
      {"method 'noodl' takes no mask; choose one by gradients: 'unrolled', 'stochastic', 'pudle_lasso'",
       [] {
         const Matrix<double> X = Matrix<double>::Ones(3, 8), seen = Matrix<double>::Constant(3, 8, 0.5);
         learn_dictionary<double>({X, seen}, 4, 0.1, {.method = noodl});
       }},
      {"decay = 1.1, must be > 0 and <= 1", [] { UnrolledOptions{.decay = 1.1}.validate(); }},
  };
  for (const BadInput& row : table) EXPECT_EQ(refusal_of(row.call), row.sentence);
}

}  // namespace
}  // namespace riata::testing
