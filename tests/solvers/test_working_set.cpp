// A working set by itself, in double and with sweeps in single precision, and who is swept so.
#include "riata/solvers/working_set.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>

#include "riata/solvers/encode.hpp"
#include "support/lasso_oracle.hpp"
#include "support/random_arrays.hpp"

namespace riata::testing {
namespace {

struct Lasso {
  Matrix<double> D, G;
  Vector<double> x, c;
  double reg;

  Lasso(double signal_unit, double atom_unit) {
    Draw draw(3);
    D = atom_unit * draw.atoms(15, 25);
    x = signal_unit * draw.normal_matrix(15, 1).col(0);
    G = D.transpose() * D;
    c = D.transpose() * x;
    reg = 0.2 * c.cwiseAbs().maxCoeff();
  }

  /// The codes after rounds of growth and sweeps alone.
  template <class S>
  Vector<double> solve() const {
    const auto gram = make_stored_gram<double>(G);
    const L1<double> penalty({}, D.cols());
    WorkingSet<double, S> set(*gram, penalty);
    Vector<double> z = Vector<double>::Zero(D.cols()), q = c;
    set.start(z.data(), q.data(), c.data(), reg, 0.5 * x.squaredNorm());
    for (int round = 0; round < 20; ++round) {
      set.grow(q.data(), c.data(), reg, 4);
      set.solve(200, 0.0, false);
      set.commit(z.data(), q.data());
    }
    EXPECT_LE((c - G * z - q).cwiseAbs().maxCoeff(), 1e-13 * c.cwiseAbs().maxCoeff());  // what is committed is summed in double
    return z;
  }

  double relative_gap(const Vector<double>& z) const {
    return LassoOracle(D, {}, false).gap(x, z, reg) / (0.5 * x.squaredNorm());
  }
};

TEST(WorkingSet, SweptInEitherPrecision_EndsAtItsRounding) {
  const Lasso lasso(1, 1);
  EXPECT_LE(lasso.relative_gap(lasso.solve<double>()), 1e-14);
  const double narrow = lasso.relative_gap(lasso.solve<float>());
  EXPECT_LE(narrow, 1e-6);
  EXPECT_GT(narrow, 1e-14);  // or it was not swept in single precision
}

TEST(WorkingSet, SweptInSinglePrecision_FollowsUnitsThatThisCannotHold) {
  const Vector<double> codes = Lasso(1, 1).solve<float>();
  const double x_unit = std::ldexp(1.0, -300), atom_unit = std::ldexp(1.0, 200);
  EXPECT_EQ(Lasso(x_unit, atom_unit).solve<float>() * std::ldexp(1.0, 500), codes);
}

TEST(LooseGapsOfDoubles, AreReachedWhereSinglePrecisionDoesNotServe) {
  Draw draw(4);
  const Matrix<double> D = draw.atoms(20, 40), X = draw.normal_matrix(20, 50);
  const auto expect_certified = [&](const Matrix<double>& atoms, double tol, double fraction,
                                    const std::vector<double>& weights) {
    const PenaltyOptions penalty{.weights = weights};
    const auto found = encode<double>(X, DenseDictionary(atoms), Reg::fraction_of_max(fraction),
                                      {.method = Solver::coordinate_descent, .tol = tol, .penalty = penalty});
    const Vector<double> largest = reg_max<double>(X, DenseDictionary(atoms), penalty);
    const LassoOracle oracle(atoms, weights, false);
    for (Index i = 0; i < X.cols(); ++i) {
      EXPECT_LE(oracle.gap(X.col(i), found.codes.col(i), fraction * largest(i)), tol * 1.001 * 0.5 * X.col(i).squaredNorm());
      EXPECT_EQ(found.status[static_cast<std::size_t>(i)], Status::converged);
      EXPECT_LE(found.n_iter(i), 2000);
    }
  };
  for (const double uneven : {1.0, 1e-3, 1e-6, 1e-9, 1e-30})  // of one atom, or of one weight
    for (const double tol : {1e-3, 1e-5})
      for (const double fraction : {0.5, 1e-2, 1e-5}) {
        SCOPED_TRACE(fmt::format("{} {} {}", uneven, tol, fraction));
        Matrix<double> atoms = D;
        atoms.col(3) *= uneven;
        expect_certified(atoms, tol, fraction, {});
        std::vector<double> weights(40, 1);
        weights[5] = uneven;
        expect_certified(D, tol, fraction, weights);
      }
}

}  // namespace
}  // namespace riata::testing
