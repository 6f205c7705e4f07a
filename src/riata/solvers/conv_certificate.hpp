// The certificate of activations of long recordings: that of certificate.hpp, a piece of time after another, so that memory does
// not grow with channels times samples in double.
#pragma once

#include "riata/core/threads.hpp"
#include "riata/operators/convolutional_dictionary.hpp"
#include "riata/solvers/certificate.hpp"

namespace riata {

/// Objective and duality gap of 1/2 ||x - sum_k d_k * z_k||^2 + reg ||z||_1, z >= 0 if `positive`, in double; with
/// r = x - sum_k d_k * z_k and s = min(1, reg / max d^T r),
///
///   gap = reg ||z||_1 - s z^T d^T r + (1 - s)^2 / 2 ||r||^2.
///
/// @throws std::invalid_argument if sizes disagree or the boundary is not `valid`
template <Scalar T>
LassoCertificate conv_certificate(const NonDeduced<ConstMatrixRef<T>>& X, const ConvolutionalDictionary<T>& D,
                                  const NonDeduced<ConstMatrixRef<T>>& Z, const Vector<T>& reg, bool positive,
                                  const Execution& execution = {});

}  // namespace riata
