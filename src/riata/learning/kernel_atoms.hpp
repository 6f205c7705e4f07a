// What happens to kernels that no picture uses, that double another at some shift, or of which a part lies outside.
#pragma once

#include <functional>
#include <vector>

#include "riata/operators/convolutional_dictionary_2d.hpp"
#include "riata/terms/batch.hpp"

namespace riata {

struct KernelPolicy {
  double duplicate = 0.9;    ///< |cosine| at the best shift, of whole positions, above which two kernels count as copies
  double least_gain = 0.02;  ///< share of its energy that a kernel gains by moving, to be moved for it
};

/// From pictures, their feature maps.
template <Scalar T>
using KernelCoder = std::function<Matrix<T>(const Batch<T>&, const Dictionary<T>&)>;

/// In every second call puts the patches of the batch that are explained worst, of what was seen, in the place of kernels that are
/// unused; if there are none, one in that of the lesser used of a pair of copies, another pair in each call. Where there is no
/// pair, and in the other calls, kernels move, of stride 1, to where most of what recurs around their activations lies within them
/// and its energy in their middle; in every fourth call the one alone that gains most. Which have changed: the caller tries whether
/// that lowers the value.
template <Scalar T>
std::vector<Index> mend_kernels(Parameters<T>& at, const ConvolutionalDictionary2D<T>& D, const std::vector<bool>& unused,
                                const Batch<T>& batch, Index call, const KernelCoder<T>& code, const KernelPolicy& policy = {});

}  // namespace riata
