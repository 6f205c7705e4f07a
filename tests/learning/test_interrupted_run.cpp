// A run that ends at any of its evaluations leaves what it had, and goes on from its checkpoint to the bits of the whole run.
#include <gtest/gtest.h>

#include "io/files.hpp"
#include "learning/results.hpp"
#include "riata/datasets/generators.hpp"
#include "riata/learning/run.hpp"
#include "riata/optim/line_search.hpp"

namespace riata::testing {
namespace {

/// Another direction, whose call number `last` is interrupted, before or after it is answered.
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
  Sums<T> look(const Sample<T>& sample, const Question<T>& question, const Execution& execution) override {
    count();
    Sums<T> answer = inner->look(sample, question, execution);
    count();
    return answer;
  }
  bool holds_codes() const override { return inner->holds_codes(); }
  void forget_looks() override { inner->forget_looks(); }
  void keep() override { inner->keep(); }
  NamedTensors state() const override { return inner->state(); }
  void restore(const NamedTensors& state, const Sample<T>& sample, const Parameters<T>& p, const std::string& where) override {
    inner->restore(state, sample, p, where);
  }
};

template <Scalar T>
struct Experiment {
  bool exact;
  Matrix<T> signals, initial;
  int max_iter = 12;
  double tol = 5e-3;
  bool learns_steps = !exact;

