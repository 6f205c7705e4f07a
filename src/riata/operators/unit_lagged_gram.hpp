// The lagged Gram matrix of patterns brought to norm one, for those who compare patterns or choose among them.
#pragma once

#include "riata/operators/convolutional_dictionary.hpp"

namespace riata {

struct UnitLaggedGram {
  Vector<double> norms;  ///< ||d_k||, as the patterns are applied
  Matrix<double> G;      ///< as lagged_gram(), of d_k / ||d_k||; zero where one is

  template <Scalar T>
  explicit UnitLaggedGram(const ConvolutionalDictionary<T>& D);
};

}  // namespace riata
