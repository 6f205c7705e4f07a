#include "riata/learning/learn_patterns.hpp"

#include <Eigen/SVD>
#include <limits>

#include "riata/core/check.hpp"
#include "riata/core/random.hpp"
#include "riata/core/stopping.hpp"
#include "riata/optim/checkpoint.hpp"
#include "riata/solvers/certificate.hpp"

namespace riata {
namespace {

constexpr std::uint32_t stream_of_pieces = 212;

template <Scalar T>
ConvolutionalDictionary<T> initial_patterns(Recording<T>& recording, const RecordingShape& shape, Index n_atoms,
                                            Index n_times_atom, const PatternOptions& options) {
  const Index n_channels = shape.n_channels, L = n_times_atom;
  RandomStream random(options.learn.seed, stream_of_pieces);
  Matrix<T> kernels(n_channels * L, n_atoms), u(n_channels, n_atoms), v(L, n_atoms);
  if (options.learn.init == Init::random) {
    for (Matrix<T>* const of : {&kernels, &u, &v}) fill_normal<T>(random, *of);
  } else {
    for (Index k = 0; k < n_atoms; ++k) {
      const auto trial = static_cast<Index>(random.below(static_cast<std::uint64_t>(recording.n_trials())));
      const auto first = static_cast<Index>(random.below(static_cast<std::uint64_t>(recording.n_times() - L + 1)));
      Matrix<T> piece(L, n_channels);
      recording.read(trial, first, piece);
      require(piece.allFinite(), "learn_patterns: samples {} to {} of trial {} hold NaN or infinity; expected finite numbers",
              first, first + L - 1, trial);
      piece.rowwise() -= piece.colwise().mean().eval();
      if (piece.isZero(0)) fill_normal<T>(random, piece);
      kernels.col(k) = Eigen::Map<const Vector<T>>(piece.data(), piece.size());
      const Eigen::BDCSVD<Matrix<T>> svd(piece, Eigen::ComputeThinU | Eigen::ComputeThinV);
      v.col(k) = svd.matrixU().col(0);
      u.col(k) = svd.matrixV().col(0);
    }
  }
  Parameters<T> parameters{{"u", u}, {"v", v}, {"kernels", kernels}};
  for (auto& [name, values] : parameters) project_atoms<T>(values, Constraint::unit_sphere);
  if (!options.rank_one) return {parameters.at("kernels"), shape};
  return ConvolutionalDictionary<T>::rank_one(parameters.at("u"), parameters.at("v"), shape,
                                              options.window ? tukey_window<T>(L) : Vector<T>());
}

template <Scalar T>
PatternResult<T> with_atoms(PatternResult<T> result, const ConvolutionalDictionary<T>& init) {
  const Parameters<T>& parameters = result.learned.parameters;
  const auto learned = init.at(parameters);
  result.atoms = dynamic_cast<const ConvolutionalDictionary<T>&>(*learned).atoms();
  if (init.is_rank_one()) {
    result.u = parameters.at("u");
    result.v = parameters.at("v");
  }
  return result;
}

/// A fraction is of some windows' reg_max.
template <Scalar T>
double weight_of(const Reg& reg, RecordingWindows<T>& windows, const ConvolutionalDictionary<T>& init,
                 const LearnOptions& learn) {
  const bool is_number = std::holds_alternative<double>(reg.value());
  constexpr Index most_entries = Index{1} << 24;
  const Index n_some = is_number ? 1 : std::clamp<Index>(most_entries / windows.n_features(), 1, 100);
  Matrix<T> some(windows.n_features(), std::min(windows.n_signals(), n_some));
  windows.read(0, some);
  return resolve_run_reg<T>(reg, some, init, learn.penalty, learn.seed, learn.execution);
}

bool is_by_windows(LearningMethod method) { return parts_of(method).batches == BatchesOf::some; }

/// Where there is no number of activations, their sizes alone end a pursuit.
LearnOptions with_n_nonzero(LearnOptions o) {
  if (o.method == LearningMethod::ksvd) o.n_nonzero = o.n_nonzero.value_or(std::numeric_limits<int>::max());
  return o;
}

}  // namespace

void PatternOptions::validate() const {
  const auto [codes, moves, batches] = parts_of(learn.method);
  require((codes == CodesBy::layers && moves != MovesBy::adam) || codes == CodesBy::exact || learn.method == LearningMethod::ksvd,
          "learn_patterns: method = '{}' is not for patterns; choose 'stochastic', 'unrolled', 'truncated', 'alternating', "
          "'alternating_exact', 'online' or 'ksvd'",
          to_string(learn.method));
  with_n_nonzero(learn).validate();
  require(learn.init != Init::dct, "learn_patterns: init = 'dct' is not for patterns; choose 'data' or 'random'");
  require(rank_one || !window, "learn_patterns: window is for patterns of rank one");
  require(is_by_windows(learn.method) || !n_times_window,
          "learn_patterns: n_times_window is for methods on mini-batches, 'stochastic' and 'online', not for '{}'",
          to_string(learn.method));
}

template <Scalar T>
PatternResult<T> learn_patterns(const std::shared_ptr<Recording<T>>& recording, Index n_atoms, Index n_times_atom,
                                const std::optional<Reg>& reg, const PatternOptions& options, const Observer& observer) {
  options.validate();
  const StopScope scope(options.learn.execution);
  require(recording != nullptr, "learn_patterns: there is no recording");
  const Index n_times = recording->n_times(), n_channels = recording->n_channels(), n_trials = recording->n_trials();
  require(n_atoms >= 1, "learn_patterns: n_atoms = {}, must be >= 1", n_atoms);
  require(n_times_atom >= 1, "learn_patterns: n_times_atom = {}, must be >= 1", n_times_atom);
  require(n_times_atom <= n_times, "learn_patterns: trials have {} samples, must have at least {}, as patterns have", n_times,
          n_times_atom);
  const bool by_windows = is_by_windows(options.learn.method);
  const Index n_times_window = by_windows ? options.n_times_window.value_or(std::min(n_times, 10 * n_times_atom)) : n_times;
  require(n_times_window >= n_times_atom, "learn_patterns: n_times_window = {}, must be at least {}, as patterns have",
          n_times_window, n_times_atom);
  const auto init = initial_patterns<T>(*recording, {n_channels, n_times_window}, n_atoms, n_times_atom, options);
  PatternResult<T> result;
  if (by_windows) {
    LearnOptions learn = options.learn;
    learn.batch_size = learn.batch_size.value_or(10);
    // An epoch, after which line searches begin lower.
    const Index n_windows = std::max(10 * *learn.batch_size, 2 * n_times * n_trials / n_times_window);
    const auto windows = std::make_shared<RecordingWindows<T>>(recording, n_times_window, n_windows, learn.seed);
    require(reg.has_value(), "learn_patterns: reg is missing; give a number or a fraction such as 0.1max");
    const double weight = weight_of<T>(*reg, *windows, init, learn);
    result.learned = learn_dictionary<T>(windows, init, weight, learn, observer);
  } else {
    Matrix<T> all(n_channels * n_times, n_trials);
    for (Index trial = 0; trial < n_trials; ++trial)
      recording->read(trial, 0, Eigen::Map<Matrix<T>>(all.col(trial).data(), n_times, n_channels));
    require_finite("learn_patterns", "X", all, of_signals);
    const bool pursues = options.learn.method == LearningMethod::ksvd;
    result.learned = learn_dictionary<T>(all, init, pursues ? std::nullopt : reg, with_n_nonzero(options.learn), observer);
    if (pursues && reg)
      result.learned.reg = resolve_run_reg<T>(*reg, all, *init.at(result.learned.parameters), options.learn.penalty,
                                              options.learn.seed, options.learn.execution);
  }
  return with_atoms(std::move(result), init);
}

template <Scalar T>
PatternResult<T> learn_patterns(const NonDeduced<ConstMatrixRef<T>>& X, Index n_channels, Index n_atoms, Index n_times_atom,
                                const std::optional<Reg>& reg, const PatternOptions& options, const Observer& observer) {
  return learn_patterns<T>(std::make_shared<RecordingInMemory<T>>(X, n_channels), n_atoms, n_times_atom, reg, options, observer);
}

template <Scalar T>
PatternLearner<T>::PatternLearner(Index n_channels, Index n_atoms, Index n_times_atom, const std::optional<Reg>& reg,
                                  const PatternOptions& options)
    : n_channels_(n_channels), n_atoms_(n_atoms), n_times_atom_(n_times_atom), reg_(reg), options_(options) {
  options_.validate();
  options_.learn = with_n_nonzero(options_.learn);
  require(n_channels >= 1 && n_atoms >= 1 && n_times_atom >= 1,
          "partial_fit: {} channels, {} patterns of {} samples, must be >= 1 each", n_channels, n_atoms, n_times_atom);
  require(options_.learn.method != LearningMethod::ksvd, "partial_fit: method 'ksvd' takes all trials at once; choose 'online'");
  require(!options.n_times_window, "partial_fit: n_times_window is the caller's: trials are the windows");
  begin(
      ConvolutionalDictionary<T>(Matrix<T>::Ones(n_channels * n_times_atom, n_atoms), {n_channels, n_times_atom}));  // or refuses
}

template <Scalar T>
PatternLearner<T>::PatternLearner(const ConvolutionalDictionary<T>& init, const std::optional<Reg>& reg,
                                  const PatternOptions& options)
    : PatternLearner(init.shape().n_channels, init.n_atoms(), init.atom_times(), reg, options) {
  require(init.shape().boundary == Boundary::valid, "partial_fit: the boundary of init is '{}', must be 'valid'",
          to_string(init.shape().boundary));
  options_.rank_one = init.is_rank_one();
  options_.window = init.window().size() > 0;
  given_ = init;
}

template <Scalar T>
DictionaryLearner<T> PatternLearner<T>::begin(const ConvolutionalDictionary<T>& init) const {
  return {init, reg_, options_.learn};
}

template <Scalar T>
void PatternLearner<T>::partial_fit(const NonDeduced<ConstMatrixRef<T>>& X) {
  if (!learner_) {
    RecordingInMemory<T> trials(X, n_channels_);
    require(trials.n_times() >= n_times_atom_, "partial_fit: trials have {} samples, must have at least {}, as patterns have",
            trials.n_times(), n_times_atom_);
    require_finite("partial_fit", "X", X, of_signals);
    const RecordingShape shape{n_channels_, trials.n_times()};
    auto init = given_ ? given_->of_length(shape.n_times) : initial_patterns<T>(trials, shape, n_atoms_, n_times_atom_, options_);
    auto learner = begin(init);
    learner.partial_fit(X);
    init_ = std::move(init);
    learner_ = std::move(learner);
    return;
  }
  require(X.rows() == init_->signal_size(),
          "partial_fit: trials have {} entries, must have {}, as before: {} channels of {} samples", X.rows(),
          init_->signal_size(), n_channels_, init_->shape().n_times);
  learner_->partial_fit(X);
}

template <Scalar T>
PatternResult<T> PatternLearner<T>::result() const {
  require(learner_.has_value(), "partial_fit: nothing is learned yet");
  return with_atoms<T>({.atoms = {}, .u = {}, .v = {}, .learned = learner_->result()}, *init_);
}

template <Scalar T>
NamedTensors PatternLearner<T>::state() const {
  if (!learner_) return {};
  NamedTensors tensors = learner_->state();
  tensors["patterns.n_times"] = to_tensor(std::int64_t{init_->shape().n_times});
  return tensors;
}

template <Scalar T>
void PatternLearner<T>::restore(const NamedTensors& state, const std::string& where) {
  if (state.empty()) {
    learner_.reset();
    return;
  }
  const RecordingShape shape{n_channels_, stored_integer(state, "patterns.n_times", n_times_atom_, std::int64_t{1} << 40, where)};
  const auto stored = [&](const char* name, Index rows) {
    return stored_matrix<T>(state, std::string("parameter.") + name, rows, n_atoms_, where);
  };
  auto init = options_.rank_one
                  ? ConvolutionalDictionary<T>::rank_one(stored("u", n_channels_), stored("v", n_times_atom_), shape,
                                                         options_.window ? tukey_window<T>(n_times_atom_) : Vector<T>())
                  : ConvolutionalDictionary<T>(stored("kernels", n_channels_ * n_times_atom_), shape);
  auto learner = begin(init);
  learner.restore(state, where);
  init_ = std::move(init);
  learner_ = std::move(learner);
}

#define RIATA_INSTANTIATE(T)                                                                                              \
  template PatternResult<T> learn_patterns(const std::shared_ptr<Recording<T>>&, Index, Index, const std::optional<Reg>&, \
                                           const PatternOptions&, const Observer&);                                       \
  template PatternResult<T> learn_patterns<T>(const ConstMatrixRef<T>&, Index, Index, Index, const std::optional<Reg>&,   \
                                              const PatternOptions&, const Observer&);                                    \
  template class PatternLearner<T>;
RIATA_INSTANTIATE(float)
RIATA_INSTANTIATE(double)
#undef RIATA_INSTANTIATE

}  // namespace riata
