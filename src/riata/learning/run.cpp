#include "riata/learning/run.hpp"

#include <algorithm>
#include <cmath>

#include "riata/core/check.hpp"
#include "riata/core/error.hpp"
#include "riata/core/stopping.hpp"
#include "riata/optim/parameters.hpp"

namespace riata {
namespace {

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

template <Scalar T>
Parameters<T> projected(Parameters<T> parameters, const RunOptions<T>& options) {
  options.project(parameters);
  return parameters;
}

template <class Part>
std::unique_ptr<Part> required(std::unique_ptr<Part> part, const char* name) {
  require(part != nullptr, "run: it has no {}", name);
  return part;
}

/// Of the run's own tensors, also of those that it has at times.
bool is_runs_own(std::string_view name) {
  for (const char* start : {"parameter.", "best.", "history."})
    if (name.starts_with(start)) return true;
  for (const char* own : {"phase", "iteration", "taken", "finished", "certified", "tol", "n_replaced", "values", "best", "usage"})
    if (name == own) return true;
  return false;
}

}  // namespace

void Validation::validate() const {
  require(every >= 1, "validation: every = {}, must be >= 1", every);
  require(patience >= 1, "validation: patience = {}, must be >= 1", patience);
}

Execution keeping_failure(const Execution& execution, std::exception_ptr& failure) {
  Execution keeping = execution;
  if (execution.stop_requested)
    keeping.stop_requested = [&failure, stop_requested = execution.stop_requested] {
      bool stop = false;
      keep_failure(failure, [&] { stop = stop_requested(); });
      return stop || failure != nullptr;
    };
  return keeping;
}

template <Scalar T>
Run<T>::Run(std::unique_ptr<Sampler<T>> sampler, std::unique_ptr<Direction<T>> direction, std::unique_ptr<Update<T>> update,
            std::vector<Phase> phases, Parameters<T> initial, RunOptions<T> options)
    : sampler_(required(std::move(sampler), "sampler")),
      direction_(required(std::move(direction), "direction")),
      update_(required(std::move(update), "update")),
      phases_(std::move(phases)),
      initial_(projected(std::move(initial), options)),
      options_(std::move(options)),
      has_held_out_(sampler_->held_out().has_value()) {
  options_.atoms.validate();
  options_.validation.validate();
  require(!phases_.empty(), "run: it has no phase");
  for (std::size_t k = 0; k < phases_.size(); ++k)
    for (const std::string& name : phases_[k].moves)
      require(initial_.contains(name), "run: phase {} moves '{}', which is not among the parameters: {}", k, name,
              names_in(initial_));
  require(!options_.atoms.replace || initial_.contains(options_.replacement.parameter),
          "run: atoms are replaced in the parameter '{}', which is not among the parameters: {}", options_.replacement.parameter,
          names_in(initial_));
  for (const Piece needed : update_->needs())
    require(direction_->produces().contains(needed), "run: {} needs the {} of the direction, which does not produce it",
            update_->name(), to_string(needed));
  require(
      sampler_->is_fixed() || !direction_->holds_codes(),
      "run: the direction holds codes of one batch, and the sampler gives another at each iteration; use one that codes anew");
  state_of_parts();
  state_.parameters = initial_;
}

template <Scalar T>
Index Run<T>::n_atoms() const {
  const auto atoms = initial_.find(options_.replacement.parameter);
  return atoms == initial_.end() ? 0 : atoms->second.cols();
}

template <Scalar T>
double Run<T>::seconds() const {
  return seconds_before_ + seconds_since(start_);
}

template <Scalar T>
RunResult<T> Run<T>::fit(const Observer& observer) {
  RunResult<T> result = fit_and_keep_failure(observer);
  if (result.failure) std::rethrow_exception(result.failure);
  return result;
}

template <Scalar T>
RunResult<T> Run<T>::fit_and_keep_failure(const Observer& observer) {
  start_ = std::chrono::steady_clock::now();
  std::exception_ptr failure;
  const Execution execution = keeping_failure(options_.execution, failure);
  const StopScope scope(execution);
  CheckpointFile file(options_.checkpoint);
  file.resume([this](const NamedTensors& stored, const std::string& where) { restore(stored, where); });
  const int n_before = state_.n_accepted();
  Action action = Action::keep_going;
  const auto tell_of_iteration = [&] {
    const History& history = state_.history;
    try {
      if (file.is_due(history.value.size())) file.write(state());
      if (observer)
        action = observer({.phase = static_cast<int>(history.phase.back()),
                           .iteration = state_.n_accepted(),
                           .value = history.value.back(),
                           .step = history.step.back(),
                           .seconds = history.seconds.back()});
    } catch (const Interrupted&) {
      action = Action::stop;
    }
  };
  state_.status = Status::interrupted;
  try {
    const Question<T>* next = nullptr;
    while (!failure && (next = question()) != nullptr) {
      std::optional<Sample<T>> sample;
      try {
        sample.emplace(sample_for(*next));
      } catch (const Interrupted&) {
        throw;
      } catch (...) {  // a file that cannot be read, say: what was done until now is sound
        failure = std::current_exception();
        break;
      }
      if (!tell(direction_->look(*sample, *next, execution))) continue;
      keep_failure(failure, tell_of_iteration);
      if (action == Action::stop && !(state_.ended && is_last())) break;
    }
    if (next == nullptr && !failure) state_.status = dialogue_->result();
  } catch (const Interrupted&) {
  } catch (const std::invalid_argument&) {
    if (!update_->verifies()) throw;  // else all that was done until now is sound
    failure = std::current_exception();
  }
  drop();
  if (failure && state_.n_accepted() == n_before) std::rethrow_exception(failure);
  if (is_verified_ && file) keep_failure(failure, [&] { file.write(state()); });
  seconds_before_ = seconds();
  start_ = std::chrono::steady_clock::now();
  RunResult<T> result = state_;
  result.failure = failure;
  return result;
}

template <Scalar T>
const Question<T>* Run<T>::question() {
  leave_if_stopped();
  if (!dialogue_) dialogue_.emplace(play());
  Question<T>* question = dialogue_->question();
  if (question != nullptr) {
    question->n_layers = phase().n_layers;
    question->usage = asks_usage();
    question->iteration = state_.iteration;
  }
  return question;
}

template <Scalar T>
Sample<T> Run<T>::sample_for(const Question<T>& question) {
  if (question.look == Look::batch) return sampler_->batch(state_.iteration);
  return question.look == Look::all ? sampler_->all() : sampler_->held_out().value();
}

template <Scalar T>
Sums<T> Run<T>::answer(const Question<T>& question, const Execution& execution) {
  const StopScope scope(execution);
  return direction_->look(sample_for(question), question, execution);
}

template <Scalar T>
bool Run<T>::tell(Sums<T> answer) {
  const int n_before = state_.n_accepted();
  ++n_told_;
  dialogue_->tell(std::move(answer));
  return state_.n_accepted() > n_before;
}

template <Scalar T>
void Run<T>::retell(const std::vector<Sums<T>>& told) {
  if (told.empty()) return;
  is_verified_ = true;
  for (const Sums<T>& answer : told) {
    question();
    tell(answer);
  }
}

/// All of a run: one stage after another, each from a complete state to the next.
template <Scalar T>
Asking<T, Status> Run<T>::play() {
  State& s = state_;
  // Then a value is known wherever it was asked before.
  const bool is_function = update_->verifies() && sampler_->is_fixed() && !direction_->holds_codes();
  for (;;) {
    n_told_ = 0;
    if (!is_verified_ && is_function && s.value) {
      co_await verify_stored_value();
      continue;
    }
    is_verified_ = true;
    if (options_.looks_first && std::isnan(s.initial_value)) {
      co_await look_first();
      continue;
    }
    if (s.ended && is_last()) co_return status_of_end(s.certified);
    if (phase().may_go_back && !s.value) {
      co_await go_back_if_that_is_less();
      continue;
    }
    if (s.iteration >= options_.max_iter) co_return Status::max_iter_reached;
    if (s.ended || s.taken >= phase().max_iter) {
      if (is_last()) co_return Status::max_iter_reached;
      co_await begin_next_phase();
      continue;
    }
    if (options_.max_time && seconds_since(start_) >= *options_.max_time) co_return Status::max_time_reached;
    if (has_held_out_ && s.taken % options_.validation.every == 0) {
      co_await look_at_held_out();
      if (s.taken - s.best_taken >= options_.validation.patience) {
        s.ended = true;
        s.certified = false;
        continue;
      }
    }
    co_await iterate(is_function);
  }
}

/// It is that of before the run was stopped to the last bit, or no bit that follows is that of the whole run.
template <Scalar T>
Asking<T, bool> Run<T>::verify_stored_value() {
  State& s = state_;
  const Question<T> stored{.at = s.parameters};
  const Sums<T> found = co_await stored;
  const Checkpoint& checkpoint = options_.checkpoint;
  require(std::isfinite(found.value) && (found.value == *s.value || checkpoint.inexact),
          "checkpoint {}: the {} is {}, it says {}: it is damaged, or another riata or processor made it; "
          "resume_inexact goes on from it",
          checkpoint.path, options_.words.value, found.value, *s.value);
  s.value = found.value;
  co_return is_verified_ = true;
}

template <Scalar T>
Asking<T, bool> Run<T>::look_first() {
  const Question<T> here{.at = state_.parameters, .look = Look::all};
  const Sums<T> found = co_await here;
  require_start(found.value);
  state_.initial_value = found.value;
  state_.value = found.value;
  co_return true;
}

template <Scalar T>
Asking<T, bool> Run<T>::go_back_if_that_is_less() {
  State& s = state_;
  const Question<T> here{.at = s.parameters}, beginning{.at = initial_};
  const Sums<T> at_here = co_await here, at_beginning = co_await beginning;
  if (at_beginning.value < at_here.value) s.parameters = initial_;
  s.value = std::min(at_here.value, at_beginning.value);
  require_start(*s.value);
  co_return true;
}

/// From the best parameters, where signals are held out.
template <Scalar T>
Asking<T, bool> Run<T>::begin_next_phase() {
  State& s = state_;
  if (s.best_value) co_await look_at_held_out();
  if (s.best_value) s.parameters = std::move(s.best);
  s.best_value.reset();
  s.best_taken = s.taken = 0;
  s.ended = false;
  ++s.phase;
  if (phase().may_go_back) s.value.reset();
  update_->reset();
  co_return true;
}

template <Scalar T>
void Run<T>::require_start(double value) const {
  require(std::isfinite(value), "{}: the {} is {} before the first step; are the signals or reg too large?", options_.words.who,
          options_.words.value, value);
}

/// Keeps the parameters if they are the phase's best on the signals held out.
template <Scalar T>
Asking<T, bool> Run<T>::look_at_held_out() {
  State& s = state_;
  const Question<T> here{.at = s.parameters, .look = Look::held_out};
  const Sums<T> found = co_await here;
  if (s.best_value && !(found.value < *s.best_value - options_.validation.least_gain * std::abs(*s.best_value))) co_return false;
  s.best_value = found.value;
  s.best = s.parameters;
  s.best_taken = s.taken;
  co_return true;
}

/// The update's questions and, where atoms are due, whether signals in their place do not raise the value of the same batch.
template <Scalar T>
Asking<T, bool> Run<T>::iterate(bool is_function) {
  const State& s = state_;
  Position<T> from{.parameters = s.parameters,
                   .moves = phase().moves,
                   .rates = phase().rates,
                   .project = options_.project,
                   .make_tangent = options_.make_tangent};
  if (is_function) from.value = s.value;
  from.tol = options_.tol;
  from.is_fixed = sampler_->is_fixed();
  from.holds_codes = direction_->holds_codes();
  from.who = options_.words.who;
  from.n_steps = s.n_accepted();
  from.steps = options_.words.iterations;

  std::optional<double> first_value = from.value;
  std::vector<bool> unused;
  Vector<double> usage;
  Dialogue<T, Outcome<T>> step(update_->step(from));
  while (Question<T>* question = step.question()) {
    Sums<T> answer = co_await std::move(*question);
    if (!first_value) first_value = answer.value;
    if (unused.empty() && !follows_usage()) unused = unused_atoms(answer);
    if (usage.size() == 0) usage = std::move(answer.usage);
    step.tell(std::move(answer));
  }
  Outcome<T> outcome = step.result();
  if (outcome.ends_phase) direction_->forget_looks();

  if (follows_usage() && usage.size() > 0 && s.usage.size() > 0) usage += (1 - 1.0 / options_.atoms.check_every) * s.usage;
  if (follows_usage()) unused = rare_atoms(usage, options_.atoms);
  std::vector<Index> atoms;
  const bool is_due = (s.n_accepted() + 1) % options_.atoms.check_every == 0;
  const bool looks_at_end = outcome.ends_phase && options_.replacement.put;
  if (options_.atoms.replace && outcome.moved && !unused.empty() && (is_due || looks_at_end)) {
    Question<T> now{.at = outcome.parameters}, replaced = now;
    const Batch<T> batch = sampler_->batch(s.iteration).batch;
    atoms = options_.replacement.put
                ? options_.replacement.put(replaced.at, unused, batch, s.n_accepted() + 1)
                : replace_atoms(replaced.at.at("dictionary"), unused, batch, options_.atoms, s.n_accepted() + 1);
    if (!atoms.empty()) {
      double value = outcome.value;
      if (!update_->verifies()) {
        const Sums<T> found = co_await now;
        value = found.value;
      }
      const Sums<T> found = co_await replaced;
      if (looks_at_end ? found.value < value : found.value <= value) {
        outcome.parameters = std::move(replaced.at);
        if (looks_at_end) outcome.ends_phase = false;
        if (update_->verifies()) outcome.value = found.value;
      } else {
        atoms.clear();
      }
    }
  }
  if (std::isnan(s.initial_value)) state_.initial_value = first_value.value_or(s.initial_value);
  keep(std::move(outcome), atoms, usage);
  co_return true;
}

template <Scalar T>
void Run<T>::keep(Outcome<T> outcome, const std::vector<Index>& replaced, const Vector<double>& usage) {
  State& s = state_;
  s.value = outcome.value;
  s.n_replaced += static_cast<int>(replaced.size());
  if (outcome.keep) outcome.keep();
  update_->forget_atoms(replaced);
  if (follows_usage() && usage.size() > 0) s.usage = usage;
  for (const Index j : replaced)
    if (s.usage.size() > 0) s.usage(j) = usage.mean();
  direction_->keep();
  s.ended = outcome.ends_phase;
  s.certified = outcome.certified;
  if (s.ended) s.ended_tol = options_.tol;
  if (!outcome.moved && s.ended) return;
  ++s.iteration;
  ++s.taken;
  if (!outcome.moved) return;
  s.parameters = std::move(outcome.parameters);
  s.history.value.push_back(outcome.value);
  s.history.step.push_back(outcome.step);
  s.history.seconds.push_back(seconds());
  s.history.phase.push_back(s.phase);
}

/// What update and direction remember, under names that are nobody else's.
template <Scalar T>
NamedTensors Run<T>::state_of_parts() const {
  NamedTensors tensors = update_->state(), others = direction_->state();
  const auto require_own = [](const std::string& whose, const NamedTensors& state) {
    for (const auto& [name, tensor] : state)
      require(!is_runs_own(name), "run: {}'s state holds '{}', which is the run's own name; choose another", whose, name);
  };
  require_own(update_->name(), tensors);
  require_own("the direction", others);
  tensors.merge(others);
  for (const auto& [name, tensor] : others)
    refuse(formatted("run: the direction's state holds '{}', which is the update's name; choose another", name));
  return tensors;
}

template <Scalar T>
NamedTensors Run<T>::state() const {
  const State& s = state_;
  NamedTensors tensors = state_of_parts();
  for (const auto& [name, values] : s.parameters) tensors["parameter." + name] = to_tensor<T>(values);
  if (s.best_value) {
    for (const auto& [name, values] : s.best) tensors["best." + name] = to_tensor<T>(values);
    tensors["best"] = to_tensor(std::vector<double>{*s.best_value, static_cast<double>(s.best_taken)});
  }
  if (follows_usage()) tensors["usage"] = to_tensor(std::vector<double>(s.usage.begin(), s.usage.end()));
  store_history(s.history, tensors);
  tensors["phase"] = to_tensor(std::int64_t{s.phase});
  tensors["iteration"] = to_tensor(std::int64_t{s.iteration});
  tensors["taken"] = to_tensor(std::int64_t{s.taken});
  tensors["finished"] = to_tensor(std::int64_t{s.ended});
  tensors["certified"] = to_tensor(std::int64_t{s.certified});
  tensors["tol"] = to_tensor(std::vector<double>{s.ended_tol});
  tensors["n_replaced"] = to_tensor(std::int64_t{s.n_replaced});
  tensors["values"] = to_tensor(std::vector<double>{seconds(), s.initial_value, s.value.value_or(std::nan(""))});
  return tensors;
}

template <Scalar T>
void Run<T>::restore(const NamedTensors& tensors, const std::string& where) {
  const auto stored_parameters = [&](const std::string& prefix) {
    Parameters<T> parameters;
    for (const auto& [name, like] : initial_)
      parameters[name] = stored_matrix<T>(tensors, prefix + name, like.rows(), like.cols(), where);
    if (options_.check) options_.check(parameters, where + ": tensor '" + prefix);
    return parameters;
  };
  drop();
  State s;
  s.parameters = stored_parameters("parameter.");
  s.phase = static_cast<int>(stored_integer(tensors, "phase", 0, std::ssize(phases_) - 1, where));
  s.history = stored_history(tensors, s.phase, where);
  const std::int64_t n = std::ssize(s.history.value), n_in_phase = std::ranges::count(s.history.phase, s.phase);
  const auto count = [&](const char* name, std::int64_t low, std::int64_t high) {
    return static_cast<int>(tensors.contains(name) ? stored_integer(tensors, name, low, high, where) : low);
  };
  constexpr std::int64_t most = std::numeric_limits<int>::max();
  s.iteration = count("iteration", n, most);
  s.taken = count("taken", n_in_phase, n_in_phase + s.iteration - n);
  s.ended = stored_integer(tensors, "finished", 0, 1, where) != 0;
  s.certified = !tensors.contains("certified") || stored_integer(tensors, "certified", 0, 1, where) != 0;
  // What ended at a larger tolerance goes on, but never back to an earlier phase. Checkpoints of old do not say at which they
  // ended.
  if ((s.ended || s.phase > 0) && tensors.contains("tol")) {
    const double tol = stored_numbers(tensors, "tol", 1, where)[0];
    require(std::isfinite(tol) && tol >= 0, "{}: tensor 'tol' is damaged", where);
    const bool is_smaller = options_.tol < tol;
    require(!is_smaller || s.phase == 0,
            "{}: a phase ended at tol = {}, this run has {}; with learn_steps a smaller tol needs a new run", where, tol,
            options_.tol);
    s.ended_tol = tol;
    s.ended = s.ended && !is_smaller;
  }
  s.n_replaced = count("n_replaced", 0, std::min(most, n * n_atoms()));
  const std::vector<double> values = stored_numbers(tensors, "values", 3, where);
  const double seconds = values[0], initial = values[1], known = values[2];
  const bool has_begun = s.ended || n > 0;
  const double last_seconds = s.history.seconds.empty() ? 0 : s.history.seconds.back();
  require(
      std::isfinite(seconds) && seconds >= last_seconds && (std::isfinite(initial) || (std::isnan(initial) && !has_begun)) &&
          (std::isfinite(known) || (std::isnan(known) && (!has_begun || phases_[static_cast<std::size_t>(s.phase)].may_go_back))),
      "{}: tensor 'values' is damaged", where);
  s.initial_value = initial;
  if (!std::isnan(known)) s.value = known;

  const bool has_best = tensors.contains("best");
  require(has_best || !has_held_out_ || s.taken == 0, "{}: tensor 'best' is missing", where);
  require(!has_best || has_held_out_, "{}: tensor 'best' belongs to a run with validation", where);
  if (has_best) {
    const std::vector<double> best = stored_numbers(tensors, "best", 2, where);
    require(std::isfinite(best[0]) && best[1] >= 0 && best[1] <= s.taken && best[1] == std::floor(best[1]),
            "{}: tensor 'best' is damaged", where);
    s.best_value = best[0];
    s.best_taken = static_cast<int>(best[1]);
    s.best = stored_parameters("best.");
  }
  if (follows_usage()) {
    const auto usage = get_vector<double>(tensors, "usage", where);
    s.usage = Eigen::Map<const Vector<double>>(usage.data(), std::ssize(usage));
    require(s.usage.size() == 0 || (s.usage.size() == n_atoms() && s.usage.allFinite() && s.usage.minCoeff() >= 0),
            "{}: tensor 'usage' is damaged", where);
  }
  update_->restore(tensors, s.parameters);
  direction_->restore(tensors, sampler_->batch(s.iteration), s.parameters, where);
  seconds_before_ = seconds;
  state_ = std::move(s);
  is_verified_ = false;
}

template class Run<float>;
template class Run<double>;

}  // namespace riata
