// Learning the patterns of recordings: presets of learn_dictionary over convolutional dictionaries.
//
// `stochastic` is the method of Malezieux, Moreau and Kowalski (2022), section 4: each iteration takes windows that begin
// anywhere, the gradient through unrolled layers by u and v, or by the kernels, and a stochastic line search.
#pragma once

#include "riata/learning/learn_dictionary.hpp"
#include "riata/operators/convolutional_dictionary.hpp"

namespace riata {

/// Windows of recordings, channel after channel: the i-th begins where the seed and i say, and windows may overlap. All starts are
/// equally likely. Borrows the recordings.
template <Scalar T>
class RecordingWindows final : public SignalSource<T> {
 public:
  /// `recordings`: (n_channels n_times) x n_trials. @throws std::invalid_argument if a window does not fit
  RecordingWindows(const NonDeduced<ConstMatrixRef<T>>& recordings, Index n_channels, Index n_times_window, Index n_windows,
                   std::uint64_t seed);
  Index n_features() const override { return n_channels_ * n_times_window_; }
  Index n_signals() const override { return n_windows_; }
  void read(Index first, MatrixRef<T> out) override;

 private:
  KeptMatrixRef<T> recordings_;
  Index n_channels_, n_times_, n_times_window_, n_windows_;
  std::uint64_t seed_;
};

enum class PatternInit {
  data,   ///< pieces of the recordings, of rank one the best approximation of each
  random  ///< Gaussian
};
template <>
inline constexpr Name<PatternInit> names<PatternInit>[] = {{PatternInit::data, "data"}, {PatternInit::random, "random"}};

struct PatternOptions {
  bool rank_one = true;  ///< u v^T
  bool window = false;   ///< v times Tukey's window, alpha = 0.5
  PatternInit init = PatternInit::data;
  std::optional<Index> n_times_window = {};  ///< of `stochastic`; absent: ten patterns, or a trial where that is shorter
  /// method: 'stochastic', 'unrolled', 'truncated', 'alternating' or 'alternating_exact'; batch_size: windows, absent: 10
  LearnOptions learn = {.method = LearningMethod::stochastic, .n_layers = 30, .penalty = {.positive = true}};
  void validate() const;  ///< @throws std::invalid_argument naming the field, its value and the rule
};

template <Scalar T>
struct PatternResult {
  Matrix<T> atoms;         ///< (n_channels n_times_atom) x n_atoms, as they are applied
  Matrix<T> u, v;          ///< n_channels x n_atoms and n_times_atom x n_atoms, on the sphere, without the window; or 0 x 0
  LearnResult<T> learned;  ///< its reg is the weight as a number
};

/// X: (n_channels n_times) x n_trials. A fraction of reg_max is that of at most 100 windows, or trials, at the initial patterns.
/// Codes are those of Boundary::valid within windows. @throws std::invalid_argument for bad shapes or options
template <Scalar T>
PatternResult<T> learn_patterns(const NonDeduced<ConstMatrixRef<T>>& X, Index n_channels, Index n_atoms, Index n_times_atom,
                                const Reg& reg, const PatternOptions& options = {}, const Observer& observer = {});

}  // namespace riata
