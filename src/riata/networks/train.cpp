#include "riata/networks/train.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "riata/core/check.hpp"
#include "riata/core/error.hpp"
#include "riata/core/random.hpp"
#include "riata/core/stopping.hpp"
#include "riata/operators/units.hpp"
#include "riata/optim/adam.hpp"
#include "riata/optim/checkpoint.hpp"
#include "riata/optim/line_search.hpp"
#include "riata/solvers/certificate.hpp"
#include "riata/solvers/encode.hpp"
#include "riata/solvers/tile_certificate.hpp"

namespace riata {

TrainingLoss parse_training_loss(std::string_view name) {
  if (name == "unsupervised") return TrainingLoss::unsupervised;
  if (name == "supervised") return TrainingLoss::supervised;
  require(name == "semi", "loss = '{}', must be 'unsupervised', 'supervised' or 'semi'", name);
  return TrainingLoss::semi;
}

TrainingMode parse_training_mode(std::string_view name) {
  if (name == "oneshot") return TrainingMode::oneshot;
  if (name == "recursive") return TrainingMode::recursive;
  require(name == "greedy", "mode = '{}', must be 'oneshot', 'recursive' or 'greedy'", name);
  return TrainingMode::greedy;
}

TrainingOptimizer parse_training_optimizer(std::string_view name) {
  if (name == "backtracking") return TrainingOptimizer::backtracking;
  require(name == "adam", "optimizer = '{}', must be 'backtracking' or 'adam'", name);
  return TrainingOptimizer::adam;
}

const char* to_string(TrainingLoss loss) {
  switch (loss) {
    case TrainingLoss::unsupervised:
      return "unsupervised";
    case TrainingLoss::supervised:
      return "supervised";
    case TrainingLoss::semi:
      return "semi";
  }
  return "unknown";
}

const char* to_string(TrainingMode mode) {
  switch (mode) {
    case TrainingMode::oneshot:
      return "oneshot";
    case TrainingMode::recursive:
      return "recursive";
    case TrainingMode::greedy:
      return "greedy";
  }
  return "unknown";
}

const char* to_string(TrainingOptimizer optimizer) {
  return optimizer == TrainingOptimizer::backtracking ? "backtracking" : "adam";
}

void TrainingOptions::validate() const {
  const bool is_adam = optimizer == TrainingOptimizer::adam;
  require(is_adam || !batch_size, "batch_size is for optimizer = 'adam' alone");
  if (batch_size) require(*batch_size >= 1, "batch_size = {}, must be >= 1", *batch_size);
  require(validation >= 0 && validation < 1, "validation = {}, must be between 0 and below 1", validation);
  require(is_adam || validation == 0, "validation is for optimizer = 'adam' alone");
  require(validate_every >= 1, "validate_every = {}, must be >= 1", validate_every);
  require(patience >= 1, "patience = {}, must be >= 1", patience);
  require(!is_adam || tol == 0, "tol is for optimizer = 'backtracking' alone; 'adam' takes patience");
  if (learning_rate)
    require(std::isfinite(*learning_rate) && *learning_rate > 0, "learning_rate = {}, must be > 0", *learning_rate);
  require(max_iter >= 1, "max_iter = {}, must be >= 1", max_iter);
  require(std::isfinite(tol) && tol >= 0, "tol = {}, must be >= 0 and finite", tol);
  if (max_time_s) require(std::isfinite(*max_time_s) && *max_time_s > 0, "max_time = {}, must be > 0 seconds", *max_time_s);
  checkpoint_of(*this).validate();
}

namespace {

constexpr double least_step_factor = 1e-6;  // of 1 / L: what positive_steps keeps
constexpr double optimum_tol = 1e-6;
constexpr double adam_rate = 5e-4, refinements[] = {0.2, 0.02}, older_layers = 0.3;  // of the published code
constexpr std::uint32_t batch_stream = 200, validation_stream = 201;

double rate_of(const TrainingOptions& options) {
  return options.learning_rate.value_or(options.optimizer == TrainingOptimizer::adam ? adam_rate : 1);
}

bool is_step(const std::string& name) { return name.ends_with(".step"); }

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// t of LineSearch is twice the step that it tries first.
LineSearchOptions search_options(const TrainingOptions& options) { return {.first = 2 * rate_of(options), .grow = 8}; }

struct Stage {
  int n_layers;  // the loss is at their output
  std::set<std::string> names;
  int max_iter;                              // accepted steps
  std::map<std::string, double> rates = {};  // Adam's, by name
};

template <Scalar T>
std::vector<Stage> make_stages(const Network<T>& net, const TrainingOptions& options) {
  const int depth = net.n_layers();
  const double rate = rate_of(options);
  const bool is_adam = options.optimizer == TrainingOptimizer::adam;
  std::vector<Stage> stages;
  const auto add = [&](int n_layers, int first, int last, double factor, double older) {
    Stage stage{n_layers, net.trainable(first, last), 0};
    for (const std::string& name : stage.names) {
      const int layer = layer_of(name).value_or(0);
      stage.rates[name] = rate * factor * std::pow(older, last - 1 - layer);
    }
    stages.push_back(std::move(stage));
  };
  if (options.mode == TrainingMode::oneshot) {
    add(depth, 0, depth, 1, 1);
  } else {
    for (int t = 1; t <= depth; ++t) {
      const int n_layers = options.mode == TrainingMode::recursive ? t : depth;
      if (!is_adam || options.mode == TrainingMode::greedy) {
        add(n_layers, 0, t, 1, 1);
        continue;
      }
      add(n_layers, t - 1, t, 1, older_layers);
      for (const double factor : refinements) add(n_layers, 0, t, factor, older_layers);
    }
  }
  const auto n_stages = std::ssize(stages);
  const auto before = [&](Index k) { return static_cast<int>(options.max_iter * k / n_stages); };
  for (Index k = 0; k < n_stages; ++k) stages[static_cast<std::size_t>(k)].max_iter = before(k + 1) - before(k);
  return stages;
}

/// The columns of A in the order of `which`.
template <Scalar T>
Matrix<T> columns(const ConstMatrixRef<T>& A, const std::vector<Index>& which) {
  Matrix<T> chosen(A.rows(), std::ssize(which));
  for (Index k = 0; k < chosen.cols(); ++k) chosen.col(k) = A.col(which[static_cast<std::size_t>(k)]);
  return chosen;
}

/// Loss and optimum that progress is held against.
template <Scalar T>
class Landmarks {
 public:
  Landmarks(const Network<T>& net, const ConstMatrixRef<T>& X, double reg, const Matrix<T>* targets, const Execution& execution)
      : X_(X),
        reg_(reg),
        targets_(targets),
        execution_(execution),
        ista_(net.traits().groups ? "group" : "step", net.dictionary(), net.n_layers(),
              {.groups = net.options().groups, .lipschitz = net.lipschitz()}) {}

