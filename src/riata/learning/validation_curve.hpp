// What to choose the weight and the number of atoms by: how dictionaries fare on signals that they have not seen, and whether two runs
// find the same atoms.
#pragma once

#include <functional>
#include <vector>

#include "riata/learning/learn_dictionary.hpp"

namespace riata {

struct ValidationCurveOptions {
  double validation = 0.2;  ///< share of the signals held out, in (0, 1)
  int n_runs = 2;           ///< of each pair, from seeds that follow that of `learn`
  LearnOptions learn = {.method = LearningMethod::online};
  void validate() const;  ///< @throws std::invalid_argument naming the field, its value and the rule
};

/// Of one number of atoms and one weight; vectors have an entry for each run.
struct ValidationPoint {
  Index n_atoms = 0;
  std::vector<double> reg;        ///< the weight as a number; NaN of methods on n_nonzero atoms
  std::vector<double> objective;  ///< mean over the signals held out, at exact codes; without reg that of 1/2 ||x - D z||^2
  std::vector<double> explained;  ///< 1 - sum ||x - D z||^2 / sum ||x||^2 over them
  std::vector<double> n_nonzero;  ///< atoms that a code uses, in the mean
  double stability = 0;           ///< mean recovery score between the dictionaries of two runs; NaN of one run
};

/// All pairs, those of a number of atoms one after another; methods on n_nonzero atoms take no regs. X is n_features x n_signals.
/// Objectives of different weights are not to be compared: choose the number of atoms by them, and the weight by what it explains with
/// how many atoms, and by the stability. `observer` sees each point when it is there; Action::stop ends with those so far.
/// @throws as learn_dictionary
template <Scalar T>
std::vector<ValidationPoint> validation_curve(const NonDeduced<ConstMatrixRef<T>>& X, const std::vector<Index>& n_atoms,
                                              const std::vector<Reg>& regs, const ValidationCurveOptions& options = {},
                                              const std::function<Action(const ValidationPoint&)>& observer = {});

}  // namespace riata
