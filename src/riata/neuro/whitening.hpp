// Whitening of sensor data by a noise covariance that may be rank-deficient.
//
//   W = Lambda^{-1/2} U^T S^{-1},   S^{-1} C S^{-1} = U Lambda U^T,   W C W^T = I,   rank x n_channels
//
// S holds one scale per channel *type*, the root mean square of that type's noise, because teslas and volts share no unit.
// Never one per channel: projections such as SSP leave C the null space N, while the data may not be projected. W annihilates
// S^2 N, and that is N, the artefacts, only if S^2 maps N onto itself, as one number per type does for projections within a type.
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
