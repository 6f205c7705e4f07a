#include "riata/learning/direction.hpp"

#include "riata/core/check.hpp"
#include "riata/linalg/blas.hpp"
#include "riata/linalg/norms.hpp"
#include "riata/optim/checkpoint.hpp"
#include "riata/solvers/certificate.hpp"

namespace riata {

template <Scalar T>
UnrolledOptions UnrolledDirection<T>::network_at(const Parameters<T>& parameters) const {
  UnrolledOptions network = options_.network;
  if (const auto steps = parameters.find("steps"); steps != parameters.end()) {
    const Vector<double> factors = steps->second.template cast<double>();
    network.steps.assign(factors.begin(), factors.end());
  }
  if (options_.frobenius_lipschitz) {
    const double bound = frobenius_norm_of_gram(parameters.at("dictionary"));
    if (bound > 0) network.lipschitz = bound;
  }
  return network;
}

template <Scalar T>
double UnrolledDirection<T>::value(const Batch<T>& batch, const Parameters<T>& parameters) {
  return unrolled_loss<T>(batch, DenseDictionary<T>(parameters.at("dictionary")), reg_, network_at(parameters),
                          {.loss = options_.loss, .reduction = options_.reduction});
}

template <Scalar T>
Parameters<T> UnrolledDirection<T>::gradient(const Batch<T>& batch, const Parameters<T>& parameters,
                                             const std::set<std::string>& names) {
  const bool steps = names.contains("steps");
  auto result = unrolled_gradient<T>(batch, DenseDictionary<T>(parameters.at("dictionary")), reg_, network_at(parameters),
                                     {.loss = options_.loss,
                                      .backprop = options_.backprop,
                                      .reduction = options_.reduction,
                                      .dictionary = true,
                                      .steps = steps,
                                      .reg = false,
                                      .signals = false,
                                      .codes = false,
                                      .usage = options_.scale_by_usage});
  Parameters<T> gradient = std::move(result.parameters);
  if (options_.scale_by_usage) {
    const double floor = 0.1 * result.usage.mean();
    for (Index j = 0; j < result.usage.size(); ++j)
      if (result.usage(j) + floor > 0) gradient["dictionary"].col(j) /= static_cast<T>(result.usage(j) + floor);
  }
  if (steps) gradient["steps"] = result.steps.template cast<T>();
  return gradient;
}

template <Scalar T>
double ExactDirection<T>::open(const Batch<T>& batch, const Parameters<T>& parameters, std::optional<double>) {
  const DenseDictionary<T> D(parameters.at("dictionary"));
  const bool warm = codes_.rows() == D.code_size() && codes_.cols() == batch.size();
  codes_ = encode<T>(batch, D, reg_, coder_, warm ? &codes_ : nullptr).codes;
  return value(batch, parameters);
}

template <Scalar T>
double ExactDirection<T>::value(const Batch<T>& batch, const Parameters<T>& parameters) {
  const double sum =
      lasso_objective<T>(batch, DenseDictionary<T>(parameters.at("dictionary")), codes_, reg_, coder_.penalty, coder_.execution)
          .sum();
  return reduction_ == Reduction::mean ? sum / static_cast<double>(batch.size()) : sum;
}

template <Scalar T>
Parameters<T> ExactDirection<T>::gradient(const Batch<T>& batch, const Parameters<T>& parameters, const std::set<std::string>&) {
  const Matrix<T>& D = parameters.at("dictionary");
  Matrix<T> gradient = Matrix<T>::Zero(D.rows(), D.cols());
  const SeenBatch<T> seen("learn_dictionary", batch);
  constexpr Index block = 1024;  // bounds the residual's memory
  for (Index first = 0; first < batch.size(); first += block) {
    const Index n = std::min(block, batch.size() - first);
    Matrix<T> residual(D.rows(), n);
    multiply<T>(D, codes_.middleCols(first, n), residual);
    residual -= seen.X().middleCols(first, n);
    if (seen.is_weighted()) residual.array() *= seen.weights(first, n).array();
    add_outer<T>(T(1), residual, codes_.middleCols(first, n), gradient);
  }
  if (reduction_ == Reduction::mean) gradient /= static_cast<T>(batch.size());
  return {{"dictionary", std::move(gradient)}};
}

template <Scalar T>
NamedTensors ExactDirection<T>::state() const {
  return {{"direction.codes", to_tensor<T>(codes_)}};
}

template <Scalar T>
void ExactDirection<T>::restore(const NamedTensors& state, const Batch<T>& batch, const Parameters<T>& parameters,
                                const std::string& where) {
  const std::string name = "direction.codes";
  const bool is_unopened = get_matrix<T>(state, name, where).size() == 0;
  codes_ = is_unopened ? Matrix<T>() : stored_matrix<T>(state, name, parameters.at("dictionary").cols(), batch.size(), where);
  require(!coder_.penalty.positive || is_unopened || codes_.minCoeff() >= T(0), "{}: tensor '{}' holds codes below zero", where,
          name);
}

template class UnrolledDirection<float>;
template class UnrolledDirection<double>;
template class ExactDirection<float>;
template class ExactDirection<double>;

}  // namespace riata
