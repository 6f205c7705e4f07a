// When patterns occur, as single events, and how much of the recordings each of them explains.
#pragma once

#include <vector>

#include "riata/operators/convolutional_dictionary.hpp"

namespace riata {

struct PatternEvent {
  Index trial, time;  ///< of the sample where the pattern has most energy, over channels
  double amplitude;   ///< the sum of the activations that make it
};

/// Of each pattern its events, by trial and time, from `codes`, (n_atoms n_positions) x n_trials, as `conv_encode` gives them.
///
/// A smooth pattern is nearly what it is a sample later, so that several activations make one event: those to which its
/// autocorrelation falls no lower than a half. Its place is their mean, weighted by their sizes. The largest sum comes first, and
/// no other begins from an activation within half a pattern of its own. Left out are those below `min_amplitude` of the typical event, half
/// of whose pattern's energy is in events at least as large; and those whose sample is outside of the trial.
/// @throws std::invalid_argument if sizes disagree, an activation is not finite, or min_amplitude is not >= 0
template <Scalar T>
std::vector<std::vector<PatternEvent>> pattern_events(const NonDeduced<ConstMatrixRef<T>>& codes,
                                                      const ConvolutionalDictionary<T>& D, double min_amplitude = 0.3);

struct ExplainedVariance {
  Vector<double>
      per_atom;  ///< (||r + d_k * z_k||^2 - ||r||^2) / ||x||^2 with r = x - sum_j d_j * z_j: what would be left without k
  double total;  ///< 1 - ||r||^2 / ||x||^2; the sum of the others where what patterns make is orthogonal
};

/// Over all trials, in double; 0 of recordings that are zero.
/// @throws std::invalid_argument if sizes disagree or an entry is not finite
template <Scalar T>
ExplainedVariance explained_variance(const NonDeduced<ConstMatrixRef<T>>& X, const NonDeduced<ConstMatrixRef<T>>& codes,
                                     const ConvolutionalDictionary<T>& D);

}  // namespace riata
