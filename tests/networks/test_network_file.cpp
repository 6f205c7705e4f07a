#include "riata/networks/network_file.hpp"

#include <gtest/gtest.h>

#include <filesystem>

#include "networks/random_network.hpp"
#include "riata/io/arrays.hpp"
#include "riata/io/safetensors.hpp"
#include "riata/learning/model.hpp"
#include "riata/unrolled/unrolled.hpp"
#include "support/precision.hpp"
#include "support/sentences.hpp"

namespace riata::testing {
namespace {

template <class T>
class NetworkFile : public ::testing::Test {
 protected:
  void TearDown() override {
    std::filesystem::remove(path);
    std::filesystem::remove(npz);
  }
  static std::string file(const std::string& end) {
    return std::filesystem::temp_directory_path() / (std::string("riata_network_") + PrecisionName::GetName<T>(0) +
                                                     ::testing::UnitTest::GetInstance()->current_test_info()->name() + end);
  }
  const std::string path = file(".safetensors"), npz = file(".npz");
};
TYPED_TEST_SUITE(NetworkFile, BothPrecisions, PrecisionName);

TYPED_TEST(NetworkFile, RoundTrip_KeepsEveryBit) {
  using T = TypeParam;
  Draw draw(1);
  const Matrix<T> X = draw.normal_matrix(6, 9).template cast<T>();
  for (const KindCase& kind : network_cases()) {
    Network<T> net(kind.kind, Matrix<T>(draw.atoms(6, 8).template cast<T>()), 3, kind.options);
    shake(net, draw);
    save_network<T>(this->path, {.network = net, .reg = 0.1, .metadata = {{"note", "a test"}}});
    EXPECT_EQ(network_is_float32(this->path), sizeof(T) == 4);
    const StoredNetwork<T> stored = load_network<T>(this->path);
    EXPECT_TRUE(stored.network.parameters() == net.parameters()) << kind.describe();
    EXPECT_EQ(stored.network.kind(), kind.kind);
    EXPECT_EQ(stored.network.lipschitz(), net.lipschitz());
    EXPECT_TRUE(stored.network.encode(X, 0.1) == net.encode(X, 0.1)) << kind.describe();
    EXPECT_EQ(stored.reg, 0.1);
    EXPECT_EQ(stored.metadata.at("note"), "a test");

    Network<T> other(kind.kind, net.dictionary(), 3, kind.options);
    export_parameters<T>(this->npz, net);
    import_parameters<T>(this->npz, other);
    EXPECT_TRUE(other.parameters() == net.parameters()) << kind.describe();
  }
}

TYPED_TEST(NetworkFile, Metadata_CannotSayWhatTheNetworkIs) {
  using T = TypeParam;
  Draw draw(3);
  const Network<T> net("coupled", Matrix<T>(draw.atoms(6, 8).template cast<T>()), 2);
  const std::map<std::string, std::string> lies{{"reg", "3"},
                                                {"support_selection_p", "5"},
                                                {"support_selection_p_max", "9"},
                                                {"network", "step"},
                                                {"n_layers", "7"},
                                                {"threshold", "atom"},
                                                {"lipschitz", "1e-9"},
                                                {"note", "kept"}};
  save_network<T>(this->path, {.network = net, .metadata = lies});
  const StoredNetwork<T> stored = load_network<T>(this->path);
  EXPECT_TRUE(stored.network.options() == (NetworkOptions{.lipschitz = net.lipschitz()}));
  EXPECT_EQ(stored.network.kind(), "coupled");
  EXPECT_EQ(stored.reg, std::nullopt);
  EXPECT_EQ(stored.metadata, (std::map<std::string, std::string>{{"note", "kept"}}));
}

TYPED_TEST(NetworkFile, OfADictionaryLearnedWithItsSteps_IsStepListaOrFista) {
  using T = TypeParam;
  Draw draw(5);
  const Matrix<T> D = draw.atoms(6, 9).template cast<T>(), X = draw.normal_matrix(6, 20).template cast<T>();
  const std::vector<double> steps{1.3, 0.9, 1.7, 1.1};
  for (const Layers algorithm : {Layers::ista, Layers::fista}) {
    save_model<T>(this->path, {.dictionary = D,
                               .steps = steps,
                               .metadata = {{"reg", "0.2"}, {"algorithm", to_string(algorithm)}, {"centred", "true"}}});
    EXPECT_EQ(network_is_float32(this->path), sizeof(T) == 4);
    const StoredNetwork<T> stored = load_network<T>(this->path);
    EXPECT_EQ(stored.network.kind(), algorithm == Layers::ista ? "step" : "fista");
    EXPECT_EQ(stored.network.n_layers(), 4);
    EXPECT_EQ(stored.reg, 0.2);
    EXPECT_EQ(stored.metadata.at("centred"), "true");
    const Matrix<T> codes =
        unrolled_encode<T>(X, DenseDictionary(D), 0.2, {.n_layers = 4, .algorithm = algorithm, .steps = steps});
    EXPECT_LE((stored.network.encode(X, 0.2) - codes).cwiseAbs().maxCoeff(), 100 * epsilon<T>);
    EXPECT_GT(codes.cwiseAbs().maxCoeff(), T(0.1));
  }
  save_model<T>(this->path, {.dictionary = D, .steps = steps, .metadata = {{"reg", "0.2"}}, .penalty = {.positive = true}});
  EXPECT_GE(load_network<T>(this->path).network.encode(X, 0.2).minCoeff(), T(0));
  using Metadata = std::map<std::string, std::string>;
  const auto refused = [&](const PenaltyOptions& penalty, const Metadata& metadata, std::vector<double> s) {
    save_model<T>(this->path, {.dictionary = D, .steps = std::move(s), .metadata = metadata, .penalty = penalty});
    const std::string sentence = refusal_of([&] { load_network<T>(this->path); });
    EXPECT_EQ(sentence.substr(0, this->path.size() + 2), this->path + ": ");
    return sentence.substr(std::min(sentence.size(), this->path.size() + 2));
  };
  const auto with = [](const std::string& what) {
    return "it was learned with " + what + ", which networks of learned steps do not have; encode by its n_layers instead";
  };
  EXPECT_EQ(refused({.weights = std::vector<double>(9, 2.0)}, {}, steps), with("weights"));
  EXPECT_EQ(refused({.kind = PenaltyKind::group, .groups = {0, 0, 0, 1, 1, 1, 2, 2, 2}}, {}, steps), with("group"));
  EXPECT_EQ(refused({}, {{"return_extrapolated", "true"}}, steps), with("return_extrapolated"));
  EXPECT_EQ(refused({}, {{"n_layers", "7"}}, steps), "metadata 'n_layers' is 7, but there are 4 steps");
  EXPECT_EQ(refused({}, {{"algorithm", "ISTA"}}, steps), "algorithm = 'ISTA', must be 'fista' or 'ista'");
  EXPECT_EQ(refused({}, {}, std::vector<double>(12'000, 1.0)), "n_layers = 10001, must be between 1 and 10000");
}

using NetworkFileErrors = NetworkFile<double>;

TEST_F(NetworkFileErrors, DamagedFiles_AreRefusedInASentence) {
  Draw draw(2);
  const Network<double> net("coupled", Eigen::MatrixXd(draw.atoms(6, 8)), 2);
  save_network<double>(path, {.network = net});
  const TensorFile good = read_safetensors(path);
  const auto damaged = [&](const std::function<void(TensorFile&)>& damage) {
    return [this, &good, damage] {
      TensorFile file = good;
      damage(file);
      write_safetensors(path, file);
      load_network<double>(path);
    };
  };
  const std::vector<BadInput> rows{
      {path + " is not a riata model", damaged([](auto& f) { f.metadata.erase("format"); })},
      {path + " has model format version 2; this riata reads version 1 (update riata)",
       damaged([](auto& f) { f.metadata["format_version"] = "2"; })},
      {path + " holds a dictionary, expected a network", damaged([](auto& f) { f.metadata["kind"] = "dictionary"; })},
      {path + ": tensor 'dictionary' is missing", damaged([](auto& f) { f.tensors.erase("dictionary"); })},
      {path + ": tensor 'layer.1.weight' is missing", damaged([](auto& f) { f.tensors.erase("layer.1.weight"); })},
      {path + ": metadata 'n_layers' is missing", damaged([](auto& f) { f.metadata.erase("n_layers"); })},
      {path + ": metadata 'n_layers' is 'two', expected a number", damaged([](auto& f) { f.metadata["n_layers"] = "two"; })},
      {path + ": metadata 'reg' is nan, must be > 0 and finite", damaged([](auto& f) { f.metadata["reg"] = "nan"; })},
      {path + ": 'layer.0.threshold' has shape (2), expected (1)", damaged([](auto& f) {
         f.tensors["layer.0.threshold"] = to_tensor(std::vector<double>{1, 2});
       })},
      {path + ": tensor 'layer.0.threshold' is not of the dictionary's precision",
       damaged([](auto& f) { f.tensors["layer.0.threshold"] = to_tensor(std::vector<float>{1}); })},
      {path + ": kind = 'mine', must be one of alista, coupled, facnet, first_step, fista, group, hessian, iht, lamp, lista, "
              "step, tied",
       damaged([](auto& f) { f.metadata["network"] = "mine"; })},
      {path + ": metadata 'network' is missing", damaged([](auto& f) { f.metadata.erase("network"); })},
      {path + ": threshold = 'x', must be 'scalar' or 'atom'", damaged([](auto& f) { f.metadata["threshold"] = "x"; })},
      {path + ": n_layers = 0, must be between 1 and 10000", damaged([](auto& f) { f.metadata["n_layers"] = "0"; })},
      {path + ": parameters: layer.0.weight holds nan at row 0, column 0; expected finite numbers",
       damaged([](auto& f) { std::get<std::vector<double>>(f.tensors["layer.0.weight"].data)[0] = std::nan(""); })},
      {npz + ": a network of kind 'coupled' with 2 layers has no 'bias'",
       [&] {
         write_npz(npz, {{"bias", to_tensor(std::vector<double>{1})}});
         Network<double> other = net;
         import_parameters<double>(npz, other);
       }},
      {npz + ": 'layer.0.weight' has shape (3), expected (8, 6)",
       [&] {
         write_npz(npz, {{"layer.0.weight", to_tensor(std::vector<double>{1, 2, 3})}});
         Network<double> other = net;
         import_parameters<double>(npz, other);
       }},
  };
  for (const BadInput& row : rows) EXPECT_EQ(refusal_of(row.call), row.sentence);
}

}  // namespace
}  // namespace riata::testing
