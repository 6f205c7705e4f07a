// Matrices reach every function as views: Eigen's own, maps, blocks and strides, with the bits of a riata::Matrix; T is deduced.
#include <gtest/gtest.h>

#include "io/files.hpp"
#include "riata/riata.hpp"
#include "support/precision.hpp"
#include "support/random_arrays.hpp"
#include "support/sentences.hpp"

namespace riata::testing {
namespace {

template <class T>
class Views : public ::testing::Test {
 protected:
  static Matrix<T> random(Index rows, Index cols, std::uint64_t seed) {
    return Draw(seed).normal_matrix(rows, cols).template cast<T>();
  }

  /// call(A) for every kind of view of A.
  template <class Call>
  static void expect_same(const Matrix<T>& A, const Call& call) {
    const auto expected = call(A);
    const Index m = A.rows(), n = A.cols();

    const Eigen::Matrix<T, -1, -1> own = A;
    EXPECT_TRUE(call(own) == expected) << "Eigen's matrix";

    std::vector<T> room(static_cast<std::size_t>(2 * (m + 3) * n + 1));
    Eigen::Map<Eigen::Matrix<T, -1, -1>> odd(room.data() + 1, m, n);
    odd = A;
    EXPECT_TRUE(call(odd) == expected) << "a map at an odd address";

    Eigen::Map<Eigen::Matrix<T, -1, -1>, 0, Eigen::OuterStride<>> strided(room.data(), m, n, Eigen::OuterStride<>(m + 3));
    strided = A;
    EXPECT_TRUE(call(strided) == expected) << "an outer stride";

    Matrix<T> larger = Matrix<T>::Constant(m + 3, n + 2, T(7));
    larger.block(2, 1, m, n) = A;
    EXPECT_TRUE(call(larger.block(2, 1, m, n)) == expected) << "a block";
    EXPECT_TRUE(call(std::as_const(larger).block(2, 1, m, n)) == expected) << "a block of a const matrix";

    const Eigen::Matrix<T, -1, -1, Eigen::RowMajor> rows = A;
    EXPECT_TRUE(call(rows) == expected) << "row-major";

    Eigen::Map<Eigen::Matrix<T, -1, -1>, 0, Eigen::Stride<-1, 2>> spread(room.data(), m, n, {2 * (m + 1), 2});
    spread = A;
    EXPECT_TRUE(call(spread) == expected) << "an inner stride";

    EXPECT_TRUE(call(A + Matrix<T>::Zero(m, n)) == expected) << "an expression";
  }
};
TYPED_TEST_SUITE(Views, BothPrecisions, PrecisionName);

TYPED_TEST(Views, AreNotCopied_UnlessRowMajorOrOfInnerStride) {
  using T = TypeParam;
  Matrix<T> A = this->random(5, 4, 1);
  const auto seen = [](const ConstMatrixRef<T>& view) { return view.data(); };
  const Eigen::Matrix<T, -1, -1> own = A;
  EXPECT_EQ(seen(A), A.data());
  EXPECT_EQ(seen(own), own.data());
  EXPECT_EQ(seen(A.block(1, 1, 2, 2)), &A(1, 1));
  EXPECT_EQ(seen(A.middleCols(1, 2)), &A(0, 1));
  const Eigen::Matrix<T, -1, -1, Eigen::RowMajor> rows = A;
  EXPECT_NE(seen(rows), rows.data());
  const OptionalMatrixRef<T> optional = own;
  EXPECT_EQ(optional->data(), own.data());
}

TYPED_TEST(Views, AreSignals) {
  using T = TypeParam;
  const DenseDictionary D(this->random(5, 9, 2));
  const Matrix<T> X = this->random(5, 7, 1), W = X.cwiseAbs().cwiseMin(T(1));
  this->expect_same(X, [&](const auto& signals) { return encode(signals, D, 0.1).codes; });
  this->expect_same(X, [&](const auto& signals) { return unrolled_encode(signals, D, 0.1); });
  this->expect_same(X, [&](const auto& signals) { return reg_max(signals, D); });
  this->expect_same(W, [&](const auto& mask) { return encode(Batch(X, mask), D, 0.1, {.method = Solver::fista}).codes; });
  this->expect_same(X, [&](const auto& signals) { return learn_dictionary(signals, 6, 0.1, {.max_iter = 2}).dictionary; });
  this->expect_same(W, [&](const auto& mask) { return learn_dictionary(Batch(X, mask), 6, 0.1, {.max_iter = 2}).dictionary; });
}

TYPED_TEST(Views, AreDictionaries) {
  using T = TypeParam;
  const Matrix<T> A = this->random(6, 8, 3), X = this->random(6, 5, 4);
  this->expect_same(A, [&](const auto& atoms) { return Matrix<T>(DenseDictionary(atoms).atoms()); });
  this->expect_same(A, [&](const auto& atoms) { return encode(X, DenseDictionary(atoms), 0.1).codes; });
  this->expect_same(A, [&](const auto& atoms) { return learn_dictionary(X, atoms, 0.1, {.max_iter = 2}).dictionary; });
  this->expect_same(A, [&](const auto& atoms) { return recovery_score(atoms, A); });
  this->expect_same(A, [&](const auto& atoms) { return recovery_score(A.leftCols(4), atoms); });
  this->expect_same(A, [&](const auto& atoms) { return analytic_weight(atoms); });
  this->expect_same(A, [&](const auto& atoms) { return Network<T>("step", atoms, 2).encode(X, 0.1); });
  this->expect_same(A, [&](const auto& atoms) { return datasets::perturbed(atoms, 0.5, 1); });
  this->expect_same(A, [&](const auto& atoms) { return datasets::scale_to_b_infinity(X, atoms); });
  this->expect_same(X, [&](const auto& signals) { return datasets::scale_to_b_infinity(signals, A); });
  this->expect_same(A,
                    [&](const auto& atoms) { return datasets::signals_on_b_infinity(atoms, 3, datasets::SignalLaw::coding, 1); });
  Eigen::Matrix<T, -1, -1> own = A;
  project_atoms(own, Constraint::unit_sphere);
  Matrix<T> unit = A;
  project_atoms(unit, Constraint::unit_sphere);
  EXPECT_EQ(own, unit);
}

TYPED_TEST(Views, AreStartsTargetsAndCodes) {
  using T = TypeParam;
  const DenseDictionary D(this->random(5, 8, 5));
  const Matrix<T> X = this->random(5, 6, 6), start = this->random(8, 6, 7), target = this->random(5, 6, 8);
  const Matrix<T> codes = encode(X, D, 0.5).codes;
  Network<T> net("step", D, 2);
  this->expect_same(start,
                    [&](const auto& init) { return encode(X, D, 0.1, {.method = Solver::ista, .max_iter = 3}, init).codes; });
  this->expect_same(start, [&](const auto& init) { return unrolled_encode(X, D, 0.1, {}, init); });
  this->expect_same(target, [&](const auto& view) { return unrolled_gradient(X, D, 0.1, {}, {.signals = true}, view).signals; });
  this->expect_same(start, [&](const auto& init) { return net.encode(X, 0.1, {.init = init}); });
  this->expect_same(start,
                    [&](const auto& targets) { return net.loss_gradient(X, 0.1, {.signals = true}, {}, targets).signals; });
  this->expect_same(start, [&](const auto& targets) {
    Network<T> trained = net;
    train(trained, X, 0.1, {.loss = TrainingLoss::supervised, .max_iter = 2}, targets);
    return trained.encode(X, 0.1);
  });
  this->expect_same(codes, [&](const auto& given) { return implicit_gradient(X, D, 0.5, start, {}, given).dictionary; });
  this->expect_same(codes, [&](const auto& given) { return implicit_jvp(X, D, 0.5, {.signals = X}, {}, given); });
  this->expect_same(codes, [&](const auto& given) { return hypergradient(X, D, 0.5, target, D, {}, given).value; });
}

TYPED_TEST(Views, AreStored) {
  using T = TypeParam;
  const Matrix<T> A = this->random(4, 6, 9);
  this->expect_same(A, [&](const auto& matrix) { return to_tensor(matrix); });
  const TemporaryFolder folder;
  const auto path = folder / "A.npy";
  write_npy(path, to_tensor(A));
  EXPECT_EQ(read_npy<T>(path), A);
}

TEST(Views, AreFieldsOfAModel) {
  const Eigen::MatrixXd D = Draw(10).normal_matrix(4, 6);
  const TemporaryFolder folder;
  const std::string path = (folder / "model.safetensors").string();
  save_model(path, {.dictionary = D, .steps = {1, 2}});
  EXPECT_EQ(load_model<double>(path).dictionary, D);
  const Eigen::MatrixXf single = D.cast<float>();
  save_model(path, Model<float>{.dictionary = single});
  EXPECT_EQ(load_model<float>(path).dictionary, single);
}

TEST(Views, ReadNpy_SaysWhatTheFileHolds) {
  const TemporaryFolder folder;
  const auto path = folder / "X.npy";
  const Eigen::MatrixXf X = Draw(11).normal_matrix(3, 5).cast<float>();
  write_npy(path, to_tensor(X));
  EXPECT_EQ(refusal_of([&] { read_npy<double>(path); }),
            path.string() +
                " holds float32, expected float64: read_npy<float>() takes it as it is, "
                "read_npy<double>(path, {.convert = true}) converts it");
  EXPECT_EQ(read_npy<double>(path, {.convert = true}), X.cast<double>());
  write_npy(path, to_tensor(std::vector<float>{1, 2}));
  EXPECT_EQ(refusal_of([&] { read_npy<float>(path); }), path.string() + " has 1 dimensions, expected 2");
}

}  // namespace
}  // namespace riata::testing
