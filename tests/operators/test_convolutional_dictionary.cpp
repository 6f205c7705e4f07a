#include "riata/operators/convolutional_dictionary.hpp"

#include <gtest/gtest.h>

#include <Eigen/SVD>

#include "support/random_arrays.hpp"

namespace riata::testing {
namespace {

struct Case {
  Boundary boundary;
  Index n_channels, n_times, length, n_atoms;
  bool rank_one, window;
};

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const Boundary boundary : {Boundary::valid, Boundary::full, Boundary::circular})
    for (const auto& [n_channels, n_times, length, n_atoms] :
         {std::tuple{1, 30, 7, 2}, std::tuple{3, 41, 8, 4}, std::tuple{2, 9, 9, 2}, std::tuple{4, 25, 1, 3},
          std::tuple{1, 12, 10, 1}}) {
      all.push_back({boundary, n_channels, n_times, length, n_atoms, false, false});
      all.push_back({boundary, n_channels, n_times, length, n_atoms, true, false});
      all.push_back({boundary, n_channels, n_times, length, n_atoms, true, true});
    }
  all.push_back({Boundary::full, 2, 5, 8, 2, true, false});  // kernels longer than the signal
  return all;
}

template <class T>
ConvolutionalDictionary<T> make(const Case& c, Draw& draw) {
  const RecordingShape shape{c.n_channels, c.n_times, c.boundary};
  if (!c.rank_one) return {draw.normal_matrix(c.n_channels * c.length, c.n_atoms).template cast<T>(), shape};
  return ConvolutionalDictionary<T>::rank_one(draw.normal_matrix(c.n_channels, c.n_atoms).template cast<T>(),
                                              draw.normal_matrix(c.length, c.n_atoms).template cast<T>(), shape,
                                              c.window ? tukey_window<T>(c.length) : Vector<T>());
}

/// The map by its definition.
Matrix<double> dense(const ConvolutionalDictionary<double>& D) {
  const auto [n_channels, n_times, boundary] = D.shape();
  const Index L = D.atom_times(), P = D.n_positions();
  const Matrix<double> atoms = D.atoms();
  Matrix<double> A = Matrix<double>::Zero(D.signal_size(), D.code_size());
  for (Index k = 0; k < D.n_atoms(); ++k)
    for (Index p = 0; p < P; ++p)
      for (Index c = 0; c < n_channels; ++c)
        for (Index l = 0; l < L; ++l) {
          Index t = p + l;
          if (boundary == Boundary::full) t -= L - 1;
          if (boundary == Boundary::circular) t %= n_times;
          if (t >= 0 && t < n_times) A(c * n_times + t, k * P + p) += atoms(c * L + l, k);
        }
  return A;
}

TEST(ConvolutionalDictionary, IsTheMapOfItsDefinition) {
  Draw draw(1);
  for (const Case& c : cases()) {
    const auto D = make<double>(c, draw);
    const Matrix<double> A = dense(D), R = draw.normal_matrix(D.signal_size(), 3);
    for (const double density : {0.05, 1.0}) {
      Matrix<double> Z = draw.normal_matrix(D.code_size(), 3);
      if (density < 1)
        for (Index j = 0; j < Z.size(); ++j)
          if (j % 20 != 0) Z.data()[j] = 0;
      Matrix<double> X(D.signal_size(), 3), back(D.code_size(), 3);
      D.apply(Z, X);
      D.adjoint(R, back);
      EXPECT_LE((X - A * Z).norm(), 1e-13 * (1 + X.norm()));
      EXPECT_LE((back - A.transpose() * R).norm(), 1e-13 * (1 + back.norm()));
      EXPECT_NEAR(X.cwiseProduct(R).sum(), Z.cwiseProduct(back).sum(), 1e-13 * X.norm() * R.norm());
    }
  }
}

