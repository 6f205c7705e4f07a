// Codes of the lasso by the alternating direction method of multipliers (Boyd et al., 2011), one step of it in each iteration of the
// dictionary; Wohlberg (2016). With the codes twice, Z and Y, and U the scaled multipliers of Z = Y:
//
//   Z <- (D^T D + rho I)^-1 (D^T X + rho (Y - U)),    Z_r = 1.8 Z - 0.8 Y,    Y <- prox_{reg g / rho}(Z_r + U),    U <- U + Z_r - Y
//
// rho begins at one (SPORCO's begins at 50 reg + 1, which has a unit). Every ten steps rho doubles where ||Z - Y|| / max(||Z||, ||Y||) is ten times ||change of Y|| / ||U||, and halves where it is a tenth.
#pragma once

#include "riata/learning/direction.hpp"

namespace riata {

/// Answers are at Y, which has the zeros. All signals in every batch: each has codes and multipliers of its own.
template <Scalar T>
class AdmmDirection final : public Direction<T> {
 public:
  /// @throws std::invalid_argument if D is no matrix, or the penalty not 'l1' or 'elastic_net'
  AdmmDirection(const Dictionary<T>& D, double reg, const PenaltyOptions& penalty, Reduction reduction = Reduction::mean);
  std::set<Piece> produces() const override { return {Piece::value, Piece::statistics, Piece::codes}; }
  /// Coding::opening takes a step.
  Sums<T> look(const Sample<T>& sample, const Question<T>& question, const Execution& execution) override;
  bool holds_codes() const override { return true; }
  void keep() override { kept_ = now_; }
  NamedTensors state() const override;
  void restore(const NamedTensors& state, const Sample<T>& sample, const Parameters<T>& parameters,
               const std::string& where) override;

  struct Iterate {
    Matrix<T> Y = {}, U = {};  // n_atoms x n_signals; 0 x 0 before the first step
    double rho = 1;
    Index n_steps = 0;
  };

 private:
  Iterate stepped(Iterate from, const ConstMatrixRef<T>& X, const MatrixView<T>& D, const Execution& execution) const;

  std::unique_ptr<const Dictionary<T>> D_;
  double reg_;
  PenaltyOptions penalty_;
  Reduction reduction_;
  Iterate kept_, now_;
};

}  // namespace riata
