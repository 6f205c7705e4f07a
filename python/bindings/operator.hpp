// Known operators as Python passes them.
#pragma once

#include <memory>

#include "arrays.hpp"
#include "riata/operators/causal_convolution.hpp"
#include "riata/operators/dense_dictionary.hpp"

namespace riata::python {

/// A kernel, or a matrix (n_observed, n_times).
template <Scalar T>
using PythonOperator = std::variant<Array1<T>, Array2<T>>;

/// A kernel filters signals of n_times samples; a matrix, whose copy is turned, has its own number.
template <Scalar T>
std::unique_ptr<Dictionary<T>> to_operator(const PythonOperator<T>& given, Index n_times) {
  if (const auto* kernel = std::get_if<Array1<T>>(&given))
    return std::make_unique<CausalConvolution<T>>(Eigen::Map<const Vector<T>>(kernel->data(), static_cast<Index>(kernel->size())),
                                                  n_times);
  return std::make_unique<DenseDictionary<T>>(Matrix<T>(view<T>(std::get<Array2<T>>(given)).transpose()));
}

}  // namespace riata::python
