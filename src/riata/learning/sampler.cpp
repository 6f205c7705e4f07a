#include "riata/learning/sampler.hpp"

#include <algorithm>

#include "riata/core/check.hpp"
#include "riata/core/random.hpp"
#include "riata/operators/patches.hpp"

namespace riata {

template <Scalar T>
PatchSampler<T>::PatchSampler(const T* image, Index height, Index width, const PatchSamplerOptions& options) {
  require(options.n_patches >= 1, "n_patches = {}, must be >= 1", options.n_patches);
  const PatchGrid grid(height, width, options.patch);
  RandomStream random(options.seed);
  patches_.resize(options.patch * options.patch, std::min(options.n_patches, grid.count()));
  Index kept = 0;
  const Index candidates = std::min(grid.count(), 8 * patches_.cols());
  for (const Index i : random.choose(grid.count(), candidates)) {
    if (kept == patches_.cols()) break;
    Matrix<T> patch = extract_patches(image, grid, i, 1);
    if (options.centred) patch.array() -= patch.mean();
    if (static_cast<double>(patch.norm()) < options.smallest_norm) continue;
    patches_.col(kept++) = patch;
  }
  patches_.conservativeResize(Eigen::NoChange, kept);
}

template class PatchSampler<float>;
template class PatchSampler<double>;

}  // namespace riata
