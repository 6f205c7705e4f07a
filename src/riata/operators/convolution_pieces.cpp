#include "riata/operators/convolution_pieces.hpp"

#include <algorithm>

namespace riata {
namespace {

Index positions_of_a_piece(Index length) { return std::max<Index>(8192, 8 * length); }

}  // namespace

Index n_pieces(Index n_positions, Index length) {
  const Index size = positions_of_a_piece(length);
  return (n_positions + size - 1) / size;
}

PieceOfTime piece_of_time(Index i, Index n_positions, Index length) {
  const Index size = positions_of_a_piece(length);
  return {i * size, std::min(n_positions, (i + 1) * size)};
}

template <Scalar T, Scalar Code>
PieceOfResidual<T, Code>::PieceOfResidual(const ConvolutionalDictionary<double>& D, const T* x, const ConstMatrixRef<Code>& Z,
                                          PieceOfTime piece) {
  const Index n_times = D.shape().n_times, n_channels = D.shape().n_channels, L = D.atom_times(), K = D.n_atoms(),
              n_samples = piece.n_positions() + L - 1;
  const Eigen::Map<const Matrix<T>> signal(x, n_times, n_channels);
  r = signal.middleRows(piece.first, n_samples).template cast<double>();
  const auto column = [](Matrix<double>& A) { return Eigen::Map<Matrix<double>>(A.data(), A.size(), 1); };
  // Activations that reach into the piece: from L - 1 before it to its last sample.
  const Index begin = std::max<Index>(0, piece.first - L + 1), end = std::min(n_times, piece.end + 2 * L - 2);
  if (Z.size() > 0 && !Z.middleRows(begin, end - begin - L + 1).isZero(0)) {
    Matrix<double> z = Z.middleRows(begin, end - begin - L + 1).template cast<double>(), explained(end - begin, n_channels);
    D.of_length(end - begin).apply(column(z), column(explained));
    r -= explained.middleRows(piece.first - begin, n_samples);
  }
  r_sq = r.topRows(piece.end == D.n_positions() ? r.rows() : piece.n_positions()).squaredNorm();
  c.resize(piece.n_positions(), K);
  D.of_length(n_samples).adjoint(column(r), column(c));
}

template struct PieceOfResidual<float, float>;
template struct PieceOfResidual<double, double>;
template struct PieceOfResidual<float, double>;

}  // namespace riata
