// Products of a matrix with sparse vectors, and the layer of ISTA or FISTA around one with the Gram matrix, compiled for several
// instruction sets and chosen once per process. Every row is summed in the order of the columns: results do not depend on the
// vectors' width, but AVX2 and AVX-512 fuse multiplications with additions and round once where the baseline rounds twice.
// Dot products are summed in an order of the width, which is the processor's.
#pragma once

#include <cstddef>

#include "riata/core/instruction_set.hpp"

namespace riata {

using Index = std::ptrdiff_t;  // that of core/types.hpp, whose Eigen must not be compiled for several instruction sets

/// Arrays of these kernels have a multiple of this many entries.
template <class T>
inline constexpr Index gram_block = 256 / sizeof(T);

template <class T>
constexpr Index round_up_to_block(Index n) {
  return (n + gram_block<T> - 1) / gram_block<T> * gram_block<T>;
}

/// The entries of the widest vector.
template <class T>
inline constexpr Index gram_line = 64 / sizeof(T);

template <class T>
constexpr Index round_up_to_line(Index n) {
  return (n + gram_line<T> - 1) / gram_line<T> * gram_line<T>;
}

/// The state of a network between two layers, at the atoms with z_j != 0 in it or in the state before: y = its input to the next
/// layer, z = the code.
template <class T>
struct ActiveList {
  Index count;
  int* places;  ///< increasing
  T *y, *z;
};

/// One layer for one signal:   z_j <- shrink( y_j - step (G y - c)_j, threshold w_j ),   y_j <- z_j + momentum (z_j - z_j before)
/// `in` is the state before, which no y outside of it may add to; `out`, with room for all rows, receives the state after.
template <class T>
struct GramLayer {
  Index rows;  ///< of G, columns as far apart; a multiple of gram_block
  const T *G, *c, *w;
  T step, threshold, momentum;  ///< threshold >= 0
  bool positive;                ///< shrink negative numbers to zero
  T *y, *z;                     ///< all rows
  ActiveList<T> in, out;
};

/// sum_k a_k A_{places_k} over `count` columns of `rows` entries; columns are `stride` apart.
template <class T>
struct ColumnSum {
  Index rows, stride;
  const T* A;
  Index count;
  const int* places;
  const T* a;
  T* out;
};

/// out_k = <A_{places_k}, r> for `count` columns of `rows` entries; columns are `stride` apart.
template <class T>
struct ColumnDots {
  Index rows, stride;
  const T* A;
  Index count;
  const int* places;
  const T* r;
  T* out;
};

/// The z_j != 0 of `rows` entries: where they are, increasing, and what; both lists have room for all.
template <class T>
struct NonzeroList {
  Index rows;
  const T* z;
  int* places;
  T* values;
};

/// Which atom pulls hardest: argmax_j |alpha_j| b_j or, where there is an energy, alpha_j^2 b_j / max(energy_j, least_energy).
/// `rows` is a multiple of gram_block.
template <class T>
struct HardestPull {
  Index rows;
  const T *alpha, *b, *energy;
  T least_energy;
  T least;  ///< a pull counts if it is larger
};

/// What a direction that has been fitted leaves behind:   p = scale (g - sum_k w_k P_k),   alpha -= y p,   energy -= p^2
/// P has `count` columns, `stride` apart; `rows` is a multiple of gram_block. p and alpha may be null, and are then
/// left out, and energy with alpha.
template <class T>
struct Deflation {
  Index rows, stride;
  const T* g;
  Index count;
  const T *P, *w;
  T scale, y;
  T *p, *alpha, *energy;
};

/// The atoms that pull hardest on what a fit leaves, all that are within `doubt` of the largest:
///   |alpha_j - sum_k z_k G_{places_k, j}|,   columns `stride` apart
template <class T>
struct PullOnRest {
  Index rows;  ///< a multiple of gram_line
  const T* alpha;
  Index stride;
  const T* G;
  Index count;
  const int* places;
  const T* z;
  T least;  ///< none, unless the largest is larger
  T doubt;
  T* pulls;      ///< room for rows
  int* hardest;  ///< room for one more than rows; increasing
};

/// The least-squares fit d_I z of x on unit atoms takes one more of them, d_k:   w = V^T g,   rho^2 = 1 - ||w||^2,
///   V <- ( V, -V w / rho; 0, 1 / rho ),   y = (d_k^T x - g^T z) / rho,   z <- z + y V_k,   where  V V^T = (d_I^T d_I)^-1
/// Arrays begin with what there is of `count` atoms, then zeros, up to `stride`, a multiple of gram_block, which is more.
template <class T>
struct FitGrowth {
  Index count, stride;
  const T* g;  ///< d_I^T d_k
  T product;   ///< d_k^T x
  T *V, *V_transposed, *w, *z;
};
template <class T>
struct FitGrown {
  T rho_sq, y;
  T column_sq, z_sq;  ///< ||V_k||^2, ||z||^2
};

/// Orthogonal matching pursuit of one signal on unit atoms with the Gram matrix G, until `until` atoms are taken or
/// ||r||^2 <= target:
///   k = argmax_j |alpha_j|,   w_i = P_i(k) / rho_i^2,   rho^2 = 1 - sum_i w_i P_i(k),   ||r||^2 -= alpha_k^2 / rho^2,
///   P_k = G_k - sum_i w_i P_i,   alpha -= alpha_k / rho^2 P_k
/// The first P is a column of G and not stored. A pursuit of `count` atoms goes on where it stopped.
template <class T>
struct MatchingPursuit {
  Index rows, stride;  ///< a multiple of gram_line; of G
  const T *G, *alpha0;
  T* alpha;  ///< what all but the last of `count` > 1 atoms leave of alpha0
  Index stride_P;
  T *P, *w;
  Index stride_R;
  double *R, *y;  ///< R_ik = P_i(k), R_kk = 1 / rho_k^2, y_k = alpha_k
  int* places;
  Index count, until;
  double* error;  ///< ||r||^2
  double target;
  T least;                                           ///< an atom is taken if it pulls by more
  double least_rho_sq, least_error, nearest_target;  ///< below these T is too coarse to go on
};

/// The least-squares fit on the `count` atoms that a MatchingPursuit took:   V V^T = (d_I^T d_I)^-1,   z = V V^T d_I^T x
template <class T>
struct FactorFit {
  Index count, stride;  ///< as FitGrowth's
  Index stride_R;
  const T *R, *y;
  T *V, *V_transposed, *w, *z;
};

template <class T>
struct GramKernels {
  Index (*layer)(const GramLayer<T>&);  ///< returns out.count
  void (*sum_columns)(const ColumnSum<T>&);
  void (*dot_columns)(const ColumnDots<T>&);
  Index (*list_nonzeros)(const NonzeroList<T>&);  ///< returns how many
  void (*deflate)(const Deflation<T>&);
  Index (*hardest_pull)(const HardestPull<T>&);                           ///< returns where, the first of equals; -1: nowhere
  Index (*deflate_and_pull)(const Deflation<T>&, const HardestPull<T>&);  ///< both, of the same alpha and energy, in one pass
  Index (*pull_on_rest)(const PullOnRest<T>&);                            ///< returns how many
  FitGrown<T> (*grow_fit)(const FitGrowth<T>&);                           ///< y and z only where rho^2 > 0
  Index (*match)(const MatchingPursuit<T>&);  ///< returns how many atoms there are, -1 where T is too coarse to go on
  void (*fit_factor)(const FactorFit<T>&);
};

/// @pre the processor has that instruction set
template <class T>
const GramKernels<T>& gram_kernels(InstructionSet set = instruction_set());

}  // namespace riata
