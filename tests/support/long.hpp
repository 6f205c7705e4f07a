// Sizes of tests that look at more in `make test-long`, which sets RIATA_LONG_TESTS.
#pragma once

#include <cstdlib>

namespace riata::testing {

inline bool is_long() {
  const char* text = std::getenv("RIATA_LONG_TESTS");
  return text != nullptr && *text != '\0';
}

}  // namespace riata::testing
