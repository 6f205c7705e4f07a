// Networks over convolutions: held against the network of the matrix that is the same map.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "networks/random_network.hpp"
#include "riata/io/safetensors.hpp"
#include "riata/learning/train.hpp"
#include "riata/networks/network_file.hpp"
#include "riata/operators/convolutional_dictionary.hpp"
#include "support/precision.hpp"
#include "support/sentences.hpp"

namespace riata::testing {
namespace {

using Eigen::MatrixXd;

/// each(row of the signal, row of the code, entry of the kernel, kernel), of every product that the map makes.
void visit_products(const RecordingShape& shape, Index length, Index n_atoms, const auto& each) {
  const Index T = shape.n_times;
  const Index P = shape.boundary == Boundary::valid ? T - length + 1 : shape.boundary == Boundary::full ? T + length - 1 : T;
  for (Index k = 0; k < n_atoms; ++k)
    for (Index p = 0; p < P; ++p)
      for (Index c = 0; c < shape.n_channels; ++c)
        for (Index l = 0; l < length; ++l) {
          Index t = p + l;
          if (shape.boundary == Boundary::full) t -= length - 1;
          if (shape.boundary == Boundary::circular) t %= T;
          if (t >= 0 && t < T) each(c * T + t, k * P + p, c * length + l, k);
        }
}

struct ConvolutionCase {
  Boundary boundary;
  bool rank_one;
  std::string kind;
  ThresholdShape threshold = ThresholdShape::scalar;
};

std::vector<ConvolutionCase> convolution_cases() {
  std::vector<ConvolutionCase> all;
  for (const Boundary boundary : {Boundary::valid, Boundary::full, Boundary::circular})
    for (const bool rank_one : {false, true})
      for (const std::string kind : {"step", "fista", "coupled", "tied", "alista", "first_step"}) {
        all.push_back({boundary, rank_one, kind});
        if (kind == "coupled" || kind == "tied") all.push_back({boundary, rank_one, kind, ThresholdShape::atom});
      }
  return all;
}

struct Pair {
  static constexpr Index n_channels = 2, length = 5, n_atoms = 3;

  Pair(const ConvolutionCase& c, Draw& draw, Index n_times = 19)
      : shape{n_channels, n_times, c.boundary},
        D(c.rank_one ? ConvolutionalDictionary<double>::rank_one(draw.atoms(n_channels, n_atoms), draw.atoms(length, n_atoms),
                                                                 shape, tukey_window<double>(length))
                     : ConvolutionalDictionary<double>(draw.atoms(n_channels * length, n_atoms), shape)),
        net(c.kind, D, 4, {.threshold = c.threshold}),
        dense(c.kind, matrix(D.atoms()), 4, {.threshold = c.threshold, .lipschitz = net.lipschitz()}) {
    shake(net, draw);
    dense.set_parameters(as_matrices(net.parameters()));
  }

  MatrixXd matrix(const MatrixXd& kernels) const {
    MatrixXd A = MatrixXd::Zero(D.signal_size(), D.code_size());
    visit_products(shape, length, n_atoms, [&](Index i, Index j, Index e, Index k) { A(i, j) += kernels(e, k); });
    return A;
  }
  Parameters<double> as_matrices(Parameters<double> parameters) const {
    for (auto& [name, values] : parameters) {
      if (name.ends_with("weight")) values = matrix(values);
      if (values.size() == n_atoms) values = MatrixXd(values.transpose().replicate(D.n_positions(), 1).reshaped());
    }
    return parameters;
  }
  /// The gradient of the matrices', by what they are made of.
  MatrixXd pulled_back(const MatrixXd& gradient, const MatrixXd& like) const {
    if (gradient.rows() == like.rows()) return gradient;
    if (like.cols() == 1) return gradient.reshaped(D.n_positions(), n_atoms).colwise().sum().transpose();
    MatrixXd pulled = MatrixXd::Zero(like.rows(), like.cols());
    visit_products(shape, length, n_atoms, [&](Index i, Index j, Index e, Index k) { pulled(e, k) += gradient(i, j); });
    return pulled;
  }

