#include "riata/learning/learn_patterns.hpp"

#include <Eigen/SVD>
#include <limits>

#include "riata/core/check.hpp"
#include "riata/core/random.hpp"
#include "riata/core/stopping.hpp"
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

bool is_by_windows(LearningMethod method) { return parts_of(method).batches == BatchesOf::some; }

/// Where there is no number of activations, their sizes alone end a pursuit.
LearnOptions with_n_nonzero(LearnOptions o) {
  if (o.method == LearningMethod::ksvd) o.n_nonzero = o.n_nonzero.value_or(std::numeric_limits<int>::max());
  return o;
}

}  // namespace

void PatternOptions::validate() const {
  with_n_nonzero(learn).validate();
  const auto [codes, moves, batches] = parts_of(learn.method);
  require((codes == CodesBy::layers && moves != MovesBy::adam) || codes == CodesBy::exact || learn.method == LearningMethod::ksvd,
          "learn_patterns: method = '{}' is not for patterns; choose 'stochastic', 'unrolled', 'truncated', 'alternating', "
          "'alternating_exact', 'online' or 'ksvd'",
          to_string(learn.method));
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
  require(n_times_atom >= 1 && n_times_atom <= n_times,
          "learn_patterns: trials have {} samples, must have at least {}, as patterns have", n_times, n_times_atom);
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
    Matrix<T> some(windows->n_features(), std::min<Index>(n_windows, 100));
    windows->read(0, some);
    require_finite("learn_patterns", "X", some, of_signals);
    require(reg.has_value(), "learn_patterns: reg is missing; give a number or a fraction such as 0.1max");
    const double weight = resolve_run_reg<T>(*reg, some, init, learn.penalty, learn.seed, learn.execution);
    result.learned = learn_dictionary<T>(windows, init, weight, learn, observer);
  } else {
    Matrix<T> all(n_channels * n_times, n_trials);
    for (Index trial = 0; trial < n_trials; ++trial)
      recording->read(trial, 0, Eigen::Map<Matrix<T>>(all.col(trial).data(), n_times, n_channels));
    require_finite("learn_patterns", "X", all, of_signals);
    result.learned = learn_dictionary<T>(all, init, reg, with_n_nonzero(options.learn), observer);
  }
  const auto learned = init.at(result.learned.parameters);
  result.atoms = dynamic_cast<const ConvolutionalDictionary<T>&>(*learned).atoms();
  if (options.rank_one) {
    result.u = result.learned.parameters.at("u");
    result.v = result.learned.parameters.at("v");
  }
  return result;
}

template <Scalar T>
PatternResult<T> learn_patterns(const NonDeduced<ConstMatrixRef<T>>& X, Index n_channels, Index n_atoms, Index n_times_atom,
                                const std::optional<Reg>& reg, const PatternOptions& options, const Observer& observer) {
  return learn_patterns<T>(std::make_shared<RecordingInMemory<T>>(X, n_channels), n_atoms, n_times_atom, reg, options, observer);
}

#define RIATA_INSTANTIATE(T)                                                                                              \
  template PatternResult<T> learn_patterns(const std::shared_ptr<Recording<T>>&, Index, Index, const std::optional<Reg>&, \
                                           const PatternOptions&, const Observer&);                                       \
  template PatternResult<T> learn_patterns<T>(const ConstMatrixRef<T>&, Index, Index, Index, const std::optional<Reg>&,   \
                                              const PatternOptions&, const Observer&);
RIATA_INSTANTIATE(float)
RIATA_INSTANTIATE(double)
#undef RIATA_INSTANTIATE

}  // namespace riata
