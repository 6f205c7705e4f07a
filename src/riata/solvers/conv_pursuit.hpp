// Matching pursuit over time; Mallat and Zhang (1993): of all patterns at all places the one that correlates most with what is left,
//
//   (k, t) = argmax |<d_k, r(t)>| / ||d_k||,    z_k(t) <- z_k(t) + <d_k, r(t)> / ||d_k||^2,
//
// where the correlations of all others follow by the lagged Gram matrix.
#pragma once

#include "riata/core/threads.hpp"
#include "riata/operators/convolutional_dictionary.hpp"

namespace riata {

struct ConvPursuitOptions {
  Index n_nonzero = 1;    ///< steps for a signal, at most
  double least = 0.1;     ///< it ends where the largest correlation is below that share of the first
  bool positive = false;  ///< no step makes an activation negative
  Execution execution = {};
  void validate() const;  ///< @throws std::invalid_argument naming the field, its value and the rule
};

/// Activations, code_size x n_signals. @throws std::invalid_argument if sizes disagree, an entry is not finite, or the boundary is
/// not `valid`
template <Scalar T>
Matrix<T> conv_pursuit(const NonDeduced<ConstMatrixRef<T>>& X, const ConvolutionalDictionary<T>& D,
                       const ConvPursuitOptions& options);

}  // namespace riata
