// The direction of convolutional K-SVD: activations by matching pursuit.
#pragma once

#include <memory>

#include "riata/learning/direction.hpp"
#include "riata/solvers/conv_pursuit.hpp"

namespace riata {

/// Signals are trials or windows. The value is 1/2 ||x - sum_k d_k * z_k||^2.
template <Scalar T>
class PatternPursuitDirection final : public Direction<T> {
 public:
  PatternPursuitDirection(const ConvolutionalDictionary<T>& D, const ConvPursuitOptions& coder, Reduction reduction)
      : D_(std::make_shared<const ConvolutionalDictionary<T>>(D)), coder_(coder), reduction_(reduction) {
    coder_.validate();
  }
  std::set<Piece> produces() const override { return {Piece::value, Piece::codes, Piece::codes_by_atom}; }
  Sums<T> look(const Sample<T>& sample, const Question<T>& question, const Execution& execution) override;

 private:
  std::shared_ptr<const ConvolutionalDictionary<T>> D_;
  ConvPursuitOptions coder_;
  Reduction reduction_;
};

}  // namespace riata
