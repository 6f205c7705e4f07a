#include "riata/core/memory.hpp"

#include <gtest/gtest.h>

#include <string>

namespace riata::testing {
namespace {

TEST(Memory, ThatIsNotThere_IsSaidWithTheShape_AndLeavesAMatrixThatCanBeUsed) {
#if defined(__SANITIZE_ADDRESS__)
  GTEST_SKIP() << "AddressSanitizer ends the program instead";
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
  GTEST_SKIP() << "AddressSanitizer ends the program instead";
#endif
#endif
  Matrix<double> A = Matrix<double>::Ones(3, 2);
  std::string sentence;
  try {
    make_room("f", "codes", Index{1} << 30, Index{1} << 28, "pass fewer signals", A);
  } catch (const std::bad_alloc& failure) {
    sentence = failure.what();
  }
  EXPECT_EQ(sentence, "f: no memory for codes of shape (268435456, 1073741824), 2.15e+09 GiB; pass fewer signals");
  EXPECT_EQ(A.size(), 0);
  make_room("f", "codes", 2, 5, "", A);
  A.setOnes();
  EXPECT_EQ(A.sum(), 10);
}

}  // namespace
}  // namespace riata::testing
