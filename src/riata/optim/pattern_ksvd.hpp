// Convolutional K-SVD: pattern after pattern with its activations. With the windows of the residual at them,
//
//   E_i = R(t_i .. t_i + L) + z_i d_k,     (d_k, z) <- argmin sum_i ||E_i - z_i d_k||^2,
//
// by the alternation of d_k, on the sphere or there of rank one, and z; Aharon, Elad and Bruckstein (2006) over time. Where windows
// overlap their sum is not the residual's: a pattern and its activations become others only if ||R|| does not rise.
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