  /// Computes both once; what follows cannot be interrupted.
  void find(int n_layers) { ista(n_layers), optimum(); }

  double ista(int n_layers) {
    const auto [found, is_new] = values_.try_emplace(n_layers, 0.0);
    if (is_new) found->second = ista_.loss(X_, reg_, {.n_layers = n_layers, .execution = execution_}, targets_);
    return found->second;
  }

  double optimum() {
    if (targets_ == nullptr && !optimum_) {
      const auto found =
          encode<T>(X_, ista_.dictionary(), reg_, {.tol = optimum_tol, .penalty = ista_.penalty(), .execution = execution_});
      const bool is_certified = std::ranges::count(found.status, Status::converged) == X_.cols();
      optimum_ = is_certified ? found.objective.mean() : unknown;
    }
    return optimum_.value_or(unknown);
  }

 private:
  ConstMatrixRef<T> X_;
  double reg_;
  const Matrix<T>* targets_;
  const Execution& execution_;
  Network<T> ista_;
  std::map<int, double> values_;
  static constexpr double unknown = std::numeric_limits<double>::quiet_NaN();
  std::optional<double> optimum_;
};

template <Scalar T>
class Trainer {
 public:
  Trainer(Network<T>& net, const ConstMatrixRef<T>& X, double reg, const TrainingOptions& options, const Matrix<T>* targets,
          const TrainingObserver& observer, Checkpoint checkpoint)
      : net_(net),
        X_(X),
        reg_(reg),
        options_(options),
        targets_(targets),
        observer_(observer),
        file_(std::move(checkpoint)),
        stages_(make_stages(net, options)),
        before_training_(*net.shared_parameters()),
        trial_(net),
        search_(search_options(options)),
        execution_(make_execution()),
        landmarks_(net, X, reg, targets, execution_) {
    project(before_training_);
    state_.parameters = before_training_;
    if (is_adam()) hold_out();
  }

