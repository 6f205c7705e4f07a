#include "riata/core/tensors.hpp"

#include "riata/core/check.hpp"

namespace riata {
namespace {

static_assert(Eigen::internal::packet_traits<float>::size * sizeof(float) <= 16,
              "Eigen's vectors are wider here than malloc() aligns to, and the order of its sums would depend on addresses: "
              "compile riata for its portable target, or with RIATA_NATIVE=ON");

template <class T>
constexpr const char* dtype_name = std::is_same_v<T, float>    ? "float32"
                                   : std::is_same_v<T, double> ? "float64"
                                                               : "int64";

template <class T>
const std::vector<T>& get(const NamedTensors& tensors, const std::string& name, std::size_t rank, const std::string& where) {
  const auto found = tensors.find(name);
  require(found != tensors.end(), "{}: tensor '{}' is missing", where, name);
  const Tensor& tensor = found->second;
  require(tensor.shape.size() == rank, "{}: tensor '{}' has {} dimensions, expected {}", where, name, tensor.shape.size(), rank);
  const auto* values = std::get_if<std::vector<T>>(&tensor.data);
  require(values != nullptr, "{}: tensor '{}' has the wrong type, expected {}", where, name, dtype_name<T>);
  return *values;
}

}  // namespace

template <Scalar T>
Tensor to_tensor(const NonDeduced<ConstMatrixRef<T>>& matrix) {
  std::vector<T> values(static_cast<std::size_t>(matrix.size()));
  Eigen::Map<Matrix<T>>(values.data(), matrix.rows(), matrix.cols()) = matrix;
  return {{matrix.cols(), matrix.rows()}, std::move(values)};
}

template <Scalar T>
Tensor to_tensor(const std::vector<T>& values) {
  return {{static_cast<Index>(values.size())}, values};
}

Tensor to_tensor(std::int64_t value) { return {{}, std::vector<std::int64_t>{value}}; }

template <Scalar T>
Matrix<T> get_matrix(const NamedTensors& tensors, const std::string& name, const std::string& where) {
  const auto& values = get<T>(tensors, name, 2, where);
  const auto& shape = tensors.at(name).shape;
  return Eigen::Map<const Matrix<T>>(values.data(), shape[1], shape[0]);
}

template <Scalar T>
std::vector<T> get_vector(const NamedTensors& tensors, const std::string& name, const std::string& where) {
  return get<T>(tensors, name, 1, where);
}

std::int64_t get_integer(const NamedTensors& tensors, const std::string& name, const std::string& where) {
  return get<std::int64_t>(tensors, name, 0, where).front();
}

template Tensor to_tensor<float>(const ConstMatrixRef<float>&);
template Tensor to_tensor<double>(const ConstMatrixRef<double>&);
template Tensor to_tensor<float>(const std::vector<float>&);
template Tensor to_tensor<double>(const std::vector<double>&);
template Matrix<float> get_matrix<float>(const NamedTensors&, const std::string&, const std::string&);
template Matrix<double> get_matrix<double>(const NamedTensors&, const std::string&, const std::string&);
template std::vector<float> get_vector<float>(const NamedTensors&, const std::string&, const std::string&);
template std::vector<double> get_vector<double>(const NamedTensors&, const std::string&, const std::string&);

}  // namespace riata
