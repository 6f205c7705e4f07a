// A named pack of arrays: the parameters of a dictionary or a network, or a gradient with the names that move.
#pragma once

#include <map>
#include <string>

#include "riata/core/types.hpp"

namespace riata {

template <Scalar T>
using Parameters = std::map<std::string, Matrix<T>>;

}  // namespace riata
