// Signals in files: which batches a run takes of them, how they are read, and that learning from them is learning from arrays.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <set>

#include "learning/results.hpp"
#include "riata/core/error.hpp"
#include "riata/core/random.hpp"
#include "riata/core/stopping.hpp"
#include "riata/datasets/generators.hpp"
#include "riata/io/arrays.hpp"
#include "riata/io/safetensors.hpp"
#include "riata/learning/learn_dictionary.hpp"
#include "riata/learning/recovery.hpp"
#include "riata/learning/sampler.hpp"
#include "support/precision.hpp"
#include "support/random_arrays.hpp"
#include "support/sentences.hpp"

namespace riata::testing {
namespace {

namespace fs = std::filesystem;

TEST(Shuffle, IsAPermutation_AnotherForEveryKey) {
  for (const Index n : {1, 2, 3, 5, 16, 17, 100, 1000}) {
    const Shuffle shuffle(n, 7, 1, 2), other(n, 7, 1, 3), seeded(n, 8, 1, 2);
    std::set<Index> seen;
    Index same = 0, same_seeded = 0, stayed = 0;
    for (Index i = 0; i < n; ++i) {
      EXPECT_TRUE(seen.insert(shuffle(i)).second && shuffle(i) >= 0 && shuffle(i) < n);
      same += shuffle(i) == other(i);
      same_seeded += shuffle(i) == seeded(i);
      stayed += shuffle(i) == i;
    }
    if (n >= 100) {
      EXPECT_LT(same, 10) << n;
      EXPECT_LT(same_seeded, 10) << n;
      EXPECT_LT(stayed, 10) << n;
    }
  }
}

TEST(Shuffle, TakesEveryPlaceAsOftenAsAnother) {
  constexpr Index n = 10, trials = 20000;
  std::vector<int> count(n * n);
  for (std::uint32_t t = 0; t < trials; ++t) {
    const Shuffle shuffle(n, 3, 0, t);
    for (Index i = 0; i < n; ++i) ++count[static_cast<std::size_t>(i * n + shuffle(i))];
  }
  for (const int c : count) EXPECT_NEAR(c, trials / n, 5 * std::sqrt(trials / n));
}

std::vector<Index> listed(const std::vector<SignalRange>& ranges) {
  std::vector<Index> all;
  for (const SignalRange& range : ranges)
    for (Index i = 0; i < range.n; ++i) all.push_back(range.first + i);
  return all;
}

TEST(BatchOrder, GoesOnceThroughAllSignalsAnEpoch_ApartFromThoseHeldOut) {
  for (const auto& [n, batch, validation] : {std::tuple{Index{21}, Index{4}, 0.25},
                                             {Index{40}, Index{40}, 0.0},
                                             {Index{300000}, Index{4000}, 0.1},
                                             {Index{300007}, Index{5}, 0.0}}) {
    const BatchOrder order(n, {.batch_size = batch, .validation = validation, .seed = 3});
    const auto held = listed(order.held_out());
    const std::set<Index> held_out(held.begin(), held.end());
    EXPECT_EQ(held_out.size(), held.size());
    EXPECT_NEAR(static_cast<double>(held.size()), validation * static_cast<double>(n), 3);
    EXPECT_EQ(std::ssize(listed(order.trained_on())), order.n_trained_on());
    EXPECT_GE(order.n_trained_on() + order.n_held_out(), n - 3);
    const Index per_epoch = order.n_trained_on() / batch;
    std::set<Index> seen;
    for (Index t = 0; t < std::min<Index>(per_epoch, 80); ++t) {
      const auto signals = listed(order.batch(t));
      EXPECT_EQ(std::ssize(signals), batch);
      for (const Index i : signals) {
        EXPECT_TRUE(seen.insert(i).second) << i;
        EXPECT_TRUE(i >= 0 && i < n && !held_out.contains(i));
      }
    }
    if (per_epoch > 1) {
      EXPECT_NE(listed(order.batch(0)), listed(order.batch(per_epoch)));
    }
  }
}

template <class T>
class Streams : public ::testing::Test {
 protected:
  const datasets::Planted<T> problem =
      datasets::planted<T>({.n_features = 7, .n_atoms = 12, .n_signals = 700, .density = 0.15, .noise_std = 0.05, .seed = 5});
  const Matrix<T>& X = problem.signals;
  const fs::path folder = fs::path(::testing::TempDir()) / ("streams" + std::to_string(sizeof(T)) +
                                                            ::testing::UnitTest::GetInstance()->current_test_info()->name());
  std::vector<fs::path> shards;

