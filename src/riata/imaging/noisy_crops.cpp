#include "riata/imaging/noisy_crops.hpp"

#include "riata/core/check.hpp"
#include "riata/core/random.hpp"

namespace riata {
namespace {

constexpr std::uint32_t order_stream = 810, crop_stream = 811;

}  // namespace

template <Scalar T>
NoisyCrops<T>::NoisyCrops(std::vector<Picture> pictures, const NoisyCropsOptions& options)
    : pictures_(std::move(pictures)), options_(options) {
  require(!pictures_.empty(), "noisy crops: there are no pictures");
  for (std::size_t i = 0; i < pictures_.size(); ++i)
    require(std::min(pictures_[i].height, pictures_[i].width) >= options_.crop,
            "picture {} has {} x {} pixels (height x width), must have at least the {} x {} of a crop", i, pictures_[i].height,
            pictures_[i].width, options_.crop, options_.crop);
  noisy_.resize(options_.crop * options_.crop, options_.batch_size);
  clean_.resize(options_.crop * options_.crop, options_.batch_size);
}

/// The crop of that number, counted over all batches.
template <Scalar T>
void NoisyCrops<T>::draw(Index which, Eigen::Ref<Vector<T>> noisy, Eigen::Ref<Vector<T>> clean) const {
  const Index n = std::ssize(pictures_), side = options_.crop;
  const Index place = Shuffle(n, options_.seed, order_stream, static_cast<std::uint32_t>(which / n))(which % n);
  const Picture& picture = pictures_[static_cast<std::size_t>(place)];
  RandomStream random(options_.seed, crop_stream, static_cast<std::uint32_t>(which));
  const auto below = [&](Index most) { return static_cast<Index>(random.below(static_cast<std::uint64_t>(most))); };
  const Index row = below(picture.height - side + 1), column = below(picture.width - side + 1);
  const bool down = below(2) == 1 && options_.flips, left = below(2) == 1 && options_.flips;
  for (Index i = 0; i < side; ++i)
    for (Index j = 0; j < side; ++j) {
      const Index y = row + (down ? side - 1 - i : i), x = column + (left ? side - 1 - j : j);
      const double v = options_.scale * static_cast<double>(picture.samples[static_cast<std::size_t>(y * picture.width + x)]);
      clean(i * side + j) = static_cast<T>(v);
      noisy(i * side + j) = static_cast<T>(v + options_.scale * options_.sigma * random.normal());
    }
}

template <Scalar T>
Sample<T> NoisyCrops<T>::batch(Index iteration) {
  if (iteration != iteration_) {
    for (Index i = 0; i < options_.batch_size; ++i) draw(iteration * options_.batch_size + i, noisy_.col(i), clean_.col(i));
    iteration_ = iteration;
  }
  return {Batch<T>(noisy_), OptionalKeptRef<T>(clean_)};
}

template class NoisyCrops<float>;
template class NoisyCrops<double>;

}  // namespace riata