TEST(ConvolutionalDictionary, IsTheSameInSinglePrecision) {
  Draw draw(2);
  for (const Case& c : cases()) {
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

TEST(ConvolutionalDictionary, BoundsItsNorm) {
  Draw draw(3);
  for (Case c : cases()) {
    const auto D = make<double>(c, draw);
    const double norm_sq = std::pow(dense(D).jacobiSvd().singularValues()(0), 2);
    EXPECT_GE(D.squared_norm(), norm_sq);
    if (c.boundary == Boundary::valid && c.n_times < 4 * c.length) continue;  // far below that of long signals
    c.n_times = 12 * c.length;
    const auto longer = D.of_length(c.n_times);
    const double of_longer = std::pow(dense(longer).bdcSvd().singularValues()(0), 2);
    EXPECT_GE(longer.squared_norm(), of_longer);
    EXPECT_LE(longer.squared_norm(), 1.1 * of_longer);
  }
}

TEST(ConvolutionalDictionary, GradientIsThatOfFiniteDifferences) {
  Draw draw(4);
  for (const Case& c : cases()) {
    const auto D = make<double>(c, draw);
    const Matrix<double> Z = draw.normal_matrix(D.code_size(), 2), R = draw.normal_matrix(D.signal_size(), 2);
    const Parameters<double> at = D.parameters();
    Parameters<double> gradient = zeros_like(at);
    D.accumulate_gradient(0.5, R, Z, gradient);
    for (const auto& [name, values] : at)
      for (Index j = 0; j < values.size(); j += 3) {
        const auto product = [&](double h) {
          Parameters<double> moved = at;
          moved.at(name).data()[j] += h;
          Matrix<double> X(D.signal_size(), 2);
          D.at(moved)->apply(Z, X);
          return 0.5 * X.cwiseProduct(R).sum();
        };
        EXPECT_NEAR(gradient.at(name).data()[j], (product(0.5) - product(-0.5)), 1e-10 * (1 + R.norm())) << name << " " << j;
      }
    Parameters<double> some = {{at.begin()->first, Matrix<double>::Zero(at.begin()->second.rows(), at.begin()->second.cols())}};
    D.accumulate_gradient(0.5, R, Z, some);
    EXPECT_LE((some.begin()->second - gradient.at(at.begin()->first)).norm(), 1e-12);
  }
}

TEST(ConvolutionalDictionary, ProjectsColumnsOntoTheSphere) {
  Draw draw(5);
  for (const Case& c : cases()) {
    const auto D = make<double>(c, draw);
    Parameters<double> parameters = D.parameters();
    parameters["steps"] = Matrix<double>::Constant(3, 1, 2.0);
    D.project(parameters);
    for (const auto& [name, values] : D.parameters())
      EXPECT_LE((parameters.at(name).colwise().norm().array() - 1).abs().maxCoeff(), 1e-14);
    EXPECT_EQ(parameters.at("steps"), (Matrix<double>::Constant(3, 1, 2.0)));
  }
}

TEST(ConvolutionalDictionary, LaggedGramIsThatOfTranslates) {
  Draw draw(6);
  for (Case c : cases()) {
    if (c.boundary != Boundary::valid) continue;
    c.n_times = 4 * c.length;
    const auto D = make<double>(c, draw);
    const Matrix<double> A = dense(D), G = lagged_gram(D), gram = A.transpose() * A;
    const Index P = D.n_positions(), L = D.atom_times(), middle = P / 2;
    ASSERT_EQ(G.rows(), (2 * L - 1) * c.n_atoms);
    for (Index k = 0; k < c.n_atoms; ++k)
      for (Index j = 0; j < c.n_atoms; ++j)
        for (Index s = 1 - L; s < L; ++s)
          EXPECT_NEAR(G(j * (2 * L - 1) + s + L - 1, k), gram(j * P + middle + s, k * P + middle), 1e-12);
  }
}

TEST(ConvolutionalDictionary, RefusesWhatDoesNotFit) {
  const auto sentence_of = [](auto make_it) {
    try {
      make_it();
    } catch (const std::invalid_argument& refused) {
      return std::string(refused.what());
    }
    return std::string("nothing was refused");
  };
  const Matrix<double> kernels = Matrix<double>::Ones(6, 2), u = Matrix<double>::Ones(2, 2), v = Matrix<double>::Ones(3, 2);
  using D = ConvolutionalDictionary<double>;
  EXPECT_EQ(sentence_of([&] {
              D(kernels, {2, 2});
            }),
            "convolutional dictionary: signals have 2 samples, must have at least 3, as kernels have");
  EXPECT_EQ(sentence_of([&] {
              D(kernels, {4, 9});
            }),
            "convolutional dictionary: kernels have 6 entries, must be a multiple of the 4 channels");
  EXPECT_EQ(sentence_of([&] {
              D::rank_one(u, v, {3, 9});
            }),
            "convolutional dictionary: u is 2 atoms of 2 channels, must be 2 of 3");
  EXPECT_EQ(sentence_of([&] {
              D::rank_one(u, v, {2, 9}, Vector<double>::Ones(4));
            }),
            "convolutional dictionary: the window has 4 entries, must have 3, as kernels have");
}

TEST(TukeyWindow, TapersItsEnds) {
  const Vector<double> window = tukey_window<double>(9, 0.5);
  EXPECT_EQ(window(0), 1e-9);
  EXPECT_EQ(window(8), 1e-9);
  EXPECT_NEAR(window(1), 0.5, 1e-15);
  EXPECT_TRUE((window.segment(2, 5).array() == 1).all());
  EXPECT_TRUE((tukey_window<double>(5, 0).array() == 1).all());
}

}  // namespace
}  // namespace riata::testing
