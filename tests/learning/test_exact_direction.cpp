// The direction of alternating minimisation: codes to a certificate, which then stay while the dictionary moves.
#include <gtest/gtest.h>

#include "riata/learning/direction.hpp"
#include "support/lasso_oracle.hpp"
#include "support/random_arrays.hpp"
#include "support/sentences.hpp"

namespace riata::testing {
namespace {

using MatrixXd = Matrix<double>;

constexpr double exact_reg = 0.2;

struct Drawn {
  MatrixXd X, D;
  PenaltyOptions penalty = {};

  Parameters<double> parameters() const { return {{"dictionary", D}}; }
  /// sum_i F(z_i, D) at given codes.
  double objective(const MatrixXd& Z) const {
    const LassoOracle oracle(D, penalty.weights, penalty.positive);
    double sum = 0;
    for (Index i = 0; i < X.cols(); ++i) sum += oracle.objective(X.col(i), Z.col(i), exact_reg);
    return sum;
  }
  /// sum_i min_z F(z, D), to rounding: the error of the codes enters squared.
  double optimum() const {
    return objective(encode<double>(X, DenseDictionary(D), exact_reg, {.tol = 1e-14, .penalty = penalty}).codes);
  }
};

Drawn draw_batch(std::uint64_t seed, Index n_signals = 4, Index n_features = 5, Index n_atoms = 7) {
  Draw draw(seed);
  return {draw.normal_matrix(n_features, n_signals), draw.atoms(n_features, n_atoms)};
}

/// Asked for one thing at a time.
template <Scalar T>
struct AskedExact {
  ExactDirection<T> direction;
  AskedExact(const Matrix<T>& D, const EncodeOptions& coder, Reduction reduction)
      : direction(DenseDictionary<T>(D), exact_reg, coder, reduction) {}
  double open(const Matrix<T>& X, const Parameters<T>& p) {
    return direction.look({X}, {.at = p, .coding = Coding::opening}, {}).value;
  }
  double value(const Matrix<T>& X, const Parameters<T>& p) { return direction.look({X}, {.at = p}, {}).value; }
  double look(const Matrix<T>& X, const Parameters<T>& p) {
    return direction.look({X}, {.at = p, .coding = Coding::look}, {}).value;
  }
  Matrix<T> gradient(const Matrix<T>& X, const Parameters<T>& p) {
    const auto gradient = direction.look({X}, {.at = p, .gradient = {"dictionary"}}, {}).gradient;
    EXPECT_EQ(gradient.size(), 1U);
    return gradient.at("dictionary");
  }
  Matrix<T> codes(const Matrix<T>& X, const Parameters<T>& p) { return direction.look({X}, {.at = p, .codes = true}, {}).codes; }
};

AskedExact<double> direction_on(const Drawn& batch, Reduction reduction, double tol = 1e-14) {
  return {batch.D, {.tol = tol, .penalty = batch.penalty}, reduction};
}

TEST(ExactDirection, HasTheGradientOfTheOptimalValue) {
  for (const bool positive : {false, true})
    for (const bool weighted : {false, true})
      for (const Reduction reduction : {Reduction::mean, Reduction::sum}) {
        Drawn batch = draw_batch(1);
        batch.penalty = {.positive = positive, .weights = weighted ? Draw(2).weights(7) : std::vector<double>()};
        const double scale = reduction == Reduction::mean ? 0.25 : 1;
        auto direction = direction_on(batch, reduction);
        EXPECT_NEAR(direction.open(batch.X, batch.parameters()), scale * batch.optimum(), 1e-13);
        const MatrixXd gradient = direction.gradient(batch.X, batch.parameters());
        const double h = 1e-5;
        for (double& entry : batch.D.reshaped()) {
          const double before = entry;
          entry = before + h;
          const double above = batch.optimum();
          entry = before - h;
          const double difference = scale * (above - batch.optimum()) / (2 * h);
          entry = before;
          EXPECT_NEAR(gradient.data()[&entry - batch.D.data()], difference, 1e-7);
        }
      }
}

TEST(ExactDirection, HoldsItsCodesWhileTheDictionaryMoves_UntilItIsOpenedAgain) {
  Drawn batch = draw_batch(3, 2100, 3, 4);  // the residual is formed in blocks
  auto direction = direction_on(batch, Reduction::sum, 1e-8);
  const double opened = direction.open(batch.X, batch.parameters());
  const MatrixXd Z = direction.codes(batch.X, batch.parameters());
  EXPECT_NEAR(opened, batch.objective(Z), 1e-11 * opened);
  for (double& entry : batch.D.reshaped()) entry += entry > 0 ? 0.1 : -0.2;
  const double held = direction.value(batch.X, batch.parameters());
  EXPECT_NEAR(held, batch.objective(Z), 1e-11 * held);
  const MatrixXd gradient = direction.gradient(batch.X, batch.parameters());
  MatrixXd expected = MatrixXd::Zero(3, 4);
  for (Index i = 0; i < 2100; ++i) expected += (batch.D * Z.col(i) - batch.X.col(i)) * Z.col(i).transpose();
  EXPECT_LE((gradient - expected).norm(), 1e-12 * expected.norm());
  EXPECT_TRUE(direction.codes(batch.X, batch.parameters()) == Z);

  const double looked = direction.look(batch.X, batch.parameters());
  EXPECT_LT(looked, held);
  direction.direction.forget_looks();
  EXPECT_TRUE(direction.codes(batch.X, batch.parameters()) == Z);
  const double again = direction.open(batch.X, batch.parameters());
  EXPECT_LT(again, held);
  EXPECT_NEAR(again, batch.optimum(), 1e-7 * again);
}

TEST(ExactDirection, Restored_GoesOnFromItsCodesBitForBit) {
  const Drawn first = draw_batch(4, 50);
  Drawn second = first;
  second.D = (second.D + 0.1 * Draw(5).normal_matrix(5, 7)).colwise().normalized();
  auto whole = direction_on(first, Reduction::mean, 1e-3), restored = direction_on(first, Reduction::mean, 1e-3),
       cold = direction_on(first, Reduction::mean, 1e-3);
  const auto restore = [&] { restored.direction.restore(whole.direction.state(), {first.X}, first.parameters(), "here"); };
  restore();  // never opened
  const NamedTensors unopened = whole.direction.state();
  whole.open(first.X, first.parameters());
  EXPECT_TRUE(whole.direction.state() == unopened);  // until the iteration counts
  whole.direction.keep();
  restore();
  EXPECT_EQ(restored.open(first.X, second.parameters()), whole.open(first.X, second.parameters()));
  cold.open(first.X, second.parameters());
  for (auto* asked : {&whole, &restored, &cold}) asked->direction.keep();
  EXPECT_TRUE(restored.direction.state() == whole.direction.state());
  EXPECT_FALSE(cold.direction.state() == whole.direction.state());  // the start is warm

  const Drawn fewer = draw_batch(6, 20);
  EXPECT_NEAR(whole.open(fewer.X, fewer.parameters()), fewer.optimum() / 20, 0.01);  // another batch starts from zero
}

TEST(ExactDirection, StateOfAnotherBatchOrThatIsDamaged_IsRefused) {
  Drawn batch = draw_batch(7, 3);
  batch.penalty.positive = true;
  auto direction = direction_on(batch, Reduction::mean);
  const auto refusal = [&](const MatrixXd& codes) {
    return refusal_of([&] {
      direction.direction.restore({{"direction.codes", to_tensor<double>(codes)}}, {batch.X}, batch.parameters(), "here");
    });
  };
  const MatrixXd codes = MatrixXd::Ones(7, 3);
  EXPECT_EQ(refusal(codes.leftCols(2)), "here: tensor 'direction.codes' has shape (2, 7), expected (3, 7)");
  EXPECT_EQ(refusal(codes.topRows(6)), "here: tensor 'direction.codes' has shape (3, 6), expected (3, 7)");
  EXPECT_EQ(refusal(-codes), "here: tensor 'direction.codes' holds codes below zero");
  EXPECT_NE(refusal(NAN * codes), "");
  EXPECT_EQ(refusal_of([&] { direction.direction.restore({}, {batch.X}, batch.parameters(), "here"); }),
            "here: tensor 'direction.codes' is missing");
}

TEST(ExactDirection, InFloat_FollowsDouble) {
  const Drawn batch = draw_batch(8, 50);
  auto direction = direction_on(batch, Reduction::mean, 1e-10);
  const Matrix<float> X = batch.X.cast<float>(), D = batch.D.cast<float>();
  AskedExact<float> rounded(D, {.tol = 1e-6}, Reduction::mean);
  const double value = direction.open(batch.X, batch.parameters());
  EXPECT_NEAR(rounded.open(X, {{"dictionary", D}}), value, 1e-5 * value);
  const MatrixXd gradient = direction.gradient(batch.X, batch.parameters());
  const Matrix<float> in_float = rounded.gradient(X, {{"dictionary", D}});
  EXPECT_LE((in_float.cast<double>() - gradient).norm(), 1e-2 * gradient.norm());
}

}  // namespace
}  // namespace riata::testing
