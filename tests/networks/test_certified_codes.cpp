// Codes of networks that are certified, finished by the solver, and safeguarded by ISTA; and networks that diverge.
#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "networks/random_network.hpp"
#include "riata/networks/network_encoder.hpp"
#include "riata/solvers/certificate.hpp"
#include "riata/solvers/encode.hpp"
#include "riata/unrolled/unrolled.hpp"
#include "support/precision.hpp"
#include "support/sentences.hpp"

namespace riata::testing {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;

/// F(z) from its definition, in 80 bits.
template <class Signal, class Code>
double objective(const Matrix<double>& D, const std::vector<std::int64_t>& groups, const Signal& x, const Code& z, double reg) {
  using Real = long double;
  using RealVector = Eigen::Matrix<Real, Eigen::Dynamic, 1>;
  const RealVector r = x.template cast<Real>() - D.cast<Real>() * z.template cast<Real>();
  std::map<std::int64_t, Real> length_sq;
  for (Index j = 0; j < z.size(); ++j)
    length_sq[groups.empty() ? j : groups[static_cast<std::size_t>(j)]] += Real(z(j)) * Real(z(j));
  Real g = 0;
  for (const auto& [label, sum] : length_sq) g += std::sqrt(sum);
  return static_cast<double>(r.squaredNorm() / 2 + Real(reg) * g);
}

/// ISTA with as many layers, with step 1 / ||D||^2.
template <Scalar T>
Matrix<T> ista(const KindCase& kind, const Matrix<T>& D, const Matrix<T>& X, const Reg& reg, int depth,
               const OptionalMatrixRef<T>& init) {
  if (kind.kind == "group") return Network<T>("group", D, depth, {.groups = kind.options.groups}).encode(X, reg, {.init = init});
  const UnrolledOptions layers{.n_layers = depth, .algorithm = Layers::ista, .penalty = {.positive = kind.options.positive}};
  return unrolled_encode<T>(X, DenseDictionary(D), reg, layers, init);
}

/// Steps, thresholds and weights far from any training: between a tenth and eight times what they were.
template <Scalar T>
void derange(Network<T>& net, Draw& draw) {
  shake(net, draw, 0.5);
  Parameters<T> parameters = net.parameters();
  for (auto& [name, values] : parameters)
    if (!name.ends_with("rotation")) values *= static_cast<T>(draw.log_uniform(0.1, 8));
  net.set_parameters(parameters);
}

template <class T>
class CertifiedCodesInBothPrecisions : public ::testing::Test {};
TYPED_TEST_SUITE(CertifiedCodesInBothPrecisions, BothPrecisions, PrecisionName);

TYPED_TEST(CertifiedCodesInBothPrecisions, AreThoseOfEncode_WithTheCertificateOfTheSolver) {
  using T = TypeParam;
  Draw draw(1);
  for (const KindCase& kind : network_cases()) {
    Network<T> net(kind.kind, Matrix<T>(draw.atoms(6, 8).cast<T>()), 4, kind.options);
    shake(net, draw);
    const Matrix<T> X = draw.normal_matrix(6, 150).cast<T>(), start = draw.sparse_matrix(8, 150, 0.3).cast<T>();
    std::vector<double> per_signal(150);
    for (double& reg : per_signal) reg = draw.log_uniform(0.05, 2);
    for (const Reg& reg : {Reg(0.2), Reg::fraction_of_max(0.5), Reg(per_signal)})
      for (const NetworkRun<T>& run : {NetworkRun<T>{}, NetworkRun<T>{.n_layers = 2, .init = start}}) {
        const EncodeResult<T> found = net.encode_certified(X, reg, {}, run);
        EXPECT_TRUE(found.codes == net.encode(X, reg, run)) << kind.describe();
        const auto expected = lasso_certificate<T>(X, net.dictionary(), found.codes, reg, net.penalty());
        EXPECT_LE((found.objective - expected.objective).cwiseAbs().maxCoeff(), 1e-13 * expected.objective.maxCoeff());
        EXPECT_LE((found.gap - expected.gap).cwiseAbs().maxCoeff(), 1e-13 * expected.objective.maxCoeff()) << kind.describe();
        EXPECT_EQ(found.n_iter.maxCoeff(), 0);
      }
  }
}

TYPED_TEST(CertifiedCodesInBothPrecisions, Safeguarded_AreNeverAboveIsta) {
  using T = TypeParam;
  Draw draw(2);
  int n_from_ista = 0, n_from_network = 0;
  for (const KindCase& kind : network_cases())
    for (const double scale : {1e-3, 1.0, 1e3})
      for (const bool deranged : {false, true}) {
        const Matrix<T> D = draw.atoms(6, 8).cast<T>();
        Network<T> net(kind.kind, D, 6, kind.options);
        if (deranged) derange(net, draw);
        const Index n = 20;
        const Matrix<T> X = (scale * draw.normal_matrix(6, n)).cast<T>(),
                        start = (scale * draw.sparse_matrix(8, n, 0.3)).cast<T>();
        std::vector<double> regs(static_cast<std::size_t>(n));
        for (double& reg : regs) reg = static_cast<double>(static_cast<T>(scale * draw.log_uniform(0.05, 0.5)));
        for (const int depth : {6, 3})
          for (const OptionalMatrixRef<T>& init : {OptionalMatrixRef<T>(), OptionalMatrixRef<T>(start)}) {
            const Matrix<T> of_ista = ista<T>(kind, D, X, Reg(regs), depth, init);
            const EncodeResult<T> found =
                net.encode_certified(X, Reg(regs), {.safeguard = true}, {.n_layers = depth, .init = init});
            for (Index i = 0; i < n; ++i) {
              const double reg = regs[static_cast<std::size_t>(i)];
              const auto worth = [&](const auto& z) {
                return objective(D.template cast<double>(), kind.options.groups, X.col(i), z, reg);
              };
              const double ours = worth(found.codes.col(i)), theirs = worth(of_ista.col(i));
              // ISTA is one algorithm, but its products are rounded in more than one order.
              ASSERT_LE(ours, theirs * (1 + 100 * epsilon<T>)) << kind.describe() << ", signal " << i << " at scale " << scale;
              ASSERT_NEAR(found.objective(i), ours, 1e-12 * ours);
              ++(ours < theirs * (1 - 1e-3) ? n_from_network : n_from_ista);
            }
          }
      }
  EXPECT_GT(n_from_ista, 100);
  EXPECT_GT(n_from_network, 100);
}

TYPED_TEST(CertifiedCodesInBothPrecisions, Finished_HaveTheGapAskedFor) {
  using T = TypeParam;
  Draw draw(3);
  for (const KindCase& kind : network_cases())
    for (const double scale : {1e-3, 1.0, 1e3})
      for (const bool safeguard : {false, true}) {
        const Matrix<T> D = draw.atoms(6, 8).cast<T>(), X = (scale * draw.normal_matrix(6, 30)).cast<T>();
        Network<T> net(kind.kind, D, 6, kind.options);
        derange(net, draw);
        const Reg reg = Reg::fraction_of_max(0.3);
        const double tol = std::same_as<T, double> ? 1e-10 : 1e-5;
        const EncodeResult<T> found = net.encode_certified(X, reg, {.finish = tol, .safeguard = safeguard});
        const auto certificate = lasso_certificate<T>(X, DenseDictionary(D), found.codes, reg, net.penalty());
        for (Index i = 0; i < X.cols(); ++i) {
          EXPECT_LE(certificate.gap(i), tol * 0.5 * X.col(i).template cast<double>().squaredNorm() * (1 + 1e-6))
              << kind.describe();
          EXPECT_EQ(found.status[static_cast<std::size_t>(i)], Status::converged);
        }
        EXPECT_GT(found.n_iter.maxCoeff(), 0);
        // What meets a tolerance is left as it is.
        const EncodeResult<T> again =
            net.encode_certified(X, reg, {.finish = 1e-2, .safeguard = safeguard}, {.init = found.codes});
        const EncodeResult<T> plain = net.encode_certified(X, reg, {.safeguard = safeguard}, {.init = found.codes});
        for (Index i = 0; i < X.cols(); ++i)
          EXPECT_TRUE(again.n_iter(i) > 0 || again.codes.col(i) == plain.codes.col(i) || again.codes.col(i).isZero(0));
      }
}

TEST(CertifiedCodes, StartTheSolverFromTheNetworksCodes) {
  Draw draw(4);
  const MatrixXd D = draw.atoms(30, 60), X = draw.normal_matrix(30, 50);
  const Reg reg = Reg::fraction_of_max(0.2);
  const auto exact = encode<double>(X, DenseDictionary(D), reg, {.tol = 1e-8});
  const Network<double> net("step", D, 1);
  const auto cold = net.encode_certified(X, reg, {.finish = 1e-10});
  const auto warm = net.encode_certified(X, reg, {.finish = 1e-10}, {.init = exact.codes});
  EXPECT_LT(warm.n_iter.sum(), cold.n_iter.sum() / 2);
}

TEST(CertifiedCodes, DoNotDependOnThreads) {
  Draw draw(5);
  for (const KindCase& kind : network_cases()) {
    Network<double> net(kind.kind, Eigen::MatrixXd(draw.atoms(6, 8)), 5, kind.options);
    derange(net, draw);
    const MatrixXd X = draw.normal_matrix(6, 700);
    const NetworkGuards guards{.finish = 1e-3, .safeguard = true};
    const auto one = net.encode_certified(X, 0.2, guards, {.execution = {.n_threads = 1}});
    const auto three = net.encode_certified(X, 0.2, guards, {.execution = {.n_threads = 3}});
    EXPECT_TRUE(one.codes == three.codes && one.gap == three.gap && one.n_iter == three.n_iter && one.status == three.status)
        << kind.describe();
  }
}

/// Every parameter that a forward pass multiplies with, times `factor`.
template <Scalar T>
void blow_up(Network<T>& net, double factor) {
  Parameters<T> parameters = net.parameters();
  for (auto& [name, values] : parameters)
    if (!name.ends_with("threshold")) values *= static_cast<T>(name.ends_with("scales") ? 1 / factor : factor);
  net.set_parameters(parameters);
}

TYPED_TEST(CertifiedCodesInBothPrecisions, OfANetworkThatDiverges_AreRefusedOrReplaced) {
  using T = TypeParam;
  Draw draw(6);
  for (const KindCase& kind : network_cases()) {
    if (kind.options.positive) continue;  // the first signal's code may be zero, which does not grow
    const Matrix<T> D = draw.atoms(6, 8).cast<T>(), X = draw.normal_matrix(6, 40).cast<T>();
    // The smaller factor overflows in the last layers, the larger one at once: what the layers after it make of NaN is no code.
    for (const double factor : {std::same_as<T, double> ? 1e30 : 1e6, std::same_as<T, double> ? 1e120 : 1e15}) {
      Network<T> net(kind.kind, D, 14, kind.options);
      blow_up(net, factor);
      const std::string sentence =
          "the network diverges on signal 0: what it gives after 14 layers is not finite; safeguard or "
          "finish gives another code";
      EXPECT_EQ(refusal_of([&] { net.encode(X, 0.2); }), "encode: " + sentence) << kind.describe() << ", " << factor;
      EXPECT_EQ(refusal_of([&] { net.outputs(X, 0.2); }), "outputs: " + sentence);
      EXPECT_EQ(refusal_of([&] { net.encode_certified(X, 0.2); }), "encode: " + sentence) << kind.describe() << ", " << factor;
      Vector<T> code(8);
      EXPECT_EQ(refusal_of([&] { NetworkEncoder<T>(net).encode(X.col(0), 0.2, code); }),
                "NetworkEncoder: the network diverges: what it gives after 14 layers is not finite; safeguard or finish gives "
                "another code");
      const auto safe = net.encode_certified(X, 0.2, {.safeguard = true});
      const Matrix<T> of_ista = ista<T>(kind, D, X, 0.2, 14, {});
      EXPECT_LE((safe.codes - of_ista).cwiseAbs().maxCoeff(), 1e3 * epsilon<T>) << kind.describe();
      const double tol = std::same_as<T, double> ? 1e-10 : 1e-5;
      const auto finished = net.encode_certified(X, 0.2, {.finish = tol});
      EXPECT_TRUE(finished.codes.allFinite());
      EXPECT_TRUE(std::ranges::all_of(finished.status, [](Status s) { return s == Status::converged; })) << kind.describe();
    }
  }
}

TEST(CertifiedCodes, WhereOneSignalDiverges_TheSentenceNamesIt) {
  Draw draw(7);
  const MatrixXd D = draw.atoms(6, 8);
  MatrixXd X = 1e-3 * draw.normal_matrix(6, 300);  // whose codes are zero
  X.col(211) *= 1e4;
  const Network<double> net("step", D, 400, {.lipschitz = 0.1});  // steps far too long
  EXPECT_EQ(refusal_of([&] { net.encode(X, 0.2); }).substr(0, 43), "encode: the network diverges on signal 211:");
}

TEST(CertifiedCodes, OfALoadedNetwork_AreSafeguardedWithStepsThatConverge) {
  Draw draw(8);
  const MatrixXd D = draw.atoms(6, 8), X = draw.normal_matrix(6, 20);
  const Network<double> net("step", D, 40, {.lipschitz = 0.1});  // steps far too long
  const auto safe = net.encode_certified(X, 0.2, {.safeguard = true});
  const MatrixXd of_ista = ista<double>({"step"}, D, X, 0.2, 40, {});
  EXPECT_LE((safe.codes - of_ista).cwiseAbs().maxCoeff(), 1e-12);
}

TEST(CertifiedCodes, OneSignalAtATime_AreThoseOfTheBatch) {
  Draw draw(9);
  const MatrixXd X = draw.normal_matrix(6, 9);
  for (const KindCase& kind : network_cases()) {
    Network<double> net(kind.kind, Eigen::MatrixXd(draw.atoms(6, 8)), 5, kind.options);
    derange(net, draw);
    for (const NetworkGuards& guards : {NetworkGuards{}, NetworkGuards{.safeguard = true}, NetworkGuards{.finish = 1e-9},
                                        NetworkGuards{.finish = 1e-3, .safeguard = true}}) {
      NetworkEncoder<double> encoder(net, 4, guards);
      VectorXd code(8);
      for (const double reg : {0.02, 0.3}) {
        const auto batch = net.encode_certified(X, reg, guards, {.n_layers = 4});
        for (Index i = 0; i < X.cols(); ++i) {
          const auto worth = encoder.encode(X.col(i), reg, code);
          ASSERT_TRUE(worth.has_value());
          const double rough = guards.finish ? 1e-4 : 1e-11;
          EXPECT_LE((code - batch.codes.col(i)).norm(), rough * (1 + batch.codes.col(i).norm())) << kind.describe();
          EXPECT_NEAR(worth->objective, batch.objective(i), 1e-9 * (1 + batch.objective(i)));
          EXPECT_NEAR(worth->gap, batch.gap(i), 1e-9 * (1 + batch.objective(i))) << kind.describe();
          EXPECT_EQ(worth->status, batch.status[static_cast<std::size_t>(i)]);
          EXPECT_EQ(worth->n_iter > 0, batch.n_iter(i) > 0);
        }
      }
    }
    VectorXd code(8);
    EXPECT_FALSE(
        NetworkEncoder<double>(Network<double>(kind.kind, net.dictionary(), 2, kind.options)).encode(X.col(0), 0.1, code));
  }
}

TEST(CertifiedCodes, BadGuards_AreRefused) {
  Draw draw(10);
  const Network<double> net("step", MatrixXd(draw.atoms(6, 8)), 3);
  const MatrixXd X = draw.normal_matrix(6, 2);
  const std::string sentence = "finish = -1, must be >= 0 and finite";
  EXPECT_EQ(refusal_of([&] { net.encode_certified(X, 0.1, {.finish = -1}); }), sentence);
  EXPECT_EQ(refusal_of([&] { NetworkEncoder<double>(net, {}, NetworkGuards{.finish = -1}); }), sentence);
}

}  // namespace
}  // namespace riata::testing
