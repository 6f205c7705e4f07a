// What happens to patterns that no signal uses, that double another at some shift, or of which a part lies outside.
#pragma once

#include <functional>
#include <vector>

#include "riata/operators/convolutional_dictionary.hpp"
#include "riata/terms/batch.hpp"

namespace riata {

struct PatternPolicy {
  double duplicate = 0.8;    ///< |cosine| at the best shift above which two patterns count as copies
  double least_gain = 0.02;  ///< share of its energy that a pattern gains by moving, to be moved for it
};

/// From signals, their activations.
template <Scalar T>
using PatternCoder = std::function<Matrix<T>(const ConstMatrixRef<T>&, const ConvolutionalDictionary<T>&)>;

/// In every second call puts the pieces of the batch that are explained worst in the place of patterns that are unused. If there are
/// none, of one pair of copies, another in each call, the first becomes what recurs around its activations without the second, the best
/// L samples of it, and the second such a piece. Where there is no pair, and in the other calls, patterns move in time, to where most of
/// what recurs around their activations lies within them and its energy in their middle; in every fourth call the one alone that gains
/// most. Which have changed: the caller tries whether that lowers the value.
template <Scalar T>
std::vector<Index> mend_patterns(Parameters<T>& at, const ConvolutionalDictionary<T>& D, const std::vector<bool>& unused,
                                 const Batch<T>& batch, Index call, const PatternCoder<T>& code,
                                 const PatternPolicy& policy = {});

}  // namespace riata
