// Overlapping square patches of an image, and the average that puts them back.
#pragma once

#include <vector>

#include "riata/core/types.hpp"

namespace riata {

/// All patches at multiples of `stride`, and at the far edges, so that strides up to `patch` leave no pixel out. Images are
/// row-major, height x width; a patch becomes a column of patch * patch entries, row after row; patches run in raster order.
class PatchGrid {
 public:
  /// @throws std::invalid_argument if the image is smaller than a patch or a number is < 1
  PatchGrid(Index height, Index width, Index patch, Index stride = 1);
  Index height() const { return height_; }
  Index width() const { return width_; }
  Index patch() const { return patch_; }
  Index count() const { return rows_ * columns_; }
  Index rows() const { return rows_; }        ///< patches along the height
  Index columns() const { return columns_; }  ///< patches along the width
  Index top(Index i) const;                   ///< first image row of patch i
  Index left(Index i) const;                  ///< first image column of patch i

 private:
  Index height_, width_, patch_, stride_, rows_, columns_;
};

/// Patches first, ..., first + n - 1 of the grid, as columns: patch^2 x n.
template <Scalar T>
Matrix<T> extract_patches(const T* image, const PatchGrid& grid, Index first, Index n);

/// sums += weights_i * patch_i, counts += weights_i at the patches' pixels (both row-major images): the adjoint of
/// extract_patches, column by column. The average is sums / counts.
template <Scalar T>
void accumulate_patches(const ConstMatrixRef<T>& patches, const ConstVectorRef<T>& weights, const PatchGrid& grid, Index first,
                        T* sums, T* counts);

/// The image whose pixels average all patches that cover them. Averaging an image's own patches gives the image.
/// @throws std::invalid_argument for a wrong number of patches, or a pixel that none covers (a stride above `patch`)
template <Scalar T>
std::vector<T> average_patches(const ConstMatrixRef<T>& patches, const PatchGrid& grid);

}  // namespace riata
