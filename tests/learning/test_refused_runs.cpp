// Parts and options that make no run are refused in a sentence, before any work.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "io/files.hpp"
#include "riata/learning/run.hpp"
#include "riata/optim/adam.hpp"
#include "riata/optim/block_coordinate.hpp"
#include "riata/optim/line_search.hpp"
#include "support/convolution.hpp"
#include "support/random_arrays.hpp"
#include "support/sentences.hpp"

namespace riata::testing {
namespace {

using MatrixXd = Matrix<double>;

/// Adam, which remembers one tensor more.
struct Remembering final : Update<double> {
  explicit Remembering(std::string name) : more(std::move(name)) {}
  const char* name() const override { return "the remembering one"; }
  std::set<Piece> needs() const override { return adam.needs(); }
  Asking<double, Outcome<double>> step(Position<double> from) override { return adam.step(from); }
  NamedTensors state() const override {
    NamedTensors state = adam.state();
    state[more] = to_tensor(std::int64_t{1});
    return state;
  }
  Adam<double> adam;
  std::string more;
};

/// The unrolled direction, which remembers a tensor.
struct RememberingDirection final : Direction<double> {
  RememberingDirection(const Dictionary<double>& D, std::string name) : unrolled(D, 0.1, {}), more(std::move(name)) {}
  std::set<Piece> produces() const override { return unrolled.produces(); }
  Sums<double> look(const Sample<double>& sample, const Question<double>& question, const Execution& execution) override {
    return unrolled.look(sample, question, execution);
  }
  NamedTensors state() const override { return {{more, to_tensor(std::int64_t{1})}}; }
  UnrolledDirection<double> unrolled;
  std::string more;
};

/// What a run is made from; by default one that learns.
struct Parts {
  MatrixXd X = Draw(51).normal_matrix(6, 40);
  DenseDictionary<double> D{Draw(52).atoms(6, 9)};
  std::unique_ptr<Sampler<double>> sampler = std::make_unique<FullBatch<double>>(X);
  std::unique_ptr<Direction<double>> direction =
      std::make_unique<UnrolledDirection<double>>(D, 0.1, UnrolledDirectionOptions{.network = {.n_layers = 4}});
  std::unique_ptr<Update<double>> update = std::make_unique<LineSearch<double>>(LineSearchOptions{});
  std::vector<Phase> phases{{.moves = {"dictionary"}}};
  Parameters<double> initial = D.parameters();
  RunOptions<double> options{.max_iter = 6, .tol = 0, .project = [this](Parameters<double>& p) { D.project(p); }};

