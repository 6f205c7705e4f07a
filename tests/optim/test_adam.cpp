#include <gtest/gtest.h>

#include <cmath>

#include "optim/quadratic.hpp"

namespace riata::testing {
namespace {

/// The first step is the rate, whatever the gradient's size.
template <Scalar T>
T first_step(int exponent) {
  Adam<T> adam;
  Parameters<T> p{{"p", Matrix<T>::Ones(1, 1)}};
  one_step(adam, p, {{"p", Matrix<T>::Constant(1, 1, std::ldexp(T(1), exponent))}}, {{"p", 0.125}});
  return 1 - p.at("p")(0);
}

TEST(Adam, MovesByItsRate_WhateverTheSizeOfTheFirstGradient) {
  for (const int exponent : {-149, -130, -127, -40, 0, 100, 127})
    EXPECT_NEAR(first_step<float>(exponent), 0.125, 1e-6) << exponent;
  for (const int exponent : {-1074, -1030, -1023, 0, 1023}) EXPECT_NEAR(first_step<double>(exponent), 0.125, 1e-8) << exponent;
}

}  // namespace
}  // namespace riata::testing
