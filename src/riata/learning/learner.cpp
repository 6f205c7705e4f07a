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
  bool finished = false;
  double ended_tol = 0;       // at which the last phase ended; 0 if none did
  double seconds_before = 0;  // of the runs this one resumes
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
  if (const NamedTensors stored = open_checkpoint(checkpoint_); !stored.empty()) load(state, stored);
  // An interruption undoes its iteration, so that a resumed run repeats it from where it began.
  State before;
  LineSearch<T> update_before = update_;
  NamedTensors direction_before;
  try {
    do {
      before = state;
      update_before = update_;
      if (!checkpoint_.path.empty()) direction_before = direction_->state();
    } while (!state.finished && iterate(state, observer));
  } catch (const Interrupted&) {
    state = std::move(before);
    update_ = update_before;
    if (!checkpoint_.path.empty()) direction_->restore(direction_before);
    state.result.status = Status::interrupted;
  }
  keep_failure(state.failure, [&] {
    if (!checkpoint_.path.empty()) save(state);
  });
  if (state.failure) std::rethrow_exception(state.failure);
  state.result.dictionary = state.parameters.at("dictionary");
  if (const auto steps = state.parameters.find("steps"); steps != state.parameters.end())
    state.result.steps.assign(steps->second.data(), steps->second.data() + steps->second.size());
  return std::move(state.result);
}

/// One iteration: open, differentiate, search, record. False when the run is over.
template <Scalar T>
bool Learner<T>::iterate(State& state, const Observer& observer) {
  History& history = state.result.history;
  if (state.iterations() >= schedule_.max_iter) {
    state.result.status = Status::max_iter_reached;
    return false;
  }
  if (schedule_.max_time_s && seconds_since(state.start) >= *schedule_.max_time_s) {
    state.result.status = Status::max_time_reached;
    return false;
  }
  const ConstMatrixRef<T> batch = sampler_->batch();
  const Objective<T> objective{.project = [this](Parameters<T>& p) { project_atoms(p.at("dictionary"), constraint_); },
                               .evaluate = [&](const Parameters<T>& p) { return direction_->value(batch, p); }};
  std::set<std::string> names{"dictionary"};
  if (state.phase == 1) names.insert("steps");

  const double value = direction_->open(batch, state.parameters, state.known_value);
  if (history.value.empty()) state.result.initial_value = value;
  const Parameters<T> gradient = direction_->gradient(batch, state.parameters, names);
  const auto outcome = update_.step(state.parameters, gradient, value, objective);
  state.known_value = outcome.value;
  if (outcome.accepted) {
    history.value.push_back(outcome.value);
    history.step.push_back(outcome.step);
    history.seconds.push_back(state.seconds());
    history.phase.push_back(state.phase);
    if (atoms_.replace && state.iterations() % atoms_.check_every == 0) replace_atoms(state, gradient);
  }
  const bool phase_over = !outcome.accepted || (value - outcome.value) < schedule_.tol * value;
  if (phase_over) state.ended_tol = schedule_.tol;
  if (phase_over && state.phase == 0 && schedule_.learn_steps) {
    state.phase = 1;
    update_.reset();
  } else if (phase_over) {
    state.finished = true;
    state.result.status = Status::converged;
  }
  if (!outcome.accepted) return true;
  Action action = Action::keep_going;
  keep_failure(state.failure, [&] {
    if (!checkpoint_.path.empty() && state.iterations() % checkpoint_.every == 0) save(state);
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
  const ConstMatrixRef<T> batch = sampler_->batch();
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
    const auto signal = batch.col(static_cast<Index>(random.below(static_cast<std::uint64_t>(batch.cols()))));
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
void Learner<T>::save(const State& state) const {
  NamedTensors tensors = update_.state();
  tensors.merge(direction_->state());
  for (const auto& [name, value] : state.parameters) tensors["parameter." + name] = to_tensor<T>(value);
  const History& history = state.result.history;
  tensors["history.value"] = to_tensor(history.value);
  tensors["history.step"] = to_tensor(history.step);
  tensors["history.seconds"] = to_tensor(history.seconds);
  tensors["history.phase"] = {{std::ssize(history.phase)}, history.phase};
  tensors["phase"] = to_tensor(std::int64_t{state.phase});
  tensors["finished"] = to_tensor(std::int64_t{state.finished});
  tensors["tol"] = to_tensor(std::vector<double>{state.ended_tol});
  tensors["n_replaced"] = to_tensor(std::int64_t{state.result.n_replaced});
  tensors["values"] =
      to_tensor(std::vector<double>{state.seconds(), state.result.initial_value, state.known_value.value_or(std::nan(""))});
  write_checkpoint(checkpoint_, std::move(tensors));
}

template <Scalar T>
void Learner<T>::load(State& state, const NamedTensors& tensors) {
  const std::string where = fmt::format("checkpoint {}", checkpoint_.path);
  for (auto& [name, value] : state.parameters) value = get_matrix<T>(tensors, "parameter." + name, where);
  History& history = state.result.history;
  history.value = get_vector<double>(tensors, "history.value", where);
  history.step = get_vector<double>(tensors, "history.step", where);
  history.seconds = get_vector<double>(tensors, "history.seconds", where);
  const auto phases = tensors.find("history.phase");
  const auto* phase_values = phases == tensors.end() ? nullptr : std::get_if<std::vector<std::int64_t>>(&phases->second.data);
  require(phase_values != nullptr && phase_values->size() == history.value.size() &&
              history.step.size() == history.value.size() && history.seconds.size() == history.value.size(),
          "{}: the history is damaged", where);
  history.phase = *phase_values;
  state.phase = static_cast<int>(get_integer(tensors, "phase", where));
  state.finished = get_integer(tensors, "finished", where) != 0;
  // What ended at a larger tolerance goes on, but never back to the first phase. Checkpoints of old do not say at which they
  // ended.
  if ((state.finished || state.phase > 0) && tensors.contains("tol")) {
    const auto tol = get_vector<double>(tensors, "tol", where);
    require(tol.size() == 1, "{}: tensor 'tol' is damaged", where);
    const bool is_smaller = schedule_.tol < tol[0];
    require(!is_smaller || state.phase == 0,
            "{}: a phase ended at tol = {}, this run has {}; with learn_steps a smaller tol needs a new run", where, tol[0],
            schedule_.tol);
    state.ended_tol = tol[0];
    state.finished = state.finished && !is_smaller;
  }
  state.result.n_replaced = static_cast<int>(get_integer(tensors, "n_replaced", where));
  const auto values = get_vector<double>(tensors, "values", where);
  require(values.size() == 3, "{}: tensor 'values' is damaged", where);
  state.seconds_before = values[0];
  state.result.initial_value = values[1];
  if (!std::isnan(values[2])) state.known_value = values[2];
  update_.restore(tensors);
  direction_->restore(tensors);
}

template class Learner<float>;
template class Learner<double>;

}  // namespace riata
