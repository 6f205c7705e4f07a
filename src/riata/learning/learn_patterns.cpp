#include "riata/learning/learn_patterns.hpp"

#include <Eigen/SVD>

#include "riata/core/check.hpp"
#include "riata/core/random.hpp"
#include "riata/core/stopping.hpp"
#include "riata/solvers/certificate.hpp"

namespace riata {
namespace {

constexpr std::uint32_t stream_of_windows = 211, stream_of_pieces = 212;

/// Samples first, ... of all channels of a trial, channel after channel.
template <Scalar T>
auto piece_of(const ConstMatrixRef<T>& recordings, Index trial, Index n_times, Index n_channels, Index first, Index count) {
  return Eigen::Map<const Matrix<T>>(recordings.col(trial).data(), n_times, n_channels).middleRows(first, count);
}

template <Scalar T>
ConvolutionalDictionary<T> initial_patterns(const ConstMatrixRef<T>& X, const RecordingShape& shape, Index n_atoms,
                                            Index n_times_atom, const PatternOptions& options) {
  const Index n_channels = shape.n_channels, n_times = X.rows() / n_channels, L = n_times_atom;
  RandomStream random(options.learn.seed, stream_of_pieces);
  Matrix<T> kernels(n_channels * L, n_atoms), u(n_channels, n_atoms), v(L, n_atoms);
  if (options.init == PatternInit::random) {
    for (Matrix<T>* const of : {&kernels, &u, &v}) fill_normal<T>(random, *of);
  } else {
    for (Index k = 0; k < n_atoms; ++k) {
      const auto trial = static_cast<Index>(random.below(static_cast<std::uint64_t>(X.cols())));
      const auto first = static_cast<Index>(random.below(static_cast<std::uint64_t>(n_times - L + 1)));
      Matrix<T> piece = piece_of<T>(X, trial, n_times, n_channels, first, L);
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

}  // namespace

template <Scalar T>
RecordingWindows<T>::RecordingWindows(const NonDeduced<ConstMatrixRef<T>>& recordings, Index n_channels, Index n_times_window,
                                      Index n_windows, std::uint64_t seed)
    : recordings_(recordings),
      n_channels_(n_channels),
      n_times_(recordings.rows() / std::max<Index>(1, n_channels)),
      n_times_window_(n_times_window),
      n_windows_(n_windows),
      seed_(seed) {
  require(n_channels >= 1 && recordings.cols() >= 1 && recordings.rows() == n_channels * n_times_,
          "windows: recordings have {} entries, must be a multiple of the {} channels", recordings.rows(), n_channels);
  require(n_times_window >= 1 && n_times_window <= n_times_, "windows have {} samples, must have 1 to {}, as recordings have",
          n_times_window, n_times_);
  require(n_windows >= 1, "windows: n_windows = {}, must be >= 1", n_windows);
}

template <Scalar T>
void RecordingWindows<T>::read(Index first, MatrixRef<T> out) {
  const Index n_starts = n_times_ - n_times_window_ + 1;
  for (Index i = 0; i < out.cols(); ++i) {
    RandomStream random(seed_, stream_of_windows, static_cast<std::uint32_t>(first + i));
    const auto which = static_cast<Index>(random.below(static_cast<std::uint64_t>(n_starts * recordings_.cols())));
    Eigen::Map<Matrix<T>>(out.col(i).data(), n_times_window_, n_channels_) =
        piece_of<T>(recordings_, which / n_starts, n_times_, n_channels_, which % n_starts, n_times_window_);
  }
}

void PatternOptions::validate() const {
  learn.validate();
  const CodesBy codes = parts_of(learn.method).codes;
  const MovesBy moves = parts_of(learn.method).moves;
  require((codes == CodesBy::layers && moves != MovesBy::adam) || learn.method == LearningMethod::alternating_exact,
          "learn_patterns: method = '{}' is not for patterns; choose 'stochastic', 'unrolled', 'truncated', 'alternating' or "
          "'alternating_exact'",
          to_string(learn.method));
  require(rank_one || !window, "learn_patterns: window is for patterns of rank one");
  require(learn.method == LearningMethod::stochastic || !n_times_window,
          "learn_patterns: n_times_window is for method 'stochastic', not for '{}'", to_string(learn.method));
}

template <Scalar T>
PatternResult<T> learn_patterns(const NonDeduced<ConstMatrixRef<T>>& X, Index n_channels, Index n_atoms, Index n_times_atom,
                                const Reg& reg, const PatternOptions& options, const Observer& observer) {
  options.validate();
  const StopScope scope(options.learn.execution);
  require(n_channels >= 1 && X.cols() >= 1 && X.rows() >= n_channels && X.rows() % n_channels == 0,
          "learn_patterns: trials have {} entries, must be a multiple of the {} channels", X.rows(), n_channels);
  const Index n_times = X.rows() / n_channels;
  require(n_atoms >= 1, "learn_patterns: n_atoms = {}, must be >= 1", n_atoms);
  require(n_times_atom >= 1 && n_times_atom <= n_times,
          "learn_patterns: trials have {} samples, must have at least {}, as patterns have", n_times, n_times_atom);
  require_finite("learn_patterns", "X", X, of_signals);
  const bool by_windows = options.learn.method == LearningMethod::stochastic;
  const Index n_times_window = by_windows ? options.n_times_window.value_or(std::min(n_times, 10 * n_times_atom)) : n_times;
  require(n_times_window >= n_times_atom, "learn_patterns: n_times_window = {}, must be at least {}, as patterns have",
          n_times_window, n_times_atom);
  const auto init = initial_patterns<T>(X, {n_channels, n_times_window}, n_atoms, n_times_atom, options);
  PatternResult<T> result;
  if (by_windows) {
    LearnOptions learn = options.learn;
    learn.batch_size = learn.batch_size.value_or(10);
    // An epoch, after which line searches begin lower.
    const Index n_windows = std::max(10 * *learn.batch_size, 2 * n_times * X.cols() / n_times_window);
    const auto windows = std::make_shared<RecordingWindows<T>>(X, n_channels, n_times_window, n_windows, learn.seed);
    Matrix<T> some(windows->n_features(), std::min<Index>(n_windows, 100));
    windows->read(0, some);
    const double weight = resolve_run_reg<T>(reg, some, init, learn.penalty, learn.seed, learn.execution);
    result.learned = learn_dictionary<T>(windows, init, weight, learn, observer);
  } else {
    result.learned = learn_dictionary<T>(X, init, reg, options.learn, observer);
  }
  const auto learned = init.at(result.learned.parameters);
  result.atoms = dynamic_cast<const ConvolutionalDictionary<T>&>(*learned).atoms();
  if (options.rank_one) {
    result.u = result.learned.parameters.at("u");
    result.v = result.learned.parameters.at("v");
  }
  return result;
}

template class RecordingWindows<float>;
template class RecordingWindows<double>;
template PatternResult<float> learn_patterns(const ConstMatrixRef<float>&, Index, Index, Index, const Reg&, const PatternOptions&,
                                             const Observer&);
template PatternResult<double> learn_patterns(const ConstMatrixRef<double>&, Index, Index, Index, const Reg&,
                                              const PatternOptions&, const Observer&);

}  // namespace riata
