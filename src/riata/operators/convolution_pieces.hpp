// Long recordings a piece of time after another, so that what is there in double does not grow with channels times samples.
#pragma once

#include "riata/operators/convolutional_dictionary.hpp"

namespace riata {

/// Positions first, ..., end - 1 of activations, and samples as many and L - 1 more.
struct PieceOfTime {
  Index first, end;
  Index n_positions() const { return end - first; }
};

/// Of so many positions the i-th piece of piece_of_positions() entries; the last may be shorter.
Index n_pieces(Index n_positions, Index length);
PieceOfTime piece_of_time(Index i, Index n_positions, Index length);

/// What patterns leave of a signal and how that correlates with them, over a piece; boundary valid. x: the signal, Z: its
/// activations, n_positions x K, or 0 x 0.
template <Scalar T, Scalar Code>
struct PieceOfResidual {
  Matrix<double> r;  ///< samples of the piece x n_channels
  Matrix<double> c;  ///< positions of the piece x K: d^T r
  double r_sq;       ///< ||r||^2 of the samples before the next piece's, so that those of all pieces add up
  PieceOfResidual(const ConvolutionalDictionary<double>& D, const T* x, const ConstMatrixRef<Code>& Z, PieceOfTime piece);
};

}  // namespace riata