  void SetUp() override {
    fs::create_directories(folder);
    Index first = 0;
    for (const Index n : {Index{300}, Index{1}, Index{0}, Index{399}}) {
      shards.push_back(folder / ("x" + std::to_string(shards.size()) + ".npy"));
      write(shards.back(), X.middleCols(first, n));
      first += n;
    }
  }
  void TearDown() override { fs::remove_all(folder); }
  static void write(const fs::path& path, const Matrix<T>& part) {
    write_npy(path, {{part.cols(), part.rows()}, std::vector<T>(part.data(), part.data() + part.size())});
  }
  /// Into the open file.
  static void overwrite(const fs::path& path, const Matrix<T>& part) {
    const auto n_bytes = static_cast<std::streamoff>(static_cast<std::size_t>(part.size()) * sizeof(T));
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(fs::file_size(path)) - n_bytes);
    file.write(reinterpret_cast<const char*>(part.data()), n_bytes);
  }
  std::shared_ptr<SignalSource<T>> stream() const { return std::make_shared<NpyShards<T>>(shards); }
  LearnOptions options(LearningMethod method) const {
    LearnOptions options{.method = method, .n_layers = 5, .batch_size = 60, .max_iter = 25, .seed = 2};
    if (parts_of(method).codes == CodesBy::pursuit) options.n_nonzero = 3;
    return options;
  }
  static std::optional<Reg> reg(const LearnOptions& options) {
    return options.n_nonzero ? std::nullopt : std::optional(Reg::fraction_of_max(0.2));
  }
};
TYPED_TEST_SUITE(Streams, BothPrecisions, PrecisionName);

TYPED_TEST(Streams, ReadAnySignalsOfAnyShards) {
  using T = TypeParam;
  NpyShards<T> signals(this->shards);
  EXPECT_EQ(signals.n_signals(), 700);
  EXPECT_EQ(signals.n_features(), 7);
  Draw draw(1);
  for (int k = 0; k < 60; ++k) {
    const Index first = draw.integer(0, 699), n = draw.integer(0, static_cast<int>(700 - first));
    Matrix<T> some(7, n);
    signals.announce(first, n);
    signals.read(first, some);
    EXPECT_EQ(some, this->X.middleCols(first, n));
  }
}

TYPED_TEST(Streams, TeachWhatArraysTeach_BitForBit) {
  using T = TypeParam;
  using enum LearningMethod;
  for (const LearningMethod method : {online, stochastic, pudle_lasso, noodl, mod, ksvd, aksvd})
    for (const bool more : {false, true}) {
      LearnOptions options = this->options(method);
      options.centre = more;
      options.validation = more ? 0.1 : 0;
      const auto of_arrays = learn_dictionary<T>(this->X, 12, this->reg(options), options);
      const auto of_files = learn_dictionary<T>(this->stream(), 12, this->reg(options), options);
      expect_same(of_files, of_arrays, std::string(to_string(method)));
      const Matrix<T> init = this->problem.dictionary;
      expect_same(learn_dictionary<T>(this->stream(), init, this->reg(options), options),
                  learn_dictionary<T>(this->X, init, this->reg(options), options), "from given atoms");
    }
}

/// Signals in memory, as a source of the caller's own.
template <class T>
class InMemory final : public SignalSource<T> {
 public:
  explicit InMemory(Matrix<T> X) : X_(std::move(X)) {}
  Index n_features() const override { return X_.rows(); }
  Index n_signals() const override { return X_.cols(); }
  void read(Index first, MatrixRef<T> out) override { out = X_.middleCols(first, out.cols()); }
  void announce(Index, Index) override { throw Error("nobody needs to know"); }
  Matrix<T> X_;
};

TYPED_TEST(Streams, OfManySignals_InRuns_TeachWhatArraysTeach) {
  using T = TypeParam;
  constexpr Index n = 140001;
  Matrix<T> X(5, n);
  RandomStream random(4);
  fill_normal<T>(random, X);
  LearnOptions options = this->options(LearningMethod::online);
  options.centre = true;
  options.max_iter = 4;
  const auto source = std::make_shared<InMemory<T>>(X);
  expect_same(learn_dictionary<T>(std::shared_ptr<SignalSource<T>>(source), 8, this->reg(options), options),
              learn_dictionary<T>(X, 8, this->reg(options), options), "in runs");
  options = this->options(LearningMethod::aksvd);
  options.max_iter = 1;
  options.batch_size = n;  // all of them
  EXPECT_EQ(learn_dictionary<T>(X, 8, {}, options).history.value.size(), 1U);
  source->X_.row(2).setConstant(std::numeric_limits<T>::infinity());
  const std::string sentence = refusal_of([&] { learn_dictionary<T>(std::shared_ptr<SignalSource<T>>(source), 8, {}, options); });
  EXPECT_TRUE(sentence.starts_with("learn_dictionary: X holds inf at signal ")) << sentence;
}

TYPED_TEST(Streams, GoOnBitForBit_AlsoAfterABrokenShardIsMended) {
  using T = TypeParam;
  using enum LearningMethod;
  for (const LearningMethod method : {online, stochastic, ksvd}) {
    LearnOptions options = this->options(method);
    const auto whole = learn_dictionary<T>(this->stream(), 12, this->reg(options), options);
    options.checkpoint = (this->folder / "run.checkpoint").string();
    options.overwrite_checkpoint = true;
    options.checkpoint_every = 20;
    options.max_iter = 7;
    learn_dictionary<T>(this->stream(), 12, this->reg(options), options);
    options.overwrite_checkpoint = false;
    options.resume = true;
    options.max_iter = 25;
    // Not one of those that reg and the first atoms are of, or it is found before the first iteration.
    const fs::path& last = this->shards.back();
    const Matrix<T> good = this->X.rightCols(399);
    int n = 0;
    const auto breaks = [&](const IterationInfo&) {
      if (++n == 3) {
        Matrix<T> bad = good;
        bad.row(4).setConstant(std::numeric_limits<T>::quiet_NaN());
        this->overwrite(last, bad);
      }
      return Action::keep_going;
    };
    const auto signals = this->stream();
    const std::string sentence = refusal_of([&] { learn_dictionary<T>(signals, 12, this->reg(options), options, breaks); });
    EXPECT_TRUE(sentence.starts_with(last.string() + ": it holds nan at signal ")) << sentence;
    EXPECT_TRUE(sentence.ends_with(", feature 4; expected finite numbers")) << sentence;
    const NamedTensors kept = read_safetensors(options.checkpoint).tensors;  // of all that came before
    EXPECT_EQ(get_integer(kept, "iteration", "checkpoint"), 10) << to_string(method);
    this->overwrite(last, good);
    expect_same(learn_dictionary<T>(this->stream(), 12, this->reg(options), options), whole, std::string(to_string(method)));
  }
}

TYPED_TEST(Streams, OfBatchesThatComeOneByOne_TeachTheSame) {
  using T = TypeParam;
  using enum LearningMethod;
  for (const LearningMethod method : {online, pudle_lasso, noodl, mod, ksvd, aksvd}) {
    LearnOptions options = this->options(method);
    const std::optional<Reg> reg = options.n_nonzero ? std::nullopt : std::optional<Reg>(0.2);
    const Matrix<T> init = this->problem.dictionary;
    const auto whole = learn_dictionary<T>(this->X, init, reg, options);
    const BatchOrder order(this->X.cols(), {.batch_size = options.batch_size, .seed = options.seed});
    options.batch_size = {};
    DictionaryLearner<T> learner(init, reg, options), other(init, reg, options);
    EXPECT_EQ(refusal_of([&] { learner.result(); }), "partial_fit: nothing is learned yet");
    const std::optional<Reg> fraction = reg ? std::optional(Reg::fraction_of_max(0.1)) : reg;
    DictionaryLearner<T> fresh(12, fraction, options);
    fresh.partial_fit(this->X.leftCols(40));
    for (int stop_at = 0; stop_at < 12; ++stop_at) {
      int n = 0;
      LearnOptions stopped = options;
      stopped.execution.stop_requested = [&] { return n++ == stop_at; };
      DictionaryLearner<T> stoppable(12, fraction, stopped);
      try {
        stoppable.partial_fit(T(100) * this->X.rightCols(50));
        continue;  // it looked less often
      } catch (const Interrupted&) {
      }
      stoppable.partial_fit(this->X.leftCols(40));
      EXPECT_EQ(stoppable.dictionary(), fresh.dictionary()) << "a first batch that is interrupted leaves no trace";
    }
    EXPECT_NE(refusal_of([&] { DictionaryLearner<T>(12, 0.3, {.method = stochastic}).restore(fresh.state()); }), "");
    for (Index t = 0; t < 25; ++t) {
      Matrix<T> batch(7, 0);
      for (const SignalRange& range : order.batch(t)) {
        batch.conservativeResize(7, batch.cols() + range.n);
        batch.rightCols(range.n) = this->X.middleCols(range.first, range.n);
      }
      if (t == 12) {
        other.restore(learner.state());
        std::swap(learner, other);
      }
      Matrix<T> bad = batch;
      bad(3, 7) = std::numeric_limits<T>::quiet_NaN();
      EXPECT_EQ(refusal_of([&] { learner.partial_fit(bad); }),
                "learn_dictionary: X holds nan at signal 7, feature 3; expected finite numbers");
      learner.partial_fit(batch);
    }
    EXPECT_EQ(learner.dictionary(), whole.dictionary) << to_string(method);
    EXPECT_EQ(learner.result().history.value, whole.history.value) << to_string(method);
    EXPECT_EQ(refusal_of([&] { learner.partial_fit(Matrix<T>::Ones(11, 3)); }),
              "partial_fit: X has 11 features but had 7 before; they must be equal");
  }
}

TYPED_TEST(Streams, OfBatchesThatComeOneByOne_BeginWithTheFirst) {
  using T = TypeParam;
  DictionaryLearner<T> learner(12, Reg::fraction_of_max(0.2), {.method = LearningMethod::stochastic, .n_layers = 8, .seed = 3});
  EXPECT_TRUE(learner.state().empty());
  for (int t = 0; t < 60; ++t) learner.partial_fit(this->X.middleCols(100 * (t % 7), 100));
  const auto first = learn_dictionary<T>(this->X.leftCols(100), 12, Reg::fraction_of_max(0.2),
                                         {.method = LearningMethod::stochastic, .n_layers = 8, .max_iter = 1, .seed = 3});
  EXPECT_EQ(learner.reg(), first.reg);
  EXPECT_NEAR(learner.result().initial_value, first.initial_value, 1e-6 * first.initial_value);  // sums in another order
  EXPECT_GT(recovery_score<T>(learner.dictionary(), this->problem.dictionary), 0.8);
  EXPECT_EQ(refusal_of([] { DictionaryLearner<T> of(12, 0.1, {.method = LearningMethod::unrolled}); }),
            "partial_fit: method 'unrolled' takes all signals at once");
  EXPECT_EQ(refusal_of([] { DictionaryLearner<T> of(12, 0.1, {.method = LearningMethod::online, .validation = 0.1}); }),
            "partial_fit: checkpoint, validation, batch_size and max_time are the caller's");
}

TYPED_TEST(Streams, SayWhatIsWrongWithWhichShard) {
  using T = TypeParam;
  using Other = std::conditional_t<sizeof(T) == 4, double, float>;
  const std::string own = sizeof(T) == 4 ? "float32" : "float64", others = sizeof(T) == 4 ? "float64" : "float32";
  const auto name = [&](int k) { return this->shards[static_cast<std::size_t>(k)].string(); };
  const auto open = [&] { NpyShards<T> signals(this->shards); };
  EXPECT_EQ(refusal_of([] { NpyShards<T> signals({}); }), "signals: no file is given");

  fs::resize_file(this->shards[3], fs::file_size(this->shards[3]) - 5);
  const std::size_t n_bytes = 399 * 7 * sizeof(T);
  EXPECT_EQ(refusal_of(open), name(3) + " is truncated: header promises " + std::to_string(n_bytes) + " bytes, file holds " +
                                  std::to_string(n_bytes - 5));
  this->write(this->shards[3], Matrix<T>::Ones(11, 4));
  EXPECT_EQ(refusal_of(open), name(3) + " has 11 features but " + name(0) + " has 7; they must be equal");
  const std::vector<Other> ones(14, 1);
  write_npy(this->shards[3], {{2, 7}, ones});
  EXPECT_EQ(refusal_of(open), name(3) + " is " + others + " but " + name(0) + " is " + own + "; they must be equal");
  fs::remove(this->shards[3]);
  EXPECT_THROW(open(), Error);
  NpyShards<T> first({this->shards[0]});
  Matrix<T> two(7, 2);
  for (const Index at : {-1, 299, 300}) EXPECT_NE(refusal_of([&] { first.read(at, two); }), "") << at;

  this->shards.resize(1);
  const auto signals = this->stream();
  this->write(this->shards[0], Matrix<T>::Ones(7, 299));
  EXPECT_EQ(refusal_of([&] {
              Matrix<T> some(7, 5);
              signals->read(0, some);
            }),
            name(0) + " is not the file that it was when the run began");
}

TYPED_TEST(Streams, AreForMethodsOnMiniBatches) {
  using T = TypeParam;
  LearnOptions options = this->options(LearningMethod::ksvd);
  options.batch_size = {};
  EXPECT_EQ(refusal_of([&] { learn_dictionary<T>(this->stream(), 12, {}, options); }),
            "method 'ksvd' on a stream needs batch_size, the signals that it holds at once");
  EXPECT_EQ(
      refusal_of([&] { learn_dictionary<T>(this->stream(), 12, 0.1, {.method = LearningMethod::unrolled}); }),
      "method 'unrolled' holds all signals in memory; of a stream learn by 'online', 'stochastic' or another on mini-batches");
  EXPECT_EQ(
      refusal_of([&] { learn_dictionary<T>(std::shared_ptr<SignalSource<T>>(), 12, 0.1, {.method = LearningMethod::online}); }),
      "learn_dictionary: X holds no signals");
}

}  // namespace
}  // namespace riata::testing
