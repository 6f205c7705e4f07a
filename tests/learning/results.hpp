// Runs that must agree to the last bit.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "riata/learning/learn_dictionary.hpp"

namespace riata::testing {

void expect_same_course(const auto& a, const auto& b, const std::string& about) {
  EXPECT_EQ(a.history.value, b.history.value) << about;
  EXPECT_EQ(a.history.step, b.history.step) << about;
  EXPECT_EQ(a.history.phase, b.history.phase) << about;
  EXPECT_EQ(a.initial_value, b.initial_value) << about;
  EXPECT_EQ(a.n_replaced, b.n_replaced) << about;
  EXPECT_EQ(a.status, b.status) << about;
}

template <Scalar T>
void expect_same(const LearnResult<T>& a, const LearnResult<T>& b, const std::string& about) {
  EXPECT_TRUE(a.dictionary == b.dictionary) << about;
  EXPECT_EQ(a.steps, b.steps) << about;
  expect_same_course(a, b, about);
}

template <Scalar T>
void expect_same(const RunResult<T>& a, const RunResult<T>& b, const std::string& about) {
  EXPECT_TRUE(a.parameters == b.parameters) << about;
  expect_same_course(a, b, about);
}

}  // namespace riata::testing
