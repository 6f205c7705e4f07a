// Learning, files and recovery of dictionaries that are no matrices.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "riata/io/safetensors.hpp"
#include "riata/learning/learn_dictionary.hpp"
#include "riata/learning/model.hpp"
#include "riata/learning/recovery.hpp"
#include "riata/networks/network_file.hpp"
#include "riata/unrolled/unrolled.hpp"
#include "support/convolution.hpp"
#include "support/random_arrays.hpp"
#include "support/sentences.hpp"

namespace riata::testing {
namespace {

using MatrixXd = Matrix<double>;

class AnyDictionary : public ::testing::Test {
 protected:
  AnyDictionary() { planted_.apply(draw_.sparse_matrix(planted_.code_size(), 80, 0.06), X_); }
  void TearDown() override { std::filesystem::remove(path_); }

  Draw draw_{71};
  const Convolution<double> planted_{draw_.atoms(5, 2), 24}, start_{draw_.atoms(5, 2), 24};
  MatrixXd X_ = MatrixXd(24, 80);
  const std::string path_ = std::filesystem::temp_directory_path() /
                            (std::string("riata_any_") + ::testing::UnitTest::GetInstance()->current_test_info()->name());
};

TEST_F(AnyDictionary, IsLearned_ByEveryMethod) {
  for (const LearningMethod method : {LearningMethod::unrolled, LearningMethod::alternating, LearningMethod::truncated,
                                      LearningMethod::alternating_exact, LearningMethod::stochastic}) {
    LearnOptions options{.method = method, .n_layers = 15, .max_iter = 8};
    if (method == LearningMethod::truncated) options.backprop = 5;
    const auto learned = learn_dictionary<double>(X_, start_, 0.05, options);
    EXPECT_LT(learned.history.value.back(), learned.initial_value);
    EXPECT_EQ(learned.dictionary.size(), 0);
    ASSERT_EQ(learned.parameters.size(), 1u);
    EXPECT_LE((learned.parameters.at("kernels").colwise().norm().array() - 1).abs().maxCoeff(), 1e-14);
  }
}

TEST_F(AnyDictionary, IsRecovered_WithStepsToo) {
  const auto learned = learn_dictionary<double>(X_, start_, 0.05, {.n_layers = 20, .learn_steps = true, .max_iter = 60});
  EXPECT_GT(recovery_score<double>(*start_.at(learned.parameters), planted_), 0.95);
  EXPECT_EQ(learned.steps.size(), 20u);
}

TEST_F(AnyDictionary, IsRecovered_FromWhatWasSeen) {
  Parameters<double> near = planted_.parameters();
  near.at("kernels") += 0.25 * draw_.normal_matrix(5, 2);
  planted_.project(near);
  const auto start = planted_.at(near);
  EXPECT_LT(recovery_score<double>(*start, planted_), 0.93);
  MatrixXd mask(X_.rows(), X_.cols());
  for (double& w : mask.reshaped()) w = draw_.coin(0.2) ? 0 : 1;
  const MatrixXd seen = (mask.array() == 0).select(NAN, X_);
  const auto masked = learn_dictionary<double>(Batch<double>(seen, mask), *start, 0.05, {.n_layers = 20, .max_iter = 60});
  EXPECT_GT(recovery_score<double>(*start_.at(masked.parameters), planted_), 0.97);
}

TEST_F(AnyDictionary, OfAMatrix_LearnsAsTheMatrixItself) {
  const MatrixXd init = draw_.atoms(24, 10);
  const LearnOptions options{.n_layers = 6, .max_iter = 5};
  const auto learned = learn_dictionary<double>(X_, DenseDictionary(init), 0.1, options);
  EXPECT_TRUE(learned.dictionary == learn_dictionary<double>(X_, init, 0.1, options).dictionary);
  EXPECT_TRUE(learned.parameters.empty());
}

TEST_F(AnyDictionary, ResumesWithTheSameBits_AndKnowsItsOwnCheckpoint) {
  const LearnOptions all{.n_layers = 6, .max_iter = 9};
  LearnOptions first = all, second = all;
  first.max_iter = 4;
  first.checkpoint = second.checkpoint = path_;
  second.resume = true;
  learn_dictionary<double>(X_, start_, 0.05, first);
  EXPECT_TRUE(learn_dictionary<double>(X_, start_, 0.05, second).parameters ==
              learn_dictionary<double>(X_, start_, 0.05, all).parameters);
  EXPECT_THAT(refusal_of([&] { learn_dictionary<double>(X_, planted_, 0.05, second); }), ::testing::HasSubstr(path_));
}

/// A matrix by another class and name: gamma A.
class Scaled final : public Dictionary<double> {
 public:
  Scaled(MatrixXd A, double gamma) : A_(std::move(A)), gamma_(gamma), product_(gamma * A_) {}
  Index signal_size() const override { return A_.rows(); }
  Index code_size() const override { return A_.cols(); }
  void apply(const ConstMatrixRef<double>& Z, MatrixRef<double> X) const override { X = product_ * Z; }
  void adjoint(const ConstMatrixRef<double>& R, MatrixRef<double> Z) const override { Z = product_.transpose() * R; }
  double squared_norm() const override { return DenseDictionary(product_).squared_norm(); }
  Parameters<double> parameters() const override { return {{"A", A_}}; }
  void accumulate_gradient(double scale, const ConstMatrixRef<double>& R, const ConstMatrixRef<double>& Z,
                           Parameters<double>& gradient) const override {
    if (const auto own = gradient.find("A"); own != gradient.end()) own->second += scale * gamma_ * R * Z.transpose();
  }
  void project(Parameters<double>& parameters) const override {
    if (const auto own = parameters.find("A"); own != parameters.end()) own->second.colwise().normalize();
  }
  std::unique_ptr<Dictionary<double>> at(const Parameters<double>& parameters) const override {
    const auto own = parameters.find("A");
    return std::make_unique<Scaled>(own != parameters.end() ? own->second : A_, gamma_);
  }
  std::unique_ptr<Dictionary<double>> in_double() const override { return at({}); }
  std::optional<MatrixView<double>> matrix() const override { return view_of(product_); }

