// Crops of clean pictures, with noise drawn anew for each.
#pragma once

#include <vector>

#include "riata/imaging/denoise.hpp"
#include "riata/learning/sampler.hpp"

namespace riata {

struct NoisyCropsOptions {
  Index crop = 129;      ///< side
  Index batch_size = 1;  ///< crops
  double sigma = 0;      ///< of the noise, in the pictures' unit
  double scale = 1;      ///< what crops and noise are multiplied by
  bool flips = true;     ///< up and down, left and right, at random
  std::uint64_t seed = 0;
};

/// Crops (row after row) with noise as signals, without it as targets. Each epoch takes one of each picture, in a new order.
template <Scalar T>
class NoisyCrops final : public Sampler<T> {
 public:
  /// `pictures`: of one channel. @throws std::invalid_argument naming one that is smaller than a crop
  NoisyCrops(std::vector<Picture> pictures, const NoisyCropsOptions& options);
  Sample<T> batch(Index iteration) override;

 private:
  void draw(Index which, Eigen::Ref<Vector<T>> noisy, Eigen::Ref<Vector<T>> clean) const;
  std::vector<Picture> pictures_;
  NoisyCropsOptions options_;
  Matrix<T> noisy_, clean_;
  Index iteration_ = -1;  // of them
};

}  // namespace riata
