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

/// The default coder. Each centred patch is coded at reg = 5, 3 and 2 sigma. Least squares on each support S gives a fit;
/// the patch's mean (S empty) and the patch itself (n - 1 atoms) are two more. They are averaged with weights
///
///   exp( -( ||r||^2 / sigma^2 + 1.2 |S| (1 + log(m / |S|)) ) / 4 )
///
/// with m = max(n_atoms, n_features) (aggregation by exponential weights: Leung and Barron, 2006; the price is the logarithm
/// of the number of supports of that size). A patch weighs 1 / (1 + mean |S|) in the picture.
PatchEstimate estimate_by_aggregation(Matrix<float> patches, const DenseDictionary<float>& D, double sigma,
                                      const Execution& execution);

/// The documents' coder: D z_N of N unrolled FISTA layers on the patches as they are, all with weight 1.
PatchEstimate estimate_by_unrolling(const Matrix<float>& patches, const DenseDictionary<float>& D, double reg, int layers,
                                    const Execution& execution);

}  // namespace riata
