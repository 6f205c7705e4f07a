#include "riata/optim/adam.hpp"

#include <cmath>
#include <limits>

#include "riata/core/check.hpp"

namespace riata {
namespace {

constexpr double relative_eps = 1e-8;

template <Scalar T>
double root_mean_square(const Parameters<T>& gradient) {
  const auto [largest, sum] = scaled_squares(gradient, [](const std::string&) { return 1; });
  double count = 0;
  for (const auto& [name, g] : gradient) count += static_cast<double>(g.size());
  return largest == 0 ? 0 : largest * std::sqrt(sum / count);
}

}  // namespace

template <Scalar T>
void Adam<T>::step(Parameters<T>& parameters, const Parameters<T>& gradient, const std::map<std::string, double>& rates) {
  ++t_;
  if (size_ == 0) size_ = root_mean_square(gradient);
  if (size_ == 0) return;  // nothing has moved, and nothing moves
  // Not below what T holds the inverse of.
  const int exponent = std::max(std::ilogb(size_), std::numeric_limits<T>::min_exponent);
  const double eps_in_units = std::ldexp(options_.eps.value_or(relative_eps * size_), -exponent);
  const T unit = static_cast<T>(std::ldexp(1.0, -exponent));
  const double m_scale = 1 / (1 - std::pow(options_.b1, t_)), v_scale = 1 / (1 - std::pow(options_.b2, t_));
  const T b1 = static_cast<T>(options_.b1), b2 = static_cast<T>(options_.b2), eps = static_cast<T>(eps_in_units);
  for (const auto& [name, g] : gradient) {
    const auto rate = rates.find(name);
    if (rate == rates.end()) continue;
    Matrix<T>&m = m_[name], &v = v_[name];
    if (m.size() == 0) {
      m.setZero(g.rows(), g.cols());
      v.setZero(g.rows(), g.cols());
    }
    m = b1 * m + (1 - b1) * (unit * g);
    v = b2 * v + (1 - b2) * (unit * g).cwiseAbs2();
    parameters.at(name).array() -=
        static_cast<T>(rate->second * m_scale) * m.array() / ((static_cast<T>(v_scale) * v.array()).sqrt() + eps);
  }
}

template <Scalar T>
void Adam<T>::reset() {
  t_ = 0;
  size_ = 0;
  m_.clear();
  v_.clear();
}

template <Scalar T>
NamedTensors Adam<T>::state() const {
  NamedTensors tensors{{"adam.t", to_tensor(t_)}, {"adam.size", to_tensor(std::vector<double>{size_})}};
  for (const auto& [name, m] : m_) tensors["adam.m." + name] = to_tensor<T>(m);
  for (const auto& [name, v] : v_) tensors["adam.v." + name] = to_tensor<T>(v);
  return tensors;
}

template <Scalar T>
void Adam<T>::restore(const NamedTensors& state, const Parameters<T>& parameters) {
  reset();
  t_ = get_integer(state, "adam.t", "checkpoint");
  require(t_ >= 0, "checkpoint: tensor 'adam.t' is damaged");
  const auto size = get_vector<double>(state, "adam.size", "checkpoint");
  require(size.size() == 1 && std::isfinite(size[0]) && size[0] >= 0, "checkpoint: tensor 'adam.size' is damaged");
  size_ = size[0];
  for (const auto& [name, like] : parameters) {
    if (!state.contains("adam.m." + name) && !state.contains("adam.v." + name)) continue;  // it has not moved yet
    for (auto* moments : {&m_, &v_}) {
      const std::string tensor = (moments == &m_ ? "adam.m." : "adam.v.") + name;
      Matrix<T>& values = (*moments)[name] = get_matrix<T>(state, tensor, "checkpoint");
      const bool is_moment = values.rows() == like.rows() && values.cols() == like.cols() && values.allFinite() &&
                             (moments == &m_ || values.minCoeff() >= T(0));
      require(is_moment, "checkpoint: tensor '{}' is damaged", tensor);
    }
  }
}

template class Adam<float>;
template class Adam<double>;

}  // namespace riata
