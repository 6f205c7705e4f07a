#include "riata/networks/network_encoder.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <utility>

#include "networks/random_network.hpp"
#include "support/sentences.hpp"

namespace riata::testing {
namespace {

TEST(NetworkEncoder, GivesTheCodesOfTheBatch_ForEveryKind) {
  Draw draw(3);
  const Eigen::MatrixXd X = draw.normal_matrix(6, 9);
  for (const KindCase& kind : network_cases()) {
    Network<double> net(kind.kind, Eigen::MatrixXd(draw.atoms(6, 8)), 5, kind.options);
    shake(net, draw);
    NetworkEncoder<double> first(net), encoder(std::move(first)), shallow(net, 2);
    Eigen::VectorXd code(8);
    for (const double reg : {0.02, 0.3}) {
      const Eigen::MatrixXd codes = net.encode(X, reg), early = net.encode(X, reg, {.n_layers = 2});
      for (Index i = 0; i < X.cols(); ++i) {
        encoder.encode(X.col(i), reg, code);
        EXPECT_LE((code - codes.col(i)).norm(), 1e-12 * (1 + codes.col(i).norm())) << kind.describe();
        shallow.encode(X.col(i), reg, code);
        EXPECT_LE((code - early.col(i)).norm(), 1e-12 * (1 + early.col(i).norm())) << kind.describe();
      }
    }
  }
}

TEST(NetworkEncoder, RefusesBadInput) {
  Draw draw(4);
  const Network<double> net("coupled", Eigen::MatrixXd(draw.atoms(4, 6)), 3);
  NetworkEncoder<double> encoder(net);
  Eigen::VectorXd code(6), x = draw.normal_vector(4), broken = x;
  broken(1) = std::numeric_limits<double>::quiet_NaN();
  const BadInput table[] = {
      {"NetworkEncoder: n_layers = 4, must be between 1 and the network's 3", [&] { NetworkEncoder<double>(net, 4); }},
      {"NetworkEncoder: x has 6 entries, expected the atoms' 4", [&] { encoder.encode(code, 0.1, code); }},
      {"NetworkEncoder: code has 4 entries, expected one per atom, 6", [&] { encoder.encode(x, 0.1, x); }},
      {"NetworkEncoder: x holds nan at feature 1; expected finite numbers", [&] { encoder.encode(broken, 0.1, code); }},
      {"reg = 0, must be > 0 and finite", [&] { encoder.encode(x, 0, code); }},
  };
  for (const BadInput& row : table) EXPECT_EQ(refusal_of(row.call), row.sentence);
}

}  // namespace
}  // namespace riata::testing
