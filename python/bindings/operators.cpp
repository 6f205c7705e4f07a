#include "arrays.hpp"
#include "execution.hpp"
#include "module.hpp"
#include "riata/operators/patches.hpp"

namespace riata::python {
namespace {

template <Scalar T>
void bind_patches(nb::module_& m) {
  m.def(
      "extract_patches",
      [](const Array2<T>& image, Index patch, Index stride) {
        return to_numpy(without_gil([&] {
          const PatchGrid grid(static_cast<Index>(image.shape(0)), static_cast<Index>(image.shape(1)), patch, stride);
          return extract_patches<T>(image.data(), grid, 0, grid.count());
        }));
      },
      array_arg("image"), nb::arg("patch"), nb::arg("stride"));
  m.def(
      "average_patches",
      [](const Array2<T>& patches, Index height, Index width, Index patch, Index stride) {
        auto pixels = without_gil([&] {
          const PatchGrid grid(height, width, patch, stride);
          // As many columns as the grid has patches, each of the grid's size: checked there.
          const std::vector<T> image = average_patches<T>(view<T>(patches), grid);
          return Matrix<T>(Eigen::Map<const Matrix<T>>(image.data(), width, height));
        });
        return to_numpy(std::move(pixels));
      },
      array_arg("patches"), nb::arg("height"), nb::arg("width"), nb::arg("patch"), nb::arg("stride"));
}

}  // namespace

void bind_operators(nb::module_& m) {
  bind_patches<float>(m);
  bind_patches<double>(m);
}

}  // namespace riata::python
