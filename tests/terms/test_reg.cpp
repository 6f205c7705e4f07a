#include "riata/terms/reg.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>

#include "support/sentences.hpp"

namespace riata::testing {
namespace {

TEST(Reg, ParsesNumbersAndFractions) {
  const struct {
    const char* text;
    double value;
    bool fraction;
  } table[] = {
      {"0.1", 0.1, false},    {"1e-3", 1e-3, false},   {"25", 25, false}, {"0.1max", 0.1, true},
      {"0.1*max", 0.1, true}, {"1e-2max", 0.01, true}, {"max", 1, true},  {"2*max", 2, true},
  };
  for (const auto& row : table) {
    const Reg reg = Reg::parse(row.text);
    if (row.fraction) {
      ASSERT_TRUE(std::holds_alternative<Reg::FractionOfMax>(reg.value())) << row.text;
      EXPECT_EQ(std::get<Reg::FractionOfMax>(reg.value()).value, row.value) << row.text;
    } else {
      ASSERT_TRUE(std::holds_alternative<double>(reg.value())) << row.text;
      EXPECT_EQ(std::get<double>(reg.value()), row.value) << row.text;
    }
    EXPECT_FALSE(reg.is_per_signal());
  }
}

TEST(Reg, RefusesTextThatIsNoWeight) {
  for (const std::string text :
       {"", "abc", "0.1 max", " 0.1", "0.1 ", "0,1", "0.1maxi", "0.1**max", "*max", "*", "0.1*", "+0.1", "1e999"})
    EXPECT_EQ(refusal_of([&] { Reg::parse(text); }),
              "reg = '" + text + "' is neither a number nor a fraction of reg_max such as 0.1max");
  const BadInput table[] = {
      {"reg = 0, must be > 0 and finite", [] { Reg::parse("0"); }},
      {"reg = -0.1, must be > 0 and finite", [] { Reg::parse("-0.1max"); }},
      {"reg = nan, must be > 0 and finite", [] { Reg::parse("nan"); }},
      {"reg = inf, must be > 0 and finite", [] { Reg::parse("inf"); }},
  };
  for (const BadInput& row : table) EXPECT_EQ(refusal_of(row.call), row.sentence);
}

TEST(Reg, RefusesValuesThatAreNoWeight) {
  const BadInput table[] = {
      {"reg = 0, must be > 0 and finite", [] { Reg(0.0); }},
      {"reg = -2, must be > 0 and finite", [] { Reg(-2.0); }},
      {"reg = nan, must be > 0 and finite", [] { Reg(NAN); }},
      {"reg = inf, must be > 0 and finite", [] { Reg::fraction_of_max(INFINITY); }},
      {"reg = -1, must be > 0 and finite", [] { Reg::fraction_of_max(-1); }},
      {"reg: entry 1 is -1, must be >= 0 and finite",
       [] {
         Reg(std::vector<double>{1, -1});
       }},
      {"reg: entry 0 is nan, must be >= 0 and finite", [] { Reg(std::vector<double>{NAN}); }},
  };
  for (const BadInput& row : table) EXPECT_EQ(refusal_of(row.call), row.sentence);
  EXPECT_TRUE(Reg(std::vector<double>{0, 1}).is_per_signal());
}

}  // namespace
}  // namespace riata::testing
