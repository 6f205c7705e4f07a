// A named pack of arrays: the parameters of a dictionary or a network, or a gradient with the names that move.
#pragma once

#include <map>
#include <string>

#include "riata/core/types.hpp"

namespace riata {

template <Scalar T>
using Parameters = std::map<std::string, Matrix<T>>;

template <Scalar T>
Parameters<T> zeros_like(const Parameters<T>& parameters) {
  Parameters<T> zeros;
  for (const auto& [name, values] : parameters) zeros[name].setZero(values.rows(), values.cols());
  return zeros;
}

}  // namespace riata
