#include "riata/core/sentence.hpp"

#include <gtest/gtest.h>

#include "riata/core/check.hpp"
#include "riata/core/error.hpp"

namespace riata::testing {
namespace {

using namespace std::string_literals;

TEST(OneLine, LeavesPlainTextAlone) {
  for (const std::string text : {"", "signals.npy has 3 rows", "é, 漢字, 𝒛, \\n, \u00a0"}) EXPECT_EQ(one_line(text), text);
}

TEST(OneLine, EscapesWhatATerminalWouldObey) {
  EXPECT_EQ(one_line("a\033[2J\033]0;title\007b"), "a\\x1b[2J\\x1b]0;title\\x07b");
  EXPECT_EQ(one_line("two\nlines\r\tand\0a NUL\x7f"s), "two\\nlines\\r\\tand\\x00a NUL\\x7f");
  EXPECT_EQ(one_line("\u009b31m \u0085 \u2028 \u202e \u2066"), "\\u009b31m \\u0085 \\u2028 \\u202e \\u2066");
}

TEST(OneLine, EscapesBytesThatAreNoUtf8) {
  EXPECT_EQ(one_line("\xff\x80 a\xc3"), "\\xff\\x80 a\\xc3");
  EXPECT_EQ(one_line("\xc0\x80 \xed\xa0\x80 \xf4\x90\x80\x80"), "\\xc0\\x80 \\xed\\xa0\\x80 \\xf4\\x90\\x80\\x80");
}

TEST(OneLine, KeepsBothEndsOfALongText) {
  EXPECT_EQ(one_line("0123456789", 10), "0123456789");
  EXPECT_EQ(one_line("0123456789a", 10),
            "0123..."
            "89a");
  EXPECT_EQ(one_line("ééééééééééé", 10), "éééé...ééé");
  const std::string huge = one_line("begin " + std::string(50'000'000, '\n') + " end");
  EXPECT_EQ(huge.size(), 500u);
  EXPECT_TRUE(huge.starts_with("begin \\n\\n") && huge.ends_with("\\n\\n end")) << huge;
}

TEST(OneLine, IsAllThatIsThrown) {
  EXPECT_STREQ(Error("cannot read a\nb").what(), "cannot read a\\nb");
  try {
    require(false, "{} holds a {}", "a\nb", "\033[2J");
  } catch (const std::invalid_argument& refused) {
    EXPECT_STREQ(refused.what(), "a\\nb holds a \\x1b[2J");
  }
  EXPECT_THROW(refuse("no"), std::invalid_argument);
}

TEST(Shown, FitsIntoASentence) {
  EXPECT_EQ(shown(std::string(1000, 'x')).size(), 100u);
  EXPECT_EQ(shown("weights\0of.npy"s), "weights\\x00of.npy");
}

}  // namespace
}  // namespace riata::testing
