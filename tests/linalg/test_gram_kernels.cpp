#include "riata/linalg/gram_kernels.hpp"

#include <gtest/gtest.h>

#include <Eigen/QR>

#include <limits>
#include <vector>

#include "riata/core/types.hpp"
#include "support/instruction_sets.hpp"
#include "support/random_arrays.hpp"

namespace riata::testing {
namespace {

/// The baseline gives the very bits of plain loops; the others fuse multiplications with additions.
template <class T>
double kernel_rounding(InstructionSet set) {
  return set == InstructionSet::baseline ? 0 : 100 * static_cast<double>(std::numeric_limits<T>::epsilon());
}

template <class T>
class GramKernelsOf : public ::testing::Test {};
using Precisions = ::testing::Types<float, double>;
TYPED_TEST_SUITE(GramKernelsOf, Precisions);

/// The state of a network at one signal, and the layer written as plain loops.
template <class T>
struct LayerState {
  Vector<T> y, z;
  std::vector<int> places;
  std::vector<T> listed_y, listed_z;

  void list(const Vector<T>& z_before) {
    places.clear();
    listed_y.clear();
    listed_z.clear();
    for (Index j = 0; j < z.size(); ++j) {
      if (z(j) == T(0) && z_before(j) == T(0)) continue;
      places.push_back(static_cast<int>(j));
      listed_y.push_back(y(j));
      listed_z.push_back(z(j));
    }
  }
};

TYPED_TEST(GramKernelsOf, EveryInstructionSetGivesWhatPlainLoopsGive) {
  using T = TypeParam;
  Draw draw(31);
  for (const Index m : {1, 63, 64, 200, 257})
    for (const bool positive : {false, true}) {
      const Index rows = round_up_to_block<T>(m);
      Matrix<T> G = Matrix<T>::Zero(rows, rows);
      G.topLeftCorner(m, m) = draw.normal_matrix(m, m).cast<T>();
      Vector<T> c = Vector<T>::Zero(rows), w = Vector<T>::Ones(rows);
      c.head(m) = 4 * draw.normal_vector(m).cast<T>();
      for (Index j = 0; j < m; ++j) w(j) = static_cast<T>(draw.uniform(0.5, 2));
      LayerState<T> start;
      start.z = Vector<T>::Zero(rows);
      start.z.head(m) = draw.sparse_matrix(m, 1, 0.2).cast<T>();
      Vector<T> before = Vector<T>::Zero(rows);
      before.head(m) = draw.sparse_matrix(m, 1, 0.2).cast<T>();
      start.y = start.z + T(0.4) * (start.z - before);
      start.list(before);
      const T step = T(0.1), threshold = T(0.3), momentum = T(0.4);

      LayerState<T> plain = start;
      for (Index j = 0; j < rows; ++j) {
        T p = -c(j);
        for (std::size_t k = 0; k < start.places.size(); ++k) p += start.listed_y[k] * G(j, start.places[k]);
        const T v = start.y(j) - step * p, t = threshold * w(j), up = v - t, down = v + t;
        plain.z(j) = (up > 0 ? up : T(0)) + (down < 0 && !positive ? down : T(0));
        plain.y(j) = plain.z(j) + momentum * (plain.z(j) - start.z(j));
      }
      plain.list(start.z);

      for (const InstructionSet set : available_sets()) {
        LayerState<T> fast = start;
        fast.places.resize(static_cast<std::size_t>(rows));
        fast.listed_y.resize(static_cast<std::size_t>(rows));
        fast.listed_z.resize(static_cast<std::size_t>(rows));
        const Index count = gram_kernels<T>(set).layer(
            {rows,
             G.data(),
             c.data(),
             w.data(),
             step,
             threshold,
             momentum,
             positive,
             fast.y.data(),
             fast.z.data(),
             {std::ssize(start.places), start.places.data(), start.listed_y.data(), start.listed_z.data()},
             {0, fast.places.data(), fast.listed_y.data(), fast.listed_z.data()}});
        ASSERT_EQ(count, std::ssize(plain.places)) << to_string(set) << ", " << m << " atoms";
        fast.places.resize(static_cast<std::size_t>(count));
        fast.listed_y.resize(static_cast<std::size_t>(count));
        fast.listed_z.resize(static_cast<std::size_t>(count));
        EXPECT_LE((fast.z - plain.z).cwiseAbs().maxCoeff(), kernel_rounding<T>(set)) << to_string(set) << ", " << m << " atoms";
        EXPECT_LE((fast.y - plain.y).cwiseAbs().maxCoeff(), kernel_rounding<T>(set)) << to_string(set) << ", " << m << " atoms";
        EXPECT_EQ(fast.places, plain.places);
        for (std::size_t k = 0; k < fast.places.size(); ++k) {
          EXPECT_EQ(fast.listed_y[k], fast.y(fast.places[k]));
          EXPECT_EQ(fast.listed_z[k], fast.z(fast.places[k]));
        }
      }
    }
}

TYPED_TEST(GramKernelsOf, SumColumns_InTheirOrder) {
  using T = TypeParam;
  constexpr Index lanes = 64 / sizeof(T);
  Draw draw(32);
  const Matrix<T> A = draw.normal_matrix(20 * lanes, 30).template cast<T>();
  for (const Index rows : {Index(1), Index(3), lanes, lanes + 1, 2 * lanes, 3 * lanes, 5 * lanes - 1, 20 * lanes})
    for (const int count : {0, 1, 7, 30}) {
      std::vector<int> places;
      std::vector<T> a;
      for (int k = 0; k < count; ++k) {
        places.push_back(draw.integer(0, 29));
        a.push_back(static_cast<T>(draw.normal()));
      }
      Vector<T> plain = Vector<T>::Zero(rows);
      for (std::size_t k = 0; k < a.size(); ++k) plain += a[k] * A.col(places[k]).head(rows);
      for (const InstructionSet set : available_sets()) {
        Vector<T> out = Vector<T>::Constant(rows, 7);
        gram_kernels<T>(set).sum_columns({rows, A.rows(), A.data(), count, places.data(), a.data(), out.data()});
        EXPECT_LE((out - plain).cwiseAbs().maxCoeff(), kernel_rounding<T>(set))
            << to_string(set) << ", " << rows << " rows, " << count << " columns";
      }
    }
}

TYPED_TEST(GramKernelsOf, DotColumns) {
  using T = TypeParam;
  Draw draw(33);
  const Matrix<T> A = draw.normal_matrix(100, 30).template cast<T>();
  const Vector<T> r = draw.normal_vector(100).template cast<T>();
  for (const Index rows : {1, 2, 7, 8, 16, 31, 64, 100})
    for (const int count : {0, 1, 3, 4, 9, 30}) {
      std::vector<int> places;
      for (int k = 0; k < count; ++k) places.push_back(draw.integer(0, 29));
      for (const InstructionSet set : available_sets()) {
        Vector<T> out = Vector<T>::Constant(count + 1, 7);
        gram_kernels<T>(set).dot_columns({rows, A.rows(), A.data(), count, places.data(), r.data(), out.data()});
        for (int k = 0; k < count; ++k)
          EXPECT_NEAR(out(k), A.col(places[static_cast<std::size_t>(k)]).head(rows).dot(r.head(rows)),
                      100 * std::numeric_limits<T>::epsilon() * static_cast<T>(rows))
              << to_string(set) << ", " << rows << " rows";
        EXPECT_EQ(out(count), T(7)) << "written past the end";
      }
    }
}

TYPED_TEST(GramKernelsOf, ListNonzeros) {
  using T = TypeParam;
  Draw draw(34);
  for (const Index rows : {1, 5, 16, 17, 64, 257})
    for (const double share : {0.0, 0.2, 1.0}) {
      Vector<T> z = draw.sparse_matrix(rows, 1, share).template cast<T>();
      z(rows - 1) = -T(0);
      for (const InstructionSet set : available_sets()) {
        std::vector<int> places(static_cast<std::size_t>(rows));
        std::vector<T> values(static_cast<std::size_t>(rows));
        const Index count = gram_kernels<T>(set).list_nonzeros({rows, z.data(), places.data(), values.data()});
        Index k = 0;
        for (Index j = 0; j < rows; ++j)
          if (z(j) != T(0)) {
            ASSERT_LT(k, count);
            EXPECT_EQ(places[static_cast<std::size_t>(k)], j);
            EXPECT_EQ(values[static_cast<std::size_t>(k)], z(j));
            ++k;
          }
        EXPECT_EQ(k, count);
      }
    }
}

TYPED_TEST(GramKernelsOf, DeflateAsPlainLoopsDo_AndFindTheHardestPull) {
  using T = TypeParam;
  Draw draw(36);
  for (const Index rows : {gram_block<T>, 3 * gram_block<T>, 8 * gram_block<T>})
    for (const Index count : {0, 1, 5})
      for (const bool has_energy : {false, true}) {
        const Matrix<T> P = draw.normal_matrix(rows, count).template cast<T>();
        const Vector<T> g = draw.normal_vector(rows).template cast<T>(), w = draw.normal_vector(count).template cast<T>();
        const Vector<T> b = draw.normal_vector(rows).cwiseAbs().template cast<T>();
        const Vector<T> before = draw.normal_vector(rows).template cast<T>();
        for (const auto set : available_sets()) {
          Vector<T> p(rows), alpha = before, energy = Vector<T>::Constant(rows, T(9));
          gram_kernels<T>(set).deflate({rows, rows, g.data(), count, P.data(), w.data(), T(0.5), T(2), p.data(), alpha.data(),
                                        has_energy ? energy.data() : nullptr});
          const Vector<T> plain = T(0.5) * (g - P * w);
          const double rounding = 100 * static_cast<double>(std::numeric_limits<T>::epsilon());
          EXPECT_LE((p - plain).cwiseAbs().maxCoeff(), rounding);
          EXPECT_LE((alpha - (before - T(2) * p)).cwiseAbs().maxCoeff(), rounding);
          if (has_energy) {
            EXPECT_LE((energy.array() - (T(9) - p.array().square())).abs().maxCoeff(), 10 * rounding);
          }
          Vector<T> pulls = alpha.cwiseAbs().cwiseProduct(b);
          if (has_energy) pulls = alpha.array().square() * b.array() / energy.array().max(T(0.25));
          Index place = 0;
          const T hardest = pulls.maxCoeff(&place);
          Vector<T> alpha_again = before, energy_again = Vector<T>::Constant(rows, T(9));
          T* e = has_energy ? energy_again.data() : nullptr;
          EXPECT_EQ(gram_kernels<T>(set).deflate_and_pull(
                        {rows, rows, g.data(), count, P.data(), w.data(), T(0.5), T(2), p.data(), alpha_again.data(), e},
                        {rows, alpha_again.data(), b.data(), e, T(0.25), T(0)}),
                    place);
          EXPECT_EQ(alpha_again, alpha);
          HardestPull<T> question{rows, alpha.data(), b.data(), has_energy ? energy.data() : nullptr, T(0.25), T(0)};
          EXPECT_EQ(gram_kernels<T>(set).hardest_pull(question), place);
          question.least = 2 * hardest;
          EXPECT_EQ(gram_kernels<T>(set).hardest_pull(question), -1);
          alpha.setConstant(T(-1));  // the first of equals
          const Vector<T> ones = Vector<T>::Ones(rows);
          EXPECT_EQ(gram_kernels<T>(set).hardest_pull({rows, alpha.data(), ones.data(), nullptr, T(1), T(0.5)}), 0);
        }
      }
}

TYPED_TEST(GramKernelsOf, ListTheHardestPullsOnWhatAFitLeaves) {
  using T = TypeParam;
  Draw draw(37);
  for (const Index n_lines : {1, 3, 4, 13, 16, 17, 40})
    for (const int count : {0, 1, 6}) {
      const Index rows = n_lines * gram_line<T>, stride = rows + 5;
      Matrix<T> G = draw.normal_matrix(stride, 20).template cast<T>();
      Vector<T> alpha = (10 * draw.normal_vector(rows)).template cast<T>();
      const Vector<T> z = draw.normal_vector(count).template cast<T>();
      std::vector<int> places;
      for (int k = 0; k < count; ++k) places.push_back(draw.integer(0, 19));
      const Index twin = draw.integer(1, static_cast<int>(rows) - 1);  // pulls as the first does
      alpha(twin) = alpha(0);
      G.row(twin) = G.row(0);
      Vector<T> plain = alpha;
      for (int k = 0; k < count; ++k) plain -= z(k) * G.col(places[static_cast<std::size_t>(k)]).head(rows);
      plain = plain.cwiseAbs();
      const T largest = plain.maxCoeff(), slack = T(1e-3);
      for (const auto set : available_sets()) {
        Vector<T> pulls(rows);
        std::vector<int> hardest(static_cast<std::size_t>(rows) + 1);
        PullOnRest<T> question{rows,     alpha.data(), stride, G.data(),     count,         places.data(),
                               z.data(), T(0),         T(0),   pulls.data(), hardest.data()};
        for (const T doubt : {T(0), T(5), T(1000)}) {
          question.doubt = doubt;
          const auto n_hardest = static_cast<std::size_t>(gram_kernels<T>(set).pull_on_rest(question));
          std::vector<bool> is_listed(static_cast<std::size_t>(rows));
          for (std::size_t k = 0; k < n_hardest; ++k) {
            if (k > 0) {
              EXPECT_LT(hardest[k - 1], hardest[k]);
            }
            is_listed[static_cast<std::size_t>(hardest[k])] = true;
          }
          for (Index j = 0; j < rows; ++j) {
            const bool is = is_listed[static_cast<std::size_t>(j)];
            EXPECT_TRUE(is || plain(j) < largest - doubt + slack);
            EXPECT_TRUE(!is || plain(j) > largest - doubt - slack);
          }
          EXPECT_EQ(is_listed[0], is_listed[static_cast<std::size_t>(twin)]);
        }
        question.least = largest + slack;
        EXPECT_EQ(gram_kernels<T>(set).pull_on_rest(question), 0);
      }
    }
}

TYPED_TEST(GramKernelsOf, GrowTheLeastSquaresFit) {
  using T = TypeParam;
  Draw draw(38);
  const Matrix<T> D = draw.atoms(60, 40).template cast<T>();
  const Vector<T> x = draw.normal_vector(60).template cast<T>();
  const double rounding = 1e3 * static_cast<double>(std::numeric_limits<T>::epsilon());
  for (const auto set : available_sets()) {
    constexpr Index stride = round_up_to_block<T>(41);
    Matrix<T> V = Matrix<T>::Zero(stride, stride), V_transposed = V;
    Vector<T> g = Vector<T>::Zero(stride), w = g, z = g;
    for (Index k = 0; k < 40; ++k) {
      g.head(k) = D.leftCols(k).transpose() * D.col(k);
      const FitGrown<T> grown = gram_kernels<T>(set).grow_fit(
          {k, stride, g.data(), D.col(k).dot(x), V.data(), V_transposed.data(), w.data(), z.data()});
      const auto D_I = D.leftCols(k + 1);
      const Matrix<T> Q = D_I * V.topLeftCorner(k + 1, k + 1);
      EXPECT_LE((Q.transpose() * Q - Matrix<T>::Identity(k + 1, k + 1)).norm(), rounding) << k;
      EXPECT_EQ(V_transposed, V.transpose());
      EXPECT_LE((D_I.transpose() * (x - D_I * z.head(k + 1))).norm(), rounding * x.norm()) << k;
      EXPECT_TRUE(z.tail(stride - k - 1).isZero(0));
      EXPECT_NEAR(grown.rho_sq, 1 - w.head(k).squaredNorm(), rounding);
      EXPECT_NEAR(grown.y, Q.col(k).dot(x), rounding * x.norm());
      EXPECT_NEAR(grown.column_sq, V.col(k).squaredNorm(), rounding * V.col(k).squaredNorm());
      EXPECT_NEAR(grown.z_sq, z.squaredNorm(), rounding * z.squaredNorm());
    }
    g.head(40) = D.transpose() * D.col(7);  // that one again
    EXPECT_NEAR(gram_kernels<T>(set)
                    .grow_fit({40, stride, g.data(), D.col(7).dot(x), V.data(), V_transposed.data(), w.data(), z.data()})
                    .rho_sq,
                0, rounding);
  }
}

TYPED_TEST(GramKernelsOf, MatchAtomsAndFitThem) {
  using T = TypeParam;
  Draw draw(39);
  const double rounding = 1e3 * static_cast<double>(std::numeric_limits<T>::epsilon());
  for (const Index n_lines : {1, 3, 8, 9, 13, 16, 17, 40}) {
    const Index rows = n_lines * gram_line<T>, m = rows - 3, n = 70, most = std::min<Index>(m, 9);
    const Matrix<double> D = draw.atoms(n, m);
    const Vector<double> x = draw.normal_vector(n);
    Matrix<T> G = Matrix<T>::Zero(rows + 5, m);
    G.topRows(m) = (D.transpose() * D).template cast<T>();
    Vector<T> alpha0 = Vector<T>::Zero(rows);
    alpha0.head(m) = (D.transpose() * x).template cast<T>();
    std::vector<int> plain;  // the pursuit, atom by atom, by its definition
    Vector<double> r = x, z;
    double error_before_last = 0;
    for (Index k = 0; k < most; ++k) {
      Index hardest = 0;
      error_before_last = r.squaredNorm();
      (D.transpose() * r).cwiseAbs().maxCoeff(&hardest);
      plain.push_back(static_cast<int>(hardest));
      const Matrix<double> D_I = D(Eigen::all, plain);
      z = D_I.colPivHouseholderQr().solve(x);
      r = x - D_I * z;
    }
    for (const auto set : available_sets())
      for (const Index stop : {most, Index{1}, Index{4}}) {  // and goes on
        Vector<T> alpha(rows), w(most);
        Matrix<T> P(rows + 2, most);
        Matrix<double> R = Matrix<double>::Zero(most + 1, most);
        Vector<double> y(most);
        std::vector<int> places(static_cast<std::size_t>(most), -1);
        double error = x.squaredNorm();
        MatchingPursuit<T> pursuit{rows,     G.rows(), G.data(), alpha0.data(), alpha.data(),  P.rows(), P.data(),
                                   w.data(), R.rows(), R.data(), y.data(),      places.data(), 0,        stop,
                                   &error,   -1.0,     T(1e-4),  1e-2,          1e-9,          0.0};
        const Index first = std::min(stop, most);
        ASSERT_EQ(gram_kernels<T>(set).match(pursuit), first);
        pursuit.count = first;
        pursuit.until = most;
        if (first < most) {
          ASSERT_EQ(gram_kernels<T>(set).match(pursuit), most);
        }
        EXPECT_EQ(places, plain) << n_lines << " " << stop;
        EXPECT_NEAR(error, r.squaredNorm(), rounding * x.squaredNorm());
        constexpr Index stride = round_up_to_block<double>(10);
        Matrix<double> V = Matrix<double>::Zero(stride, stride), V_transposed = V;
        Vector<double> scratch = Vector<double>::Zero(stride), fitted = scratch;
        gram_kernels<double>(set).fit_factor(
            {most, stride, R.rows(), R.data(), y.data(), V.data(), V_transposed.data(), scratch.data(), fitted.data()});
        const Matrix<double> Q = D(Eigen::all, plain) * V.topLeftCorner(most, most);
        EXPECT_LE((Q.transpose() * Q - Matrix<double>::Identity(most, most)).norm(), rounding);
        EXPECT_EQ(V_transposed, V.transpose());
        EXPECT_LE((fitted.head(most) - z).norm(), rounding * z.norm());
        EXPECT_TRUE(fitted.tail(stride - most).isZero(0));

        pursuit.count = 0;
        pursuit.until = most;
        error = x.squaredNorm();
        pursuit.target = (r.squaredNorm() + error_before_last) / 2;
        EXPECT_EQ(gram_kernels<T>(set).match(pursuit), most);
        error = x.squaredNorm();
        pursuit.nearest_target = error_before_last - r.squaredNorm();
        EXPECT_EQ(gram_kernels<T>(set).match(pursuit), -1);
        error = x.squaredNorm();
        pursuit.least_rho_sq = 1;
        EXPECT_EQ(gram_kernels<T>(set).match(pursuit), -1);
      }
  }
}

}  // namespace
}  // namespace riata::testing
