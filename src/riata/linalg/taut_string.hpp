// The taut string: the exact minimiser of 1/2 ||u - y||^2 + sum_t w_t |u_{t+1} - u_t|, w >= 0, in time linear in the length.
//
// The running sum of u is the shortest path from (0, 0) to (n, y_1 + ... + y_n) within w_t of the running sum of y (Davies and
// Kovac, Ann. Stat. 29(1), 2001): a funnel of the lower bound's concave and the upper bound's convex hull, whose pieces are
// joined at the far end, and given out at the near one where the hulls would cross. Pieces hold sums of their own y, not running
// sums, and heights are compared by products. Of the string only the places of jumps and their signs are taken, the values from
//
//   u_B = mean(y_B) + (w_r s_r - w_l s_l) / |B|,      s_l and s_r the signs of the jumps before and after the block B.
//
// Neighbouring blocks whose values contradict the sign between them, by rounding, are one.
//
// Where the processor has the vectors, signals of one weight, but for long ones, take the blocks from the direct algorithm of eight
// signals at a time (taut_string_kernels.hpp). That has signals which it goes over again and again; those go to the hulls.
#pragma once

#include <cstdint>
#include <memory>

#include "riata/core/types.hpp"
#include "riata/linalg/taut_string_kernels.hpp"

namespace riata {

/// The workspace of one thread. In double whatever T is.
class TautString {
 public:
  TautString();
  TautString(TautString&&) noexcept;
  TautString& operator=(TautString&&) noexcept;
  ~TautString();

  /// Columns of U, which may be Y, of n entries each. w_t = weights[i] for signal i, times per_jump[t]
  /// of n - 1 entries where they are given; all >= 0 and finite. No bit depends on the other signals.
  template <Scalar T>
  void solve(Index n, Index n_signals, const T* Y, Index stride_Y, const double* weights, const T* per_jump, T* U,
             Index stride_U);

 private:
  struct Piece;
  struct Block;
  struct Signal;
  static Index lane_stride(Index n);
  void reserve(Index n, Index n_lanes);
  template <Scalar T>
  bool centre(Index n, const T* y, double weight, T* u, Signal& signal, double* centred);
  template <Scalar T>
  void solve_by_hulls(Index n, const Signal& signal, const double* centred, const T* per_jump, T* u);
  template <Scalar T>
  void solve_in_lanes(AdvanceTautLanes advance, Index n, Index n_signals, const T* Y, Index stride_Y, const double* weights, T* U,
                      Index stride_U);
  template <Scalar T>
  void write(Index n_blocks, const Signal& signal, const double* centred, T* u);
  template <class WeightAt>
  Index find_blocks(Index n, const double* y, const WeightAt& weight_at);
  Index merge(Index n_blocks, const double* y);

  Index room_ = 0, lane_room_ = 0;
  std::unique_ptr<double[]> y_, weights_;   // in the unit and without the mean; y_ of all lanes
  std::unique_ptr<std::int64_t[]> ends_;    // of blocks, of all lanes
  std::unique_ptr<Piece[]> lower_, upper_;  // hulls
  std::unique_ptr<Block[]> blocks_;
};

/// sum_i v_i in double, in an order that depends on n alone, of partial sums: their rounding grows slowly with n.
template <Scalar T>
double even_sum(Index n, const T* v);

}  // namespace riata