  TrainingResult run() {
    const StopScope scope(execution_);
    is_verified_ = !file_.resume([this](const NamedTensors& stored, const std::string& where) { load(stored, where); });
    const std::size_t n_steps_before = state_.history.value.size();
    LineSearch<T> search_before = search_;
    Status status = Status::interrupted;
    try {
      std::optional<Status> end;
      do search_before = search_;
      while (!(end = iterate()));
      status = *end;
    } catch (const Interrupted&) {  // nothing has moved but the search
      search_ = search_before;
    }
    if (failure_ && state_.history.value.size() == n_steps_before) std::rethrow_exception(failure_);
    if (is_verified_) keep_failure(failure_, [&] { save(); });
    // Whoever stopped the run waits for one more loss, but not for long.
    const auto patience_ends = std::chrono::steady_clock::now() + std::chrono::milliseconds(150);
    const Execution to_the_end{
        .n_threads = options_.execution.n_threads, .stop_requested = [&] {
          const bool is_late = std::chrono::steady_clock::now() > patience_ends;
          return is_late && (status == Status::interrupted || (execution_.stop_requested && execution_.stop_requested()));
        }};
    const auto in_time = [](const auto& look) {
      try {
        look();
      } catch (const Interrupted&) {
      }
    };
    if (state_.best_value) in_time([&] { validate(to_the_end); });  // not in the checkpoint: a longer run may not look here
    net_.set_parameters(state_.best_value ? state_.best : state_.parameters);
    if (failure_) std::rethrow_exception(failure_);
    const bool is_known = !is_adam() && state_.value && stages_[state_.stage].n_layers == net_.n_layers();
    double value = state_.value.value_or(std::numeric_limits<double>::quiet_NaN());
    if (!is_known) in_time([&] { value = net_.loss(X_, reg_, {.execution = to_the_end}, targets_); });
    return {std::move(state_.history), state_.initial_value, value, reg_, status};
  }

 private:
  struct State {
    Parameters<T> parameters;
    TrainingHistory history;
    std::size_t stage = 0;
    std::optional<double> value = {};  // of the stage's loss at `parameters`; absent before the stage is opened
    int taken = 0;                     // steps of the stage
    bool ended = false;                // the stage, before its last step
    bool certified = false;            // as LineSearch::Outcome says where it ended
    double ended_tol = 0;              // at which it ended
    double initial_value = std::numeric_limits<double>::quiet_NaN();
    // Of validation, in the stage: the least loss, where, and after how many steps.
    std::optional<double> best_value = {};
    Parameters<T> best = {};
    int best_taken = 0;
  };

  bool is_adam() const { return options_.optimizer == TrainingOptimizer::adam; }
  double seconds() const { return seconds_before_ + seconds_since(start_); }
  NetworkRun<T> run_of(const Stage& stage) const { return {.n_layers = stage.n_layers, .execution = execution_}; }

  double evaluate(const Parameters<T>& parameters) {
    trial_.set_parameters(parameters);
    return trial_.loss(X_, reg_, run_of(stages_[state_.stage]), targets_);
  }

  Parameters<T> gradient(const Parameters<T>& parameters) {
    const Stage& stage = stages_[state_.stage];
    trial_.set_parameters(parameters);
    return trial_.loss_gradient(X_, reg_, {.parameters = stage.names}, run_of(stage), targets_).parameters;
  }

