// Training of unfolded networks.
//
//   oneshot     one stage: all layers, the loss at the last
//   recursive   stage t = 1, ..., n_layers: the layers up to t, the loss at layer t
//   greedy      stage t: the layers up to t, the loss at the last layer
//
// The full batch and a line search on the subgradient: try the step, halve it until the loss decreases, make it eight times as
// long after success, the rule of Ablin et al. (2019) as Cherkaoui, Sulam and Moreau (2020) correct it. Steps, thresholds,
// weights, ... are blocks, each with a step length of its own, found anew where a stage begins and where no common step is left
// (optim/line_search.hpp, which says when a stage ends). The network is always the last accepted one; nothing depends on the unit
// of the signals, save reg of iht, which has its square. max_iter counts accepted steps of all stages: stage t
// has those between t/T and (t+1)/T of it. A stage whose loss would start above that of the network before training starts from
// that network, so training never ends above where it began: for networks that start as ISTA, never above ISTA.
//
// Adam moves by the gradient of mini-batches instead, unverified, and the network is the last one; with validation, that of the
// least loss on the signals held out, stage by stage. Its recursive stages are those of Liu, Chen, Wang and Yin (2019): layer t
// alone, then the layers up to t at a fifth and at a fiftieth of the rate, where layer k < t moves 0.3^(t - k) times as fast.
//
// Weights that all layers share move in every stage.
#pragma once

#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "riata/learning/run.hpp"
#include "riata/networks/network.hpp"

