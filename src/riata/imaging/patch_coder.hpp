// Estimates clean patches from noisy ones with a given dictionary. Internal: the second half of denoise().
#pragma once

#include "riata/core/threads.hpp"
#include "riata/operators/dense_dictionary.hpp"

namespace riata {

/// Estimated patches, and how much each may weigh where patches overlap.
struct PatchEstimate {
  Matrix<float> patches;  ///< patch^2 x n
  Vector<float> weights;  ///< n
};

/// The default coder. Each centred patch is coded at reg = 4, 3.5, 3 and 2.5 sigma; least squares on each support (and on
/// the empty one) gives five fits, which are averaged with weights
///
///   exp( -( ||r||^2 + 6 sigma^2 |S| ) / (4 sigma^2) )
///
/// (aggregation by exponential weights: Leung and Barron, 2006, with a dearer price per atom because the Lasso chose the
/// atoms from the same noise). A patch weighs 1 / (1 + mean |S|) in the picture.
PatchEstimate estimate_by_aggregation(Matrix<float> patches, const DenseDictionary<float>& D, double sigma,
                                      const Execution& execution);

/// The documents' coder: D z_N of N unrolled FISTA layers on the patches as they are, all with weight 1.
PatchEstimate estimate_by_unrolling(const Matrix<float>& patches, const DenseDictionary<float>& D, double reg, int layers,
                                    const Execution& execution);

}  // namespace riata