  SearchObjective<T> objective() {
    SearchObjective<T> objective;
    objective.project = [this](Parameters<T>& p) { project(p); };
    objective.evaluate = [this](const Parameters<T>& p) { return evaluate(p); };
    objective.gradient = [this](const Parameters<T>& p) { return gradient(p); };
    return objective;
  }

  void project(Parameters<T>& parameters) const {
    net_.project(parameters);
    if (!options_.positive_steps) return;
    const T least = static_cast<T>(least_step_factor / net_.lipschitz());
    for (auto& [name, values] : parameters)
      if (is_step(name)) values = values.cwiseMax(least);
  }

  void hold_out() {
    const Index n = X_.cols(), n_held = static_cast<Index>(std::lround(options_.validation * static_cast<double>(n)));
    require(n_held < n, "validation = {} of {} signals leaves none to train on", options_.validation, n);
    require(n_held > 0 || options_.validation == 0, "validation = {} of {} signals holds none out", options_.validation, n);
    std::vector<bool> is_held(static_cast<std::size_t>(n));
    const std::vector<Index> held = RandomStream(options_.seed, validation_stream).choose(n, n_held);
    for (const Index i : held) is_held[static_cast<std::size_t>(i)] = true;
    for (Index i = 0; i < n; ++i)
      if (!is_held[static_cast<std::size_t>(i)]) trained_on_.push_back(i);
    held_X_ = columns<T>(X_, held);
    if (targets_ != nullptr) held_targets_ = columns<T>(*targets_, held);
    if (options_.batch_size)
      require(*options_.batch_size <= std::ssize(trained_on_), "batch_size = {}, must be at most the {} signals to train on",
              *options_.batch_size, trained_on_.size());
  }

  /// From where the last stage ended, or from where training began if that is better here.
  void open_stage() {
    double value = evaluate(state_.parameters);
    const bool goes_back = state_.stage > 0 && !is_adam();
    const double from_start = goes_back ? evaluate(before_training_) : value;
    if (from_start < value) {
      value = from_start;
      state_.parameters = before_training_;
    }
    require(std::isfinite(value), "train: the loss of the network is {} before the first step; are the signals or reg too large?",
            value);
    if (state_.stage == 0) state_.initial_value = value;
    state_.value = value;
    search_.reset();
    adam_.reset();
  }

  /// One step, or one stage opened or closed. How the run ended, if it did. What throws Interrupted comes before what moves.
  std::optional<Status> iterate() {
    const Stage& stage = stages_[state_.stage];
    if (!is_verified_) {
      verify();
      return {};
    }
    if (!state_.value) {
      open_stage();
      return {};  // so that an interruption of the first step does not undo what this has set
    }
    if (state_.ended || state_.taken >= stage.max_iter) {
      if (state_.stage + 1 == stages_.size())
        return state_.ended ? status_of_end(is_adam() ? !best_can_fall() : state_.certified) : Status::max_iter_reached;
      if (state_.best_value) validate(execution_);
      ++state_.stage;
      if (state_.best_value) state_.parameters = std::move(state_.best);
      state_.best_value.reset();
      state_.best_taken = 0;
      state_.value.reset();
      state_.taken = 0;
      state_.ended = false;
      return {};
    }
    if (options_.max_time_s && seconds_since(start_) >= *options_.max_time_s) return Status::max_time_reached;
    if (observer_) landmarks_.find(stage.n_layers);
    const bool moved = is_adam() ? adam_step(stage) : search_step();
    if (!moved) return {};
    ++state_.taken;
    return tell(stage) == Action::stop ? std::optional(Status::interrupted) : std::nullopt;
  }

  /// The checkpoint and the observer, after a step. What they throw stops the run, which keeps what it has before it fails.
  Action tell(const Stage& stage) {
    const TrainingHistory& history = state_.history;
    const int n_steps = static_cast<int>(history.value.size());
    Action action = Action::keep_going;
    keep_failure(failure_, [&] {
      if (file_.is_due(history.value.size())) save();
      if (observer_)
        action = observer_({.stage = static_cast<int>(state_.stage),
                            .n_layers = stage.n_layers,
                            .iteration = n_steps,
                            .value = history.value.back(),
                            .ista = landmarks_.ista(stage.n_layers),
                            .optimum = landmarks_.optimum(),
                            .step = history.step.back(),
                            .seconds = history.seconds.back()});
    });
    return failure_ ? Action::stop : action;
  }

