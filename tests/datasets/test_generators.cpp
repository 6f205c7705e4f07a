// The seeded generators: what their names promise, in both precisions.
#include "riata/datasets/generators.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "support/precision.hpp"
#include "support/random_arrays.hpp"
#include "support/sentences.hpp"

namespace riata::testing {
namespace {

using namespace datasets;  // NOLINT(google-build-using-namespace)
using Eigen::MatrixXd;
using Eigen::VectorXd;

template <class T>
class Generators : public ::testing::Test {};
TYPED_TEST_SUITE(Generators, BothPrecisions, PrecisionName);

template <class T>
MatrixXd in_double(const Matrix<T>& A) {
  return A.template cast<double>();
}

TYPED_TEST(Generators, GaussianAtoms_AreUniformOnTheSphere) {
  using T = TypeParam;
  const MatrixXd D = in_double<T>(gaussian_dictionary<T>(3, 20000, 1));
  EXPECT_LE((D.colwise().norm().array() - 1).abs().maxCoeff(), 4 * epsilon<T>);
  // The mean of D D^T is I / 3, the fourth moment of an entry 1/5, each to five of its standard deviations.
  const MatrixXd second = D * D.transpose() / 20000;
  EXPECT_LE((second - MatrixXd::Identity(3, 3) / 3).cwiseAbs().maxCoeff(), 5 * 0.3 / 141);
  EXPECT_LE(D.rowwise().mean().cwiseAbs().maxCoeff(), 5 * 0.58 / 141);
  EXPECT_NEAR(D.row(1).array().pow(4).mean(), 0.2, 5 * 0.27 / 141);
}

TYPED_TEST(Generators, CosinesAreABasis_WhereThereAreAsManyAsFeatures) {
  using T = TypeParam;
  for (const Index n : {1, 2, 15, 16, 49}) {
    const MatrixXd D = in_double<T>(dct_dictionary<T>(n, n));
    EXPECT_LE((D.transpose() * D - MatrixXd::Identity(n, n)).cwiseAbs().maxCoeff(), 20 * epsilon<T>) << n;
    EXPECT_LE((D.col(0).array() - 1 / std::sqrt(static_cast<double>(n))).abs().maxCoeff(), 4 * epsilon<T>);
  }
}

/// How often a wave crosses zero, along the first of its lines that is not zero.
Index n_crossings(const VectorXd& wave) {
  Index n = 0;
  for (Index i = 1; i < wave.size(); ++i) n += wave(i) * wave(i - 1) < 0;
  return n;
}

TEST(Cosines, OverSquaresAreProductsOfTwoWaves_LowFrequenciesFirst) {
  const Matrix<double> D = dct_dictionary<double>(36, 36);
  double last = -1;
  for (Index j = 0; j < 36; ++j) {
    const MatrixXd square = D.col(j).reshaped(6, 6);  // its column is a row of pixels
    const VectorXd u = square.col(0) / square(0, 0), v = square.row(0);
    EXPECT_LE((square - u * v.transpose()).norm(), 1e-13) << "atom " << j;
    const auto frequency = static_cast<double>(n_crossings(u) * n_crossings(u) + n_crossings(v) * n_crossings(v));
    EXPECT_GE(frequency, last) << "atom " << j;
    last = frequency;
  }
  const Matrix<double> line = dct_dictionary<double>(15, 15);
  for (Index j = 0; j < 15; ++j) EXPECT_EQ(n_crossings(line.col(j)), j);
}

TEST(Cosines, ThatAreOvercomplete_DifferAndHaveNoMeanButTheFirst) {
  for (const Index n : {15, 16}) {
    const Matrix<double> D = dct_dictionary<double>(n, 3 * n);
    MatrixXd cosines = (D.transpose() * D).cwiseAbs();
    cosines.diagonal().setZero();
    EXPECT_LT(cosines.maxCoeff(), 0.999) << n;
    EXPECT_LE(D.rightCols(3 * n - 1).colwise().sum().cwiseAbs().maxCoeff(), 1e-13);
    EXPECT_LE((D.colwise().norm().array() - 1).abs().maxCoeff(), 1e-15);
  }
}

TYPED_TEST(Generators, APlantedProblem_IsAtomsTimesSparseNormalCodesPlusNoise) {
  using T = TypeParam;
  const PlantedOptions options{.n_features = 12, .n_atoms = 20, .n_signals = 2000, .density = 0.25, .noise_std = 0.2, .seed = 3};
  const Planted<T> problem = planted<T>(options);
  EXPECT_EQ(problem.dictionary.rows(), 12);
  EXPECT_EQ(problem.dictionary.cols(), 20);
  EXPECT_EQ(problem.codes.rows(), 20);
  EXPECT_EQ(problem.codes.cols(), 2000);
  EXPECT_EQ(problem.signals.rows(), 12);
  EXPECT_EQ(problem.signals.cols(), 2000);
  EXPECT_LE((in_double<T>(problem.dictionary).colwise().norm().array() - 1).abs().maxCoeff(), 4 * epsilon<T>);

  const auto five_sigma = [](double sigma, double n) { return 5 * sigma / std::sqrt(n); };
  const MatrixXd Z = in_double<T>(problem.codes);
  const double n_kept = static_cast<double>((Z.array() != 0).count());
  EXPECT_NEAR(n_kept / 40000, 0.25, five_sigma(0.433, 40000));
  EXPECT_NEAR(Z.squaredNorm() / n_kept, 1, five_sigma(1.42, n_kept));
  EXPECT_NEAR(Z.sum() / n_kept, 0, five_sigma(1, n_kept));
  for (Index j = 0; j < 20; ++j)  // every atom, and no signal more than another
    EXPECT_NEAR((Z.row(j).array() != 0).cast<double>().mean(), 0.25, five_sigma(0.433, 2000)) << j;

  const MatrixXd noise = in_double<T>(problem.signals) - in_double<T>(problem.dictionary) * Z;
  EXPECT_NEAR(noise.squaredNorm() / 24000, 0.04, 0.04 * five_sigma(1.42, 24000));
  EXPECT_NEAR((noise * Z.transpose()).cwiseAbs().maxCoeff() / 2000, 0, 6 * 0.2 * 0.5 / std::sqrt(2000.0));
}

TYPED_TEST(Generators, EachThingThatIsDrawn_HasItsOwnNumbers) {
  using T = TypeParam;
  const PlantedOptions options{.n_features = 7, .n_atoms = 9, .n_signals = 40, .density = 0.4, .seed = 8};
  const Planted<T> base = planted<T>(options), again = planted<T>(options);
  EXPECT_TRUE(base.dictionary == again.dictionary && base.codes == again.codes && base.signals == again.signals);
  EXPECT_TRUE((base.dictionary == gaussian_dictionary<T>(7, 9, 8)));

  PlantedOptions other = options;
  other.noise_std = 0;
  const Planted<T> clean = planted<T>(other);
  EXPECT_TRUE(clean.dictionary == base.dictionary && clean.codes == base.codes);
  EXPECT_LE((in_double<T>(clean.signals) - in_double<T>(clean.dictionary) * in_double<T>(clean.codes)).cwiseAbs().maxCoeff(),
            50 * epsilon<T>);
  other = options;
  other.density = 0.2;  // fewer of the same numbers
  const Planted<T> sparser = planted<T>(other);
  EXPECT_TRUE(((sparser.codes.array() == 0) || (sparser.codes.array() == base.codes.array())).all());
  EXPECT_LT((sparser.codes.array() != 0).count(), (base.codes.array() != 0).count());
  other.density = other.noise_std = 1;
  const Planted<T> full = planted<T>(other);
  EXPECT_TRUE((full.codes.array() != 0).all());
  const MatrixXd noise = in_double<T>(full.signals) - in_double<T>(full.dictionary) * in_double<T>(full.codes);
  int like_codes = 0, like_atoms = 0;
  for (Index i = 0; i < 63; ++i) {
    like_codes += noise.data()[i] * full.codes.data()[i] > 0;
    like_atoms += noise.data()[i] * full.dictionary.data()[i] > 0;
  }
  EXPECT_LT(std::abs(like_codes - 31), 20);
  EXPECT_LT(std::abs(like_atoms - 31), 20);
  other = options;
  other.seed = 9;
  const Planted<T> unlike = planted<T>(other);
  EXPECT_TRUE(unlike.dictionary != base.dictionary && unlike.codes != base.codes);
  EXPECT_TRUE((unlike.codes.array() != 0).matrix() != (base.codes.array() != 0).matrix());
}

TYPED_TEST(Generators, SignalsOnBInfinity_HaveTheLargestCorrelationOne_UnderEveryLaw) {
  using T = TypeParam;
  const Matrix<T> D = gaussian_dictionary<T>(8, 3, 4);
  const auto drawn = [&](SignalLaw law, std::uint64_t seed) { return in_double<T>(signals_on_b_infinity(D, 30, law, seed)); };
  const MatrixXd gaussian = drawn(SignalLaw::gaussian, 1), coding = drawn(SignalLaw::coding, 1);
  for (const SignalLaw law : {SignalLaw::gaussian, SignalLaw::coding, SignalLaw::sphere}) {
    const MatrixXd X = drawn(law, 1), c = in_double<T>(D).transpose() * X;
    EXPECT_EQ(X.cols(), 30);
    EXPECT_LE((c.colwise().template lpNorm<Eigen::Infinity>().array() - 1).abs().maxCoeff(), 20 * epsilon<T>);
    EXPECT_TRUE(X == drawn(law, 1) && X != drawn(law, 2));
    EXPECT_TRUE(in_double<T>(scale_to_b_infinity<T>((4 * X).cast<T>(), D)).isApprox(X, 10 * epsilon<T>));
  }
  // A uniform direction is that of a normal vector; D z lies in the span of three atoms, of which 8 dimensions have five more.
  EXPECT_TRUE(drawn(SignalLaw::sphere, 1).isApprox(gaussian, 20 * epsilon<T>));
  MatrixXd Q = in_double<T>(D);
  for (Index j = 0; j < 3; ++j) {
    for (Index k = 0; k < j; ++k) Q.col(j) -= Q.col(k).dot(Q.col(j)) * Q.col(k);
    Q.col(j).normalize();
  }
  EXPECT_LE((coding - Q * (Q.transpose() * coding)).norm(), 1e3 * epsilon<T> * coding.norm());
  EXPECT_GT((gaussian - Q * (Q.transpose() * gaussian)).norm(), 0.5 * gaussian.norm());
}

TYPED_TEST(Generators, APerturbedAtom_MovesByTheSpreadOfTheEntries) {
  using T = TypeParam;
  Draw draw(5);
  const Matrix<T> D = draw.normal_matrix(4000, 2).cast<T>() * T(3);
  for (const double relative : {0.0, 0.5, 2.0}) {
    const MatrixXd moved = in_double<T>(perturbed<T>(D, relative, 6));
    for (Index j = 0; j < 2; ++j) {
      const double cosine = moved.col(j).dot(in_double<T>(D).col(j).normalized());
      EXPECT_NEAR(cosine, 1 / std::sqrt(1 + relative * relative), relative == 0 ? 1e-5 : 0.04);
    }
    EXPECT_LE((moved.colwise().norm().array() - 1).abs().maxCoeff(), 10 * epsilon<T>);
  }
  EXPECT_TRUE(perturbed<T>(D, 0.5, 6) == perturbed<T>(D, 0.5, 6) && perturbed<T>(D, 0.5, 6) != perturbed<T>(D, 0.5, 7));
  const Matrix<T> flat = Matrix<T>::Constant(4, 3, T(0.5));  // no spread: only scaled to norm 1, which it has
  EXPECT_TRUE(perturbed<T>(flat, 0.5, 6) == flat);
}

TEST(GeneratorInput, ThatIsBad_IsRefused) {
  const Matrix<double> D = Matrix<double>::Identity(3, 2), apart = Matrix<double>::Identity(3, 3).rightCols(1);
  const Matrix<double> bad = Matrix<double>::Constant(3, 1, NAN), longer = Matrix<double>::Ones(4, 1);
  const BadInput table[] = {
      {"gaussian_dictionary: 0 features and 5 atoms, must be at least 1", [] { gaussian_dictionary<double>(0, 5, 0); }},
      {"dct_dictionary: 5 features and 0 atoms, must be at least 1", [] { dct_dictionary<double>(5, 0); }},
      {"gaussian_dictionary: 1048576 features times 1048577 atoms do not fit in memory",
       [] { gaussian_dictionary<double>(1 << 20, (1 << 20) + 1, 0); }},
      {"planted: 0 signals, must be at least 1", [] { planted<double>({.n_signals = 0}); }},
      {"planted: density = 0, must be in (0, 1]", [] { planted<double>({.density = 0}); }},
      {"planted: density = 1.5, must be in (0, 1]", [] { planted<double>({.density = 1.5}); }},
      {"planted: noise_std = -0.1, must be >= 0", [] { planted<double>({.noise_std = -0.1}); }},
      {"signals_on_b_infinity: 0 signals, must be at least 1", [&] { signals_on_b_infinity(D, 0, SignalLaw::sphere, 0); }},
      {"signals_on_b_infinity: D holds nan at atom 0, feature 0; expected finite numbers",
       [&] { signals_on_b_infinity(bad, 1, SignalLaw::sphere, 0); }},
      {"scale_to_b_infinity: signals have 4 features but atoms have 3; they must be equal",
       [&] { scale_to_b_infinity(longer, D); }},
      {"scale_to_b_infinity: X holds nan at signal 0, feature 0; expected finite numbers", [&] { scale_to_b_infinity(bad, D); }},
      {"scale_to_b_infinity: signal 0 is orthogonal to every atom", [&] { scale_to_b_infinity(apart, D); }},
      {"perturbed: relative = inf, must be finite", [&] { perturbed(D, INFINITY, 0); }},
      {"law = 'normal', must be 'gaussian', 'coding' or 'sphere'", [] { parse<SignalLaw>("normal", "law"); }},
  };
  for (const BadInput& row : table) EXPECT_EQ(refusal_of(row.call), row.sentence);
  EXPECT_EQ(parse<SignalLaw>("gaussian", "law"), SignalLaw::gaussian);
  EXPECT_EQ(parse<SignalLaw>("coding", "law"), SignalLaw::coding);
  EXPECT_EQ(parse<SignalLaw>("sphere", "law"), SignalLaw::sphere);
}

}  // namespace
}  // namespace riata::testing
