#include "riata/unrolled/unrolled_encoder.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <utility>

#include "support/random_arrays.hpp"
#include "support/sentences.hpp"

namespace riata::testing {
namespace {

TEST(UnrolledEncoder, GivesTheCodesOfTheBatch) {
  Draw draw(900);
  const Eigen::MatrixXd atoms = draw.atoms(12, 30), X = draw.normal_matrix(12, 9);
  const DenseDictionary<double> D(atoms);
  std::vector<double> rising, mixed;
  for (int k = 0; k < 15; ++k) rising.push_back(1 + 0.05 * k), mixed.push_back(k == 3 ? -0.5 : k == 5 ? 0 : 1);
  for (const UnrolledOptions& options :
       {UnrolledOptions{.n_layers = 15}, UnrolledOptions{.n_layers = 15, .return_extrapolated = true},
        UnrolledOptions{.n_layers = 15, .algorithm = Layers::ista, .steps = rising},
        UnrolledOptions{.n_layers = 15, .algorithm = Layers::ista, .steps = mixed, .lipschitz = 20.0},
        UnrolledOptions{.n_layers = 15, .penalty = {.positive = true, .weights = draw.weights(30)}}}) {
    UnrolledEncoder<double> first(D, options), encoder(std::move(first));
    for (const double reg : {1e-3, 0.3, 3.0, 100.0}) {
      const Eigen::MatrixXd codes = unrolled_encode<double>(X, D, reg, options);
      Eigen::VectorXd code(30);
      for (Index i = 0; i < X.cols(); ++i) {
        encoder.encode(X.col(i), reg, code);
        EXPECT_LE((code - codes.col(i)).norm(), 1e-12 * (1 + codes.col(i).norm())) << "reg " << reg << ", signal " << i;
      }
    }
  }
}

TEST(UnrolledEncoder, RefusesBadInput) {
  Draw draw(901);
  const DenseDictionary<double> D(draw.atoms(4, 6));
  UnrolledEncoder<double> encoder(D, {.n_layers = 3});
  Eigen::VectorXd code(6), x = draw.normal_vector(4), broken = x;
  broken(1) = std::numeric_limits<double>::quiet_NaN();
  const BadInput table[] = {
      {"UnrolledEncoder: x has 6 entries, expected the atoms' 4", [&] { encoder.encode(code, 0.1, code); }},
      {"UnrolledEncoder: code has 4 entries, expected one per atom, 6", [&] { encoder.encode(x, 0.1, x); }},
      {"UnrolledEncoder: x holds nan at feature 1; expected finite numbers", [&] { encoder.encode(broken, 0.1, code); }},
      {"reg = 0, must be > 0 and finite", [&] { encoder.encode(x, 0, code); }},
      {"n_layers = 0, must be between 1 and 1000000", [&] { UnrolledEncoder<double>(D, {.n_layers = 0}); }},
  };
  for (const BadInput& row : table) EXPECT_EQ(refusal_of(row.call), row.sentence);
}

}  // namespace
}  // namespace riata::testing
