// Streaming gives the bits of one encode() call, refuses in sentences, and leaves whole files or none.
#include "riata/solvers/encode_stream.hpp"

#include <gtest/gtest.h>

#include "../io/files.hpp"
#include "riata/core/error.hpp"
#include "riata/io/arrays.hpp"
#include "support/precision.hpp"
#include "support/random_arrays.hpp"
#include "support/sentences.hpp"

namespace riata::testing {
namespace {

constexpr Index n_features = 12, n_atoms = 20;

template <class T>
Matrix<T> signals(Index n) {
  return Draw(7).normal_matrix(n_features, n).template cast<T>();
}
template <class T>
DenseDictionary<T> dictionary() {
  return DenseDictionary<T>(Draw(8).atoms(n_features, n_atoms).template cast<T>());
}

/// The blocks of a stream, put together again.
template <class T>
struct Collected {
  Matrix<T> codes;
  Vector<double> objective, gap;
  Eigen::VectorXi n_iter;
  std::vector<Status> status;
  std::vector<Index> firsts;

  explicit Collected(Index n)
      : codes(Matrix<T>::Zero(n_atoms, n)), objective(n), gap(n), n_iter(n), status(static_cast<std::size_t>(n)) {}

  CodeSink<T> sink() {
    return [this](CodeBlock<T>&& block) {
      firsts.push_back(block.first);
      const Index n = block.codes.n_rows();
      for (Index i = 0; i < n; ++i)
        for (auto k = block.codes.indptr[static_cast<std::size_t>(i)]; k < block.codes.indptr[static_cast<std::size_t>(i) + 1];
             ++k)
          codes(block.codes.indices[static_cast<std::size_t>(k)], block.first + i) =
              block.codes.values[static_cast<std::size_t>(k)];
      objective.segment(block.first, n) = block.objective;
      gap.segment(block.first, n) = block.gap;
      n_iter.segment(block.first, n) = block.n_iter;
      std::copy(block.status.begin(), block.status.end(), status.begin() + block.first);
    };
  }

