// What one knot of the Lasso's homotopy takes (solvers/gram_homotopy.hpp), compiled for several instruction sets and chosen once
// per process, as in gram_kernels.hpp: the correlations with the scan for the next atom, and an inverse that grows and shrinks.
#pragma once

#include "riata/linalg/gram_kernels.hpp"

namespace riata {

/// Goes on to a knot:   c <- c - moved a,   a <- sum_k w_k G_{places_k},   and finds what enters next:
///
///   delta = min over j and both signs s of  max(reg b_j - s c_j, 0) / (b_j - s a_j)  where  b_j - s a_j > parallel b_j
template <class T>
struct PathStep {
  Index rows;  ///< of G, columns as far apart; a multiple of gram_block
  const T* G;
  Index count;
  const int* places;
  const T* w;
  T moved, reg;
  T farthest;  ///< a delta that is not less counts for nothing
  T parallel;
  bool positive;   ///< s = 1 alone
  const T* bound;  ///< b_j; far_bound of the atoms that are out of the question
  T *a, *c;
};

/// So large that |c_j| never meets it.
inline constexpr double far_bound = 1e30;

/// Of the atom; -1 where no delta is less than `farthest`.
template <class T>
struct PathEvent {
  Index atom;
  T delta, sign;
};

template <class T>
struct PathKernels {
  PathEvent<T> (*step)(const PathStep<T>&);
};

/// @pre the processor has that instruction set
template <class T>
const PathKernels<T>& path_kernels(InstructionSet set = instruction_set());

/// U U^T = (D_A^T D_A)^-1 of n atoms: U is upper triangular, its columns `stride` apart, a multiple of factor_block, and zero
/// below the diagonal down to a multiple of it.
struct InverseFactor {
  Index n, stride;
  double* U;
};
inline constexpr Index factor_block = 8;

constexpr Index round_up_to_factor_block(Index n) { return (n + factor_block - 1) / factor_block * factor_block; }

struct InverseFactorKernels {
  /// out = U U^T g; returns g^T U U^T g. g is zero, and out has room, up to a multiple of factor_block.
  double (*apply)(const InverseFactor&, const double* g, double* out);
  /// Of the atoms without the k-th: Givens rotations of the columns make row k zero, which then goes with the last column.
  /// `column` = column k of U U^T as it was; room as out.
  void (*remove)(const InverseFactor&, Index k, double* column);
};
const InverseFactorKernels& inverse_factor_kernels(InstructionSet set = instruction_set());

}  // namespace riata
