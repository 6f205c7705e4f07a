// The classics on codes by orthogonal matching pursuit: MOD, K-SVD and approximate K-SVD.
#include <gtest/gtest.h>

#include <Eigen/SVD>
#include <cmath>

#include "learning/results.hpp"
#include "riata/learning/learn_dictionary.hpp"
#include "riata/learning/pursuit_direction.hpp"
#include "riata/learning/recovery.hpp"
#include "riata/optim/ksvd.hpp"
#include "riata/optim/least_squares.hpp"
#include "support/precision.hpp"
#include "support/random_arrays.hpp"
#include "support/sentences.hpp"

namespace riata::testing {
namespace {

using Real64 = Eigen::MatrixXd;

/// Those that are not zero, atom by atom.
template <class T>
CodesByAtom<T> by_atom(const Matrix<T>& X, const Matrix<T>& D, const Matrix<T>& Z) {
  CodesByAtom<T> of{.residual = X - D * Z};
  for (Index j = 0; j < Z.rows(); ++j) {
    of.starts.push_back(std::ssize(of.values));
    for (Index i = 0; i < Z.cols(); ++i)
      if (Z(j, i) != 0) {
        of.signals.push_back(static_cast<int>(i));
        of.values.push_back(Z(j, i));
      }
  }
  of.starts.push_back(std::ssize(of.values));
  return of;
}
template <class T>
Matrix<T> dense(const CodesByAtom<T>& of, Index n_signals) {
  Matrix<T> Z = Matrix<T>::Zero(std::ssize(of.starts) - 1, n_signals);
  for (std::size_t j = 0; j + 1 < of.starts.size(); ++j)
    for (Index k = of.starts[j]; k < of.starts[j + 1]; ++k)
      Z(static_cast<Index>(j), of.signals[static_cast<std::size_t>(k)]) = of.values[static_cast<std::size_t>(k)];
  return Z;
}

template <class T>
class Classics : public ::testing::Test {
 protected:
  static constexpr Index n = 16, m = 20, n_signals = 800;
  Classics() {
    Draw draw(31);
    dictionary = draw.atoms(n, m).cast<T>();
    Real64 Z = Real64::Zero(m, n_signals);
    for (Index i = 0; i < n_signals; ++i)
      for (int k = 0; k < 3; ++k) Z(draw.integer(0, m - 1), i) = draw.normal();
    codes = Z.cast<T>();
    signals = dictionary * codes + (0.01 * draw.normal_matrix(n, n_signals)).cast<T>();
    start = draw.atoms(n, m).cast<T>();
  }
  LearnOptions options(LearningMethod method) const { return {.method = method, .n_nonzero = 3, .max_iter = 40, .seed = 1}; }
  Matrix<T> dictionary, codes, signals, start;
};
TYPED_TEST_SUITE(Classics, BothPrecisions, PrecisionName);

TYPED_TEST(Classics, RefitsAtoms_SoThatTheResidualIsThatOfTheCodesAndNeverRises) {
  using T = TypeParam;
  for (const RankOne rank_one : {RankOne::best, RankOne::alternation}) {
    Matrix<T> D = this->start;
    const Matrix<T> Z = this->codes + Matrix<T>::Constant(this->m, this->n_signals, T(0.1)).cwiseProduct(this->codes.cwiseSign());
    CodesByAtom<T> of = by_atom<T>(this->signals, D, Z);
    double before = of.residual.squaredNorm();
    for (int sweep = 0; sweep < 5; ++sweep) {
      refit_atoms(D, of, rank_one);
      const double after = of.residual.squaredNorm();
      EXPECT_LE(after, before * (1 + 10 * epsilon<T>)) << "sweep " << sweep;
      before = after;
      EXPECT_TRUE(D.colwise().norm().isOnes(10 * epsilon<T>));
      const Matrix<T> R = this->signals - D * dense(of, this->n_signals);
      EXPECT_LE((R - of.residual).cwiseAbs().maxCoeff(), 200 * epsilon<T>);
    }
  }
}

TYPED_TEST(Classics, RefitsAnAtomByTheBestApproximationOfRankOne) {
  using T = TypeParam;
  for (const Index j : {0, 7, 17}) {
    Matrix<T> Z = Matrix<T>::Zero(this->m, this->n_signals), D = this->start;
    Z.row(j) = this->codes.row(j);
    CodesByAtom<T> best = by_atom<T>(this->signals, D, Z), quick = best;
    Real64 E(this->n, std::ssize(best.signals));  // no other atom is in use
    for (Index k = 0; k < E.cols(); ++k)
      E.col(k) = this->signals.col(best.signals[static_cast<std::size_t>(k)]).template cast<double>();
    const double sigma = Eigen::JacobiSVD<Real64>(E).singularValues()(0), all = E.squaredNorm();
    const auto explained = [&](const CodesByAtom<T>& of) {
      double left = 0;
      for (const int i : of.signals) left += of.residual.col(i).template cast<double>().squaredNorm();
      return all - left;
    };
    Matrix<T> D_quick = D;
    refit_atoms(D, best, RankOne::best);
    refit_atoms(D_quick, quick, RankOne::alternation);
    EXPECT_NEAR(explained(best), sigma * sigma, 100 * epsilon<T> * all);
    // The alternation's step, from the codes given.
    const Eigen::VectorXd z = Z.row(j).transpose().template cast<double>();
    Eigen::VectorXd d = Eigen::VectorXd::Zero(this->n);
    for (const int i : quick.signals) d += z(i) * this->signals.col(i).template cast<double>();
    EXPECT_TRUE(D_quick.col(j).template cast<double>().isApprox(d.normalized(), 20 * epsilon<T>));
    EXPECT_LT(explained(quick), explained(best));
  }
}

TEST(LeastSquaresAtoms, FulfilTheNormalEquations_AlsoOfUnusedAndEqualCodes) {
  Draw draw(32);
  const Real64 D = draw.atoms(8, 12), X = draw.normal_matrix(8, 300);
  Real64 Z = draw.sparse_matrix(12, 300, 0.3);
  Z.row(4) *= 1e-6;
  const auto check = [&] {
    const Real64 A = Z * Z.transpose(), B = X * Z.transpose();
    const Matrix<double> moved = least_squares_atoms(D, A, B);
    const Real64 wrong = moved * A - B;
    for (Index j = 0; j < 12; ++j) EXPECT_LE(wrong.col(j).norm(), 1e-10 * B.col(j).norm()) << j;
    return moved;
  };
  check();
  Z.row(3).setZero();
  EXPECT_EQ(check().col(3), D.col(3));
  Z.row(5) = 2 * Z.row(6);  // any d_6 + 2 d_5 of the right sum is a minimiser
  const Matrix<double> moved = check();
  const Eigen::VectorXd step_5 = moved.col(5) - D.col(5), step_6 = moved.col(6) - D.col(6);
  EXPECT_LT(std::abs(step_5.normalized().dot(step_6.normalized()) - 1), 1e-10);
  EXPECT_EQ(refusal_of([&] { least_squares_atoms(D, Real64::Zero(11, 11), Real64::Zero(8, 12)); }),
            "least squares: A is 11 x 11 and B 8 x 12, must be 12 x 12 and 8 x 12, as the atoms are");
}

TYPED_TEST(Classics, AnswersWithTheCodesOfThePursuit_InAllFormsThatAreAsked) {
  using T = TypeParam;
  PursuitDirection<T> direction(DenseDictionary<T>(this->start), 2);
  const Sums<T> sums = direction.look(
      {this->signals},
      {.at = {{"dictionary", this->start}}, .statistics = true, .codes = true, .codes_by_atom = true, .usage = true}, {});
  const auto found = omp<T>(this->signals, DenseDictionary<T>(this->start), {.n_nonzero = 2});
  EXPECT_EQ(sums.codes, found.codes);
  EXPECT_EQ(dense(sums.by_atom, this->n_signals), found.codes);
  const Matrix<T> R = this->signals - this->start * found.codes;
  EXPECT_LE((sums.by_atom.residual - R).cwiseAbs().maxCoeff(), 20 * epsilon<T>);
  const double half_mean = R.template cast<double>().squaredNorm() / 2 / static_cast<double>(this->n_signals);
  EXPECT_NEAR(sums.value, half_mean, 10 * epsilon<T> * half_mean);
  const Matrix<T> A = found.codes * found.codes.transpose(), B = this->signals * found.codes.transpose();
  EXPECT_LE((sums.statistics.at("A") - A).norm(), 50 * epsilon<T> * A.norm());
  EXPECT_LE((sums.statistics.at("B") - B).norm(), 50 * epsilon<T> * B.norm());
  EXPECT_TRUE(sums.usage.isApprox(A.diagonal().template cast<double>(), 50 * epsilon<T>));
}

TYPED_TEST(Classics, FindAPlantedDictionary_FromSignals) {
  using T = TypeParam;
  for (const LearningMethod method : {LearningMethod::mod, LearningMethod::ksvd, LearningMethod::aksvd}) {
    const auto found = learn_dictionary<T>(this->signals, this->m, {}, this->options(method));
    EXPECT_GT(recovery_score<T>(found.dictionary, this->dictionary), 0.95) << to_string(method);
    EXPECT_LT(found.history.value.back(), 0.2 * found.initial_value) << to_string(method);
    EXPECT_EQ(found.n_nonzero, 3);
    EXPECT_TRUE(std::isnan(found.reg));
    EXPECT_TRUE(found.steps.empty() && !found.algorithm);
  }
}

TYPED_TEST(Classics, DependOnNeitherUnitNorThreadsNorMeans) {
  using T = TypeParam;
  for (const LearningMethod method : {LearningMethod::mod, LearningMethod::ksvd, LearningMethod::aksvd}) {
    LearnOptions options = this->options(method);
    options.max_iter = 6;
    options.execution.n_threads = 1;
    const auto plain = learn_dictionary<T>(this->signals, this->m, {}, options);
    options.execution.n_threads = 3;
    expect_same(learn_dictionary<T>(this->signals, this->m, {}, options), plain, to_string(method));
    for (const int e : {-45, 36}) {
      const auto scaled = learn_dictionary<T>(Matrix<T>(std::ldexp(T(1), e) * this->signals), this->m, {}, options);
      EXPECT_TRUE(scaled.dictionary.isApprox(plain.dictionary, 1e3 * epsilon<T>)) << to_string(method) << " 2^" << e;
    }
    options.reduction = Reduction::sum;
    const auto sums = learn_dictionary<T>(this->signals, this->m, {}, options);
    EXPECT_EQ(sums.dictionary, plain.dictionary) << to_string(method);
    EXPECT_NEAR(sums.initial_value, plain.initial_value * static_cast<double>(this->n_signals), 1e-9 * sums.initial_value);
  }
}

TYPED_TEST(Classics, TakeMiniBatches_AndGoOnBitForBit) {
  using T = TypeParam;
  for (const LearningMethod method : {LearningMethod::mod, LearningMethod::ksvd, LearningMethod::aksvd}) {
    LearnOptions options = this->options(method);
    options.batch_size = 150;
    options.validation = 0.1;
    options.max_iter = 25;
    const auto whole = learn_dictionary<T>(this->signals, this->m, {}, options);
    options.checkpoint = ::testing::TempDir() + "classics_" + std::string(to_string(method)) + (sizeof(T) == 4 ? "4" : "8");
    options.overwrite_checkpoint = true;
    options.max_iter = 12;
    learn_dictionary<T>(this->signals, this->m, {}, options);
    options.overwrite_checkpoint = false;
    options.resume = true;
    options.max_iter = 25;
    expect_same(learn_dictionary<T>(this->signals, this->m, {}, options), whole, to_string(method));
  }
}

TEST(ClassicsOptions, SayWhatTheyTake) {
  using enum LearningMethod;
  const Matrix<double> X = Matrix<double>::Ones(4, 10), mask = Matrix<double>::Identity(4, 10);
  const auto learn = [&](const std::optional<Reg>& reg, const LearnOptions& options) { learn_dictionary(X, 6, reg, options); };
  const BadInput rows[] = {
      {"method 'ksvd' takes n_nonzero, the atoms of a code, and no reg", [&] { learn(0.1, {.method = ksvd, .n_nonzero = 2}); }},
      {"method 'mod' needs n_nonzero, the atoms of a code", [&] { learn({}, {.method = mod}); }},
      {"reg is missing: method 'online' needs it, as a number or a fraction such as 0.1max",
       [&] { learn({}, {.method = online}); }},
      {"n_nonzero is for 'mod', 'ksvd' and 'aksvd', not for 'online'", [&] { learn(0.1, {.method = online, .n_nonzero = 2}); }},
      {"method 'aksvd' has no penalty, and its codes any sign",
       [&] { learn({}, {.method = aksvd, .n_nonzero = 2, .penalty = {.positive = true}}); }},
      {"learn_dictionary: the largest entry of X is 1e+15, must be at most 1e+14 for method 'mod'; choose another unit",
       [&] { learn_dictionary<float>(Matrix<float>::Constant(4, 10, 1e15F), 6, {}, {.method = mod, .n_nonzero = 2}); }},
      {"learn_dictionary: the largest entry of X is 1e+15, must be at most 1e+14 for method 'online'; choose another unit",
       [&] { learn_dictionary<float>(Matrix<float>::Constant(4, 10, 1e15F), 6, Reg::fraction_of_max(0.1), {.method = online}); }},
      {"method 'ksvd' takes no mask; choose one by gradients: 'unrolled', 'stochastic', 'pudle_lasso'",
       [&] { learn_dictionary<double>(Batch<double>(X, mask), 6, {}, {.method = ksvd, .n_nonzero = 2}); }}};
  for (const auto& [sentence, call] : rows) EXPECT_EQ(refusal_of(call), sentence);
}

}  // namespace
}  // namespace riata::testing