  Run<double> run() {
    return {std::move(sampler), std::move(direction), std::move(update),
            std::move(phases),  std::move(initial),   std::move(options)};
  }
};

/// The sentence that refuses a run of changed parts.
std::string refusal(const std::function<void(Parts&)>& change) {
  return refusal_of([&] {
    Parts parts;
    change(parts);
    parts.run().fit();
  });
}

TEST(RefusedRun, LacksAPart) {
  EXPECT_EQ(refusal([](Parts& p) { p.sampler.reset(); }), "run: it has no sampler");
  EXPECT_EQ(refusal([](Parts& p) { p.direction.reset(); }), "run: it has no direction");
  EXPECT_EQ(refusal([](Parts& p) { p.update.reset(); }), "run: it has no update");
  EXPECT_EQ(refusal([](Parts& p) { p.phases.clear(); }), "run: it has no phase");
}

TEST(RefusedRun, MovesWhatThereIsNot) {
  EXPECT_EQ(refusal([](Parts& p) {
              p.phases.push_back({.moves = {"dictionary", "dictionry"}});
            }),
            "run: phase 1 moves 'dictionry', which is not among the parameters: dictionary");
}

TEST(RefusedRun, LooksOrWritesAtEveryZerothIteration) {
  EXPECT_EQ(refusal([](Parts& p) { p.options.validation.every = 0; }), "validation: every = 0, must be >= 1");
  EXPECT_EQ(refusal([](Parts& p) { p.options.validation.patience = 0; }), "validation: patience = 0, must be >= 1");
  const TemporaryFolder folder;
  EXPECT_EQ(refusal([&](Parts& p) { p.options.checkpoint = {.path = folder / "c", .every = 0, .fingerprint = "{}"}; }),
            "checkpoint_every = 0, must be >= 1");
}

TEST(RefusedRun, HasACheckpointThatSaysNothingOfIt) {
  const TemporaryFolder folder;
  const std::string path = folder / "c";
  EXPECT_EQ(refusal([&](Parts& p) { p.options.checkpoint = {.path = path}; }),
            "checkpoint " + path + ": it has no fingerprint; expected a JSON object of what must be equal for a resume");
}

TEST(RefusedRun, ReplacesAtomsOfNoMatrix) {
  EXPECT_EQ(refusal([](Parts& p) {
              p.options.project = Position<double>::none;
              p.options.atoms.replace = true;
              p.initial = {{"kernels", MatrixXd::Ones(6, 9)}};
              p.phases = {{.moves = {"kernels"}}};
            }),
            "run: atoms are replaced in the parameter 'dictionary', which is not among the parameters: kernels");
}

TEST(RefusedRun, HasAPartThatRemembersUnderAnothersName) {
  for (const char* name : {"tol", "values", "phase", "history.value", "parameter.x", "best", "best.dictionary"}) {
    const std::string is_taken = "state holds '" + std::string(name) + "', which is the run's own name; choose another";
    EXPECT_EQ(refusal([&](Parts& p) { p.update = std::make_unique<Remembering>(name); }),
              "run: the remembering one's " + is_taken);
    EXPECT_EQ(refusal([&](Parts& p) { p.direction = std::make_unique<RememberingDirection>(p.D, name); }),
              "run: the direction's " + is_taken);
  }
  EXPECT_EQ(refusal([&](Parts& p) { p.direction = std::make_unique<RememberingDirection>(p.D, "line_search.t"); }),
            "run: the direction's state holds 'line_search.t', which is the update's name; choose another");
}

TEST(RefusedRun, StartsWhereItsLossIsNoNumber_AndSaysWhose) {
  struct Nothing final : Direction<double> {
    std::set<Piece> produces() const override { return {Piece::value, Piece::gradient}; }
    Sums<double> look(const Sample<double>&, const Question<double>&, const Execution&) override {
      return {.value = std::numeric_limits<double>::infinity()};
    }
  };
  EXPECT_EQ(refusal([](Parts& p) {
              p.direction = std::make_unique<Nothing>();
              p.options.looks_first = true;
              p.options.words = {.who = "fit", .value = "energy of its fibres"};
            }),
            "fit: the energy of its fibres is inf before the first step; are the signals or reg too large?");
}

TEST(RefusedRun, HasADirectionThatNeedsAMatrix) {
  const Convolution<double> D(Draw(53).atoms(3, 2), 6);
  const auto direction = [&](const UnrolledDirectionOptions& options) { UnrolledDirection<double>(D, 0.1, options); };
  EXPECT_THAT(refusal_of([&] { direction({.lipschitz_bound = LipschitzBound::frobenius}); }),
              ::testing::StartsWith("lipschitz_bound = 'frobenius' needs a dictionary that is a matrix, which this one is not"));
  EXPECT_EQ(refusal_of([&] { direction({.scale_by_usage = true}); }),
            "scale_by_usage needs atoms, a matrix that is the parameter 'dictionary'; this dictionary has kernels");
  EXPECT_EQ(refusal([&](Parts& p) {
              p.direction = std::make_unique<UnrolledDirection<double>>(D, 0.1, UnrolledDirectionOptions{});
              p.update = std::make_unique<BlockCoordinate<double>>();
              p.initial = D.parameters();
              p.phases = {{.moves = {"kernels"}}};
              p.options.project = Position<double>::none;
            }),
            "block coordinate descent moves atoms, the parameter 'dictionary', which is not among the parameters");
}

TEST(RefusedOptions, OfUpdates) {
  const auto search = [](LineSearchOptions options) { return [options] { LineSearch<double> made(options); }; };
  const auto adam = [](AdamOptions options) { return [options] { Adam<double> made(options); }; };
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const BadInput table[] = {
      {"the line search: shrink = 1, must be > 0 and < 1", search({.shrink = 1})},
      {"the line search: shrink = 0, must be > 0 and < 1", search({.shrink = 0})},
      {"the line search: grow = 0.5, must be >= 1 and finite", search({.grow = 0.5})},
      {"the line search: first = 0, must be > 0 and finite", search({.first = 0})},
      {"the line search: largest = nan, must be > 0", search({.largest = nan})},
      {"the line search: smallest = -1, must be >= 0", search({.smallest = -1})},
      {"Adam: rate = 0, must be > 0 and finite", adam({.rate = 0})},
      {"Adam: b1 = 1, must be >= 0 and < 1", adam({.b1 = 1})},
      {"Adam: b2 = -0.5, must be >= 0 and < 1", adam({.b2 = -0.5})},
      {"Adam: eps = 0, must be > 0 and finite", adam({.eps = 0})},
  };
  for (const BadInput& row : table) EXPECT_EQ(refusal_of(row.call), row.sentence);
}

TEST(StoppedRun, GoesOnWhereItsObserverStoppedIt) {
  const RunResult<double> whole = Parts().run().fit();
  Parts parts;
  riata::Run<double> run = parts.run();
  const RunResult<double> part =
      run.fit([](const IterationInfo& info) { return info.iteration == 2 ? Action::stop : Action::keep_going; });
  EXPECT_EQ(part.history.value.size(), 2U);
  const RunResult<double> rest = run.fit();
  EXPECT_TRUE(rest.parameters == whole.parameters);
  EXPECT_EQ(rest.history.value, whole.history.value);
  EXPECT_TRUE(std::ranges::is_sorted(rest.history.seconds));
  EXPECT_EQ(rest.status, Status::max_iter_reached);
}

}  // namespace
}  // namespace riata::testing
