// Denoising a picture with a dictionary learned from the noisy picture alone.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "riata/core/threads.hpp"
#include "riata/io/images.hpp"
#include "riata/learning/learn_dictionary.hpp"

namespace riata {

struct DenoiseOptions {
  std::optional<double> sigma;   ///< standard deviation of the noise in units of 8-bit grey levels (0..255); estimated if absent
  Index n_atoms = 256;
  Index patch = 8;               ///< side of the square patches
  int layers = 20;               ///< unrolled FISTA layers of the learner
  std::optional<double> reg;     ///< learning weight in units of sigma
  LearningMethod method = LearningMethod::unrolled;  ///< unrolled or alternating
  bool plain = false;            ///< the documents' variant: 128 atoms, 10 x 10 patches, l1 reconstruction, plain average
  bool learn = true;             ///< false: keep the overcomplete DCT
  std::uint64_t seed = 0;
  std::optional<double> max_time_s;  ///< of learning
  Execution execution;
  void validate() const;
};

struct DenoiseResult {
  Image image;                 ///< depth and channels of the input; alpha untouched
  Matrix<float> dictionary;    ///< patch^2 x n_atoms
  double sigma = 0;            ///< given or estimated, in 8-bit grey levels
  double reg = 0;              ///< learning weight used, in 8-bit grey levels
  History history;             ///< of learning
  int layers = 0;
  Status status = Status::converged;
};

/// Memory beyond the pictures is bounded: patches are coded in blocks. Bits do not depend on the number of threads.
/// @throws std::invalid_argument for an image smaller than a patch, or bad options
DenoiseResult denoise(const Image& noisy, const DenoiseOptions& options = {}, const Observer& observer = {});

/// Standard deviation of white noise in a picture, in 8-bit grey levels.
double estimate_sigma(const Image& image);

/// 10 log10(peak^2 / mean squared difference) over the colour channels, in dB; infinity for equal pictures. The peak is
/// 2^bit_depth - 1. @throws std::invalid_argument if the shapes differ
double psnr(const Image& image, const Image& reference);

}  // namespace riata
