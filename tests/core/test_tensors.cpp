#include "riata/core/tensors.hpp"

#include <gtest/gtest.h>

#include "riata/core/check.hpp"
#include "support/precision.hpp"
#include "support/sentences.hpp"

namespace riata::testing {
namespace {

template <class T>
class Tensors : public ::testing::Test {};
TYPED_TEST_SUITE(Tensors, BothPrecisions, PrecisionName);

TYPED_TEST(Tensors, GiveBackWhatTheyWereMadeOf) {
  using T = TypeParam;
  const Matrix<T> A = Matrix<T>::Random(3, 5), none(4, 0);
  const std::vector<T> v = {T(1), T(-2.5)};
  const NamedTensors tensors = {{"A", to_tensor<T>(A)},
                                {"none", to_tensor<T>(none)},
                                {"block", to_tensor<T>(A.topLeftCorner(2, 2))},
                                {"v", to_tensor<T>(v)},
                                {"k", to_tensor(std::int64_t{-7})}};
  EXPECT_EQ(get_matrix<T>(tensors, "A", "here"), A);
  EXPECT_EQ(get_matrix<T>(tensors, "none", "here").rows(), 4);
  EXPECT_EQ(get_matrix<T>(tensors, "none", "here").cols(), 0);
  EXPECT_EQ(get_matrix<T>(tensors, "block", "here"), (A.topLeftCorner(2, 2)));
  EXPECT_EQ(get_vector<T>(tensors, "v", "here"), v);
  EXPECT_EQ(get_integer(tensors, "k", "here"), -7);
}

TYPED_TEST(Tensors, StoreColumnsAsRows) {
  using T = TypeParam;
  Matrix<T> A(2, 3);
  A << 1, 2, 3, 4, 5, 6;
  const Tensor tensor = to_tensor<T>(A);
  EXPECT_EQ(tensor.shape, (std::vector<Index>{3, 2}));
  EXPECT_EQ(std::get<std::vector<T>>(tensor.data), (std::vector<T>{1, 4, 2, 5, 3, 6}));
}

TEST(TensorLookup, RefusesWhatDoesNotFit) {
  const NamedTensors tensors = {{"A", to_tensor<double>(Matrix<double>(2, 2))}, {"k", to_tensor(std::int64_t{1})}};
  const BadInput table[] = {
      {"m.st: tensor 'D' is missing", [&] { get_matrix<double>(tensors, "D", "m.st"); }},
      {"m.st: tensor 'A' has 2 dimensions, expected 1", [&] { get_vector<double>(tensors, "A", "m.st"); }},
      {"m.st: tensor 'k' has 0 dimensions, expected 2", [&] { get_matrix<float>(tensors, "k", "m.st"); }},
      {"m.st: tensor 'A' has the wrong type, expected float32", [&] { get_matrix<float>(tensors, "A", "m.st"); }},
      {"m.st: tensor 'A' has 2 dimensions, expected 0", [&] { get_integer(tensors, "A", "m.st"); }},
  };
  for (const BadInput& row : table) EXPECT_EQ(refusal_of(row.call), row.sentence);
}

TEST(RequireFinite, NamesThePlaceOfTheFirstBadEntry_AsTheArrayIsRead) {
  Matrix<double> A = Matrix<double>::Zero(20, 500);
  A(17, 38) = NAN;
  EXPECT_EQ(refusal_of([&] { require_finite("encode", "X", A, of_signals); }),
            "encode: X holds nan at signal 38, feature 17; expected finite numbers");
  EXPECT_EQ(refusal_of([&] { require_finite("encode", "X", A.rightCols(470), of_codes, 30); }),
            "encode: X holds nan at signal 38, atom 17; expected finite numbers");
  A(2, 0) = -INFINITY;
  EXPECT_EQ(refusal_of([&] { require_finite("dictionary", "D", A, of_atoms); }),
            "dictionary: D holds -inf at atom 0, feature 2; expected finite numbers");
  EXPECT_EQ(refusal_of([&] { require_finite("file", "tensor", A, of_file); }),
            "file: tensor holds -inf at row 0, column 2; expected finite numbers");
  EXPECT_EQ(refusal_of([&] { require_finite("encoder", "x", A.col(0), of_vector); }),
            "encoder: x holds -inf at entry 2; expected finite numbers");
}

}  // namespace
}  // namespace riata::testing