  /// The caller's, but what its stop_requested throws (a signal's handler, say) also keeps what the run has.
  Execution make_execution() {
    Execution execution = options_.execution;
    if (options_.execution.stop_requested)
      execution.stop_requested = [this] {
        bool stop = false;
        keep_failure(failure_, [&] { stop = options_.execution.stop_requested(); });
        return stop || failure_ != nullptr;
      };
    return execution;
  }

  void record(double value, double step) {
    TrainingHistory& history = state_.history;
    history.value.push_back(value);
    history.step.push_back(step);
    history.seconds.push_back(seconds());
    history.stage.push_back(static_cast<std::int64_t>(state_.stage));
  }

  bool search_step() {
    const Parameters<T> gradient = this->gradient(state_.parameters);
    keep_failure(failure_, [&] {
      for (const auto& [name, g] : gradient)
        require(g.allFinite(), "train: the gradient by '{}' is not finite after {} steps; are the signals or reg too large?",
                name, state_.history.value.size());
    });
    if (failure_) throw Interrupted();
    Parameters<T> moved = state_.parameters;
    const auto outcome = search_.step(moved, gradient, *state_.value, objective(), options_.tol);
    state_.parameters = std::move(moved);
    state_.value = outcome.value;
    state_.ended = outcome.ended;
    state_.certified = outcome.certified;
    if (state_.ended) state_.ended_tol = options_.tol;
    if (outcome.accepted) record(outcome.value, outcome.step);
    return outcome.accepted;
  }

  /// Keeps the parameters if they are the stage's best on the signals held out.
  void validate(const Execution& execution) {
    trial_.set_parameters(state_.parameters);
    const double value = trial_.loss(held_X_, reg_, {.n_layers = stages_[state_.stage].n_layers, .execution = execution},
                                     targets_ != nullptr ? &held_targets_ : nullptr);
    if (state_.best_value && !(value < *state_.best_value)) return;
    state_.best_value = value;
    state_.best = state_.parameters;
    state_.best_taken = state_.taken;
  }

  /// Whether the line search would go on from what Adam returns.
  bool best_can_fall() {
    const Parameters<T>& best = state_.best_value ? state_.best : state_.parameters;
    const double value = evaluate(best);
    return search_.can_fall(best, gradient(best), value, objective());
  }

  bool adam_step(const Stage& stage) {
    if (held_X_.cols() > 0 && state_.taken % options_.validate_every == 0) {
      validate(execution_);
      if (state_.taken - state_.best_taken >= options_.patience) {
        state_.ended = true;
        return false;
      }
    }
    Matrix<T> X_batch, targets_batch;
    if (options_.batch_size || held_X_.cols() > 0) {
      const Index n = std::ssize(trained_on_);
      RandomStream random(options_.seed, batch_stream, static_cast<std::uint32_t>(state_.history.value.size()));
      std::vector<Index> batch = options_.batch_size ? random.choose(n, *options_.batch_size) : std::vector<Index>();
      for (Index& i : batch) i = trained_on_[static_cast<std::size_t>(i)];
      if (!options_.batch_size) batch = trained_on_;
      X_batch = columns<T>(X_, batch);
      if (targets_ != nullptr) targets_batch = columns<T>(*targets_, batch);
    }
    const bool is_whole = X_batch.size() == 0;
    trial_.set_parameters(state_.parameters);
    const auto found = trial_.loss_gradient(is_whole ? X_ : ConstMatrixRef<T>(X_batch), reg_, {.parameters = stage.names},
                                            run_of(stage), targets_ == nullptr || is_whole ? targets_ : &targets_batch);
    Parameters<T> moved = state_.parameters;
    Adam<T> adam = adam_;
    adam.step(moved, found.parameters, stage.rates);
    project(moved);
    for (const auto& [name, values] : moved)
      require(std::isfinite(found.value) && values.allFinite(),
              "learning_rate = {}: the loss is not finite after {} steps; use a smaller one", rate_of(options_),
              state_.history.value.size());
    state_.parameters = std::move(moved);
    adam_ = std::move(adam);
    state_.value = found.value;
    double fastest = 0;
    for (const auto& [name, rate] : stage.rates) fastest = std::max(fastest, rate);
    record(found.value, fastest);
    return true;
  }

