// Bad input: the sentence that an exception says.
#pragma once

#include <gtest/gtest.h>

#include <exception>
#include <functional>
#include <stdexcept>
#include <string>

namespace riata::testing {

/// What std::invalid_argument says; anything else fails the test.
inline std::string refusal_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const std::invalid_argument& refused) {
    return refused.what();
  } catch (const std::exception& other) {
    ADD_FAILURE() << "another exception: " << other.what();
    return "";
  }
  ADD_FAILURE() << "nothing was refused";
  return "";
}

/// One row of a table of bad inputs.
struct BadInput {
  std::string sentence;
  std::function<void()> call;
};

}  // namespace riata::testing
