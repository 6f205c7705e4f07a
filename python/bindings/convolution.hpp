// Convolutional dictionaries as Python passes them.
#pragma once

#include <optional>
#include <string>

#include "arrays.hpp"
#include "riata/operators/convolutional_dictionary.hpp"

namespace riata::python {

/// Kernels (n_atoms, n_channels * n_times_atom), or v and u of atoms of rank one.
template <Scalar T>
ConvolutionalDictionary<T> make_convolution(const Array2<T>& kernels_or_v, const std::optional<Array2<T>>& u, Index n_channels,
                                            Index n_times, const std::string& boundary) {
  const RecordingShape shape{n_channels, n_times, parse<Boundary>(boundary, "boundary")};
  Matrix<T> time = view<T>(kernels_or_v);
  if (!u) return {std::move(time), shape};
  return ConvolutionalDictionary<T>::rank_one(Matrix<T>(view<T>(*u)), std::move(time), shape);
}

}  // namespace riata::python
