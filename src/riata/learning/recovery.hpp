// How well a dictionary recovers another.
#pragma once

#include <vector>

#include "riata/operators/dictionary.hpp"

namespace riata {

/// max over assignments of the mean over the reference's atoms of |cosine|: 1 for the same atoms in any order and sign.
/// Both are n_features x their own number of atoms; reference atoms left without a partner count 0.
/// @throws std::invalid_argument if features differ or an entry is not finite
template <Scalar T>
double recovery_score(const NonDeduced<ConstMatrixRef<T>>& dictionary, const NonDeduced<ConstMatrixRef<T>>& reference);
template <MatrixExpression A, MatrixOf<typename A::Scalar> B>
double recovery_score(const A& dictionary, const B& reference) {
  return recovery_score<typename A::Scalar>(dictionary, reference);
}

/// The same of the columns of any two dictionaries: every place of a convolution's kernels is one.
template <Scalar T>
double recovery_score(const Dictionary<T>& dictionary, const Dictionary<T>& reference);

/// The assignment that maximises the sum of `scores` (rows x columns): for each row its column, or -1. O(n^3), shortest
/// augmenting paths (Jonker and Volgenant, 1987). @throws std::invalid_argument if a score is not finite
std::vector<Index> best_assignment(const ConstMatrixRef<double>& scores);

}  // namespace riata
