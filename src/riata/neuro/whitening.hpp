// Whitening of sensor data by a noise covariance that may be rank-deficient.
//
//   W = Lambda^{-1/2} U^T S^{-1},   S^{-1} C S^{-1} = U Lambda U^T,   W C W^T = I,   rank x n_channels
//
// S holds one scale per channel *type*, the root mean square of that type's noise, because teslas and volts share no unit.
// Never one per channel: projections such as SSP leave C the null space N, and the data, which may not be projected, are
// freed of it by C = P C P only if S maps N onto itself up to a factor per type. Scaling each channel by its own noise drops
// S N's orthogonal complement instead, and artefacts pass.
#pragma once

#include <string>
#include <vector>

#include "riata/core/types.hpp"

namespace riata {

/// C is n_channels x n_channels, in squared units of the channels; `channel_types` one name per channel, or empty: all alike.
/// Directions whose eigenvalue is below rank_tol of the largest are dropped.
/// @throws std::invalid_argument if C is not a covariance, a type has no noise, or rank_tol is not in (0, 1)
Matrix<double> whitener(const ConstMatrixRef<double>& noise_cov, const std::vector<std::string>& channel_types = {},
                        double rank_tol = 1e-6);

}  // namespace riata