  RecordingShape shape;
  ConvolutionalDictionary<double> D;
  Network<double> net, dense;
};

TEST(ConvolutionalNetworks, AreThoseOfTheirMatrices) {
  Draw draw(31);
  for (const ConvolutionCase& c : convolution_cases()) {
    SCOPED_TRACE(c.kind + " " + to_string(c.boundary) + (c.rank_one ? " rank one" : ""));
    const Pair pair(c, draw);
    const MatrixXd X = draw.normal_matrix(pair.D.signal_size(), 40);
    const MatrixXd Z = pair.net.encode(X, 0.1);
    EXPECT_GT((Z.array() != 0).count(), Z.size() / 20);
    EXPECT_LE(largest_difference(Z, pair.dense.encode(X, 0.1)), 1e-12);
    const NetworkDerivatives wanted{.parameters = pair.net.trainable(0, 4), .reg = true, .signals = true};
    EXPECT_EQ(wanted.parameters, pair.dense.trainable(0, 4));
    MatrixXd mask = MatrixXd::Ones(X.rows(), X.cols());
    for (double& w : mask.reshaped()) w = draw.uniform(0.2, 1);
    for (const Batch<double>& batch : {Batch<double>(X), Batch<double>(X, mask)}) {
      const auto found = pair.net.loss_gradient(batch, 0.1, wanted), expected = pair.dense.loss_gradient(batch, 0.1, wanted);
      EXPECT_NEAR(found.value, expected.value, 1e-12 * expected.value);
      EXPECT_LE(largest_difference(found.signals, expected.signals), 1e-12);
      EXPECT_LE(largest_difference(found.reg, expected.reg), 1e-12 * expected.reg.cwiseAbs().maxCoeff());
      for (const auto& [name, gradient] : found.parameters) {
        const MatrixXd pulled = pair.pulled_back(expected.parameters.at(name), gradient);
        EXPECT_GT(pulled.norm(), 0) << name;
        EXPECT_LE(largest_difference(gradient, pulled), 1e-11 * (1 + pulled.cwiseAbs().maxCoeff())) << name;
      }
    }
  }
}

TEST(ConvolutionalNetworks, ServeAnyLength) {
  Draw draw(32);
  for (const std::string kind : {"step", "coupled", "alista"}) {
    const ConvolutionCase c{Boundary::valid, true, kind};
    const Pair short_one(c, draw);
    Pair long_one = short_one;
    long_one.shape.n_times = 33;
    long_one.D = short_one.D.of_length(33);
    const Network<double> longer = short_one.net.over(long_one.D),
                          dense(kind, long_one.matrix(long_one.D.atoms()), 4, {.lipschitz = longer.lipschitz()});
    Network<double> expected = dense;
    expected.set_parameters(long_one.as_matrices(longer.parameters()));
    const MatrixXd X = draw.normal_matrix(long_one.D.signal_size(), 5);
    EXPECT_LE(largest_difference(longer.encode(X, 0.1), expected.encode(X, 0.1)), 1e-12) << kind;
  }
  const ConvolutionalDictionary<double> D(draw.atoms(5, 3), {.n_channels = 1, .n_times = 12}), other(draw.atoms(6, 3), {1, 12});
  EXPECT_EQ(refusal_of([&] { Network<double>("step", D, 2).over(other); }),
            "Network: the atoms of the other dictionary differ in number or size from its own");
  EXPECT_EQ(refusal_of([&] { Network<double>("facnet", D, 2).over(D.of_length(14)); }),
            "Network: the parameters of the kind 'facnet' are those of one length of signals");
  EXPECT_THAT(refusal_of([&] { Network<double>("lista", D, 2); }), ::testing::HasSubstr("needs a dictionary that is a matrix"));
}

TEST(ConvolutionalNetworks, AreTrainedBelowIsta) {
  Draw draw(33);
  for (const std::string kind : {"step", "coupled", "tied", "alista"}) {
    const ConvolutionalDictionary<double> D =
        ConvolutionalDictionary<double>::rank_one(draw.atoms(3, 2), draw.atoms(6, 2), {.n_channels = 3, .n_times = 40});
    MatrixXd X(D.signal_size(), 60);
    D.apply(draw.sparse_matrix(D.code_size(), 60, 0.05), X);
    Network<double> net(kind, D, 5);
    const auto result = train<double>(net, X, Reg::fraction_of_max(0.1), {.max_iter = 40});
    EXPECT_LT(result.value, result.initial_value) << kind;
    const double ista = Network<double>("step", D, 5).loss(X, result.reg);
    EXPECT_LT(net.loss(X, result.reg), ista) << kind;
    EXPECT_NEAR(net.loss(X, result.reg), result.value, 1e-12 * result.value);
  }
}

template <class T>
class ConvolutionalNetworkFile : public ::testing::Test {
 protected:
  void TearDown() override { std::filesystem::remove(path); }
  const std::string path = std::filesystem::temp_directory_path() /
                           (std::string("riata_conv_network_") + PrecisionName::GetName<T>(0) + ".safetensors");
};
TYPED_TEST_SUITE(ConvolutionalNetworkFile, BothPrecisions, PrecisionName);

TYPED_TEST(ConvolutionalNetworkFile, TellsItsShape_AndKeepsEveryBit) {
  using T = TypeParam;
  Draw draw(34);
  for (const ConvolutionCase& c : convolution_cases()) {
    const Pair pair(c, draw);
    const RecordingShape& shape = pair.shape;
    const Parameters<double> own = pair.D.parameters();
    const ConvolutionalDictionary<T> D =
        c.rank_one ? ConvolutionalDictionary<T>::rank_one(own.at("u").template cast<T>(), own.at("v").template cast<T>(), shape,
                                                          tukey_window<T>(Pair::length))
                   : ConvolutionalDictionary<T>(own.at("kernels").template cast<T>(), shape);
    Network<T> net(c.kind, D, 3, {.threshold = c.threshold});
    shake(net, draw);
    save_network<T>(this->path, {.network = net, .reg = 0.2});
    EXPECT_EQ(network_is_float32(this->path), sizeof(T) == 4);
    const StoredNetwork<T> stored = load_network<T>(this->path);
    EXPECT_TRUE(stored.network.parameters() == net.parameters()) << c.kind;
    EXPECT_TRUE(stored.metadata.empty());
    const Matrix<T> X = draw.normal_matrix(D.signal_size(), 9).template cast<T>();
    EXPECT_TRUE(stored.network.encode(X, 0.1) == net.encode(X, 0.1)) << c.kind;
  }
}

using ConvolutionalNetworkFileErrors = ConvolutionalNetworkFile<double>;

TEST_F(ConvolutionalNetworkFileErrors, DamagedFiles_AreRefusedInASentence) {
  Draw draw(35);
  const ConvolutionalDictionary<double> D(draw.atoms(10, 3), {.n_channels = 2, .n_times = 12});
  save_network<double>(path, {.network = Network<double>("coupled", D, 2)});
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
      {path + ": metadata 'n_times' is missing", damaged([](auto& f) { f.metadata.erase("n_times"); })},
      {path + ": metadata 'n_times' is '-3', expected a whole number between 1 and 2^40",
       damaged([](auto& f) { f.metadata["n_times"] = "-3"; })},
      {path + ": convolutional dictionary: signals have 4 samples, must have at least 5, as kernels have",
       damaged([](auto& f) { f.metadata["n_times"] = "4"; })},
      {path + ": convolutional dictionary: kernels have 10 entries, must be a multiple of the 3 channels",
       damaged([](auto& f) { f.metadata["n_channels"] = "3"; })},
      {path + ": boundary = 'open', must be 'valid', 'full' or 'circular'",
       damaged([](auto& f) { f.metadata["boundary"] = "open"; })},
      {path + ": its dictionary is no matrix but has 'kernels'; C++ loads it, given a dictionary like it",
       damaged([](auto& f) { f.metadata.erase("dictionary"); })},
      {path + ": tensor 'dictionary.u' is missing", damaged([](auto& f) { f.tensors.erase("dictionary.kernels"); })},
      {path + ": tensor 'layer.1.weight' is missing", damaged([](auto& f) { f.tensors.erase("layer.1.weight"); })},
      {path + ": the parameters of the kind 'facnet' are those of one length of signals; give load_network() a dictionary like "
              "its own",
       damaged([](auto& f) { f.metadata["network"] = "facnet"; })},
  };
  for (const auto& [sentence, call] : rows) EXPECT_EQ(refusal_of(call), sentence);
}

}  // namespace
}  // namespace riata::testing
