// What happens to atoms that no signal uses, or that double another. Where batches change, a batch alone does not tell: then by
// running means of their codes' squares.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "riata/optim/question.hpp"
#include "riata/terms/batch.hpp"

namespace riata {

struct AtomPolicy {
  bool replace = true;        ///< try a random signal of the batch in their place; kept only if the value does not rise
  int check_every = 10;       ///< accepted iterations between checks
  double duplicate = 0.99;    ///< |cosine| above which the later of two atoms counts as a copy
  double rare = 0.05;         ///< share of the median usage below which an atom counts as unused, where batches change
  bool non_negative = false;  ///< no entry below zero in what is put in their place
  std::uint64_t seed = 0;
  void validate() const;  ///< @throws std::invalid_argument
};

/// How atoms are replaced, where they are not the columns of "dictionary".
template <Scalar T>
struct AtomReplacement {
  std::string parameter = "dictionary";  ///< which has a column for each atom
  /// Puts others in their place, of atoms that are unused or whatever else it finds; which. Absent: replace_atoms.
  std::function<std::vector<Index>(Parameters<T>&, const std::vector<bool>& unused, const Batch<T>&, Index iteration)> put = {};
};

/// Which columns of D no signal uses, exactly: their gradient is zero, or no code of theirs in the statistics. Empty if an answer
/// does not say, or if it is all of them.
template <Scalar T>
std::vector<bool> unused_atoms(const Sums<T>& answer);

/// Which are used so seldom. Empty if nothing is known.
std::vector<bool> rare_atoms(const Vector<double>& usage, const AtomPolicy& policy);

/// Puts random signals in the place of atoms that are unused or double an earlier one; of which. After that many iterations.
template <Scalar T>
std::vector<Index> replace_atoms(Matrix<T>& D, const std::vector<bool>& unused, const Batch<T>& batch, const AtomPolicy& policy,
                                 Index iteration);

}  // namespace riata
