// Least squares on given supports: undoes the shrinkage of the l1 penalty once it has chosen the atoms.
#pragma once

#include "riata/core/threads.hpp"
#include "riata/operators/dense_dictionary.hpp"

namespace riata {

/// argmin_z 1/2 ||x_i - D z||^2 over the atoms where column i of Z is not zero; at most `max_support` of them, those of
/// the largest |z| (0: no limit). A ridge of 1e-4 times an atom's squared norm settles supports whose atoms are dependent.
/// X is n_features x n_signals, Z and the result are n_atoms x n_signals.
/// @throws std::invalid_argument if sizes disagree or an entry is not finite
template <Scalar T>
Matrix<T> debias(const NonDeduced<ConstMatrixRef<T>>& X, const DenseDictionary<T>& D, const NonDeduced<ConstMatrixRef<T>>& Z,
                 Index max_support = 0, const Execution& execution = {});

}  // namespace riata
