#include "riata/operators/patches.hpp"

#include <algorithm>

#include "riata/core/check.hpp"

namespace riata {

PatchGrid::PatchGrid(Index height, Index width, Index patch, Index stride)
    : height_(height), width_(width), patch_(patch), stride_(stride) {
  require(patch >= 1, "patch = {}, must be >= 1", patch);
  require(stride >= 1, "stride = {}, must be >= 1", stride);
  require(height >= patch && width >= patch, "the image is {} x {} pixels, smaller than a patch of {} x {}", height, width, patch,
          patch);
  const auto corners = [stride](Index last) { return last / stride + (last % stride > 0 ? 1 : 0) + 1; };
  rows_ = corners(height - patch);
  columns_ = corners(width - patch);
}

Index PatchGrid::top(Index i) const { return std::min((i / columns_) * stride_, height_ - patch_); }
Index PatchGrid::left(Index i) const { return std::min((i % columns_) * stride_, width_ - patch_); }

template <Scalar T>
Matrix<T> extract_patches(const T* image, const PatchGrid& grid, Index first, Index n) {
  const Index p = grid.patch();
  Matrix<T> patches(p * p, n);
  for (Index i = 0; i < n; ++i) {
    const T* corner = image + grid.top(first + i) * grid.width() + grid.left(first + i);
    for (Index row = 0; row < p; ++row) std::copy_n(corner + row * grid.width(), p, patches.col(i).data() + row * p);
  }
  return patches;
}

template <Scalar T>
void accumulate_patches(const ConstMatrixRef<T>& patches, const ConstVectorRef<T>& weights, const PatchGrid& grid, Index first,
                        T* sums, T* counts) {
  const Index p = grid.patch();
  for (Index i = 0; i < patches.cols(); ++i) {
    const Index corner = grid.top(first + i) * grid.width() + grid.left(first + i);
    for (Index row = 0; row < p; ++row)
      for (Index column = 0; column < p; ++column) {
        const Index pixel = corner + row * grid.width() + column;
        sums[pixel] += weights(i) * patches(row * p + column, i);
        counts[pixel] += weights(i);
      }
  }
}

template <Scalar T>
std::vector<T> average_patches(const ConstMatrixRef<T>& patches, const PatchGrid& grid) {
  require(patches.rows() == grid.patch() * grid.patch() && patches.cols() == grid.count(),
          "average_patches: patches have shape ({}, {}), expected ({}, {})", patches.cols(), patches.rows(), grid.count(),
          grid.patch() * grid.patch());
  const auto n_pixels = static_cast<std::size_t>(grid.height() * grid.width());
  std::vector<T> sums(n_pixels), counts(n_pixels);
  accumulate_patches<T>(patches, Vector<T>::Ones(patches.cols()), grid, 0, sums.data(), counts.data());
  for (std::size_t i = 0; i < n_pixels; ++i) {
    const auto pixel = static_cast<Index>(i);
    require(counts[i] > 0,
            "average_patches: no patch of {} x {} covers the pixel at row {}, column {}; expected a stride of at most {}",
            grid.patch(), grid.patch(), pixel / grid.width(), pixel % grid.width(), grid.patch());
    sums[i] /= counts[i];
  }
  return sums;
}

#define RIATA_INSTANTIATE(T)                                                                                                \
  template Matrix<T> extract_patches<T>(const T*, const PatchGrid&, Index, Index);                                          \
  template void accumulate_patches<T>(const ConstMatrixRef<T>&, const ConstVectorRef<T>&, const PatchGrid&, Index, T*, T*); \
  template std::vector<T> average_patches<T>(const ConstMatrixRef<T>&, const PatchGrid&);
RIATA_INSTANTIATE(float)
RIATA_INSTANTIATE(double)
#undef RIATA_INSTANTIATE

}  // namespace riata
