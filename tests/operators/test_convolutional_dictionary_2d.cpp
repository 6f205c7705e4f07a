#include "riata/operators/convolutional_dictionary_2d.hpp"

#include <gtest/gtest.h>

#include <Eigen/Eigenvalues>

#include "riata/core/threads.hpp"
#include "riata/unrolled/unrolled.hpp"
#include "support/random_arrays.hpp"

namespace riata::testing {
namespace {

struct PictureCase {
  PictureShape shape;
  Index size, n_atoms;
};

std::vector<PictureCase> picture_cases() {
  std::vector<PictureCase> all;
  for (const Boundary boundary : {Boundary::valid, Boundary::full, Boundary::circular}) {
    all.push_back({{1, 12, 12, boundary, 1}, 3, 4});
    all.push_back({{3, 9, 16, boundary, 1}, 4, 3});
    all.push_back({{2, 12, 15, boundary, 3}, 5, 3});
    all.push_back({{1, 16, 8, boundary, 2}, 7, 2});
    all.push_back({{2, 8, 12, boundary, 4}, 4, 5});
    all.push_back({{1, 6, 9, boundary, 1}, 1, 3});
  }
  all.push_back({{2, 13, 10, Boundary::valid, 4}, 5, 2});  // pixels that no kernel reaches
  all.push_back({{1, 3, 5, Boundary::full, 2}, 6, 2});     // kernels larger than the picture
  return all;
}

template <class T = double>
ConvolutionalDictionary2D<T> make(const PictureCase& c, Draw& draw) {
  return {draw.normal_matrix(c.shape.n_channels * c.size * c.size, c.n_atoms).cast<T>(), c.shape};
}

/// The map by its definition.
Matrix<double> dense(const ConvolutionalDictionary2D<double>& D) {
  const auto [n_channels, height, width, boundary, stride] = D.shape();
  const Index l = D.kernel_size(), o = boundary == Boundary::full ? l - 1 : 0;
  Matrix<double> A = Matrix<double>::Zero(D.signal_size(), D.code_size());
  for (Index k = 0; k < D.n_atoms(); ++k)
    for (Index p = 0; p < D.n_rows(); ++p)
      for (Index q = 0; q < D.n_columns(); ++q)
        for (Index c = 0; c < n_channels; ++c)
          for (Index a = 0; a < l; ++a)
            for (Index b = 0; b < l; ++b) {
              Index i = stride * p + a - o, j = stride * q + b - o;
              if (boundary == Boundary::circular) i %= height, j %= width;
              if (i < 0 || j < 0 || i >= height || j >= width) continue;
              A((c * height + i) * width + j, (k * D.n_rows() + p) * D.n_columns() + q) += D.atoms()((c * l + a) * l + b, k);
            }
  return A;
}

Matrix<double> some_codes(Draw& draw, Index rows, Index cols, double density) {
  return density < 1 ? Matrix<double>(draw.sparse_matrix(rows, cols, density)) : Matrix<double>(draw.normal_matrix(rows, cols));
}

TEST(ConvolutionalDictionary2D, IsTheMapOfItsDefinition) {
  Draw draw(1);
  for (const PictureCase& c : picture_cases()) {
    const auto D = make(c, draw);
    const Matrix<double> A = dense(D), R = draw.normal_matrix(D.signal_size(), 3);
    for (const double density : {0.05, 1.0}) {
      const Matrix<double> Z = some_codes(draw, D.code_size(), 3, density);
      Matrix<double> X = Matrix<double>::Constant(D.signal_size(), 3, 7), back = Matrix<double>::Constant(D.code_size(), 3, 7);
      D.apply(Z, X);
      D.adjoint(R, back);
      EXPECT_LE((X - A * Z).norm(), 1e-13 * (1 + X.norm()));
      EXPECT_LE((back - A.transpose() * R).norm(), 1e-13 * (1 + back.norm()));
      EXPECT_NEAR(X.cwiseProduct(R).sum(), Z.cwiseProduct(back).sum(), 1e-13 * X.norm() * R.norm());
    }
  }
}

TEST(ConvolutionalDictionary2D, IsTheMapOfItsDefinition_WhereRowsAreLong) {
  Draw draw(9);
  const auto D = make({{1, 3, 1100, Boundary::valid, 1}, 2, 1}, draw);
  const Matrix<double> A = dense(D), R = draw.normal_matrix(D.signal_size(), 1);
  for (const double density : {0.05, 1.0}) {
    const Matrix<double> Z = some_codes(draw, D.code_size(), 1, density);
    Matrix<double> X(D.signal_size(), 1), back(D.code_size(), 1);
    D.apply(Z, X);
    D.adjoint(R, back);
    EXPECT_LE((X - A * Z).norm(), 1e-13 * X.norm());
    EXPECT_LE((back - A.transpose() * R).norm(), 1e-13 * back.norm());
  }
}

TEST(ConvolutionalDictionary2D, IsTheSameInSinglePrecision) {
  Draw draw(2);
  for (const PictureCase& c : picture_cases()) {
    const auto D = make<float>(c, draw);
    const auto exact = D.in_double();
    const Matrix<float> Z = draw.normal_matrix(D.code_size(), 2).cast<float>();
    Matrix<float> X(D.signal_size(), 2), back(D.code_size(), 2);
    D.apply(Z, X);
    D.adjoint(X, back);
    Matrix<double> X_exact(D.signal_size(), 2), back_exact(D.code_size(), 2);
    exact->apply(Z.cast<double>(), X_exact);
    exact->adjoint(X.cast<double>(), back_exact);
    EXPECT_LE((X.cast<double>() - X_exact).norm(), 1e-6 * X_exact.norm());
    EXPECT_LE((back.cast<double>() - back_exact).norm(), 1e-6 * back_exact.norm());
  }
}

TEST(ConvolutionalDictionary2D, CoversThePicturesOfTheDenoisingNetworkExactly) {
  const Matrix<double> kernels = Matrix<double>::Ones(81, 1);
  const auto covers = [&](Index height, Index width, Boundary boundary, Index stride) {
    const ConvolutionalDictionary2D<double> D(kernels, {1, height, width, boundary, stride});
    Matrix<double> X(D.signal_size(), 1);
    D.apply(Matrix<double>::Ones(D.code_size(), 1), X);
    return X.minCoeff() > 0;
  };
  const ConvolutionalDictionary2D<double> D(kernels, {1, 129, 129, Boundary::valid, 4});
  EXPECT_EQ(D.n_rows(), 31);
  EXPECT_EQ(D.of_size(321, 481).n_rows(), 79);
  EXPECT_EQ(D.of_size(321, 481).n_columns(), 119);
  EXPECT_TRUE(covers(129, 129, Boundary::valid, 4));
  EXPECT_TRUE(covers(321, 481, Boundary::valid, 4));
  EXPECT_FALSE(covers(128, 129, Boundary::valid, 4));
  for (Index n = 1; n < 14; ++n) EXPECT_TRUE(covers(n, n + 3, Boundary::full, 9)) << n;
  EXPECT_TRUE(covers(20, 12, Boundary::circular, 4));
}

double squared_norm_of(const Matrix<double>& A) {
  const Eigen::MatrixXd gram = A.rows() < A.cols() ? Eigen::MatrixXd(A * A.transpose()) : Eigen::MatrixXd(A.transpose() * A);
  return Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd>(gram, Eigen::EigenvaluesOnly).eigenvalues().maxCoeff();
}

TEST(ConvolutionalDictionary2D, BoundsItsNorm) {
  Draw draw(3);
  for (PictureCase c : picture_cases()) {
    const auto D = make(c, draw);
    EXPECT_GE(D.squared_norm(), squared_norm_of(dense(D)));
    if (c.shape.boundary != Boundary::circular) continue;  // whose norm is nearest to the supremum of sizes
    const auto larger = D.of_size(c.shape.stride * 10, c.shape.stride * 10);
    const double norm_sq = squared_norm_of(dense(larger));
    EXPECT_GE(larger.squared_norm(), norm_sq);
    EXPECT_LE(larger.squared_norm(), 1.12 * norm_sq) << c.size << " " << c.shape.stride;
  }
}

TEST(ConvolutionalDictionary2D, GradientIsThatOfFiniteDifferences) {
  Draw draw(4);
  for (const PictureCase& c : picture_cases())
    for (const double density : {0.05, 1.0}) {
      const auto D = make(c, draw);
      const Matrix<double> Z = some_codes(draw, D.code_size(), 2, density), R = draw.normal_matrix(D.signal_size(), 2);
      const Parameters<double> at = D.parameters();
      Parameters<double> gradient = zeros_like(at);
      D.accumulate_gradient(0.5, R, Z, gradient);
      for (Index j = 0; j < at.at("kernels").size(); j += 3) {
        const auto product = [&](double h) {
          Parameters<double> moved = at;
          moved.at("kernels").data()[j] += h;
          Matrix<double> X(D.signal_size(), 2);
          D.at(moved)->apply(Z, X);
          return 0.5 * X.cwiseProduct(R).sum();
        };
        EXPECT_NEAR(gradient.at("kernels").data()[j], product(0.5) - product(-0.5), 1e-10 * (1 + R.norm())) << j;
      }
    }
}

/// Of the loss after layers, by kernels, steps and reg, where a part of the picture is seen.
TEST(ConvolutionalDictionary2D, UnrolledGradientsAreThoseOfFiniteDifferences) {
  Draw draw(5);
  for (const PictureCase& c : picture_cases()) {
    if (c.size == 1) continue;
    auto kernels = make(c, draw).parameters();
    const auto drawn = make(c, draw);
    drawn.project(kernels);
    const auto D = drawn.at(kernels);
    const Matrix<double> X = draw.normal_matrix(D->signal_size(), 2);
    Matrix<double> W(D->signal_size(), 2);
    for (double& w : W.reshaped()) w = draw.coin(0.3) ? 0 : draw.uniform(0.5, 1);
    const Batch<double> batch(X, W);
    UnrolledOptions options{
        .n_layers = 4, .algorithm = Layers::fista, .steps = {1.0, 0.8, 1.1, 0.9}, .lipschitz = D->squared_norm()};
    const double reg = 0.3;
    const auto found = unrolled_gradient<double>(batch, *D, reg, options, {.dictionary = true, .steps = true, .reg = true});
    const auto slope = [](const auto& loss) { return (loss(1e-6) - loss(-1e-6)) / 2e-6; };
    for (int trial = 0; trial < 3; ++trial) {
      const Matrix<double> along = draw.normal_matrix(kernels.at("kernels").rows(), kernels.at("kernels").cols());
      const double by_kernels = slope([&](double h) {
        Parameters<double> moved = kernels;
        moved.at("kernels") += h * along;
        return unrolled_loss<double>(batch, *D->at(moved), reg, options);
      });
      const double expected = found.parameters.at("kernels").cwiseProduct(along).sum();
      EXPECT_NEAR(by_kernels, expected, 1e-7 * (1 + found.parameters.at("kernels").norm() * along.norm()));
    }
    for (std::size_t k = 0; k < options.steps.size(); ++k) {
      const double by_step = slope([&](double h) {
        UnrolledOptions moved = options;
        moved.steps[k] += h;
        return unrolled_loss<double>(batch, *D, reg, moved);
      });
      EXPECT_NEAR(by_step, found.steps(static_cast<Index>(k)), 1e-7 * (1 + found.steps.norm()));
    }
    const double by_reg = slope([&](double h) { return unrolled_loss<double>(batch, *D, reg + h, options); });
    EXPECT_NEAR(by_reg, found.reg(0), 1e-7 * (1 + std::abs(found.reg(0))));
  }
}

TEST(ConvolutionalDictionary2D, IsTheSameForAnyNumberOfThreads) {
  Draw draw(6);
  const ConvolutionalDictionary2D<double> D(draw.normal_matrix(2 * 36, 12), {2, 200, 190, Boundary::full, 1});
  const Matrix<double> X = draw.normal_matrix(D.signal_size(), 1), Z = draw.sparse_matrix(D.code_size(), 1, 0.1);
  Matrix<double> image(D.signal_size(), 1), code(D.code_size(), 1);
  D.apply(Z, image);
  D.adjoint(X, code);
  Parameters<double> gradient = zeros_like(D.parameters());
  D.accumulate_gradient(1, X, Z, gradient);
  for (const int n_threads : {1, 2, 5}) {
    Matrix<double> own_image(D.signal_size(), 1), own_code(D.code_size(), 1);
    Parameters<double> own_gradient = zeros_like(D.parameters());
    parallel_for(1, {.n_threads = n_threads}, [&](Index, int) {
      D.apply(Z, own_image);
      D.adjoint(X, own_code);
      D.accumulate_gradient(1, X, Z, own_gradient);
    });
    EXPECT_EQ(own_image, image);
    EXPECT_EQ(own_code, code);
    EXPECT_EQ(own_gradient.at("kernels"), gradient.at("kernels"));
  }
}

TEST(ConvolutionalDictionary2D, LaggedGramIsThatOfTranslates) {
  Draw draw(7);
  for (PictureCase c : picture_cases()) {
    const Index s = c.shape.stride, M = (c.size - 1) / s, n = 2 * M + 1;
    c.shape.boundary = Boundary::valid;
    c.shape.height = c.shape.width = c.size + 2 * M * s;
    const auto D = make(c, draw);
    const Matrix<double> A = dense(D), G = lagged_gram(D), gram = A.transpose() * A;
    ASSERT_EQ(G.rows(), n * n * c.n_atoms);
    for (Index k = 0; k < c.n_atoms; ++k) EXPECT_LE((G.col(k) - gram.col(k * n * n + M * n + M)).norm(), 1e-12 * (1 + G.norm()));
  }
}

TEST(ConvolutionalDictionary2D, ProjectsOntoTheSphere_AndDirectionsOntoItsTangent) {
  Draw draw(8);
  const auto D = make({{2, 9, 9}, 3, 4}, draw);
  Parameters<double> at = D.parameters(), along{{"kernels", draw.normal_matrix(18, 4)}, {"steps", draw.normal_matrix(2, 1)}};
  D.project(at);
  EXPECT_LE((at.at("kernels").colwise().norm().array() - 1).abs().maxCoeff(), 1e-14);
  D.make_tangent(at, along);
  EXPECT_LE(at.at("kernels").cwiseProduct(along.at("kernels")).colwise().sum().norm(), 1e-13);
}

TEST(ConvolutionalDictionary2D, RefusesWhatDoesNotFit) {
  const auto sentence_of = [](const Matrix<double>& kernels, const PictureShape& shape) {
    try {
      ConvolutionalDictionary2D<double>(kernels, shape);
    } catch (const std::invalid_argument& refused) {
      return std::string(refused.what());
    }
    return std::string("nothing was refused");
  };
  const Matrix<double> kernels = Matrix<double>::Ones(18, 2);
  EXPECT_EQ(sentence_of(kernels, {1, 9, 9}),
            "convolutional dictionary: kernels have 18 entries, must be squares in each of the 1 channels");
  EXPECT_EQ(sentence_of(kernels, {2, 9, 2}),
            "convolutional dictionary: pictures are 9 x 2 pixels, must be at least 3 x 3, as kernels are");
  EXPECT_EQ(sentence_of(kernels, {2, 9, 9, Boundary::valid, 4}),
            "convolutional dictionary: stride = 4, must be 1 to 3, as kernels are wide");
  EXPECT_EQ(sentence_of(kernels, {2, 9, 8, Boundary::circular, 2}),
            "convolutional dictionary: pictures are 9 x 8 pixels, must be multiples of the stride 2 with boundary 'circular'");
}

}  // namespace
}  // namespace riata::testing
