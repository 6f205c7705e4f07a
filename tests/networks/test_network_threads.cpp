// Several threads at one network, encoder or registry. Under ThreadSanitizer these find what happens by chance elsewhere.
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <thread>
#include <vector>

#include "io/files.hpp"
#include "networks/random_network.hpp"
#include "riata/learning/train.hpp"
#include "riata/networks/network_encoder.hpp"
#include "riata/networks/network_file.hpp"
#include "riata/unrolled/unrolled_encoder.hpp"

namespace riata::testing {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;

/// Runs `read` in 8 threads, again and again, while this one runs `write`; at the least once.
void beside(const std::function<void(int)>& read, const std::function<void()>& write) {
  std::atomic<bool> done = false;
  std::vector<std::thread> readers;
  for (int k = 0; k < 8; ++k)
    readers.emplace_back([&, k] {
      do read(k);
      while (!done);
    });
  write();
  done = true;
  for (std::thread& reader : readers) reader.join();
}

TEST(NetworkThreads, EncodeWhileOneTrains_AndFindTheNetworkBeforeOrAfter) {
  Draw draw(1);
  const MatrixXd D = draw.atoms(6, 8), X = draw.normal_matrix(6, 40);
  for (const KindCase& kind : network_cases()) {
    Network<double> net(kind.kind, D, 3, kind.options);
    const MatrixXd before = net.encode(X, 0.1);
    std::vector<MatrixXd> last(8);
    std::atomic<bool> certified = true;
    beside(
        [&](int k) {
          last[static_cast<std::size_t>(k)] = net.encode(X, 0.1, {.execution = {.n_threads = 1}});
          const auto found = net.encode_certified(X, 0.1, {.finish = 1e-3, .safeguard = true}, {.execution = {.n_threads = 1}});
          if (!found.codes.allFinite()) certified = false;
          const auto parameters = net.shared_parameters();
          for (const auto& [name, values] : *parameters)
            if (!values.allFinite()) certified = false;
          const Network<double> copy(net);
          if (copy.loss(X, 0.1, {.execution = {.n_threads = 1}}) < 0) certified = false;
        },
        [&] {
          train<double>(net, X, 0.1, {.max_iter = 3, .execution = {.n_threads = 1}});
          net.set_parameters(Parameters<double>(*net.shared_parameters()));
          train<double>(net, X, 0.1, {.max_iter = 2, .execution = {.n_threads = 1}});
        });
    EXPECT_TRUE(certified) << kind.describe();
    const MatrixXd after = net.encode(X, 0.1);
    for (const MatrixXd& codes : last) EXPECT_TRUE(codes.allFinite());
    EXPECT_FALSE(after == before && kind.kind != "iht") << kind.describe();
  }
}

TEST(NetworkThreads, SwapParameters_AndEveryCodeIsOfOneOrTheOther) {
  Draw draw(2);
  const MatrixXd D = draw.atoms(6, 8), X = draw.normal_matrix(6, 200);
  Network<double> net("coupled", D, 4);
  const Parameters<double> first = net.parameters();
  shake(net, draw);
  const Parameters<double> second = net.parameters();
  const MatrixXd of_second = net.encode(X, 0.1);
  net.set_parameters(first);
  const MatrixXd of_first = net.encode(X, 0.1);
  std::atomic<int> n_strange = 0;
  beside(
      [&](int) {
        const MatrixXd codes = net.encode(X, 0.1, {.execution = {.n_threads = 1}});
        if (codes != of_first && codes != of_second) ++n_strange;
      },
      [&] {
        for (int k = 0; k < 100; ++k) net.set_parameters(k % 2 == 0 ? second : first);
      });
  EXPECT_EQ(n_strange, 0);
}

TEST(NetworkThreads, ShareOneEncoder_AndGetTheCodesOfOne) {
  Draw draw(3);
  const MatrixXd D = draw.atoms(12, 30), X = draw.normal_matrix(12, 8);
  UnrolledEncoder<double> unrolled(DenseDictionary<double>(D), {.n_layers = 12});
  NetworkEncoder<double> network(Network<double>("coupled", D, 5));
  NetworkEncoder<double> certified(Network<double>("step", D, 5), {}, NetworkGuards{.finish = 1e-6, .safeguard = true});
  MatrixXd expected(30, 24);
  const auto codes_of = [&](Index i) {
    MatrixXd codes(30, 3);
    unrolled.encode(X.col(i), 0.1 + 0.05 * static_cast<double>(i), codes.col(0));
    network.encode(X.col(i), 0.1 + 0.05 * static_cast<double>(i), codes.col(1));
    certified.encode(X.col(i), 0.1 + 0.05 * static_cast<double>(i), codes.col(2));
    return codes;
  };
  for (Index i = 0; i < 8; ++i) expected.middleCols(3 * i, 3) = codes_of(i);
  std::atomic<int> n_strange = 0;
  beside(
      [&](int k) {
        for (int repeat = 0; repeat < 50; ++repeat)
          if (codes_of(k) != expected.middleCols(3 * k, 3)) ++n_strange;
      },
      [] {});
  EXPECT_EQ(n_strange, 0);
}

TEST(NetworkThreads, RegisterKindsWhileOthersMakeNetworks) {
  Draw draw(4);
  const Eigen::MatrixXf D = draw.atoms(6, 8).cast<float>();
  std::atomic<int> made = 0;
  beside(
      [&](int) {
        made += Network<float>("step", D, 1).n_layers();
        made += static_cast<int>(network_kinds<float>().size()) > 0;
        EXPECT_THROW(Network<float>("no such kind", D, 1), std::invalid_argument);
      },
      [&] {
        for (int k = 0; k < 50; ++k) {
          const std::string name = "a kind of this test, " + std::to_string(k);
          register_network<float>(name, find_network_kind<float>("coupled"));
          made += Network<float>(name, D, 1).n_layers();
        }
      });
  EXPECT_GE(made, 50);
}

TEST(NetworkThreads, WriteParametersToFilesWhileOneReadsThem) {
  Draw draw(5);
  const MatrixXd D = draw.atoms(6, 8);
  Network<double> net("coupled", D, 3);
  const TemporaryFolder folder;
  const std::string stored = folder / "stored.npz";
  export_parameters(stored, net);
  beside([&](int k) { export_parameters(folder / (std::to_string(k) + ".npz"), net); },
         [&] {
           for (int repeat = 0; repeat < 10; ++repeat) import_parameters(stored, net);
         });
}

}  // namespace
}  // namespace riata::testing
