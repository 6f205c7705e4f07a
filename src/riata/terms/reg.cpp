#include "riata/terms/reg.hpp"

#include <charconv>
#include <cmath>

#include "riata/core/check.hpp"

namespace riata {

template <Scalar T>
T require_weight(double reg) {
  const T weight = static_cast<T>(reg);
  require(std::isfinite(weight) && weight > T(0), "reg = {}, must be > 0 and finite", reg);
  return weight;
}

template float require_weight<float>(double);
template double require_weight<double>(double);

Reg::Reg(double value) : value_(require_weight(value)) {}

Reg::Reg(std::vector<double> per_signal) : value_(std::move(per_signal)) {
  const auto& values = std::get<std::vector<double>>(value_);
  for (std::size_t i = 0; i < values.size(); ++i)
    // 0 is what reg_max gives for a zero signal, whose code is zero at any weight.
    require(std::isfinite(values[i]) && values[i] >= 0, "reg: entry {} is {}, must be >= 0 and finite", i, values[i]);
}

Reg::Reg(FractionOfMax fraction) : value_(FractionOfMax{require_weight(fraction.value)}) {}

Reg Reg::fraction_of_max(double value) { return Reg(FractionOfMax{value}); }

Reg Reg::parse(std::string_view text) {
  std::string_view digits = text;
  const bool fraction = digits.ends_with("max");
  if (fraction) digits.remove_suffix(3);
  if (fraction && digits.size() > 1 && digits.ends_with("*")) digits.remove_suffix(1);
  double value = fraction && digits.empty() ? 1.0 : 0.0;
  if (!digits.empty() || !fraction) {
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    require(error == std::errc() && end == digits.data() + digits.size(),
            "reg = '{}' is neither a number nor a fraction of reg_max such as 0.1max", text);
  }
  return fraction ? fraction_of_max(value) : Reg(value);
}

}  // namespace riata
