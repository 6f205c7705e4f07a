// A learner's first part: where its batch of signals comes from.
#pragma once

#include <cstdint>

#include "riata/terms/batch.hpp"

namespace riata {

template <Scalar T>
class Sampler {
 public:
  virtual ~Sampler() = default;
  /// A view, valid until the next call. Fixed samplers return the same signals each time.
  virtual Batch<T> batch() = 0;
};

/// All signals, every time. Borrows them.
template <Scalar T>
class FullBatchBorrowed final : public Sampler<T> {
 public:
  explicit FullBatchBorrowed(const Batch<T>& signals) : signals_(signals) {}
  Batch<T> batch() override { return signals_; }

 private:
  Batch<T> signals_;
};

struct PatchSamplerOptions {
  Index patch = 8;           ///< side of the square patches
  Index n_patches = 20000;   ///< drawn without replacement; all of them if the image has fewer
  bool centred = true;       ///< subtract each patch's mean
  double smallest_norm = 0;  ///< after centring, patches below this norm are left out (flat regions carry only noise)
  std::uint64_t seed = 0;
};

/// Random patches of an image (row-major, height x width), drawn once.
template <Scalar T>
class PatchSampler final : public Sampler<T> {
 public:
  /// @throws std::invalid_argument if the image is smaller than a patch
  PatchSampler(const T* image, Index height, Index width, const PatchSamplerOptions& options);
  Batch<T> batch() override { return patches_; }

 private:
  Matrix<T> patches_;
};

}  // namespace riata