  void expect_equal(const EncodeResult<T>& whole) const {
    EXPECT_EQ(codes, whole.codes);
    EXPECT_EQ(objective, whole.objective);
    EXPECT_EQ(gap, whole.gap);
    EXPECT_EQ(n_iter, whole.n_iter);
    EXPECT_EQ(status, whole.status);
  }
};

template <class T>
class EncodeStream : public ::testing::Test {};
TYPED_TEST_SUITE(EncodeStream, BothPrecisions, PrecisionName);

TYPED_TEST(EncodeStream, GivesTheBitsOfOneCall_ForAllMethodsAndBlocks) {
  using T = TypeParam;
  const Matrix<T> X = signals<T>(1000);
  const auto D = dictionary<T>();
  const TemporaryFolder folder;
  write_npy(folder / "x.npy", to_tensor<T>(X));
  for (const Solver method : {Solver::automatic, Solver::fista, Solver::oista, Solver::backtracking, Solver::lars})
    for (const Index block_size : {1, 200, 5000}) {
      StreamOptions options{.encode = {.method = method, .tol = 1e-4, .max_iter = 50}, .block_size = block_size};
      const auto whole = encode<T>(X, D, Reg::fraction_of_max(0.2), options.encode);
      Collected<T> from_memory(1000), from_file(1000);
      const auto report = encode_stream<T>(X, D, Reg::fraction_of_max(0.2), from_memory.sink(), options);
      options.encode.execution.n_threads = 3;
      encode_stream<T>(folder / "x.npy", D, Reg::fraction_of_max(0.2), from_file.sink(), options);
      from_memory.expect_equal(whole);
      from_file.expect_equal(whole);
      EXPECT_EQ(report.method, whole.method);
      EXPECT_EQ(report.n_nonzero, (whole.codes.array() != T(0)).count());
      EXPECT_EQ(report.gap, whole.gap.maxCoeff());
      EXPECT_EQ(from_memory.firsts.size(), block_size == 1 ? 8u : block_size == 200 ? 4u : 1u);
    }
}

TYPED_TEST(EncodeStream, GivesTheBitsOfOneCall_WhereTheLastBlockHoldsOneSignal) {
  using T = TypeParam;
  const DenseDictionary<T> D(Draw(8).atoms(n_features, 1100).template cast<T>());  // enough atoms to choose the path for one
  const Matrix<T> X = signals<T>(129);
  const auto whole = encode<T>(X, D, Reg::fraction_of_max(0.5));
  const auto report = encode_stream<T>(
      X, D, Reg::fraction_of_max(0.5),
      [&](CodeBlock<T>&& block) { EXPECT_EQ(block.codes, to_csr<T>(whole.codes.middleCols(block.first, block.codes.n_rows()))); },
      {.block_size = 1});
  EXPECT_EQ(report.method, Solver::coordinate_descent);
}

TEST(EncodeStream, TakesAWeightPerSignal_AndTellsItsProgress) {
  const Matrix<double> X = signals<double>(300);
  const auto D = dictionary<double>();
  std::vector<double> regs;
  for (int i = 0; i < 300; ++i) regs.push_back(0.1 + 0.001 * i);
  Collected<double> collected(300);
  std::vector<Index> done;
  encode_stream<double>(X, D, Reg(regs), collected.sink(), {.block_size = 128, .progress = [&](Index n, Index all) {
                                                              EXPECT_EQ(all, 300);
                                                              done.push_back(n);
                                                            }});
  collected.expect_equal(encode<double>(X, D, Reg(regs)));
  EXPECT_EQ(done, (std::vector<Index>{128, 256, 300}));
}

TEST(EncodeStream, LeavesNoFileAndTheOldOne_WhenStopped) {
  const TemporaryFolder folder;
  write_npy(folder / "x.npy", to_tensor<double>(signals<double>(1000)));
  folder.put("z.npz", "old");
  StreamOptions options{.block_size = 128};
  int polls = 0;
  options.encode.execution.stop_requested = [&] { return ++polls > 5; };
  EXPECT_THROW(encode_stream<double>(folder / "x.npy", dictionary<double>(), 0.1, folder / "z.npz", options), Interrupted);
  EXPECT_EQ(folder.n_files(), 2);
  EXPECT_EQ(bytes_of_file(folder / "z.npz"), "old");
}

TEST(EncodeStream, ReportsAFolderOrADiskThatCannotTakeTheFile) {
  const TemporaryFolder folder;
  const Matrix<double> X = signals<double>(3000);
  const auto D = dictionary<double>();
  EXPECT_EQ(message_of<Error>([&] { encode_stream<double>(X, D, 0.1, folder / "none" / "z.npz"); }),
            "cannot write " + (folder / "none" / "z.npz").string() + ": No such file or directory");
  const FileSizeLimit full(30'000);
  EXPECT_EQ(message_of<Error>([&] { encode_stream<double>(X, D, 0.1, folder / "z.npz"); }),
            "cannot write " + (folder / "z.npz").string() + ": File too large");
  EXPECT_EQ(folder.n_files(), 0);
}

TEST(EncodeStream, RefusesBadInput) {
  const TemporaryFolder folder;
  const std::string x = (folder / "x.npy").string(), f = (folder / "f.npy").string(), v = (folder / "v.npy").string();
  Matrix<double> X = signals<double>(300);
  write_npy(x, to_tensor<double>(X));
  write_npy(f, to_tensor<float>(signals<float>(3)));
  write_npy(v, Tensor{{3}, std::vector<double>(3)});
  std::string fortran = bytes_of_file(x);
  fortran.replace(fortran.find("False"), 5, "True ");
  folder.put("o.npy", fortran);
  folder.put("cut.npy", bytes_of_file(x).substr(0, 1000));
  Matrix<double> bad = X;
  bad(3, 200) = std::nan("");
  const auto D = dictionary<double>();
  const CodeSink<double> nowhere = [](CodeBlock<double>&&) {};
  const BadInput inputs[] = {
      {"encode_stream: X holds nan at signal 200, feature 3; expected finite numbers",
       [&] { encode_stream<double>(bad, D, 0.1, nowhere, {.block_size = 128}); }},
      {"encode_stream: X holds no signals", [&] { encode_stream<double>(Matrix<double>(12, 0), D, 0.1, nowhere); }},
      {"encode_stream: signals have 11 features but atoms have 12; they must be equal",
       [&] { encode_stream<double>(X.topRows(11), D, 0.1, nowhere); }},
      {"reg: 2 entries for 300 signals; they must be equal",
       [&] {
         encode_stream<double>(X, D, Reg(std::vector<double>{1, 2}), nowhere);
       }},
      {"encode_stream: block_size = 0, must be between 1 and 2^40",
       [&] { encode_stream<double>(X, D, 0.1, nowhere, {.block_size = 0}); }},
      {"encode_stream: record keeps a trace per signal in memory; use encode for it",
       [&] { encode_stream<double>(X, D, 0.1, nowhere, {.encode = {.record = true}}); }},
      {"encode_stream: output = 'z.npy', must end in .npz", [&] { encode_stream<double>(x, D, 0.1, "z.npy"); }},
      {"output " + x + " is the input itself; choose another name", [&] { encode_stream<double>(x, D, 0.1, x); }},
      {"encode_stream: " + f + " holds float32 but the dictionary is float64; they must be equal (convert one with astype)",
       [&] { encode_stream<double>(f, D, 0.1, nowhere); }},
      {v + " has shape (3,), expected two dimensions", [&] { encode_stream<double>(v, D, 0.1, nowhere); }},
      {(folder / "o.npy").string() +
           " is in Fortran order, so its rows cannot be read one after another; save numpy.ascontiguousarray of it",
       [&] { encode_stream<double>(folder / "o.npy", D, 0.1, nowhere); }},
      {(folder / "cut.npy").string() + " is truncated: header promises 28800 bytes, file holds 872",
       [&] { encode_stream<double>(folder / "cut.npy", D, 0.1, nowhere); }},
  };
  for (const auto& [sentence, call] : inputs) EXPECT_EQ(refusal_of(call), sentence);
}

}  // namespace
}  // namespace riata::testing