 private:
  MatrixXd A_;
  double gamma_;
  MatrixXd product_;
};

TEST_F(AnyDictionary, ThatHasAMatrix_NeedNotBeTheDenseOne) {
  const Scaled D(draw_.atoms(24, 10), 2);
  const auto learned = learn_dictionary<double>(X_, D, 0.1, {.n_layers = 6, .max_iter = 4});
  EXPECT_LT(learned.history.value.back(), learned.initial_value);
  EXPECT_EQ(learned.parameters.at("A").cols(), 10);
  EXPECT_EQ(learned.dictionary.size(), 0);
  const LearnOptions bounded{.n_layers = 6, .lipschitz_bound = LipschitzBound::frobenius, .max_iter = 4};
  const auto by_frobenius = learn_dictionary<double>(X_, D, 0.1, bounded),
             of_matrix = learn_dictionary<double>(X_, DenseDictionary<double>(D.at({})->parameters().at("A")), 0.1, bounded);
  EXPECT_LT(by_frobenius.history.value.back(), by_frobenius.initial_value);
  EXPECT_NE(by_frobenius.initial_value, of_matrix.initial_value);  // at 2 A, not at A
  const DenseDictionary<double> doubled(2 * D.parameters().at("A"));
  EXPECT_NEAR(by_frobenius.initial_value,
              unrolled_loss<double>(X_, doubled, 0.1,
                                    {.n_layers = 6, .lipschitz = (doubled.atoms().transpose() * doubled.atoms()).norm()}),
              1e-12);
  const auto guarded = Network<double>("step", D, 4).encode_certified(X_, 0.1, {.safeguard = true});
  EXPECT_TRUE(guarded.codes.allFinite());
}

TEST_F(AnyDictionary, KeepsTheConstraintOfItsOwn_AlsoInItsCheckpoint) {
  const MatrixXd init = draw_.atoms(24, 10);
  const DenseDictionary<double> sphere(init), ball(init, Constraint::unit_ball);
  LearnOptions options{.n_layers = 6, .max_iter = 2, .checkpoint = path_};
  learn_dictionary<double>(X_, sphere, 0.1, options);
  options.resume = true;
  EXPECT_THAT(refusal_of([&] { learn_dictionary<double>(X_, ball, 0.1, options); }), ::testing::HasSubstr(path_));
  MatrixXd with_zero = init;
  with_zero.col(3).setZero();
  EXPECT_EQ(refusal_of([&] { learn_dictionary<double>(X_, DenseDictionary<double>(with_zero), 0.1); }),
            "learn_dictionary: atom 3 of init is zero; expected atoms with a direction");
}

TEST_F(AnyDictionary, IsRefused_WhereOnlyAMatrixServes) {
  EXPECT_EQ(refusal_of([&] { learn_dictionary<double>(X_, start_, 0.05, {.centre = true}); }),
            "learn_dictionary: centre is for a matrix of atoms; centre the signals, or leave it out");
  EXPECT_EQ(refusal_of([&] { learn_dictionary<double>(X_, start_, 0.05, {.lipschitz_bound = LipschitzBound::frobenius}); }),
            "learn_dictionary: lipschitz_bound = 'frobenius' needs a dictionary that is a matrix");
  EXPECT_EQ(refusal_of([&] { learn_dictionary<double>(MatrixXd::Ones(20, 3), start_, 0.05); }),
            "learn_dictionary: init has 24 features but the signals have 20; they must be equal");
}

TEST_F(AnyDictionary, IsSavedAndLoaded) {
  save_model<double>(path_, {.steps = {1, 2}, .metadata = {{"what", "kernels"}}, .parameters = planted_.parameters()});
  const auto model = load_model<double>(path_, start_);
  EXPECT_TRUE(model.parameters == planted_.parameters());
  EXPECT_EQ(model.steps, (std::vector<double>{1, 2}));
  EXPECT_EQ(model.metadata.at("what"), "kernels");
  const std::string no_matrix =
      path_ + ": its dictionary is no matrix but has 'kernels'; C++ loads it, given a dictionary like it";
  EXPECT_EQ(refusal_of([&] { load_model<double>(path_); }), no_matrix);
  EXPECT_EQ(refusal_of([&] { model_is_float32(path_); }), no_matrix);
  EXPECT_EQ(refusal_of([&] { load_model<double>(path_, DenseDictionary(X_)); }), path_ + ": tensor 'dictionary' is missing");
  EXPECT_EQ(refusal_of([&] { load_model<double>(path_, Convolution<double>(draw_.atoms(4, 2), 24)); }),
            path_ + ": 'dictionary.kernels' has shape (2, 5), expected (2, 4)");
  save_model<double>(path_, {.dictionary = X_});  // a matrix has one form
  EXPECT_TRUE(load_model<double>(path_, DenseDictionary(X_)).parameters.at("dictionary") == load_model<double>(path_).dictionary);
}

TEST_F(AnyDictionary, IsSavedAndLoaded_WithItsNetwork) {
  for (const std::string kind : {"step", "fista", "facnet"}) {
    Network<double> net(kind, planted_, 3);
    save_network<double>(path_, {.network = net, .reg = 0.2});
    const auto loaded = load_network<double>(path_, start_);
    EXPECT_TRUE(loaded.network.encode(X_, 0.1) == net.encode(X_, 0.1)) << kind;
    EXPECT_EQ(loaded.reg, 0.2);
    EXPECT_THAT(refusal_of([&] { load_network<double>(path_); }), ::testing::HasSubstr("no matrix but has 'kernels'"));
  }
  save_model<double>(path_, {.steps = {1, 0.5}, .metadata = {{"algorithm", "ista"}}, .parameters = planted_.parameters()});
  EXPECT_LE((load_network<double>(path_, start_).network.encode(X_, 0.1) -
             unrolled_encode<double>(X_, planted_, 0.1, {.n_layers = 2, .algorithm = Layers::ista, .steps = {1, 0.5}}))
                .cwiseAbs()
                .maxCoeff(),
            1e-13);
  save_network<double>(path_, {.network = Network<double>("step", planted_, 3)});
  TensorFile file = read_safetensors(path_);
  file.metadata["n_layers"] = "2";
  write_safetensors(path_, file);
  EXPECT_EQ(refusal_of([&] { load_network<double>(path_, start_); }), path_ + ": a network with 2 layers has no 'layer.2.step'");
  save_network<double>(path_, {.network = Network<double>("first_step", MatrixXd(X_.leftCols(9)), 3)});
  EXPECT_EQ(load_network<double>(path_, DenseDictionary<double>(X_.leftCols(9))).network.n_layers(), 3);
  save_network<double>(path_, {.network = Network<double>("coupled", MatrixXd(X_.leftCols(9)), 2)});
  EXPECT_TRUE(load_network<double>(path_, DenseDictionary<double>(X_.leftCols(9))).network.parameters() ==
              load_network<double>(path_).network.parameters());
}

}  // namespace
}  // namespace riata::testing
