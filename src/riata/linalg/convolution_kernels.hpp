// Correlations of a row with a short kernel, and the two steps of coordinate descent on activations (solvers/conv_encode.hpp),
// compiled for several instruction sets and chosen once per process, as in gram_kernels.hpp. The order of every sum depends on the
// lengths alone.
#pragma once

#include "riata/linalg/gram_kernels.hpp"

namespace riata {

/// out_t += sum_l x_{t + l} d_l   for t < count; x has count + length - 1 entries.
template <class T>
struct Correlation {
  Index count, length;
  const T *x, *d;
  T* out;
};

/// Row k of `rows`, `stride` apart:   c_kt -= step G_kt   for t < count; G's rows are `stride_G` apart.
template <class T>
struct LaggedStep {
  Index rows, count;
  T step;
  Index stride_G;
  const T* G;
  Index stride;
  T* c;
};

/// The largest of |m_kt|,   m_kt = ST(c_kt, threshold_k) - z_kt,   and the first place of it. c and z are `stride` apart.
template <class T>
struct LargestMove {
  Index rows, count, stride;
  const T *c, *z, *threshold;
  bool positive;  ///< ST leaves no negative number
  T* of_row;      ///< room for rows
};
template <class T>
struct Move {
  Index row, at;
  T size;  ///< |m|; 0 where nothing moves
};

template <class T>
struct ConvolutionKernels {
  void (*correlate)(const Correlation<T>&);
  void (*step)(const LaggedStep<T>&);
  Move<T> (*largest_move)(const LargestMove<T>&);
};

/// @pre the processor has that instruction set
template <class T>
const ConvolutionKernels<T>& convolution_kernels(InstructionSet set = instruction_set());

}  // namespace riata