  void save() {
    if (!file_) return;
    NamedTensors tensors = search_.state();
    if (is_adam()) tensors = adam_.state();
    for (const auto& [name, values] : state_.best) tensors["best." + name] = to_tensor<T>(values);
    if (state_.best_value)
      tensors["best"] = to_tensor(std::vector<double>{*state_.best_value, static_cast<double>(state_.best_taken)});
    for (const auto& [name, values] : state_.parameters) tensors["parameter." + name] = to_tensor<T>(values);
    const TrainingHistory& history = state_.history;
    store_history({history.value, history.step, history.seconds, history.stage}, "stage", tensors);
    tensors["stage"] = to_tensor(static_cast<std::int64_t>(state_.stage));
    tensors["taken"] = to_tensor(std::int64_t{state_.taken});
    tensors["ended"] = to_tensor(std::int64_t{state_.ended});
    tensors["certified"] = to_tensor(std::int64_t{state_.certified});
    tensors["values"] =
        to_tensor(std::vector<double>{seconds(), state_.initial_value, state_.value.value_or(std::nan("")), state_.ended_tol});
    file_.write(std::move(tensors));
  }

  void load(const NamedTensors& tensors, const std::string& where) {
    state_.stage = static_cast<std::size_t>(stored_integer(tensors, "stage", 0, std::ssize(stages_) - 1, where));
    const auto stage = static_cast<std::int64_t>(state_.stage);
    StoredHistory history = stored_history(tensors, "stage", stage, where);
    const std::int64_t taken = std::ranges::count(history.part, stage);
    state_.taken = static_cast<int>(stored_integer(tensors, "taken", taken, taken, where));
    load_parameters(tensors, "parameter.", where, state_.parameters);
    const std::vector<double> values = stored_numbers(tensors, "values", 4, where);
    const double seconds = values[0], initial = values[1], value = values[2], tol = values[3];
    const bool is_open = taken > 0, was_open = is_open || stage > 0;
    const double last_seconds = history.seconds.empty() ? 0 : history.seconds.back();
    require(std::isfinite(seconds) && seconds >= last_seconds && (std::isfinite(initial) || (std::isnan(initial) && !was_open)) &&
                (std::isfinite(value) || (std::isnan(value) && !is_open)) && std::isfinite(tol) && tol >= 0,
            "{}: tensor 'values' is damaged", where);
    seconds_before_ = seconds;
    state_.initial_value = initial;
    if (!std::isnan(value)) state_.value = value;
    state_.ended_tol = tol;
    // What ended at a larger tolerance goes on.
    state_.ended = stored_integer(tensors, "ended", 0, 1, where) != 0 && !(options_.tol < state_.ended_tol);
    state_.certified = !tensors.contains("certified") || stored_integer(tensors, "certified", 0, 1, where) != 0;
    state_.history = {std::move(history.value), std::move(history.step), std::move(history.seconds), std::move(history.part)};
    if (is_adam())
      load_adam(tensors, where);
    else
      search_.restore(tensors);
    load_best(tensors, where);
  }