  explicit Experiment(bool is_exact) : exact(is_exact) {
    const auto problem = datasets::planted<T>({.n_features = 5, .n_atoms = 7, .n_signals = 20, .density = 0.2, .seed = 1});
    signals = problem.signals;
    initial = datasets::perturbed<T>(problem.dictionary, 0.5, 2);
    signals.row(4).setZero();
    initial.row(4).setZero();
    initial.col(3) = Vector<T>::Unit(5, 4);  // no signal uses it
  }
  std::unique_ptr<Run<T>> make_run(int end, const Checkpoint& checkpoint, int* n_calls, int n_threads = 1) const {
    const auto D = std::make_shared<DenseDictionary<T>>(initial);
    std::unique_ptr<Direction<T>> direction;
    if (exact)
      direction = std::make_unique<ExactDirection<T>>(*D, 0.1, EncodeOptions{.tol = 1e-6}, Reduction::mean);
    else
      direction = std::make_unique<UnrolledDirection<T>>(*D, 0.1, UnrolledDirectionOptions{.network = {.n_layers = 3}});
    Parameters<T> start = D->parameters();
    std::vector<Phase> phases{{.moves = {"dictionary"}}};
    if (!exact) start["steps"] = Matrix<T>::Ones(3, 1);
    if (learns_steps) phases.push_back({.moves = {"dictionary", "steps"}});
    *n_calls = 0;
    RunOptions<T> options{.max_iter = max_iter,
                          .tol = tol,
                          .project = [D](Parameters<T>& p) { D->project(p); },
                          .atoms = {.check_every = 2},
                          .checkpoint = checkpoint,
                          .execution = {.n_threads = n_threads}};
    return std::make_unique<Run<T>>(
        std::make_unique<FullBatch<T>>(signals), std::make_unique<Interrupting<T>>(std::move(direction), n_calls, end),
        std::make_unique<LineSearch<T>>(LineSearchOptions{.first = 64}), std::move(phases), std::move(start), std::move(options));
  }
  RunResult<T> run(int end, const Checkpoint& checkpoint, int* n_calls, const Observer& observer = {}) const {
    return make_run(end, checkpoint, n_calls)->fit(observer);
  }
};

/// Is it what the whole run had after some of its iterations?
template <Scalar T>
bool is_prefix(const RunResult<T>& part, const RunResult<T>& whole) {
  const auto n = std::ssize(part.history.value);
  return n <= std::ssize(whole.history.value) &&
         std::equal(part.history.value.begin(), part.history.value.end(), whole.history.value.begin()) &&
         std::equal(part.history.step.begin(), part.history.step.end(), whole.history.step.begin());
}

template <Scalar T>
void expect_that_interruptions_leave_no_trace(bool exact) {
  const Experiment<T> experiment(exact);
  int n_calls = 0;
  const RunResult<T> whole = experiment.run(-1, {}, &n_calls);
  EXPECT_GT(whole.n_replaced, 0);
  EXPECT_EQ(whole.history.phase.back(), exact ? 0 : 1);
  const int total = n_calls;
  const TemporaryFolder folder;
  for (int end = 1; end <= total; end += 1 + total / 8) {
    const std::string about = "stopped at evaluation " + std::to_string(end) + " of " + std::to_string(total);
    Checkpoint checkpoint{.path = (folder / std::to_string(end)).string(), .every = 5, .fingerprint = "{}"};
    const RunResult<T> part = experiment.run(end, checkpoint, &n_calls);
    EXPECT_EQ(part.status, Status::interrupted) << about;
    EXPECT_TRUE(is_prefix(part, whole)) << about;
    checkpoint.resume = true;
    expect_same(experiment.run(-1, checkpoint, &n_calls), whole, about);
    if (end == 1) expect_same(experiment.run(-1, checkpoint, &n_calls), whole, "resumed when it had ended");
  }
}

TEST(InterruptedRun, OfUnrolledLayers_GoesOnBitForBit_FromWhereverItStopped) {
  expect_that_interruptions_leave_no_trace<double>(false);
}

TEST(InterruptedRun, OfExactCodes_GoesOnBitForBit_FromWhereverItStopped) {
  expect_that_interruptions_leave_no_trace<double>(true);
}

TEST(InterruptedRun, InFloat_GoesOnBitForBit_FromWhereverItStopped) { expect_that_interruptions_leave_no_trace<float>(false); }

TEST(InterruptedRun, ByItsObserver_KeepsTheIterationItSaw) {
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

TEST(InterruptedRun, ThatEndedAtALargerTol_GoesOnAsOneThatNeverLookedWhetherItHad) {
  for (const bool exact : {false, true}) {
    Experiment<double> experiment(exact);
    experiment.max_iter = 30;
    experiment.tol = 2e-3;
    experiment.learns_steps = false;
    int n_calls = 0;
    const auto whole = experiment.run(-1, {}, &n_calls);
    experiment.tol = 0.05;
    const TemporaryFolder folder;
    Checkpoint checkpoint{.path = (folder / "c").string(), .every = 1000, .fingerprint = "{}"};
    const auto part = experiment.run(-1, checkpoint, &n_calls);
    EXPECT_EQ(part.status, Status::stalled);
    EXPECT_LT(part.history.value.size(), whole.history.value.size());
    experiment.tol = 2e-3;
    checkpoint.resume = true;
    expect_same(experiment.run(-1, checkpoint, &n_calls), whole, exact ? "exact" : "unrolled");
  }
}

template <Scalar T>
void expect_that_it_goes_on_from_any_question(bool exact) {
  Experiment<T> experiment(exact);
  experiment.max_iter = 5;
  int n_calls = 0;
  const RunResult<T> whole = experiment.run(-1, {}, &n_calls);
  const int n_questions = n_calls / 2;
  for (int last = 0; last < n_questions; last += 3) {
    const auto first = experiment.make_run(-1, {}, &n_calls), second = experiment.make_run(-1, {}, &n_calls);
    std::vector<Sums<T>> told;
    for (int i = 0; i < last; ++i) {
      told.push_back(first->answer(*first->question()));
      first->tell(told.back());
      told.erase(told.begin(), told.end() - first->n_told());
    }
    second->restore(first->state());
    if (!exact) second->retell(told);  // held codes are those of the last iteration
    while (const Question<T>* question = second->question()) second->tell(second->answer(*question));
    EXPECT_TRUE(get_matrix<T>(second->state(), "parameter.dictionary", "state") == whole.parameters.at("dictionary")) << last;
    EXPECT_EQ(get_vector<double>(second->state(), "history.value", "state"), whole.history.value) << last;
  }
}

TEST(InterruptedRun, GoesOnBitForBit_FromItsStateAndTheAnswersToldSince_AtAnyQuestion) {
  expect_that_it_goes_on_from_any_question<double>(false);
  expect_that_it_goes_on_from_any_question<double>(true);
  expect_that_it_goes_on_from_any_question<float>(false);
}

TEST(InterruptedRun, HasTheSameBitsForOneTwoAndThreeThreads) {
  for (const bool exact : {false, true}) {
    const Experiment<double> experiment(exact);
    int n_calls = 0;
    const auto one = experiment.make_run(-1, {}, &n_calls, 1)->fit();
    for (const int n_threads : {2, 3})
      expect_same(experiment.make_run(-1, {}, &n_calls, n_threads)->fit(), one, exact ? "exact" : "unrolled");
  }
}

}  // namespace
}  // namespace riata::testing
