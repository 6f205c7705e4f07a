// Weights of the l1 penalty that are infinite, zero, or of each signal its own.
#include <gtest/gtest.h>

#include <Eigen/QR>
#include <limits>

#include "riata/learning/learn_dictionary.hpp"
#include "riata/solvers/certificate.hpp"
#include "riata/solvers/encode.hpp"
#include "riata/solvers/encode_stream.hpp"
#include "riata/solvers/implicit.hpp"
#include "riata/solvers/lars.hpp"
#include "riata/unrolled/unrolled.hpp"
#include "support/lasso_oracle.hpp"
#include "support/precision.hpp"
#include "support/random_arrays.hpp"
#include "support/sentences.hpp"

namespace riata::testing {
namespace {

constexpr double infinite = std::numeric_limits<double>::infinity();
const std::vector<Solver> methods_of_l1 = {
    Solver::automatic, Solver::coordinate_descent, Solver::lars, Solver::fista, Solver::ista,
    Solver::oista,     Solver::backtracking};

template <class T>
class Weights : public ::testing::Test {
 protected:
  static constexpr Index n = 20, m = 30, n_signals = 40;
  Draw draw{17};
  const Matrix<T> D = draw.atoms(n, m).template cast<T>();
  const Matrix<T> X = (D.template cast<double>() * draw.sparse_matrix(m, n_signals, 0.2)).template cast<T>();
  const double tol = promised_gap<T>;
};
TYPED_TEST_SUITE(Weights, BothPrecisions, PrecisionName);

TYPED_TEST(Weights, OfExcludedAtoms_AreLikeADictionaryWithoutThem) {
  using T = TypeParam;
  std::vector<double> weights = this->draw.weights(this->m), kept_weights;
  std::vector<Index> kept;
  for (Index j = 0; j < this->m; ++j)
    if (j % 4 == 1)
      weights[static_cast<std::size_t>(j)] = infinite;
    else
      kept.push_back(j), kept_weights.push_back(weights[static_cast<std::size_t>(j)]);
  const DenseDictionary<T> D(this->D), without(Matrix<T>(this->D(Eigen::all, kept)));
  const Matrix<T> start = Matrix<T>::Constant(this->m, this->n_signals, T(0.1));
  for (const bool positive : {false, true}) {
    const PenaltyOptions penalty{.positive = positive, .weights = weights}, theirs{.positive = positive, .weights = kept_weights};
    const Vector<T> largest = reg_max<T>(this->X, D, penalty);
    EXPECT_EQ(largest, reg_max<T>(this->X, without, theirs));
    const LassoOracle oracle(this->D(Eigen::all, kept), kept_weights, positive);
    for (const Solver method : methods_of_l1)
      for (const bool has_start : {false, true}) {
        const auto found = encode<T>(this->X, D, Reg::fraction_of_max(0.2),
                                     {.method = method, .tol = this->tol, .max_iter = 100'000, .penalty = penalty},
                                     has_start ? OptionalMatrixRef<T>(start) : std::nullopt);
        const Matrix<T> codes = found.codes(kept, Eigen::all);
        for (Index j = 0; j < this->m; ++j)
          if (j % 4 == 1) {
            EXPECT_TRUE(found.codes.row(j).isZero(0)) << to_string(method);
          }
        for (Index i = 0; i < this->n_signals; ++i) {
          const double reg = static_cast<double>(largest(i) * T(0.2));
          EXPECT_LE(oracle.gap(this->X.col(i), codes.col(i), reg), this->tol * 1.01 * 0.5 * this->X.col(i).squaredNorm())
              << to_string(method);
          EXPECT_EQ(found.status[static_cast<std::size_t>(i)], Status::converged) << to_string(method);
        }
        if (method != Solver::automatic || has_start) continue;
        const Reg reg = Reg::fraction_of_max(0.2);
        const auto expect_equal = [&](const Vector<double>& here, const Vector<double>& there) {
          EXPECT_LE((here - there).cwiseAbs().maxCoeff(), 1e-13 * (1 + there.cwiseAbs().maxCoeff()));
        };
        expect_equal(lasso_objective<T>(this->X, D, found.codes, reg, penalty),
                     lasso_objective<T>(this->X, without, codes, reg, theirs));
        expect_equal(duality_gap<T>(this->X, D, found.codes, reg, penalty), duality_gap<T>(this->X, without, codes, reg, theirs));
        expect_equal(kkt_violation<T>(this->X, D, found.codes, reg, penalty),
                     kkt_violation<T>(this->X, without, codes, reg, theirs));
      }
    const auto path = lasso_path<T>(this->X.col(0), D, {.penalty = penalty}),
               short_path = lasso_path<T>(this->X.col(0), without, {.penalty = theirs});
    ASSERT_EQ(path.regs.size(), short_path.regs.size());
    EXPECT_LE((path.codes(kept, Eigen::all) - short_path.codes).cwiseAbs().maxCoeff(), 100 * epsilon<T>);
  }
}

TYPED_TEST(Weights, OfEachSignal_AreLikeOneCallForEach) {
  using T = TypeParam;
  std::vector<double> weights;
  for (Index i = 0; i < this->n_signals; ++i)
    for (const double w : this->draw.weights(this->m)) weights.push_back(this->draw.coin(0.1) ? infinite : w);
  const auto of = [&](Index i) {
    return std::vector<double>(weights.begin() + i * this->m, weights.begin() + (i + 1) * this->m);
  };
  const DenseDictionary<T> D(this->D);
  const Reg reg = Reg::fraction_of_max(0.1);
  for (const PenaltyOptions& base :
       {PenaltyOptions{}, PenaltyOptions{.positive = true}, PenaltyOptions{.kind = PenaltyKind::elastic_net, .l1_ratio = 0.75}})
    for (const Solver method : methods_of_l1) {
      if (method == Solver::lars) continue;
      PenaltyOptions penalty = base, its = base;
      penalty.weights = weights;
      EncodeOptions options{.method = method, .tol = this->tol, .max_iter = 100'000, .penalty = penalty};
      const auto found = encode<T>(this->X, D, reg, options);
      options.execution.n_threads = 3;
      EXPECT_EQ(encode<T>(this->X, D, reg, options).codes, found.codes) << to_string(method);
      const Vector<T> largest = reg_max<T>(this->X, D, penalty);
      const auto certificate = lasso_certificate<T>(this->X, D, found.codes, reg, penalty);
      const auto violation = kkt_violation<T>(this->X, D, found.codes, reg, penalty);
      for (Index i = 0; i < this->n_signals; ++i) {
        its.weights = of(i);
        const Matrix<T> x = this->X.col(i), z = found.codes.col(i);
        EXPECT_EQ(largest(i), reg_max<T>(x, D, its)(0));
        const auto alone = lasso_certificate<T>(x, D, z, reg, its);
        EXPECT_EQ(certificate.objective(i), alone.objective(0));
        EXPECT_EQ(certificate.gap(i), alone.gap(0));
        EXPECT_EQ(violation(i), kkt_violation<T>(x, D, z, reg, its)(0));
        EXPECT_LE(alone.gap(0), this->tol * 1.001 * 0.5 * x.squaredNorm()) << to_string(method);
        EXPECT_NEAR(found.objective(i), alone.objective(0), 1e-12 * (1 + alone.objective(0)));
        EXPECT_EQ(found.status[static_cast<std::size_t>(i)], Status::converged) << to_string(method);
      }
    }
}

/// The problem without the free atoms, by another decomposition, and in 80 bits.
struct ProjectedOracle {
  using Dense = Eigen::Matrix<Real, Eigen::Dynamic, Eigen::Dynamic>;
  Dense D, basis;
  std::vector<Index> free;
  std::vector<double> weights;

  template <class Dictionary>
  ProjectedOracle(const Dictionary& given, std::vector<double> w) : D(given.template cast<Real>()), weights(std::move(w)) {
    for (Index j = 0; j < D.cols(); ++j)
      if (weights[static_cast<std::size_t>(j)] == 0) free.push_back(j);
    Dense U = D(Eigen::all, free);
    for (Index k = 0; k < U.cols(); ++k) U.col(k) /= U.col(k).norm();
    Eigen::ColPivHouseholderQR<Dense> qr(U);
    qr.setThreshold(1e-12L);
    basis = Dense(qr.householderQ()).leftCols(qr.rank());
    for (const Index j : free) weights[static_cast<std::size_t>(j)] = 1;
  }

  template <class X, class Z>
  double gap(const X& signal, const Z& code, double reg) const {
    const RealVector x = signal.template cast<Real>(), z = code.template cast<Real>();
    RealVector others = z;
    for (const Index j : free) others(j) = 0;
    Dense rest = D - basis * (basis.transpose() * D);
    for (const Index j : free) rest.col(j).setZero();
    const RealVector x_rest = x - basis * (basis.transpose() * x);
    return LassoOracle(rest, weights, false).gap(x_rest, others, reg) +
           static_cast<double>((basis.transpose() * (x - D * z)).squaredNorm() / 2);
  }
};

TYPED_TEST(Weights, OfFreeAtoms_FitThemByLeastSquares) {
  using T = TypeParam;
  Matrix<T> D = this->D;
  D.col(5) = D.col(2);                        // free, twice the same
  D.col(9) = T(0.5) * (D.col(2) + D.col(7));  // with a price, but in their span: in double up to rounding
  D.col(7) *= static_cast<T>(0x1p-20);
  std::vector<double> weights = this->draw.weights(this->m);
  for (const std::size_t j : {2, 5, 7}) weights[j] = 0;
  weights[11] = infinite;
  Matrix<T> X = this->X;
  X.col(3) = T(3) * D.col(2) + T(0.7) * D.col(7);  // all of it free, up to rounding
  X.col(4).setZero();
  const PenaltyOptions penalty{.weights = weights};
  const LassoOracle oracle(D, weights, false);
  const ProjectedOracle projected(D, weights);
  const Vector<T> largest = reg_max<T>(X, DenseDictionary(D), penalty);
  for (const Solver method : methods_of_l1) {
    const auto found = encode<T>(X, DenseDictionary(D), Reg::fraction_of_max(0.1),
                                 {.method = method, .tol = this->tol, .max_iter = 100'000, .penalty = penalty},
                                 Matrix<T>(Matrix<T>::Ones(this->m, this->n_signals)));
    const auto violation = kkt_violation<T>(X, DenseDictionary(D), found.codes, Reg::fraction_of_max(0.1), penalty);
    for (Index i = 0; i < this->n_signals; ++i) {
      const Vector<T> x = X.col(i), z = found.codes.col(i);
      const double reg = static_cast<double>(largest(i) * T(0.1)), scale = 0.5 * static_cast<double>(x.squaredNorm());
      if (i == 4) {
        EXPECT_TRUE(z.isZero(0));
        continue;
      }
      EXPECT_LE(projected.gap(x, z, reg), this->tol * 1.01 * scale) << i << to_string(method);
      EXPECT_NEAR(found.gap(i), projected.gap(x, z, reg), 1e-13 * scale + 1e-8 * found.gap(i)) << i << to_string(method);
      EXPECT_NEAR(found.objective(i), oracle.objective(x, z, reg), 1e-13 * (scale + 1));
      EXPECT_EQ(found.status[static_cast<std::size_t>(i)], Status::converged) << i << to_string(method);
      EXPECT_NEAR(violation(i), oracle.kkt_violation(x, z, reg), 1e-12);
      const Vector<T> r = x - D * z;
      for (const Index j : {2, 5, 7}) EXPECT_LE(std::abs(D.col(j).dot(r)), 20 * epsilon<T> * x.norm() * D.col(j).norm());
    }
  }
}

TYPED_TEST(Weights, OfFreeAtoms_HaveAGapAtAnyCodeThatIsNoLessThanTheDistance) {
  using T = TypeParam;
  std::vector<double> weights = this->draw.weights(this->m);
  weights[0] = weights[3] = 0;
  const DenseDictionary<T> D(this->D);
  const PenaltyOptions penalty{.weights = weights};
  const ProjectedOracle projected(this->D, weights);
  const auto best = encode<T>(this->X, D, 0.1, {.tol = promised_gap<T>, .penalty = penalty});
  const Matrix<T> Z =
      (best.codes.template cast<double>() + 0.05 * this->draw.sparse_matrix(this->m, this->n_signals, 0.3)).template cast<T>();
  const auto found = lasso_certificate<T>(this->X, D, Z, 0.1, penalty);
  for (Index i = 0; i < this->n_signals; ++i) {
    EXPECT_GE(found.gap(i), found.objective(i) - best.objective(i));
    EXPECT_NEAR(found.gap(i), projected.gap(this->X.col(i), Z.col(i), static_cast<double>(T(0.1))), 1e-6 * found.gap(i));
  }
}

TYPED_TEST(Weights, OfFreeAtoms_FollowTheUnitOfSignalsAndAtoms) {
  using T = TypeParam;
  std::vector<double> weights(static_cast<std::size_t>(this->m), 1);
  weights[1] = weights[8] = 0;
  const EncodeOptions options{.tol = this->tol, .penalty = {.weights = weights}};
  const auto plain = encode<T>(this->X, DenseDictionary(this->D), Reg::fraction_of_max(0.2), options);
  const int e = std::is_same_v<T, double> ? 400 : 50;
  const auto scaled =
      encode<T>(Matrix<T>(std::ldexp(T(1), e) * this->X), DenseDictionary(Matrix<T>(std::ldexp(T(1), -e / 2) * this->D)),
                Reg::fraction_of_max(0.2), options);
  EXPECT_LE((std::ldexp(T(1), -e - e / 2) * scaled.codes - plain.codes).cwiseAbs().maxCoeff(), 1e-3 * plain.codes.maxCoeff());
  for (const Status status : scaled.status) EXPECT_EQ(status, Status::converged);
}

TEST(WeightsOfFreeAtoms, MakeAPiecewiseConstantFitOfCumulativeSums) {
  const Index n = 60;
  Matrix<double> D = Matrix<double>::Zero(n, n), x(n, 1);
  for (Index j = 0; j < n; ++j) D.col(j).tail(n - j).setOnes();
  for (Index t = 0; t < n; ++t) x(t) = t < 25 ? 3 : 5;  // a jump of 2
  std::vector<double> weights(static_cast<std::size_t>(n), 1);
  weights[0] = 0;  // its level has no price
  const auto found = encode<double>(x, DenseDictionary(D), 0.7, {.tol = 1e-14, .penalty = {.weights = weights}});
  // Total variation moves each level towards the other by reg / its length.
  EXPECT_NEAR(found.codes(0), 3 + 0.7 / 25, 1e-10);
  EXPECT_NEAR(found.codes(25), 2 - 0.7 / 25 - 0.7 / 35, 1e-10);
  EXPECT_EQ((found.codes.array() != 0).count(), 2);
}

TEST(WeightsOfFreeAtoms, AreThoseOfAStreamAsWell) {
  Draw draw(5);
  const Matrix<double> D = draw.atoms(10, 20), X = draw.normal_matrix(10, 257);  // the last block has one signal
  EncodeOptions options{.penalty = {.weights = std::vector<double>(20, 1)}};
  options.penalty.weights[4] = options.penalty.weights[9] = 0;
  options.penalty.weights[6] = infinite;
  const auto whole = encode<double>(X, DenseDictionary(D), 0.3, options);
  Index n_blocks = 0;
  encode_stream<double>(X, DenseDictionary(D), 0.3,
                        [&](CodeBlock<double>&& block) {
                          const Index n = std::ssize(block.status);
                          EXPECT_EQ(to_csr<double>(Matrix<double>(whole.codes.middleCols(block.first, n))).values,
                                    block.codes.values);
                          ++n_blocks;
                        },
                        {.encode = options, .block_size = 128});
  EXPECT_EQ(n_blocks, 3);
}

TEST(WeightsOfFreeAtoms, LeaveAFlatSignalWithoutOtherCodes) {
  Draw draw(6);
  Matrix<double> D(20, 12);
  D << Matrix<double>::Ones(20, 1), draw.atoms(20, 11);
  std::vector<double> weights(12, 1);
  weights[0] = 0;
  const Matrix<double> X = Matrix<double>::Constant(20, 3, 3.1);
  const PenaltyOptions penalty{.weights = weights};
  EXPECT_TRUE(reg_max<double>(X, DenseDictionary(D), penalty).isZero(0));
  for (const Solver method : methods_of_l1) {
    const auto found = encode<double>(X, DenseDictionary(D), Reg::fraction_of_max(0.1), {.method = method, .penalty = penalty});
    EXPECT_TRUE(found.codes.bottomRows(11).isZero(0));
    EXPECT_NEAR(found.codes(0), 3.1, 1e-14);
    EXPECT_EQ(found.status[0], Status::converged);
  }
}

TEST(WeightsOfFreeAtoms, MayBeOfTheLeastNumbers) {
  Draw draw(8);
  Matrix<double> D(20, 12);
  D << Matrix<double>::Ones(20, 1), Matrix<double>::Constant(20, 1, 1e-310), draw.atoms(20, 10);
  std::vector<double> weights(12, 1);
  weights[0] = weights[1] = 0;
  const Matrix<double> X = draw.normal_matrix(20, 3);
  const auto found = encode<double>(X, DenseDictionary(D), Reg::fraction_of_max(0.1), {.penalty = {.weights = weights}});
  for (Index i = 0; i < 3; ++i) {
    EXPECT_EQ(found.status[static_cast<std::size_t>(i)], Status::converged);
    EXPECT_LE(std::abs((X.col(i) - D * found.codes.col(i)).sum()), 1e-12);
  }
}

TEST(WeightsOfFreeAtoms, HaveRegMaxOfTheSignalAlone) {
  Draw draw(7);
  const Matrix<double> D = draw.atoms(30, 40), X = draw.normal_matrix(30, 131) + 1e6 * D.col(0).replicate(1, 131);
  PenaltyOptions penalty{.weights = std::vector<double>(40, 1)};
  penalty.weights[0] = penalty.weights[1] = 0;
  const Vector<double> together = reg_max<double>(X, DenseDictionary(D), penalty);
  for (const Index i : {0, 17, 130}) {
    const Matrix<double> x = X.col(i);
    EXPECT_EQ(reg_max<double>(x, DenseDictionary(D), penalty)(0), together(i));
    const auto found = encode<double>(x, DenseDictionary(D), together(i), {.penalty = penalty});
    EXPECT_TRUE(found.codes.bottomRows(38).isZero(0));
  }
}

TEST(WeightsBadInput, IsRefusedInOneSentence) {
  const Matrix<double> D = Matrix<double>::Identity(4, 3), X = Matrix<double>::Ones(4, 2), Z = Matrix<double>::Ones(3, 2);
  const DenseDictionary<double> dictionary(D);
  const auto with = [&](const PenaltyOptions& penalty, Solver method = Solver::automatic) {
    return [&, penalty, method] { encode<double>(X, dictionary, 0.1, {.method = method, .penalty = penalty}); };
  };
  const std::vector<double> excluding = {1, infinite, 1}, freeing = {0, 1, 1}, each = {1, 2, 3, 4, 5, 6};
  const Matrix<double> mask = Matrix<double>::Ones(4, 2);
  using enum PenaltyKind;
  const BadInput table[] = {
      {"weights: entry 1 is nan, must be > 0", with({.weights = {1, NAN, 1}})},
      {"weights: entry 1 is -1, must be > 0", with({.weights = {1, -1, 1}})},
      {"weights: entry 1 is -inf, must be > 0", with({.weights = {1, -infinite, 1}})},
      {"weights: entry 4 is -1, must be > 0", with({.weights = {1, 1, 1, 1, -1, 1}})},
      {"weights: 4 entries for 3 atoms; they must be equal", with({.weights = {1, 1, 1, 1}})},
      {"encode: weights of 3 signals for 2; they must be equal", with({.weights = std::vector<double>(9, 1)})},
      {"encode: weights of 3 signals for 2; they must be equal",
       [&] { encode<double>(X, dictionary, Reg::fraction_of_max(0.1), {.penalty = {.weights = std::vector<double>(9, 1)}}); }},
      {"duality_gap: weights: entry 0 is 0; with a mask they must be > 0",
       [&] {
         duality_gap<double>({X, mask}, dictionary, Z, 0.1, {.weights = freeing});
       }},
      {"method = 'lars' takes no weights per signal; choose method = 'cd'", with({.weights = each}, Solver::lars)},
      {"encode: weights: entry 0 is 0; that is for penalty = 'l1' without positive",
       with({.positive = true, .weights = freeing})},
      {"encode: weights: entry 0 is 0; that is for penalty = 'l1' without positive",
       with({.weights = freeing, .kind = elastic_net})},
      {"encode: weights: entry 4 is 0; where each signal has weights of its own they must be > 0",
       with({.weights = {1, 2, 3, 4, 0, 6}})},
      {"reg_max: weights: entry 0 is 0; with a mask they must be > 0",
       [&] {
         reg_max<double>({X, mask}, dictionary, {.weights = freeing});
       }},
      {"lasso_objective: Z[0, 1] is 1, must be 0: the weight of atom 1 is infinite",
       [&] {
         lasso_objective<double>(Matrix<double>::Zero(4, 2), dictionary, Z, Reg::fraction_of_max(0.1), {.weights = excluding});
       }},
      {"duality_gap: Z[0, 1] is 1, must be 0: the weight of atom 1 is infinite",
       [&] { duality_gap<double>(X, dictionary, Z, 0.1, {.weights = excluding}); }},
      {"lasso_path: weights: 6 entries for 3 atoms; they must be equal",
       [&] { lasso_path<double>(X.col(0), dictionary, {.penalty = {.weights = each}}); }},
      {"weights: entry 0 is 0, must be > 0",
       [&] { lasso_path<double>(X.col(0), dictionary, {.penalty = {.weights = freeing}}); }},
      {"encode_stream: weights: entry 0 is 0; that is for penalty = 'l1' without positive",
       [&] {
         encode_stream<double>(X, dictionary, 0.1, [](CodeBlock<double>&&) {},
                               {.encode = {.penalty = {.positive = true, .weights = freeing}}});
       }},
      {"encode_stream: weights: 6 entries for 3 atoms; they must be equal",
       [&] {
         encode_stream<double>(X, dictionary, 0.1, [](CodeBlock<double>&&) {}, {.encode = {.penalty = {.weights = each}}});
       }},
      {"weights: entry 1 is inf, must be > 0 and finite",
       [&] { unrolled_encode<double>(X, dictionary, 0.1, {.n_layers = 2, .penalty = {.weights = excluding}}); }},
      {"weights: entry 0 is 0, must be > 0 and finite",
       [&] { learn_dictionary<double>(X, 3, 0.1, {.penalty = {.weights = freeing}}); }},
      {"weights: entry 0 is 0, must be > 0 and finite",
       [&] { implicit_gradient<double>(X, D, 0.1, Z, {.penalty = {.weights = freeing}}); }},
  };
  for (const BadInput& row : table) EXPECT_EQ(refusal_of(row.call), row.sentence);
}

}  // namespace
}  // namespace riata::testing