  /// Onto the set that training keeps to, where what nothing trains is as it was.
  void load_parameters(const NamedTensors& tensors, const std::string& prefix, const std::string& where,
                       Parameters<T>& parameters) {
    for (const auto& [name, like] : before_training_)
      parameters[name] = stored_matrix<T>(tensors, prefix + name, like.rows(), like.cols(), where);
    try {
      trial_.set_parameters(parameters);
    } catch (const std::invalid_argument& refused) {
      refuse(where + ": " + refused.what());
    }
    Parameters<T> projected = parameters;
    project(projected);
    const T rounding = std::sqrt(Eigen::NumTraits<T>::epsilon());
    for (const auto& [name, values] : parameters) {
      const Matrix<T>& expected = net_.traits().fixed.contains(name) ? before_training_.at(name) : projected.at(name);
      const T size = expected.cwiseAbs().maxCoeff();
      require((values - expected).cwiseAbs().maxCoeff() <= rounding * size,
              "{}: tensor '{}{}' holds what training does not lead to", where, prefix, name);
    }
  }

  void load_adam(const NamedTensors& tensors, const std::string& where) {
    adam_.restore(tensors, state_.parameters);
    if (!state_.value) return;  // the stage is not open: what is stored is of the one before
    stored_integer(tensors, "adam.t", state_.taken, state_.taken, where);
    const bool has_moved = state_.taken > 0 && stored_numbers(tensors, "adam.size", 1, where)[0] > 0;
    for (const std::string& name : stages_[state_.stage].names)
      require(!has_moved || tensors.contains("adam.m." + name), "{}: tensor 'adam.m.{}' is missing", where, name);
  }

  void load_best(const NamedTensors& tensors, const std::string& where) {
    const bool is_there = tensors.contains("best"), is_held_out = held_X_.cols() > 0;
    require(is_there || !is_held_out || state_.taken == 0, "{}: tensor 'best' is missing", where);
    require(!is_there || is_held_out, "{}: tensor 'best' belongs to a run with validation", where);
    if (!is_there) return;
    const std::vector<double> best = stored_numbers(tensors, "best", 2, where);
    require(std::isfinite(best[0]) && best[1] >= 0 && best[1] <= state_.taken && best[1] == std::floor(best[1]),
            "{}: tensor 'best' is damaged", where);
    state_.best_value = best[0];
    state_.best_taken = static_cast<int>(best[1]);
    load_parameters(tensors, "best.", where, state_.best);
  }

  /// The line search's loss at the parameters of a resumed run is that of before it was stopped to the last bit, or no bit that
  /// follows is that of the whole run.
  void verify() {
    if (is_adam() || !state_.value) {
      is_verified_ = true;
      return;
    }
    const double value = evaluate(state_.parameters);
    is_verified_ = true;
    require(std::isfinite(value) && (value == *state_.value || !file_.is_exact()),
            "checkpoint {}: the loss of its network is {}, it says {}: it is damaged, or another riata or processor made it; "
            "resume_inexact goes on from it",
            options_.checkpoint, value, *state_.value);
    state_.value = value;
  }

