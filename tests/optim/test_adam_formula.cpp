// Adam against its formula, entry by entry in 80 bits, and restored in the middle of a run.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "optim/quadratic.hpp"
#include "support/precision.hpp"
#include "support/random_arrays.hpp"
#include "support/sentences.hpp"

namespace riata::testing {
namespace {

using Rates = std::map<std::string, double>;

template <class T>
class AdamFormula : public ::testing::Test {};
TYPED_TEST_SUITE(AdamFormula, BothPrecisions, PrecisionName);

/// Kingma and Ba (2015), Algorithm 1, of one number.
struct ScalarAdam {
  long double b1, b2, eps, m = 0, v = 0;
  int t = 0;

  long double step_along(long double g, long double rate) {
    ++t;
    m = b1 * m + (1 - b1) * g;
    v = b2 * v + (1 - b2) * g * g;
    return rate * (m / (1 - std::pow(b1, t))) / (std::sqrt(v / (1 - std::pow(b2, t))) + eps);
  }
};

/// Entries between 1e-10 and 1, so that eps is of their size here and there; none in the first gradient.
template <class T>
std::vector<Parameters<T>> draw_gradients(int n, std::uint64_t seed) {
  Draw draw(seed);
  std::vector<Parameters<T>> gradients;
  for (int k = 0; k < n; ++k) {
    Parameters<T> g{{"x", Matrix<T>::Zero(3, 2)}, {"y", Matrix<T>::Zero(2, 2)}};
    for (auto& [name, values] : g)
      for (T& value : values.reshaped())
        if (k > 0) value = static_cast<T>((draw.coin() ? 1 : -1) * draw.log_uniform(1e-10, 1));
    if (k > 0) g.at("x").col(0) *= T(1e-9);
    gradients.push_back(std::move(g));
  }
  return gradients;
}

template <class T>
Parameters<T> draw_start() {
  Draw draw(7);
  return {{"x", draw.normal_matrix(3, 2).cast<T>()}, {"y", draw.normal_matrix(2, 2).cast<T>()}};
}

TYPED_TEST(AdamFormula, IsThatOfThePaper_WithEpsInTheUnitOfTheFirstGradientThatIsNotZero) {
  using T = TypeParam;
  const auto gradients = draw_gradients<T>(30, 5);
  long double squares = 0;
  for (const auto& [name, g] : gradients[1]) squares += g.template cast<long double>().squaredNorm();
  const double unit = static_cast<double>(std::sqrt(squares / 10));
  for (const std::optional<double> eps : {std::optional<double>(), std::optional<double>(1e-3)}) {
    const AdamOptions options{.b1 = 0.8, .b2 = 0.95, .eps = eps};
    Adam<T> adam(options);
    Parameters<T> p = draw_start<T>();
    std::map<std::string, std::vector<ScalarAdam>> oracle;
    std::map<std::string, Eigen::Matrix<long double, -1, -1>> expected;
    for (const auto& [name, values] : p) {
      expected[name] = values.template cast<long double>();
      oracle[name].assign(static_cast<std::size_t>(values.size()),
                          {.b1 = T(options.b1), .b2 = T(options.b2), .eps = eps.value_or(1e-8 * unit)});
    }
    const Rates rates{{"x", 0.1}, {"y", 0.003}};
    for (const auto& g : gradients) {
      one_step(adam, p, g, rates);
      for (auto& [name, values] : expected)
        for (Index i = 0; i < values.size(); ++i)
          values(i) -= oracle[name][static_cast<std::size_t>(i)].step_along(g.at(name)(i), rates.at(name));
      for (const auto& [name, values] : expected)
        EXPECT_LE((p.at(name).template cast<long double>() - values).cwiseAbs().maxCoeff(), 300 * epsilon<T>) << name;
    }
  }
}

TYPED_TEST(AdamFormula, MovesWhatHasAGradientAndARate) {
  using T = TypeParam;
  Adam<T> adam;
  Parameters<T> p = draw_start<T>();
  const Parameters<T> before = p, g = draw_gradients<T>(2, 6)[1];
  one_step(adam, p, {{"x", g.at("x")}}, {{"x", 0.1}, {"y", 0.1}});
  EXPECT_TRUE(p.at("y") == before.at("y") && p.at("x") != before.at("x"));
  const Parameters<T> after = p;
  one_step(adam, p, g, {{"y", 0.1}});
  EXPECT_TRUE(p.at("x") == after.at("x") && p.at("y") != after.at("y"));
}

TYPED_TEST(AdamFormula, InAnotherUnitOfTheLoss_HasTheSameBits) {
  using T = TypeParam;
  const int far = sizeof(T) == 4 ? 70 : 700;  // squares leave the range
  std::vector<Parameters<T>> ends;
  for (const int exponent : {0, far, -far}) {
    Adam<T> adam;
    Parameters<T> p = draw_start<T>();
    Draw draw(8);
    for (int k = 0; k < 5; ++k)
      one_step(adam, p, {{"x", std::ldexp(T(1), exponent) * draw.normal_matrix(3, 2).cast<T>()}}, {{"x", 0.1}});
    ends.push_back(p);
  }
  EXPECT_TRUE(ends[1] == ends[0] && ends[2] == ends[0]);
}

TYPED_TEST(AdamFormula, Restored_GoesOnBitForBit) {
  using T = TypeParam;
  const auto gradients = draw_gradients<T>(12, 9);
  const auto rates_of = [](std::size_t k) { return k < 5 ? Rates{{"x", 0.1}} : Rates{{"x", 0.1}, {"y", 0.02}}; };  // y later
  std::vector<Parameters<T>> at{draw_start<T>()};
  std::vector<NamedTensors> states;
  Adam<T> whole;
  for (std::size_t k = 0; k < gradients.size(); ++k) {
    states.push_back(whole.state());
    at.push_back(at.back());
    one_step(whole, at.back(), gradients[k], rates_of(k));
  }
  for (std::size_t from = 0; from < gradients.size(); ++from) {
    Adam<T> restored;
    Parameters<T> p = draw_start<T>();
    one_step(restored, p, gradients[3], rates_of(9));  // forgotten
    restored.restore(states[from], at[from]);
    EXPECT_TRUE(restored.state() == states[from]);
    p = at[from];
    for (std::size_t k = from; k < gradients.size(); ++k) one_step(restored, p, gradients[k], rates_of(k));
    EXPECT_TRUE(p == at.back()) << "from step " << from;
  }
  whole.reset();
  EXPECT_TRUE(whole.state() == Adam<T>().state());
}

TEST(AdamState, ThatIsDamaged_IsRefused) {
  Adam<double> adam;
  Parameters<double> p{{"x", Matrix<double>::Ones(2, 3)}};
  one_step(adam, p, p, {{"x", 0.1}});
  const NamedTensors good = adam.state();
  const auto refusal = [&](const std::string& name, const Tensor& tensor) {
    NamedTensors state = good;
    state[name] = tensor;
    return refusal_of([&] { adam.restore(state, p); });
  };
  const Matrix<double> ones = Matrix<double>::Ones(2, 3), turned = ones.transpose();
  const std::vector<std::pair<std::string, Tensor>> damaged{{"adam.t", to_tensor(std::int64_t{-1})},
                                                            {"adam.t", to_tensor(std::numeric_limits<std::int64_t>::max())},
                                                            {"adam.size", to_tensor(std::vector<double>{-1})},
                                                            {"adam.size", to_tensor(std::vector<double>{1, 1})},
                                                            {"adam.m.x", to_tensor<double>(turned)},
                                                            {"adam.m.x", to_tensor<double>(NAN * ones)},
                                                            {"adam.v.x", to_tensor<double>(-ones)}};
  for (const auto& [name, tensor] : damaged) EXPECT_EQ(refusal(name, tensor), "checkpoint: tensor '" + name + "' is damaged");
  NamedTensors half = good;
  half.erase("adam.v.x");
  EXPECT_EQ(refusal_of([&] { adam.restore(half, p); }), "checkpoint: tensor 'adam.v.x' is missing");
}

}  // namespace
}  // namespace riata::testing
