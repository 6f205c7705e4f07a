// The weight of the penalty, as callers give it: a number, one per signal, or a fraction of reg_max.
#pragma once

#include <string_view>
#include <variant>
#include <vector>

#include "riata/core/types.hpp"

namespace riata {

/// A weight in T. @throws std::invalid_argument unless it is > 0 and finite there
template <Scalar T = double>
T require_weight(double reg);

class Reg {
 public:
  struct FractionOfMax {
    double value;
  };

  Reg(double value);  // NOLINT(google-explicit-constructor): encode(X, D, 0.1) reads well
  explicit Reg(std::vector<double> per_signal);
  static Reg fraction_of_max(double value);
  /// "0.1", "0.1max" or "0.1*max". @throws std::invalid_argument
  static Reg parse(std::string_view text);

  /// Every value is finite and > 0; entries of a vector may be 0 for signals whose reg_max is 0.
  const std::variant<double, std::vector<double>, FractionOfMax>& value() const { return value_; }
  bool is_per_signal() const { return std::holds_alternative<std::vector<double>>(value_); }

 private:
  explicit Reg(FractionOfMax fraction);
  std::variant<double, std::vector<double>, FractionOfMax> value_;
};

}  // namespace riata
