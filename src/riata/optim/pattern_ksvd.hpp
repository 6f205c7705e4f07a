// Convolutional K-SVD: pattern after pattern with its activations; Aharon, Elad and Bruckstein (2006) over time. Of what the others
// leave, E = R + d_k * z_k, the best pattern at these activations and the best activations of that pattern in turns,
//
//   d_k <- argmin ||E - d * z_k||   over the sphere, there of rank one,   by the steps of pattern_descent.hpp,
//   z_k(t) <- z_k(t) + <d_k, R(t .. t + L)> / ||d_k||^2   at its places, one after another,
//
// R following each. Departure: windows that overlap are no columns of a matrix, whose singular value decomposition would be both at
// once. ||R|| never rises, but for rounding.
#pragma once

#include <memory>

#include "riata/operators/convolutional_dictionary.hpp"
#include "riata/optim/update.hpp"

namespace riata {

/// One sweep over the patterns: parameters, activations and residual become others. `signals` of the activations are
/// signal * n_positions + time. Those without an activation stay.
template <Scalar T>
void refit_patterns(Parameters<T>& parameters, const ConvolutionalDictionary<T>& D, bool positive, CodesByAtom<T>& codes);

/// Moves the patterns of a convolutional dictionary, unverified: activations are found anew at the new ones.
template <Scalar T>
class PatternKSvd final : public Update<T> {
 public:
  PatternKSvd(const ConvolutionalDictionary<T>& D, bool positive)
      : D_(std::make_shared<const ConvolutionalDictionary<T>>(D)), positive_(positive) {}

  const char* name() const override { return "convolutional K-SVD"; }
  std::set<Piece> needs() const override { return {Piece::codes_by_atom}; }
  Asking<T, Outcome<T>> step(Position<T> from) override;

 private:
  std::shared_ptr<const ConvolutionalDictionary<T>> D_;
  bool positive_;
};

}  // namespace riata
