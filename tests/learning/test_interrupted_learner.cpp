// A run that ends at any of its evaluations leaves what it had, and goes on from its checkpoint to the bits of the whole run.
#include <gtest/gtest.h>

#include "io/files.hpp"
#include "learning/results.hpp"
#include "riata/datasets/generators.hpp"
#include "riata/learning/learner.hpp"

namespace riata::testing {
namespace {

/// Another direction, whose call number `last` is interrupted.
template <Scalar T>
struct Interrupting final : Direction<T> {
  std::unique_ptr<Direction<T>> inner;
  int* n_calls;
  int last;

  Interrupting(std::unique_ptr<Direction<T>> direction, int* count, int end)
      : inner(std::move(direction)), n_calls(count), last(end) {}
  void count() const {
    if (++*n_calls == last) throw Interrupted();
  }
  std::set<Piece> produces() const override { return inner->produces(); }
  double open(const Batch<T>& X, const Parameters<T>& p, std::optional<double> known) override {
    count();
    return inner->open(X, p, known);
  }
  double value(const Batch<T>& X, const Parameters<T>& p) override {
    const double result = inner->value(X, p);
    count();
    return result;
  }
  Parameters<T> gradient(const Batch<T>& X, const Parameters<T>& p, const std::set<std::string>& names) override {
    count();
    return inner->gradient(X, p, names);
  }
  NamedTensors state() const override { return inner->state(); }
  void restore(const NamedTensors& state, const Batch<T>& X, const Parameters<T>& p, const std::string& where) override {
    inner->restore(state, X, p, where);
  }
};

template <Scalar T>
struct Experiment {
  bool exact;
  Matrix<T> signals, initial;
  Schedule schedule{.learn_steps = !exact, .max_iter = 12, .tol = 5e-3};

