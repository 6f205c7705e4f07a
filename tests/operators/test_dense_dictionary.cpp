#include "riata/operators/dense_dictionary.hpp"

#include <gtest/gtest.h>

#include "riata/networks/network.hpp"
#include "support/precision.hpp"
#include "support/random_arrays.hpp"
#include "support/sentences.hpp"

namespace riata::testing {
namespace {

template <class T>
class Dense : public ::testing::Test {};
TYPED_TEST_SUITE(Dense, BothPrecisions, PrecisionName);

/// |<D z, r> - <z, D^T r>| / (||D z|| ||r||): 0 for an exact adjoint. Norms below: <D z, r> can vanish by
/// chance.
template <class Dict>
double adjoint_error(const Dict& D, Index n_columns, std::uint64_t seed) {
  using T = typename Dict::scalar;
  Draw draw(seed);
  const Matrix<T> z = draw.normal_matrix(D.code_size(), n_columns).template cast<T>();
  const Matrix<T> r = draw.normal_matrix(D.signal_size(), n_columns).template cast<T>();
  Matrix<T> Dz(D.signal_size(), n_columns), Dtr(D.code_size(), n_columns);
  D.apply(z, Dz);
  D.adjoint(r, Dtr);
  const double left = Dz.template cast<double>().cwiseProduct(r.template cast<double>()).sum();
  const double right = z.template cast<double>().cwiseProduct(Dtr.template cast<double>()).sum();
  return std::abs(left - right) / (static_cast<double>(Dz.norm()) * static_cast<double>(r.norm()));
}

TYPED_TEST(Dense, AdjointIsTheAdjoint) {
  using T = TypeParam;
  Draw draw(41);
  for (const auto& [n, m] : {std::pair<Index, Index>{1, 1}, {7, 30}, {30, 7}})
    for (const Index n_columns : {1, 5})
      EXPECT_LE(adjoint_error(DenseDictionary<T>(draw.atoms(n, m).template cast<T>()), n_columns, 42),
                rounding<T>(static_cast<double>(n + m), 1))
          << n << " x " << m;
}

TYPED_TEST(Dense, BorrowsAtomsOrSharesItsOwn) {
  using T = TypeParam;
  const Matrix<T> A = Draw(40).atoms(5, 7).template cast<T>();
  const auto borrowed = DenseDictionary<T>::borrow(view_of(A));
  EXPECT_EQ(borrowed.atoms().data(), A.data());
  EXPECT_EQ(DenseDictionary<T>(borrowed).atoms().data(), A.data());
  EXPECT_NE(static_cast<const DenseDictionary<T>&>(*borrowed.at({})).atoms().data(), A.data()) << "at() outlives what it is of";
  EXPECT_EQ(static_cast<const void*>(borrowed.in_double()->matrix()->data()) == A.data(), (std::same_as<T, double>));
  std::optional<DenseDictionary<T>> own(A);
  DenseDictionary<T> copy = borrowed;
  copy = *own;
  EXPECT_NE(copy.atoms().data(), A.data());
  EXPECT_EQ(copy.atoms().data(), own->atoms().data());
  own.reset();
  EXPECT_EQ(copy.atoms(), A);
  EXPECT_EQ(copy.owned().atoms().data(), copy.atoms().data());
  EXPECT_NE(borrowed.owned().atoms().data(), A.data());
  EXPECT_NE((Network<T>("step", borrowed, 2).dictionary().matrix()->data()), A.data()) << "a network keeps a copy";
}

TYPED_TEST(Dense, RefusesALoneNaN) {
  using T = TypeParam;
  for (const Index n : {1, 5}) {
    Matrix<T> A = Matrix<T>::Zero(n, 3);
    A(n - 1, 1) = T(NAN);
    EXPECT_NE(refusal_of([&] { DenseDictionary<T>{A}; }).find("D holds nan"), std::string::npos);
  }
}

TYPED_TEST(Dense, GradientIsTheDerivativeOfTheInnerProduct) {
  using T = TypeParam;
  Draw draw(43);
  const Index n = 5, m = 7, n_signals = 4;
  const Eigen::MatrixXd D = draw.atoms(n, m), R = draw.normal_matrix(n, n_signals), Z = draw.normal_matrix(m, n_signals);
  const Eigen::MatrixXd start = draw.normal_matrix(n, m), direction = draw.normal_matrix(n, m);
  Matrix<T> gradient = start.cast<T>();
  const DenseDictionary<T> dictionary(D.cast<T>());
  dictionary.accumulate_gradient(T(-1.5), R.cast<T>(), Z.cast<T>(), gradient);
  const double h = 1e-3;  // the inner product is linear in D: no truncation error
  const auto inner = [&](double t) { return (R.array() * ((D + t * direction) * Z).array()).sum(); };
  const double expected = -1.5 * (inner(h) - inner(-h)) / (2 * h);
  const double along = (gradient.template cast<double>() - start).cwiseProduct(direction).sum();
  EXPECT_NEAR(along, expected, std::max(1e-9, 100 * epsilon<T>) * std::abs(expected));
}

TYPED_TEST(Dense, SquaredNormBoundsEveryAmplification) {
  using T = TypeParam;
  Draw draw(44);
  const DenseDictionary<T> D(draw.atoms(8, 20).template cast<T>());
  Eigen::VectorXd z = draw.normal_vector(20);
  for (int k = 0; k < 500; ++k) {  // power iteration: from below
    const Eigen::MatrixXd atoms = D.atoms().template cast<double>();
    z = (atoms.transpose() * (atoms * z)).normalized();
  }
  const double amplification = (D.atoms().template cast<double>() * z).squaredNorm();
  EXPECT_GE(D.squared_norm(), amplification * (1 - 1e-13));
  EXPECT_NEAR(D.squared_norm(), amplification, 1e-9 * amplification);
}

TYPED_TEST(Dense, ProjectionPutsAtomsOnTheSphereOrIntoTheBall) {
  using T = TypeParam;
  Draw draw(45);
  Eigen::MatrixXd A = draw.atoms(6, 5);
  A.col(0) *= 0.25;
  A.col(1) *= 4;
  A.col(2) *= 1e-30;  // squares underflow in float
  A.col(3) *= 1e30;   // and overflow
  A.col(4).setZero();
  Matrix<T> sphere = A.cast<T>(), ball = A.cast<T>();
  project_atoms(sphere, Constraint::unit_sphere);
  project_atoms(ball, Constraint::unit_ball);
  for (Index j = 0; j < 4; ++j) {
    EXPECT_NEAR(static_cast<double>(sphere.col(j).norm()), 1, 4 * epsilon<T>) << "atom " << j;
    const double along = sphere.col(j).template cast<double>().dot(A.col(j).normalized());
    EXPECT_NEAR(along, 1, 8 * epsilon<T>) << "atom " << j;
  }
  for (const Index inside : {0, 2, 4}) EXPECT_EQ(ball.col(inside), A.cast<T>().col(inside)) << "atom " << inside;
  for (const Index outside : {1, 3}) EXPECT_EQ(ball.col(outside), sphere.col(outside)) << "atom " << outside;
  EXPECT_TRUE(sphere.col(4).isZero(0));
}

TYPED_TEST(Dense, RefusesEmptyAndNonFiniteAtoms) {
  using T = TypeParam;
  Matrix<T> bad = Matrix<T>::Ones(2, 3);
  bad(1, 2) = T(NAN);
  const BadInput table[] = {
      {"dictionary: 3 atoms of 0 features, must have at least one of each", [] { DenseDictionary<T>{Matrix<T>(0, 3)}; }},
      {"dictionary: 0 atoms of 3 features, must have at least one of each", [] { DenseDictionary<T>{Matrix<T>(3, 0)}; }},
      {"dictionary: D holds nan at atom 2, feature 1; expected finite numbers", [&] { DenseDictionary<T>{bad}; }},
  };
  for (const BadInput& row : table) EXPECT_EQ(refusal_of(row.call), row.sentence);
}

}  // namespace
}  // namespace riata::testing