namespace riata {

enum class TrainingLoss {
  unsupervised,  ///< the objective at the output
  supervised,    ///< 1/2 ||z - target||^2
  semi           ///< the same, targets the solutions that the certified solver finds
};
enum class TrainingMode { oneshot, recursive, greedy };
enum class TrainingOptimizer { backtracking, adam };

template <>
inline constexpr Name<TrainingLoss> names<TrainingLoss>[] = {
    {TrainingLoss::unsupervised, "unsupervised"}, {TrainingLoss::supervised, "supervised"}, {TrainingLoss::semi, "semi"}};
template <>
inline constexpr Name<TrainingMode> names<TrainingMode>[] = {
    {TrainingMode::oneshot, "oneshot"}, {TrainingMode::recursive, "recursive"}, {TrainingMode::greedy, "greedy"}};
template <>
inline constexpr Name<TrainingOptimizer> names<TrainingOptimizer>[] = {{TrainingOptimizer::backtracking, "backtracking"},
                                                                       {TrainingOptimizer::adam, "adam"}};

struct TrainingOptions {
  TrainingLoss loss = TrainingLoss::unsupervised;
  TrainingMode mode = TrainingMode::oneshot;
  TrainingOptimizer optimizer = TrainingOptimizer::backtracking;
  std::optional<Index> batch_size = {};  ///< signals per step, >= 1; absent: all. adam alone
  double validation = 0;                 ///< share of the signals held out, in [0, 1); adam alone
  int validate_every = 10;               ///< steps between looks at them
  int patience = 4000;                   ///< steps without a better look that end a stage
  /// > 0. Of a stage's first step, in units of loss / ||gradient||^2, or Adam's rate; absent: 1, or 5e-4.
  std::optional<double> learning_rate = {};
  bool positive_steps = false;  ///< keep steps at or above 1e-6 / L; kinds with steps alone
  int max_iter = 300;           ///< accepted steps, all stages together
  double tol = 0;               ///< relative decrease that ends a stage; see LineSearch::step()
  std::optional<double> max_time = {};
  std::string checkpoint = {};  ///< a safetensors file; empty: none
  int checkpoint_every = 10;
  bool resume = false;                ///< go on from the checkpoint, if it is there
  bool resume_inexact = false;        ///< go on from it also where neither processor nor process has the kernels that rounded so
  bool overwrite_checkpoint = false;  ///< put this run in the place of another's checkpoint
  std::uint64_t seed = 0;
  Execution execution = {};
  void validate() const;  ///< @throws std::invalid_argument naming the field, its value and the rule
};

template <>
inline constexpr auto described<TrainingOptions> = std::tuple{
    Option{"loss", &TrainingOptions::loss, rule::anything,
           "The objective at the output, or the distance to --targets, or that to the exact codes"},
    Option{"mode", &TrainingOptions::mode, rule::anything,
           "All layers at once; or one more at each stage, with the loss at it or at the last"},
    Option{"optimizer", &TrainingOptions::optimizer, rule::anything, "Full batches and verified steps, or mini-batches"},
    Option{"batch_size", &TrainingOptions::batch_size, rule::at_least_one, "Signals per step of adam; default: all"},
    Option{"validation", &TrainingOptions::validation,
           Rule{[](double v) { return v >= 0 && v < 1; }, "must be between 0 and below 1"},
           "adam: share of the signals held out; each stage keeps what is best on them"},
    Option{"validate_every", &TrainingOptions::validate_every, rule::at_least_one, "Steps between looks at them"},
    Option{"patience", &TrainingOptions::patience, rule::at_least_one, "Steps without a better look that end a stage"},
    Option{"learning_rate", &TrainingOptions::learning_rate, rule::positive,
           "First step of each stage over loss / ||gradient||^2, default: 1; or the rate of adam, default: 5e-4"},
    Option{"positive_steps", &TrainingOptions::positive_steps, rule::anything,
           "Keep steps positive: tied, alista, step and first_step"},
    Option{"max_iter", &TrainingOptions::max_iter, rule::at_least_one,
           "Accepted steps of all stages, at most; 0: write the network where it starts", Role::limits},
    Option{"tol", &TrainingOptions::tol, rule::not_negative, "Relative decrease that ends a stage", Role::limits},
    Option{"max_time", &TrainingOptions::max_time, rule::some_seconds, "Seconds, at most", Role::limits},
    Option{"checkpoint", &TrainingOptions::checkpoint, rule::anything, "Where a killed run continues from", Role::limits},
    Option{"checkpoint_every", &TrainingOptions::checkpoint_every, rule::at_least_one, "Steps between checkpoints", Role::limits},
    Option{"resume", &TrainingOptions::resume, rule::anything, "Continue from the checkpoint if it exists, bit for bit",
           Role::limits},
    Option{"resume_inexact", &TrainingOptions::resume_inexact, rule::anything,
           "The same, also where this machine lacks the kernels that rounded as the run did", Role::limits},
    Option{"overwrite_checkpoint", &TrainingOptions::overwrite_checkpoint, rule::anything,
           "Begin anew in the place of another run's checkpoint", Role::limits},
    Option{"seed", &TrainingOptions::seed, rule::anything, "Same seed, same bits"}};

/// What training tells about one accepted step; its phases are the stages.
struct TrainingInfo : IterationInfo {
  int n_layers = 0;  ///< the value is the loss of the first n_layers
  double ista = 0;   ///< that of ISTA with as many layers
  /// Unsupervised: the least possible, certified to 1e-6; NaN if it was not found.
  double optimum = std::numeric_limits<double>::quiet_NaN();
};
using TrainingObserver = std::function<Action(const TrainingInfo&)>;

struct TrainingResult {
  History history;           ///< Adam's losses are those of the mini-batch before the step
  double initial_value = 0;  ///< the loss before the first step, at the output of the first stage
  double value = 0;          ///< the loss of the network as it is now, at the last layer; if it was stopped, the last known
  double reg = 0;            ///< the weight used, as a number
  /// Of the last stage. converged: no block of parameters alone, against its gradient, lowers the loss by 1e-4 of it;
  /// stalled: tol or Adam's patience ended it where one does.
  Status status = Status::converged;
};

/// Moves the parameters of the network to signals or {X, mask} (terms/batch.hpp). `targets`, n_atoms x n_signals, are for the
/// supervised loss. reg as a fraction is of the 0.99 quantile of reg_max. Same bits for any number of threads, also after a kill
/// and a resume. An interrupted run leaves the network at the last accepted step; so does one that fails because the observer or
/// stop_requested throw or a checkpoint cannot be written. What is refused leaves network and checkpoint as they were.
/// @throws std::invalid_argument for bad shapes, options, or a checkpoint of another run; riata::Error if a file fails or a run
/// has it open
template <Scalar T>
TrainingResult train(Network<T>& network, const NonDeduced<Batch<T>>& signals, const Reg& reg,
                     const TrainingOptions& options = {}, const OptionalMatrixRef<T>& targets = {},
                     const TrainingObserver& observer = {});

}  // namespace riata
