#include "riata/optim/adam.hpp"

#include <cmath>
#include <limits>

#include "riata/core/check.hpp"
#include "riata/optim/parameters.hpp"

namespace riata {
namespace {

constexpr double relative_eps = 1e-8;
constexpr std::int64_t most_steps = std::int64_t{1} << 53;  // which a double still tells from the next

template <Scalar T>
double root_mean_square(const Parameters<T>& gradient) {
  const auto [largest, sum] = scaled_squares(gradient, [](const std::string&) { return 1; });
  double count = 0;
  for (const auto& [name, g] : gradient) count += static_cast<double>(g.size());
  return largest == 0 ? 0 : largest * std::sqrt(sum / count);
}

}  // namespace

void AdamOptions::validate() const {
  require(rate > 0 && std::isfinite(rate), "Adam: rate = {}, must be > 0 and finite", rate);
  require(b1 >= 0 && b1 < 1, "Adam: b1 = {}, must be >= 0 and < 1", b1);
  require(b2 >= 0 && b2 < 1, "Adam: b2 = {}, must be >= 0 and < 1", b2);
  require(!eps || (*eps > 0 && std::isfinite(*eps)), "Adam: eps = {}, must be > 0 and finite", eps.value_or(0));
}

template <Scalar T>
double Adam<T>::move(Parameters<T>& parameters, const Position<T>& from, const Parameters<T>& gradient, Moments& moments) const {
  auto& [t, size, m_all, v_all] = moments;
  double fastest = from.rates.empty() ? options_.rate : 0;
  for (const auto& [name, rate] : from.rates) fastest = std::max(fastest, rate);
  ++t;
  if (size == 0) size = root_mean_square(gradient);
  if (size == 0) return fastest;  // nothing has moved, and nothing moves
  // Not below what T holds the inverse of.
  const int exponent = std::max(std::ilogb(size), std::numeric_limits<T>::min_exponent);
  const double eps_in_units = std::ldexp(options_.eps.value_or(relative_eps * size), -exponent);
  const T unit = static_cast<T>(std::ldexp(1.0, -exponent));
  const double m_scale = 1 / (1 - std::pow(options_.b1, t)), v_scale = 1 / (1 - std::pow(options_.b2, t));
  const T b1 = static_cast<T>(options_.b1), b2 = static_cast<T>(options_.b2), eps = static_cast<T>(eps_in_units);
  for (const auto& [name, g] : gradient) {
    const auto own = from.rates.find(name);
    if (own == from.rates.end() && !from.rates.empty()) continue;
    const double rate = own == from.rates.end() ? options_.rate : own->second;
    Matrix<T>&m = m_all[name], &v = v_all[name];
    if (m.size() == 0) {
      m.setZero(g.rows(), g.cols());
      v.setZero(g.rows(), g.cols());
    }
    m = b1 * m + (1 - b1) * (unit * g);
    v = b2 * v + (1 - b2) * (unit * g).cwiseAbs2();
    parameters.at(name).array() -=
        static_cast<T>(rate * m_scale) * m.array() / ((static_cast<T>(v_scale) * v.array()).sqrt() + eps);
  }
  return fastest;
}

template <Scalar T>
Asking<T, Outcome<T>> Adam<T>::step(Position<T> from) {
  Question<T> slope{.at = from.parameters, .gradient = from.moves, .coding = Coding::opening};
  const Sums<T> down = co_await std::move(slope);
  Outcome<T> outcome{.parameters = from.parameters, .moved = true, .value = down.value};
  Moments moments = moments_;
  outcome.step = move(outcome.parameters, from, down.gradient, moments);
  from.project(outcome.parameters);
  for (const auto& [name, values] : outcome.parameters)
    require(std::isfinite(down.value) && values.allFinite(),
            "learning_rate = {}: the loss is not finite after {} {}; use a smaller one", options_.rate, from.n_steps, from.steps);
  outcome.keep = [this, moments = std::move(moments)]() mutable { moments_ = std::move(moments); };
  co_return outcome;
}

template <Scalar T>
void Adam<T>::forget_atoms(const std::vector<Index>& atoms) {
  for (Parameters<T>* moments : {&moments_.m, &moments_.v})
    if (const auto found = moments->find("dictionary"); found != moments->end())
      for (const Index j : atoms) found->second.col(j).setZero();
}

template <Scalar T>
NamedTensors Adam<T>::state() const {
  NamedTensors tensors{{"adam.t", to_tensor(moments_.t)}, {"adam.size", to_tensor(std::vector<double>{moments_.size})}};
  for (const auto& [name, m] : moments_.m) tensors["adam.m." + name] = to_tensor<T>(m);
  for (const auto& [name, v] : moments_.v) tensors["adam.v." + name] = to_tensor<T>(v);
  return tensors;
}

template <Scalar T>
void Adam<T>::restore(const NamedTensors& state, const Parameters<T>& parameters) {
  reset();
  auto& [t, last_size, m, v] = moments_;
  t = get_integer(state, "adam.t", "checkpoint");
  require(t >= 0 && t <= most_steps, "checkpoint: tensor 'adam.t' is damaged");
  const auto size = get_vector<double>(state, "adam.size", "checkpoint");
  require(size.size() == 1 && std::isfinite(size[0]) && size[0] >= 0, "checkpoint: tensor 'adam.size' is damaged");
  last_size = size[0];
  for (const auto& [name, like] : parameters) {
    if (!state.contains("adam.m." + name) && !state.contains("adam.v." + name)) continue;  // it has not moved yet
    for (auto* moments : {&m, &v}) {
      const std::string tensor = (moments == &m ? "adam.m." : "adam.v.") + name;
      Matrix<T>& values = (*moments)[name] = get_matrix<T>(state, tensor, "checkpoint");
      const bool is_moment = values.rows() == like.rows() && values.cols() == like.cols() && values.allFinite() &&
                             (moments == &m || values.minCoeff() >= T(0));
      require(is_moment, "checkpoint: tensor '{}' is damaged", tensor);
    }
  }
}

template class Adam<float>;
template class Adam<double>;

}  // namespace riata
