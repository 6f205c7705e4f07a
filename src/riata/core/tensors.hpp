// Named tensors: the state of every exchangeable part, the contents of every model file.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "riata/core/types.hpp"

namespace riata {

/// A dense array of any rank in C order (last index fastest): NumPy's view of it, not Eigen's.
/// A matrix (rows x cols, column-major) is the tensor of shape {cols, rows}.
struct Tensor {
  std::vector<Index> shape;
  std::variant<std::vector<float>, std::vector<double>, std::vector<std::int64_t>> data;
  bool operator==(const Tensor&) const = default;
};

using NamedTensors = std::map<std::string, Tensor>;

/// shape {cols, rows}: rows of the tensor are columns of the matrix.
template <Scalar T>
Tensor to_tensor(const NonDeduced<ConstMatrixRef<T>>& matrix);
template <MatrixExpression M>
Tensor to_tensor(const M& matrix) {
  return to_tensor<typename M::Scalar>(matrix);
}
template <Scalar T>
Tensor to_tensor(const std::vector<T>& values);
Tensor to_tensor(std::int64_t value);  ///< shape {}

/// The reverse. `where` names file or part in the message.
/// @throws std::invalid_argument if the name is missing, or rank or dtype differ
template <Scalar T>
Matrix<T> get_matrix(const NamedTensors& tensors, const std::string& name, const std::string& where);
template <Scalar T>
std::vector<T> get_vector(const NamedTensors& tensors, const std::string& name, const std::string& where);
std::int64_t get_integer(const NamedTensors& tensors, const std::string& name, const std::string& where);

}  // namespace riata
