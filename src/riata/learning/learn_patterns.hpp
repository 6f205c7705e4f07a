// Learning the patterns of recordings: presets of learn_dictionary over convolutional dictionaries.
//
// Each iteration of `online`, the default, and of `stochastic` takes windows that begin anywhere: the one by statistics of exact
// activations, Dupré la Tour, Moreau, Jas and Gramfort (2018) with Mairal et al. (2010); the other by the gradient through unrolled layers
// and a stochastic line search, Malezieux, Moreau and Kowalski (2022), section 4.
#pragma once

#include "riata/learning/learn_dictionary.hpp"
#include "riata/learning/recording.hpp"
#include "riata/operators/convolutional_dictionary.hpp"

namespace riata {

struct PatternOptions {
  bool rank_one = true;  ///< u v^T
  bool window = false;   ///< v times Tukey's window, alpha = 0.5
  /// Of mini-batches; absent: ten patterns, or a trial where that is shorter.
  std::optional<Index> n_times_window = {};
  /// method: 'stochastic', 'unrolled', 'truncated', 'alternating', 'alternating_exact', 'online' or 'ksvd'; batch_size: windows,
  /// absent: 10; init: 'data', pieces of the recordings (of rank one the best approximation of each), or 'random'.
  LearnOptions learn = {.method = LearningMethod::online, .n_layers = 30, .penalty = {.positive = true}};
  void validate() const;  ///< @throws std::invalid_argument naming the field, its value and the rule
};

template <>
inline constexpr auto described<PatternOptions> =
    std::tuple{Option{"rank_one", &PatternOptions::rank_one, rule::anything, "Patterns are u v^T: over channels times in time"},
               Option{"window", &PatternOptions::window, rule::anything, "Of rank one, v times Tukey's window"},
               Option{"n_times_window", &PatternOptions::n_times_window, rule::at_least_one,
                      "Samples of the windows in a mini-batch; default: ten patterns"},
               Option{"learn", &PatternOptions::learn}};

template <Scalar T>
struct PatternResult {
  Matrix<T> atoms;         ///< (n_channels n_times_atom) x n_atoms, as they are applied
  Matrix<T> u, v;          ///< n_channels x n_atoms and n_times_atom x n_atoms, on the sphere, without the window; or 0 x 0
  LearnResult<T> learned;  ///< its reg is the weight as a number
};

/// A fraction of reg_max is that of at most 100 windows, fewer of many channels, or of the trials, at the initial patterns. Codes are those of Boundary::valid
/// within windows. `ksvd` takes learn.n_nonzero activations of a trial at most, none below a tenth of the first, and has reg,
/// if given, for activations afterwards: a fraction is that at its patterns.
/// Methods on mini-batches read windows of the recording, the others all of it.
/// @throws std::invalid_argument for bad shapes or options
template <Scalar T>
PatternResult<T> learn_patterns(const std::shared_ptr<Recording<T>>& recording, Index n_atoms, Index n_times_atom,
                                const std::optional<Reg>& reg, const PatternOptions& options = {}, const Observer& observer = {});
/// X: (n_channels n_times) x n_trials.
template <Scalar T>
PatternResult<T> learn_patterns(const NonDeduced<ConstMatrixRef<T>>& X, Index n_channels, Index n_atoms, Index n_times_atom,
                                const std::optional<Reg>& reg, const PatternOptions& options = {}, const Observer& observer = {});

/// Learning from trials as they come, an iteration of `online` or `stochastic` with each batch. For one thread at a time.
template <Scalar T>
class PatternLearner {
 public:
  /// The first batch decides the first patterns, what reg is as a fraction, and the samples of a trial.
  /// @throws std::invalid_argument for other methods, and for what is the caller's (DictionaryLearner)
  PatternLearner(Index n_channels, Index n_atoms, Index n_times_atom, const std::optional<Reg>& reg,
                 const PatternOptions& options = {});
  /// From these patterns, which say whether they are of rank one and windowed.
  PatternLearner(const ConvolutionalDictionary<T>& init, const std::optional<Reg>& reg, const PatternOptions& options = {});

  /// X is (n_channels n_times) x n_trials; an iteration that is interrupted leaves no trace.
  /// @throws std::invalid_argument for bad trials, or others than before
  void partial_fit(const NonDeduced<ConstMatrixRef<T>>& X);
  /// After a first batch.
  PatternResult<T> result() const;

  /// All that it has learned; empty before the first batch. Goes on bit for bit in a learner of the same options.
  NamedTensors state() const;
  /// @throws std::invalid_argument, beginning with `where`, if that is not the state of such a learner
  void restore(const NamedTensors& state, const std::string& where = "state");

 private:
  DictionaryLearner<T> begin(const ConvolutionalDictionary<T>& init) const;

  Index n_channels_, n_atoms_, n_times_atom_;
  std::optional<Reg> reg_;
  PatternOptions options_;
  std::optional<ConvolutionalDictionary<T>> given_, init_;  // before the first trials; of their length
  std::optional<DictionaryLearner<T>> learner_;
};

}  // namespace riata
