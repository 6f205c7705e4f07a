#include "riata/learning/learner.hpp"

#include <chrono>
#include <cmath>

#include "riata/core/check.hpp"
#include "riata/core/error.hpp"
#include "riata/core/random.hpp"
#include "riata/core/stopping.hpp"

namespace riata {
namespace {

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

template <Scalar T>
struct Learner<T>::State {
  Parameters<T> parameters;
  std::optional<double> known_value;  // at `parameters`, if it was computed and nothing moved since
  LearnResult<T> result;
  int phase = 0;
  bool finished = false, certified = true;  // certified: as LineSearch::Outcome says where it finished
  double ended_tol = 0;                     // at which the last phase ended; 0 if none did
  double seconds_before = 0;                // of the runs this one resumes
  std::chrono::steady_clock::time_point start = std::chrono::steady_clock::now();
  std::exception_ptr failure = {};  // of the observer, or of writing the checkpoint

  int iterations() const { return static_cast<int>(result.history.value.size()); }
  double seconds() const { return seconds_before + seconds_since(start); }
};

template <Scalar T>
Learner<T>::Learner(std::unique_ptr<Sampler<T>> sampler, std::unique_ptr<Direction<T>> direction, LineSearch<T> update,
                    Constraint constraint, Schedule schedule, AtomPolicy atoms, Checkpoint checkpoint)
    : sampler_(std::move(sampler)),
      direction_(std::move(direction)),
      update_(std::move(update)),
      constraint_(constraint),
      schedule_(schedule),
      atoms_(atoms),
      checkpoint_(std::move(checkpoint)) {
  require(atoms_.check_every >= 1, "learner: check_every = {}, must be >= 1", atoms_.check_every);
  for (const Piece needed : LineSearch<T>::needs())
    require(direction_->produces().contains(needed),
            "learner: the line search needs the {} of the direction, which does not produce it", to_string(needed));
}

template <Scalar T>
LearnResult<T> Learner<T>::fit(Parameters<T> initial, const Observer& observer) {
  State state;
  state.parameters = std::move(initial);
  project_atoms(state.parameters.at("dictionary"), constraint_);
  CheckpointFile file(checkpoint_);
  bool is_verified = !file.resume([&](const NamedTensors& stored, const std::string& where) { load(state, stored, where); });
  // An interruption undoes its iteration, so that a resumed run repeats it from where it began.
  State before;
  LineSearch<T> update_before = update_;
  NamedTensors direction_before;
  const auto remember = [&] {
    before = state;
    update_before = update_;
    if (file) direction_before = direction_->state();
  };
  const auto proceed = [&] {
    if (is_verified) return !state.finished && iterate(state, file, observer);
    verify(state);
    return is_verified = true;
  };
  try {
    do remember();
    while (proceed());
  } catch (const Interrupted&) {
    state = std::move(before);
    update_ = update_before;
    if (file) direction_->restore(direction_before, sampler_->batch(), state.parameters, "direction");
    state.result.status = Status::interrupted;
  }
  if (is_verified) keep_failure(state.failure, [&] { save(state, file); });
  if (state.failure) std::rethrow_exception(state.failure);
  state.result.dictionary = state.parameters.at("dictionary");
  if (const auto steps = state.parameters.find("steps"); steps != state.parameters.end())
    state.result.steps.assign(steps->second.data(), steps->second.data() + steps->second.size());
  return std::move(state.result);
}

/// One iteration: open, differentiate, search, record. False when the run is over.
template <Scalar T>
bool Learner<T>::iterate(State& state, CheckpointFile& file, const Observer& observer) {
  History& history = state.result.history;
  if (state.iterations() >= schedule_.max_iter) {
    state.result.status = Status::max_iter_reached;
    return false;
  }
  if (schedule_.max_time_s && seconds_since(state.start) >= *schedule_.max_time_s) {
    state.result.status = Status::max_time_reached;
    return false;
  }
  const Batch<T> batch = sampler_->batch();
  std::set<std::string> names{"dictionary"};
  if (state.phase == 1) names.insert("steps");
  std::optional<NamedTensors> before_look;
  SearchObjective<T> objective;
  objective.project = [this](Parameters<T>& p) { project_atoms(p.at("dictionary"), constraint_); };
  objective.evaluate = [&](const Parameters<T>& p) { return direction_->value(batch, p); };
  objective.gradient = [&](const Parameters<T>& p) { return direction_->gradient(batch, p, names); };
  if (direction_->produces().contains(Piece::codes))
    objective.evaluate_afresh = [&](const Parameters<T>& p) {
      if (!before_look) before_look = direction_->state();
      return direction_->open(batch, p, {});
    };

  const double value = direction_->open(batch, state.parameters, state.known_value);
  require(std::isfinite(value), "learn: the objective is {} after {} iterations; are the signals or reg too large?", value,
          state.iterations());
  if (history.value.empty()) state.result.initial_value = value;
  const Parameters<T> gradient = direction_->gradient(batch, state.parameters, names);
  for (const auto& [name, g] : gradient)
    require(g.allFinite(), "learn: the gradient by '{}' is not finite after {} iterations; are the signals or reg too large?",
            name, state.iterations());
  const auto outcome = update_.step(state.parameters, gradient, value, objective, schedule_.tol);
  if (before_look && outcome.ended)  // a run that goes on knows nothing of the look
    direction_->restore(*before_look, batch, state.parameters, "direction");
  state.known_value = outcome.value;
  if (outcome.accepted) {
    history.value.push_back(outcome.value);
    history.step.push_back(outcome.step);
    history.seconds.push_back(state.seconds());
    history.phase.push_back(state.phase);
    if (atoms_.replace && state.iterations() % atoms_.check_every == 0) replace_atoms(state, gradient);
  }
  if (outcome.ended) state.ended_tol = schedule_.tol;
  if (outcome.ended && state.phase == 0 && schedule_.learn_steps) {
    state.phase = 1;
    update_.reset();
  } else if (outcome.ended) {
    state.finished = true;
    state.certified = outcome.certified;
    state.result.status = status_of_end(state.certified);
  }
  if (!outcome.accepted) return true;
  Action action = Action::keep_going;
  keep_failure(state.failure, [&] {
    if (file.is_due(history.value.size())) save(state, file);
    if (observer)
      action = observer({.phase = history.phase.back() == 0 ? 0 : 1,
                         .iteration = state.iterations(),
                         .value = history.value.back(),
                         .step = outcome.step,
                         .seconds = history.seconds.back()});
  });
  if (!state.failure && (action == Action::keep_going || state.finished)) return true;
  state.result.status = Status::interrupted;
  return false;
}

/// Puts a random signal in the place of each atom that no signal used (its gradient is exactly zero) or that doubles an
/// earlier one, if that does not raise the value.
template <Scalar T>
void Learner<T>::replace_atoms(State& state, const Parameters<T>& gradient) {
  const Matrix<T>& D = state.parameters.at("dictionary");
  const Matrix<T>& g = gradient.at("dictionary");
  const Batch<T> batch = sampler_->batch();
  const SeenBatch<T> seen("learn_dictionary", batch);
  Matrix<T> unit = D;
  project_atoms(unit, Constraint::unit_sphere);
  Parameters<T> trial = state.parameters;
  RandomStream random(atoms_.seed, 101, static_cast<std::uint32_t>(state.iterations()));
  int replaced = 0;
  for (Index j = 0; j < D.cols(); ++j) {
    leave_if_stopped();
    const bool dead = g.col(j).isZero(0);
    const bool copy = j > 0 && (unit.leftCols(j).transpose() * unit.col(j)).cwiseAbs().maxCoeff() > T(atoms_.duplicate);
    if (!dead && !copy) continue;
    const auto signal = seen.X().col(static_cast<Index>(random.below(static_cast<std::uint64_t>(batch.size()))));
    if (signal.isZero(0)) continue;
    trial.at("dictionary").col(j) = signal.stableNormalized();
    ++replaced;
  }
  if (replaced == 0) return;
  const double value = direction_->value(batch, trial);
  if (value > *state.known_value) return;
  state.parameters = std::move(trial);
  state.known_value = value;
  state.result.history.value.back() = value;
  state.result.n_replaced += replaced;
}

template <Scalar T>
void Learner<T>::save(const State& state, CheckpointFile& file) const {
  if (!file) return;
  NamedTensors tensors = update_.state();
  tensors.merge(direction_->state());
  for (const auto& [name, value] : state.parameters) tensors["parameter." + name] = to_tensor<T>(value);
  const History& history = state.result.history;
  store_history({history.value, history.step, history.seconds, history.phase}, "phase", tensors);
  tensors["phase"] = to_tensor(std::int64_t{state.phase});
  tensors["finished"] = to_tensor(std::int64_t{state.finished});
  tensors["certified"] = to_tensor(std::int64_t{state.certified});
  tensors["tol"] = to_tensor(std::vector<double>{state.ended_tol});
  tensors["n_replaced"] = to_tensor(std::int64_t{state.result.n_replaced});
  tensors["values"] =
      to_tensor(std::vector<double>{state.seconds(), state.result.initial_value, state.known_value.value_or(std::nan(""))});
  file.write(std::move(tensors));
}

template <Scalar T>
void Learner<T>::load(State& state, const NamedTensors& tensors, const std::string& where) {
  for (auto& [name, value] : state.parameters)
    value = stored_matrix<T>(tensors, "parameter." + name, value.rows(), value.cols(), where);
  const Matrix<T>& D = state.parameters.at("dictionary");
  Matrix<T> projected = D;
  project_atoms(projected, constraint_);
  const T farthest = (D - projected).colwise().norm().maxCoeff(), rounding = std::sqrt(Eigen::NumTraits<T>::epsilon());
  const bool has_zero = constraint_ == Constraint::unit_sphere && D.colwise().norm().minCoeff() == T(0);
  require(farthest <= rounding && !has_zero, "{}: tensor 'parameter.dictionary' holds an atom that violates the constraint",
          where);

  state.phase = static_cast<int>(stored_integer(tensors, "phase", 0, schedule_.learn_steps ? 1 : 0, where));
  StoredHistory history = stored_history(tensors, "phase", state.phase, where);
  const std::int64_t most_replaced = std::ssize(history.value) * D.cols();
  state.finished = stored_integer(tensors, "finished", 0, 1, where) != 0;
  state.certified = !tensors.contains("certified") || stored_integer(tensors, "certified", 0, 1, where) != 0;
  state.result.status = status_of_end(state.certified);
  // What ended at a larger tolerance goes on, but never back to the first phase. Checkpoints of old do not say at which they
  // ended.
  if ((state.finished || state.phase > 0) && tensors.contains("tol")) {
    const double tol = stored_numbers(tensors, "tol", 1, where)[0];
    require(std::isfinite(tol) && tol >= 0, "{}: tensor 'tol' is damaged", where);
    const bool is_smaller = schedule_.tol < tol;
    require(!is_smaller || state.phase == 0,
            "{}: a phase ended at tol = {}, this run has {}; with learn_steps a smaller tol needs a new run", where, tol,
            schedule_.tol);
    state.ended_tol = tol;
    state.finished = state.finished && !is_smaller;
  }
  state.result.n_replaced = static_cast<int>(stored_integer(tensors, "n_replaced", 0, most_replaced, where));
  const std::vector<double> values = stored_numbers(tensors, "values", 3, where);
  const double seconds = values[0], initial = values[1], known = values[2];
  const bool has_begun = state.finished || !history.value.empty();
  const double last_seconds = history.seconds.empty() ? 0 : history.seconds.back();
  require(std::isfinite(seconds) && seconds >= last_seconds && (std::isfinite(initial) || (std::isnan(initial) && !has_begun)) &&
              (std::isfinite(known) || (std::isnan(known) && !has_begun)),
          "{}: tensor 'values' is damaged", where);
  state.seconds_before = seconds;
  state.result.initial_value = initial;
  if (!std::isnan(known)) state.known_value = known;
  state.result.history = {std::move(history.value), std::move(history.step), std::move(history.seconds), std::move(history.part)};
  update_.restore(tensors);
  direction_->restore(tensors, sampler_->batch(), state.parameters, where);
}

/// Where the value is one of the parameters alone, it is that of before the run was stopped to the last bit, or no bit that follows
/// is that of the whole run.
template <Scalar T>
void Learner<T>::verify(State& state) {
  if (!state.known_value || !direction_->state().empty()) return;
  const double value = direction_->value(sampler_->batch(), state.parameters);
  require(
      value == *state.known_value || checkpoint_.inexact,
      "checkpoint {}: the objective at its dictionary is {}, it says {}: it is damaged, or another riata or processor made it; "
      "resume_inexact goes on from it",
      checkpoint_.path, value, *state.known_value);
  require(std::isfinite(value), "checkpoint {}: the objective at its dictionary is {}", checkpoint_.path, value);
  state.known_value = value;
}

template class Learner<float>;
template class Learner<double>;

}  // namespace riata
