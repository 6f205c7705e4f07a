#include "riata/solvers/conv_encode.hpp"

#include <gtest/gtest.h>

#include "riata/solvers/certificate.hpp"
#include "riata/solvers/conv_certificate.hpp"
#include "support/random_arrays.hpp"

namespace riata::testing {
namespace {

/// The gap, by products with the matrix of the map alone.
double gap_by_matrix(const Matrix<double>& A, const Vector<double>& x, const Vector<double>& z, double reg, bool positive) {
  const Vector<double> r = x - A * z, pulls = A.transpose() * r;
  const double largest = positive ? pulls.maxCoeff() : pulls.cwiseAbs().maxCoeff();
  const Vector<double> theta = std::min(1.0, reg / largest) * r;
  return r.squaredNorm() / 2 + reg * z.lpNorm<1>() - (x.squaredNorm() - (x - theta).squaredNorm()) / 2;
}

Matrix<double> matrix_of(const Dictionary<double>& D) {
  Matrix<double> A(D.signal_size(), D.code_size());
  const Matrix<double> one = Matrix<double>::Identity(D.code_size(), D.code_size());
  D.apply(one, A);
  return A;
}

ConvolutionalDictionary<double> some_atoms(Draw& draw, bool rank_one, const RecordingShape& shape, Index length, Index n_atoms) {
  if (!rank_one) {
    Matrix<double> kernels = draw.normal_matrix(shape.n_channels * length, n_atoms);
    return {kernels, shape};
  }
  return ConvolutionalDictionary<double>::rank_one(draw.normal_matrix(shape.n_channels, n_atoms),
                                                   draw.normal_matrix(length, n_atoms), shape);
}

TEST(ConvEncode, ReachesTheGapOnManySmallProblems) {
  for (int problem = 0; problem < 50; ++problem) {
    Draw draw(100 + problem);
    const bool positive = problem % 2 == 0, rank_one = problem % 3 == 0;
    const auto boundary = std::array{Boundary::valid, Boundary::circular,
                                     Boundary::full}[static_cast<std::size_t>(problem % 5 == 0 ? 2 : problem % 2)];
    const Index length = 1 + problem % 9;
    const auto D = some_atoms(draw, rank_one, {1 + problem % 3, length + 3 * problem, boundary}, length, 1 + problem % 4);
    const Matrix<double> X = draw.normal_matrix(D.signal_size(), 2), A = matrix_of(D);
    const double reg = 0.1 * (A.transpose() * X).cwiseAbs().maxCoeff();
    for (const ConvSolver method : {ConvSolver::automatic, ConvSolver::fista}) {
      const auto coded = conv_encode<double>(X, D, reg, {.method = method, .tol = 1e-10, .positive = positive});
      for (Index i = 0; i < 2; ++i) {
        const double gap = gap_by_matrix(A, X.col(i), coded.codes.col(i), reg, positive);
        EXPECT_LE(gap, 1e-9 * X.col(i).squaredNorm() / 2) << problem << " " << to_string(method);
        EXPECT_NEAR(coded.gap(i), gap, 1e-11 * X.col(i).squaredNorm());
        EXPECT_EQ(coded.status[static_cast<std::size_t>(i)], Status::converged) << problem << " " << to_string(method);
      }
      EXPECT_TRUE(!positive || coded.codes.minCoeff() >= 0);
    }
  }
}

TEST(ConvEncode, HasTheSameBitsForAnyNumberOfThreads) {
  Draw draw(7);
  for (const Boundary boundary : {Boundary::valid, Boundary::circular}) {
    const auto D = some_atoms(draw, true, {3, 3000, boundary}, 20, 4);
    const Matrix<double> X = draw.normal_matrix(D.signal_size(), 2);
    const auto with = [&](int n_threads) {
      return conv_encode<double>(X, D, Reg::fraction_of_max(0.2), {.tol = 1e-6, .execution = {.n_threads = n_threads}});
    };
    const auto one = with(1), two = with(2), five = with(5);
    EXPECT_EQ(one.codes, two.codes);
    EXPECT_EQ(one.codes, five.codes);
    EXPECT_EQ(one.n_updates, five.n_updates);
    EXPECT_GT(one.n_updates[0], 100);
  }
}

TEST(ConvEncode, OfSinglePrecisionIsThatOfDouble) {
  Draw draw(8);
  const auto D = some_atoms(draw, true, {3, 500}, 20, 4);
  const Matrix<double> X = draw.normal_matrix(D.signal_size(), 1);
  Parameters<double> parameters = D.parameters();
  const auto in_single =
      ConvolutionalDictionary<float>::rank_one(parameters.at("u").cast<float>(), parameters.at("v").cast<float>(), D.shape());
  const auto exact = conv_encode<double>(X, D, 10.0, {.tol = 1e-9});
  const auto coded = conv_encode<float>(X.cast<float>(), in_single, 10.0, {.tol = 1e-5});
  EXPECT_EQ(coded.status[0], Status::converged);
  EXPECT_NEAR(coded.objective(0), exact.objective(0), 2e-5 * X.squaredNorm() / 2);
}

TEST(ConvEncode, GivesZeroFromRegMaxOnAndForZeroAtoms) {
  Draw draw(9);
  Matrix<double> kernels = draw.normal_matrix(10, 3);
  kernels.col(1).setZero();
  const ConvolutionalDictionary<double> D(kernels, {1, 200});
  Matrix<double> X = draw.normal_matrix(200, 2);
  X.col(1).setZero();
  const double most = static_cast<double>(reg_max<double>(X, D, {.positive = true})(0));
  EXPECT_TRUE(conv_encode<double>(X, D, most).codes.isZero(0));
  const auto coded = conv_encode<double>(X, D, 0.3 * most);
  EXPECT_FALSE(coded.codes.col(0).isZero(0));
  EXPECT_TRUE(coded.codes.col(0).segment(191, 191).isZero(0));
  EXPECT_TRUE(coded.codes.col(1).isZero(0));
  EXPECT_EQ(coded.status[1], Status::converged);
}

TEST(ConvEncode, DoesNotDependOnTheUnit) {
  Draw draw(10);
  const auto D = some_atoms(draw, true, {2, 400}, 16, 3);
  const Matrix<double> X = draw.normal_matrix(D.signal_size(), 1);
  const auto coded = conv_encode<double>(X, D, Reg::fraction_of_max(0.1));
  const double tesla = std::ldexp(1.0, -43);
  const auto small = conv_encode<double>(tesla * X, D, Reg::fraction_of_max(0.1));
  EXPECT_EQ(small.codes, Matrix<double>(tesla * coded.codes));
}

TEST(ConvCertificate, OfManyPiecesOfTimeIsThatOfTheWhole) {
  Draw draw(21);
  for (const bool positive : {true, false}) {
    const auto D = ConvolutionalDictionary<double>::rank_one(draw.atoms(2, 3), draw.atoms(40, 3), {2, 20011});
    Matrix<double> Z = draw.sparse_matrix(D.code_size(), 1, 0.01);
    if (positive) Z = Z.cwiseAbs().eval();
    const Matrix<double> X = draw.normal_matrix(D.signal_size(), 1);
    const auto found = conv_certificate<double>(X, D, Z, Vector<double>::Constant(1, 2), positive);
    const auto whole = lasso_certificate<double>(X, D, Z, 2, {.positive = positive});
    EXPECT_NEAR(found.objective(0), whole.objective(0), 1e-11 * whole.objective(0));
    EXPECT_NEAR(found.gap(0), whole.gap(0), 1e-11 * whole.objective(0));
  }
}

TEST(ConvEncode, RefusesWhatItCannotServe) {
  Draw draw(11);
  const auto D = some_atoms(draw, false, {1, 30, Boundary::full}, 5, 2);
  const Matrix<double> X = draw.normal_matrix(30, 1);
  EXPECT_THROW(conv_encode<double>(X, D, 0.1, {.method = ConvSolver::lgcd}), std::invalid_argument);
  EXPECT_THROW(conv_encode<double>(X.topRows(29), D, 0.1), std::invalid_argument);
  EXPECT_THROW(conv_encode<double>(X, D, 0.1, {.tol = -1}), std::invalid_argument);
}

}  // namespace
}  // namespace riata::testing
