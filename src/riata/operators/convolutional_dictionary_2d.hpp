// The convolutional dictionary of pictures: kernels that occur anywhere, of one channel or several,
//
//   x_c(i, j) = sum_k sum_ab d_k(c, a, b) z_k(p, q),   i = s p + a - o,   j = s q + b - o,
//
// at positions (p, q) every s pixels, the stride, from the offset o on. A signal is a picture, channel after channel, row after
// row; its code the feature maps of one kernel after another, row after row.
#pragma once

#include <functional>
#include <memory>
#include <mutex>

#include "riata/operators/convolutional_dictionary.hpp"

namespace riata {

/// Positions along a side of n pixels, of kernels of l:
///   valid     (n - l) / s + 1, o = 0: kernels lie within the picture, of which the last (n - l) mod s pixels are in none
///   full      (n + l - 2) / s + 1, o = l - 1: they may begin before it and end behind, and cover all of it
///   circular  n / s, o = 0: what leaves on one side comes in on the other; s divides n
struct PictureShape {
  Index n_channels, height, width;
  Boundary boundary = Boundary::valid;
  Index stride = 1;
};

template <Scalar T>
class ConvolutionalDictionary2D final : public Dictionary<T> {
 public:
  /// Square kernels as columns, channel after channel, row after row: (n_channels l^2) x K, a parameter "kernels" with columns on
  /// the unit sphere.
  /// @throws std::invalid_argument if sizes disagree, a picture is smaller than a kernel, the stride is larger than one or, of
  /// boundary circular, does not divide the sides, or an entry is not finite
  ConvolutionalDictionary2D(Matrix<T> kernels, const PictureShape& shape);

  const PictureShape& shape() const { return shape_; }
  Index kernel_size() const { return size_; }  ///< l
  Index n_rows() const { return n_rows_; }     ///< of positions, in a feature map
  Index n_columns() const { return n_cols_; }  ///< of positions, in a row of a feature map
  Index n_positions() const { return n_rows_ * n_cols_; }
  const Matrix<T>& atoms() const { return kernels_; }
  /// The same of pictures of another size.
  ConvolutionalDictionary2D of_size(Index height, Index width) const;

  Index signal_size() const override { return shape_.n_channels * shape_.height * shape_.width; }
  Index code_size() const override { return n_positions() * n_atoms(); }
  Index n_atoms() const override { return kernels_.cols(); }
  // Threads that signals leave idle share a large picture: bands of rows, which its size alone decides.
  void apply(const ConstMatrixRef<T>& Z, MatrixRef<T> X) const override;
  void adjoint(const ConstMatrixRef<T>& R, MatrixRef<T> Z) const override;
  /// The largest eigenvalue over a grid of N >= 16 M frequencies a side, M = floor((l - 1) / s), over cos(pi M / N)^2, which bounds
  /// it between them: at most 4 % above the supremum over all sizes of pictures (of M > 15: N = 8 M, and 18 %).
  double squared_norm() const override;
  Parameters<T> parameters() const override { return {{"kernels", kernels_}}; }
  void accumulate_gradient(T scale, const ConstMatrixRef<T>& R, const ConstMatrixRef<T>& Z,
                           Parameters<T>& gradient) const override;
  void project(Parameters<T>& parameters) const override;
  void make_tangent(const Parameters<T>& at, Parameters<T>& direction) const override;
  std::unique_ptr<Dictionary<T>> at(const Parameters<T>& parameters) const override;
  std::unique_ptr<Dictionary<double>> in_double() const override;
  std::unique_ptr<Dictionary<T>> unstructured() const override;  ///< itself

 private:
  /// Of positions, which follow each other in a feature map: whole rows, or a part of one.
  struct Block {
    Index row, n_rows, column, n_columns;
    Index size() const { return n_rows * n_columns; }
  };
  /// Rows of positions [first, end), for one thread.
  struct Band {
    Index first, end;
  };
  Index offset() const { return shape_.boundary == Boundary::full ? size_ - 1 : 0; }
  Index padded_height() const { return (n_rows_ - 1) * shape_.stride + size_; }
  Index padded_width() const { return (n_cols_ - 1) * shape_.stride + size_; }
  Index n_bands() const;
  Band band(Index i) const { return {i * n_rows_ / n_bands(), (i + 1) * n_rows_ / n_bands()}; }
  Index band_height(const Band& band) const { return (band.end - band.first - 1) * shape_.stride + size_; }
  /// work(i) for every band; on several threads where that is worth it.
  void for_each_band(const std::function<void(Index)>& work) const;
  template <class Work>
  void for_each_block(const Band& band, const Work& work) const;
  /// The picture as the kernels meet it from all positions, channel after channel, and a band of such added back to it: adjoint.
  void pad(const T* x, T* padded) const;
  void fold(const T* strip, const Band& band, T* x) const;
  void find_patches(const T* padded, const Block& block, Matrix<T>& patches) const;
  void add_patches(const Matrix<T>& patches, const Block& block, const Band& band, T* strip) const;

  struct KeptNorm {
    std::once_flag found;
    double value = 0;
  };
  PictureShape shape_;
  Index size_ = 0, n_rows_ = 0, n_cols_ = 0;
  Matrix<T> kernels_, transposed_;
  std::shared_ptr<KeptNorm> norm_;
};

/// What an activation of k takes from the correlation of k' with the picture (s, t) positions further, |s|, |t| <= M:
///   G_{k'k}(s, t) = sum_cab d_k'(c, a, b) d_k(c, a + s stride, b + t stride),
/// in row (k' (2 M + 1) + s + M) (2 M + 1) + t + M of column k, M as above. In double.
template <Scalar T>
Matrix<double> lagged_gram(const ConvolutionalDictionary2D<T>& D);

}  // namespace riata
