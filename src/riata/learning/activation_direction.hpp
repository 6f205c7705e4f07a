// Alternating minimisation of patterns: activations of the batch by greedy coordinate descent, to a gap, and from them their lagged
// correlations (optim/pattern_descent.hpp).
#pragma once

#include <memory>

#include "riata/learning/direction.hpp"
#include "riata/operators/convolutional_dictionary.hpp"
#include "riata/solvers/conv_encode.hpp"

namespace riata {

/// Signals are trials or windows; each answer codes them anew.
template <Scalar T>
class ActivationDirection final : public Direction<T> {
 public:
  /// @throws std::invalid_argument if the dictionary's boundary is not `valid`
  ActivationDirection(const ConvolutionalDictionary<T>& D, double reg, const ConvEncodeOptions& coder, Reduction reduction);
  std::set<Piece> produces() const override { return {Piece::value, Piece::statistics, Piece::codes}; }
  Sums<T> look(const Sample<T>& sample, const Question<T>& question, const Execution& execution) override;

 private:
  std::shared_ptr<const ConvolutionalDictionary<T>> D_;
  double reg_;
  ConvEncodeOptions coder_;
  Reduction reduction_;
};

/// The statistics "A", A_kj(s) in row j (2 L - 1) + s + L - 1 of column k, and "B", (n_channels L) x K, of activations Z of signals X.
template <Scalar T>
Parameters<T> lagged_statistics(const NonDeduced<ConstMatrixRef<T>>& X, const NonDeduced<ConstMatrixRef<T>>& Z,
                                const ConvolutionalDictionary<T>& D, const Execution& execution = {});

}  // namespace riata