  explicit Experiment(bool is_exact) : exact(is_exact) {
    const auto problem = datasets::planted<T>({.n_features = 5, .n_atoms = 7, .n_signals = 20, .density = 0.2, .seed = 1});
    signals = problem.signals;
    initial = datasets::perturbed<T>(problem.dictionary, 0.5, 2);
    signals.row(4).setZero();
    initial.row(4).setZero();
    initial.col(3) = Vector<T>::Unit(5, 4);  // no signal uses it
  }
  LearnResult<T> run(int end, const Checkpoint& checkpoint, int* n_calls, const Observer& observer = {}) const {
    std::unique_ptr<Direction<T>> direction;
    if (exact)
      direction = std::make_unique<ExactDirection<T>>(0.1, EncodeOptions{.tol = 1e-6}, Reduction::mean);
    else
      direction = std::make_unique<UnrolledDirection<T>>(0.1, UnrolledDirectionOptions{.network = {.layers = 3}});
    Parameters<T> start{{"dictionary", initial}};
    if (!exact) start["steps"] = Matrix<T>::Ones(3, 1);
    *n_calls = 0;
    Learner<T> learner(std::make_unique<FullBatchBorrowed<T>>(signals),
                       std::make_unique<Interrupting<T>>(std::move(direction), n_calls, end), LineSearch<T>({.first = 64}),
                       Constraint::unit_sphere, schedule, {.check_every = 2}, checkpoint);
    return learner.fit(std::move(start), observer);
  }
};

/// Is it what the whole run had after some of its iterations?
template <Scalar T>
bool is_prefix(const LearnResult<T>& part, const LearnResult<T>& whole) {
  const auto n = std::ssize(part.history.value);
  return n <= std::ssize(whole.history.value) &&
         std::equal(part.history.value.begin(), part.history.value.end(), whole.history.value.begin()) &&
         std::equal(part.history.step.begin(), part.history.step.end(), whole.history.step.begin());
}

template <Scalar T>
void expect_that_interruptions_leave_no_trace(bool exact) {
  const Experiment<T> experiment(exact);
  int n_calls = 0;
  const LearnResult<T> whole = experiment.run(-1, {}, &n_calls);
  EXPECT_GT(whole.n_replaced, 0);
  EXPECT_EQ(whole.history.phase.back(), exact ? 0 : 1);
  const int total = n_calls;
  const TemporaryFolder folder;
  for (int end = 1; end <= total; end += 1 + total / 8) {
    const std::string about = "stopped at evaluation " + std::to_string(end) + " of " + std::to_string(total);
    Checkpoint checkpoint{.path = (folder / std::to_string(end)).string(), .every = 5, .fingerprint = "{}"};
    const LearnResult<T> part = experiment.run(end, checkpoint, &n_calls);
    EXPECT_EQ(part.status, Status::interrupted) << about;
    EXPECT_TRUE(is_prefix(part, whole)) << about;
    checkpoint.resume = true;
    expect_same(experiment.run(-1, checkpoint, &n_calls), whole, about);
    if (end == 1) expect_same(experiment.run(-1, checkpoint, &n_calls), whole, "resumed when it had ended");
  }
}

TEST(InterruptedLearner, OfUnrolledLayers_GoesOnBitForBit_FromWhereverItStopped) {
  expect_that_interruptions_leave_no_trace<double>(false);
}

TEST(InterruptedLearner, OfExactCodes_GoesOnBitForBit_FromWhereverItStopped) {
  expect_that_interruptions_leave_no_trace<double>(true);
}

TEST(InterruptedLearner, InFloat_GoesOnBitForBit_FromWhereverItStopped) {
  expect_that_interruptions_leave_no_trace<float>(false);
}

TEST(InterruptedLearner, ByItsObserver_KeepsTheIterationItSaw) {
  for (const bool exact : {false, true}) {
    const Experiment<double> experiment(exact);
    int n_calls = 0, n_seen = 0;
    const auto whole = experiment.run(-1, {}, &n_calls, [&](const IterationInfo& info) {
      EXPECT_EQ(info.iteration, ++n_seen);
      return Action::keep_going;
    });
    EXPECT_EQ(n_seen, std::ssize(whole.history.value));
    const TemporaryFolder folder;
    for (int last = 1; last < n_seen; last += 2) {
      Checkpoint checkpoint{.path = (folder / std::to_string(last)).string(), .every = 1000, .fingerprint = "{}"};
      const auto part = experiment.run(-1, checkpoint, &n_calls, [&](const IterationInfo& info) {
        return info.iteration == last ? Action::stop : Action::keep_going;
      });
      EXPECT_EQ(part.status, Status::interrupted);
      EXPECT_EQ(std::ssize(part.history.value), last);
      EXPECT_TRUE(is_prefix(part, whole));
      checkpoint.resume = true;
      expect_same(experiment.run(-1, checkpoint, &n_calls), whole, "stopped after iteration " + std::to_string(last));
    }
  }
}

TEST(InterruptedLearner, ThatEndedAtALargerTol_GoesOnAsOneThatNeverLookedWhetherItHad) {
  for (const bool exact : {false, true}) {
    Experiment<double> experiment(exact);
    experiment.schedule = {.max_iter = 30, .tol = 2e-3};
    int n_calls = 0;
    const auto whole = experiment.run(-1, {}, &n_calls);
    experiment.schedule.tol = 0.05;
    const TemporaryFolder folder;
    Checkpoint checkpoint{.path = (folder / "c").string(), .every = 1000, .fingerprint = "{}"};
    const auto part = experiment.run(-1, checkpoint, &n_calls);
    EXPECT_EQ(part.status, Status::stalled);
    EXPECT_LT(part.history.value.size(), whole.history.value.size());
    experiment.schedule.tol = 2e-3;
    checkpoint.resume = true;
    expect_same(experiment.run(-1, checkpoint, &n_calls), whole, exact ? "exact" : "unrolled");
  }
}

}  // namespace
}  // namespace riata::testing