  Network<T>& net_;
  ConstMatrixRef<T> X_;
  const double reg_;
  const TrainingOptions& options_;
  const Matrix<T>* targets_;
  const TrainingObserver& observer_;
  CheckpointFile file_;
  const std::vector<Stage> stages_;
  Parameters<T> before_training_;  // on the set that training keeps to
  Network<T> trial_;
  LineSearch<T> search_;
  Adam<T> adam_;
  std::vector<Index> trained_on_;  // Adam's signals; the others are held out
  Matrix<T> held_X_, held_targets_;
  std::exception_ptr failure_;
  const Execution execution_;
  Landmarks<T> landmarks_;
  State state_;
  bool is_verified_ = false;   // the state, where it is a stored one
  double seconds_before_ = 0;  // of the runs this one resumes
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

/// Everything that decides the iterates. max_iter decides where stages end, so it may change only where there is one.
template <Scalar T>
std::string fingerprint(const Network<T>& net, const ConstMatrixRef<T>& X, double reg, const TrainingOptions& o,
                        const Matrix<T>* targets) {
  nlohmann::json run{{"dtype", sizeof(T) == 4 ? "float32" : "float64"},
                     {"signals", X.cols()},
                     {"signals_hash", hash_of<T>(X)},
                     {"dictionary_hash", hash_of<T>(net.dictionary().atoms())},
                     {"kind", net.kind()},
                     {"n_layers", net.n_layers()},
                     {"lipschitz", net.lipschitz()},
                     {"groups", net.options().groups},
                     {"reg", reg},
                     {"loss", to_string(o.loss)},
                     {"mode", to_string(o.mode)},
                     {"learning_rate", rate_of(o)},
                     {"positive_steps", o.positive_steps}};
  if (o.optimizer == TrainingOptimizer::adam)
    run.update({{"optimizer", "adam"},
                {"batch_size", o.batch_size.value_or(0)},
                {"validation", o.validation},
                {"validate_every", o.validate_every},
                {"patience", o.patience},
                {"random_state", o.seed}});
  if (const auto& selection = net.options().support_selection) run["support_selection"] = {selection->p, selection->p_max};
  if (o.mode != TrainingMode::oneshot) run["steps_of_all_stages"] = o.max_iter, run["tol"] = o.tol;
  if (targets != nullptr) run["targets_hash"] = hash_of<T>(*targets);
  const auto parameters = net.shared_parameters();
  std::set<std::string> computed;  // with the rounding of these kernels; other parameters were given
  for (int t = 0; t < net.n_layers(); ++t)
    for (const auto& [name, start] : find_network_kind<T>(net.kind()).initial(net.model(), t))
      if (start == parameters->at(name)) computed.insert(name);
  std::uint64_t parameters_hash = 0, given_hash = 0;
  for (const auto& [name, values] : *parameters) {
    const std::uint64_t hash = hash_of<T>(values);
    parameters_hash = parameters_hash * 1099511628211ull ^ hash;
    given_hash = given_hash * 1099511628211ull ^ (computed.contains(name) ? 0 : hash);
  }
  run["parameters_hash"] = parameters_hash;
  run[given_key] = given_hash;
  return run.dump();
}

}  // namespace

template <Scalar T>
TrainingResult train(Network<T>& net, const NonDeduced<ConstMatrixRef<T>>& X, const Reg& weight, const TrainingOptions& options,
                     const Matrix<T>* targets, const TrainingObserver& observer) {
  options.validate();
  const StopScope scope(options.execution);
  require_signals<T>("train", X, net.dictionary());
  require(X.cols() > 0, "train: X holds no signals");
  require_squares<T>("train", X);
  Checkpoint checkpoint = checkpoint_of(options);
  const ResumedKernels kernels(checkpoint);
  const bool needs_targets = options.loss == TrainingLoss::supervised;
  require(needs_targets || targets == nullptr, "targets are for loss = 'supervised'; loss = '{}' has none",
          to_string(options.loss));
  require(!needs_targets || targets != nullptr, "loss = 'supervised' needs targets, one code per signal");
  if (options.positive_steps) {
    bool any = false;
    for (const std::string& name : net.trainable(0, net.n_layers())) any = any || is_step(name);
    require(any, "positive_steps = true, but the kind '{}' has no steps", net.kind());
  }
  if (targets != nullptr) net.require_targets("train", X.cols(), *targets);
  const double reg = resolve_batch_reg<T>(weight, X, net.dictionary(), net.penalty(), options.execution);
  Matrix<T> solutions;
  if (options.loss == TrainingLoss::semi) {
    const double tol = std::same_as<T, float> ? 1e-6 : 1e-10;
    solutions = encode<T>(X, net.dictionary(), reg,
                          {.tol = tol, .max_iter = 100000, .penalty = net.penalty(), .execution = options.execution})
                    .codes;
    targets = &solutions;
  }
  if (!options.checkpoint.empty()) checkpoint.fingerprint = fingerprint<T>(net, X, reg, options, targets);
  return Trainer<T>(net, X, reg, options, targets, observer, std::move(checkpoint)).run();
}

#define RIATA_INSTANTIATE(T)                                                                                                    \
  template TrainingResult train<T>(Network<T>&, const ConstMatrixRef<T>&, const Reg&, const TrainingOptions&, const Matrix<T>*, \
                                   const TrainingObserver&);
RIATA_INSTANTIATE(float)
RIATA_INSTANTIATE(double)

}  // namespace riata
