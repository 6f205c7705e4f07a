#include "riata/learning/train.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "riata/core/check.hpp"
#include "riata/core/error.hpp"
#include "riata/core/stopping.hpp"
#include "riata/learning/decided.hpp"
#include "riata/learning/network_direction.hpp"
#include "riata/operators/units.hpp"
#include "riata/optim/adam.hpp"
#include "riata/optim/line_search.hpp"
#include "riata/solvers/certificate.hpp"
#include "riata/solvers/encode.hpp"
#include "riata/solvers/tile_certificate.hpp"

namespace riata {

void TrainingOptions::validate() const {
  const bool is_adam = optimizer == TrainingOptimizer::adam;
  require(is_adam || !batch_size, "batch_size is for optimizer = 'adam' alone");
  check_options(*this);
  require(is_adam || validation == 0, "validation is for optimizer = 'adam' alone");
  require(!is_adam || tol == 0, "tol is for optimizer = 'backtracking' alone; 'adam' takes patience");
  checkpoint_of(*this).validate();
}

namespace {

constexpr double least_step_factor = 1e-6;  // of 1 / L: what positive_steps keeps
constexpr double optimum_tol = 1e-6;
constexpr double adam_rate = 5e-4, refinements[] = {0.2, 0.02}, older_layers = 0.3;  // of the published code
double rate_of(const TrainingOptions& options) {
  return options.learning_rate.value_or(options.optimizer == TrainingOptimizer::adam ? adam_rate : 1);
}

bool is_step(const std::string& name) { return name.ends_with(".step"); }

/// t of LineSearch is twice the step that it tries first.
LineSearchOptions search_options(const TrainingOptions& options) { return {.first = 2 * rate_of(options), .grow = 8}; }

template <Scalar T>
std::vector<Phase> make_stages(const Network<T>& net, const TrainingOptions& options) {
  const int depth = net.n_layers();
  const double rate = rate_of(options);
  const bool is_adam = options.optimizer == TrainingOptimizer::adam;
  std::vector<Phase> stages;
  const auto add = [&](int n_layers, int first, int last, double factor, double older) {
    Phase stage{.moves = net.trainable(first, last), .n_layers = n_layers, .may_go_back = !is_adam && !stages.empty()};
    for (const std::string& name : stage.moves) {
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

/// Loss and optimum that progress is held against.
template <Scalar T>
class Landmarks {
 public:
  Landmarks(const Network<T>& net, const Batch<T>& batch, double reg, const OptionalMatrixRef<T>& targets,
            const Execution& execution)
      : net_(net), batch_(batch), reg_(reg), targets_(targets), execution_(execution) {}

  double ista(int n_layers) {
    const auto [found, is_new] = values_.try_emplace(n_layers, 0.0);
    if (is_new) found->second = loss_of_ista(n_layers);
    return found->second;
  }

  double optimum() {
    if (!targets_ && !optimum_) {
      const auto found =
          encode<T>(batch_, net_.dictionary(), reg_, {.tol = optimum_tol, .penalty = net_.penalty(), .execution = execution_});
      const bool is_certified = std::ranges::count(found.status, Status::converged) == batch_.size();
      optimum_ = is_certified ? found.objective.mean() : unknown;
    }
    return optimum_.value_or(unknown);
  }

 private:
  double loss_of_ista(int n_layers) const {
    const Dictionary<T>& D = net_.dictionary();
    const bool has_groups = net_.traits().groups;
    if (!has_groups || D.matrix())
      return Network<T>(has_groups ? "group" : "step", D, n_layers,
                        {.groups = net_.options().groups, .positive = net_.options().positive, .lipschitz = net_.lipschitz()})
          .loss(batch_, reg_, {.execution = execution_}, targets_);
    const UnrolledOptions layers{.n_layers = n_layers,
                                 .algorithm = Layers::ista,
                                 .lipschitz = net_.lipschitz(),
                                 .penalty = net_.penalty(),
                                 .execution = execution_};
    if (!targets_) return unrolled_loss<T>(batch_, D, reg_, layers);
    const Matrix<T> missed = unrolled_encode<T>(batch_, D, reg_, layers) - *targets_;
    return 0.5 * missed.template cast<double>().colwise().squaredNorm().mean();
  }

  const Network<T>& net_;
  Batch<T> batch_;
  double reg_;
  OptionalMatrixRef<T> targets_;
  const Execution& execution_;
  std::map<int, double> values_;
  static constexpr double unknown = std::numeric_limits<double>::quiet_NaN();
  std::optional<double> optimum_;
};

/// Puts parameters onto the set that training keeps to.
template <Scalar T>
std::function<void(Parameters<T>&)> projection(const Network<T>& net, const TrainingOptions& options) {
  const T least = static_cast<T>(least_step_factor / net.lipschitz());
  return [net, least, positive = options.positive_steps](Parameters<T>& parameters) {
    net.project(parameters);
    if (!positive) return;
    for (auto& [name, values] : parameters)
      if (is_step(name)) values = values.cwiseMax(least);
  };
}

/// Refuses stored parameters that are not on that set, or where what nothing trains is not as it was.
template <Scalar T>
std::function<void(const Parameters<T>&, const std::string&)> check_of(const Network<T>& net, const TrainingOptions& options) {
  return [net, project = projection(net, options)](const Parameters<T>& parameters, const std::string& where) {
    Network<T> trial = net;
    try {
      trial.set_parameters(parameters);
    } catch (const std::invalid_argument& refused) {
      refuse(where.substr(0, where.rfind(": ")) + ": " + refused.what());
    }
    Parameters<T> projected = parameters, before = *net.shared_parameters();
    project(projected);
    project(before);
    const T rounding = std::sqrt(Eigen::NumTraits<T>::epsilon());
    for (const auto& [name, values] : parameters) {
      const Matrix<T>& expected = net.traits().fixed.contains(name) ? before.at(name) : projected.at(name);
      const T size = expected.cwiseAbs().maxCoeff();
      require((values - expected).cwiseAbs().maxCoeff() <= rounding * size, "{}{}' holds what training does not lead to", where,
              name);
    }
  };
}

/// Tells the observer of an iteration as training does.
template <Scalar T>
Observer observer_with(Landmarks<T>& landmarks, const std::vector<Phase>& stages, const TrainingObserver& observer) {
  if (!observer) return {};
  return [&](const IterationInfo& info) {
    const int n_layers = stages[static_cast<std::size_t>(info.phase)].n_layers.value();
    return observer({info, n_layers, landmarks.ista(n_layers), landmarks.optimum()});
  };
}

/// The last looks: whether the line search would go on from where Adam stalled, whether the best parameters are not the last, and
/// the loss of those that the network gets.
template <Scalar T>
TrainingResult conclude(Network<T>& net, Run<T>& run, RunResult<T> ended, const Phase& last, const Batch<T>& batch, double reg,
                        const TrainingOptions& options, const OptionalMatrixRef<T>& targets) {
  const bool is_adam = options.optimizer == TrainingOptimizer::adam;
  const auto look = [&](Question<T> question, Look signals, const Execution& execution) {
    question.look = signals;
    question.n_layers = last.n_layers;
    return run.answer(question, execution);
  };
  const Execution execution = keeping_failure(options.execution, ended.failure);
  if (is_adam && ended.status == Status::stalled) try {
      const auto project = projection(net, options);
      const Parameters<T>& best = ended.best_value ? ended.best : ended.parameters;
      const LineSearch<T> search(search_options(options));
      const bool can_fall = answered<T, bool>(search.can_fall({.parameters = best, .moves = last.moves, .project = project}),
                                              [&](const Question<T>& q) { return look(q, Look::all, execution); });
      ended.status = status_of_end(!can_fall);
    } catch (const Interrupted&) {
      ended.status = Status::interrupted;
    }
  // Whoever stopped the run waits for one more loss, but not for long.
  const auto patience_ends = std::chrono::steady_clock::now() + std::chrono::milliseconds(150);
  const Execution to_the_end{.n_threads = execution.n_threads, .stop_requested = [&] {
                               const bool is_late = std::chrono::steady_clock::now() > patience_ends;
                               return is_late && (ended.failure || ended.status == Status::interrupted ||
                                                  (execution.stop_requested && execution.stop_requested()));
                             }};
  const auto in_time = [](const auto& compute) {
    try {
      compute();
    } catch (const Interrupted&) {
    }
  };
  if (ended.best_value) {  // not in the checkpoint: a longer run may not look here
    bool is_better = false;
    in_time([&] { is_better = look({.at = ended.parameters}, Look::held_out, to_the_end).value < *ended.best_value; });
    if (!is_better) ended.parameters = std::move(ended.best);
  }
  {
    const Execution in_any_case{.n_threads = execution.n_threads, .stop_requested = [] { return false; }};
    const StopScope scope(in_any_case);
    net.set_parameters(std::move(ended.parameters));
  }
  if (ended.failure) std::rethrow_exception(ended.failure);
  double value = ended.value.value_or(std::numeric_limits<double>::quiet_NaN());
  const bool is_known = !is_adam && ended.value && last.n_layers == net.n_layers();
  if (!is_known) in_time([&] { value = net.loss(batch, reg, {.execution = to_the_end}, targets); });
  return {std::move(ended.history), ended.initial_value, value, reg, ended.status};
}

template <Scalar T>
TrainingResult run_training(Network<T>& net, const Batch<T>& batch, double reg, const TrainingOptions& options,
                            const OptionalMatrixRef<T>& targets, const TrainingObserver& observer, Checkpoint checkpoint) {
  const std::vector<Phase> stages = make_stages(net, options);
  std::unique_ptr<Sampler<T>> sampler = std::make_unique<FullBatch<T>>(batch, targets);
  std::unique_ptr<Update<T>> update = std::make_unique<LineSearch<T>>(search_options(options));
  if (options.optimizer == TrainingOptimizer::adam) {
    const MiniBatchOptions batches{.batch_size = options.batch_size, .validation = options.validation, .seed = options.seed};
    sampler = std::make_unique<MiniBatches<T>>(batch, batches, targets);
    update = std::make_unique<Adam<T>>(AdamOptions{.rate = rate_of(options)});
  }
  Run<T> run(std::move(sampler), std::make_unique<NetworkDirection<T>>(net, reg), std::move(update), stages,
             *net.shared_parameters(),
             {.max_iter = options.max_iter,
              .tol = options.tol,
              .max_time = options.max_time,
              .project = projection(net, options),
              .check = check_of(net, options),
              .validation = {.every = options.validate_every, .patience = options.patience},
              .looks_first = true,
              .checkpoint = std::move(checkpoint),
              .execution = options.execution,
              .words = {.who = "train", .iterations = "steps", .value = "loss of its network"}});
  Landmarks<T> landmarks(net, batch, reg, targets, options.execution);
  RunResult<T> ended = run.fit_and_keep_failure(observer_with(landmarks, stages, observer));
  const Phase& last = stages[static_cast<std::size_t>(ended.phase)];
  return conclude(net, run, std::move(ended), last, batch, reg, options, targets);
}

/// Everything that decides the iterates. max_iter decides where stages end, so it may change only where there is one.
template <Scalar T>
std::string fingerprint(const Network<T>& net, const Batch<T>& batch, double reg, const TrainingOptions& o,
                        const OptionalMatrixRef<T>& targets) {
  nlohmann::json run = decided_by(o);
  run.update({{"checkpoint", 2},  // the form: those of 0.1 held stages
              {"dtype", sizeof(T) == 4 ? "float32" : "float64"},
              {"signals", batch.size()},
              {"signals_hash", hash_of<T>(batch.X)},
              {"dictionary_hash", hash_of_all<T>(net.dictionary().parameters())},
              {"kind", net.kind()},
              {"n_layers", net.n_layers()},
              {"lipschitz", net.lipschitz()},
              {"groups", net.options().groups},
              {"positive", net.options().positive},
              {"reg", reg},
              {"learning_rate", rate_of(o)}});
  if (!net.dictionary().matrix()) run["map_hash"] = hash_of_map(net.dictionary());
  if (const auto& selection = net.options().support_selection) run["support_selection"] = {selection->p, selection->p_max};
  if (o.mode != TrainingMode::oneshot) run["steps_of_all_stages"] = o.max_iter, run["tol"] = o.tol;
  if (batch.is_weighted()) run["mask_hash"] = hash_of<T>(*batch.weights);
  if (targets) run["targets_hash"] = hash_of<T>(*targets);
  const auto parameters = net.shared_parameters();
  std::set<std::string> computed;  // with the rounding of these kernels; other parameters were given
  for (int t = 0; t < net.n_layers(); ++t)
    for (const auto& [name, start] : find_network_kind<T>(net.kind()).initial(net.model(), t))
      if (start == parameters->at(name)) computed.insert(name);
  std::uint64_t given_hash = 0;
  for (const auto& [name, values] : *parameters)
    given_hash = given_hash * 1099511628211ull ^ (computed.contains(name) ? 0 : hash_of<T>(values));
  run["parameters_hash"] = hash_of_all<T>(*parameters);
  run[given_key] = given_hash;
  return run.dump();
}

}  // namespace

template <Scalar T>
TrainingResult train(Network<T>& net, const NonDeduced<Batch<T>>& signals, const Reg& weight, const TrainingOptions& options,
                     const OptionalMatrixRef<T>& targets_given, const TrainingObserver& observer) {
  options.validate();
  const StopScope scope(options.execution);
  const SeenBatch<T> seen("train", signals);
  const ConstMatrixRef<T>& X = seen.X();
  const Batch<T> batch = seen.is_weighted() ? Batch<T>(X, *signals.weights) : Batch<T>(X);
  require_signals<T>("train", X, net.dictionary());
  net.require_heeded("train", batch);
  require(X.cols() > 0, "train: X holds no signals");
  require_squares<T>("train", X);
  Checkpoint checkpoint = checkpoint_of(options);
  const ResumedKernels kernels(checkpoint);
  OptionalMatrixRef<T> targets(targets_given);
  const bool needs_targets = options.loss == TrainingLoss::supervised;
  require(needs_targets || !targets, "targets are for loss = 'supervised'; loss = '{}' has none", to_string(options.loss));
  require(!needs_targets || targets, "loss = 'supervised' needs targets, one code per signal");
  if (options.positive_steps) {
    bool any = false;
    for (const std::string& name : net.trainable(0, net.n_layers())) any = any || is_step(name);
    require(any, "positive_steps = true, but the kind '{}' has no steps", net.kind());
  }
  if (targets) net.require_targets("train", X.cols(), *targets);
  const double reg = resolve_run_reg<T>(weight, batch, net.dictionary(), net.penalty(), options.seed, options.execution);
  Matrix<T> solutions;
  if (options.loss == TrainingLoss::semi) {
    const double tol = std::same_as<T, float> ? 1e-6 : 1e-10;
    solutions = encode<T>(batch, net.dictionary(), reg,
                          {.tol = tol, .max_iter = 100000, .penalty = net.penalty(), .execution = options.execution})
                    .codes;
    targets.emplace(solutions);
  }
  if (!options.checkpoint.empty()) checkpoint.fingerprint = fingerprint<T>(net, batch, reg, options, targets);
  return run_training<T>(net, batch, reg, options, targets, observer, std::move(checkpoint));
}

#define RIATA_INSTANTIATE(T)                                                                         \
  template TrainingResult train<T>(Network<T>&, const Batch<T>&, const Reg&, const TrainingOptions&, \
                                   const OptionalMatrixRef<T>&, const TrainingObserver&);
RIATA_INSTANTIATE(float)
RIATA_INSTANTIATE(double)
#undef RIATA_INSTANTIATE

}  // namespace riata
