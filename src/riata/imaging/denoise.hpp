// Denoising a picture, and filling what it lacks, with a dictionary learned from the picture alone.
#pragma once

#include <optional>
#include <vector>

#include "riata/core/threads.hpp"
#include "riata/io/images.hpp"
#include "riata/learning/learn_dictionary.hpp"

namespace riata {

/// A picture as numbers, in any unit: row-major, channels interleaved.
struct Picture {
  Index height = 0, width = 0, channels = 1;
  std::vector<float> samples;
};

/// The colour channels in 8-bit grey levels (0 ... 255, fractions for 16-bit files), those of floating-point files in their own
/// unit; alpha is left out.
Picture to_picture(const Image& image);
/// The reverse: rounded and clipped to the depth of `like`, or kept as floating point; its alpha channel is kept.
Image to_image(const Picture& picture, const Image& like);

struct DenoiseOptions {
  std::optional<double> sigma = {};  ///< standard deviation of the noise, in the picture's unit, > 0; estimated if absent.
                                     ///< With a mask >= 0, and 0 if absent: known pixels then keep their value
  std::optional<Picture> mask = {};  ///< of the picture's sides and one channel: 0 where a pixel is missing, whatever it holds
  std::optional<Index> n_atoms = {};
  std::optional<Index> patch = {};                   ///< side of the square patches
  int n_layers = 12;                                 ///< unrolled FISTA layers of the learner
  std::optional<double> reg = {};                    ///< learning weight, in the picture's unit
  LearningMethod method = LearningMethod::unrolled;  ///< of noisy pictures: unrolled or alternating
  bool plain = false;  ///< the documents' variant: 128 atoms, 10 x 10 patches, l1 reconstruction, plain averaging
  bool learn = true;   ///< false: code with the overcomplete DCT that learning would start from
  std::uint64_t seed = 0;
  Execution execution = {};
  void validate() const;  ///< @throws std::invalid_argument naming the field, its value and the rule
};

template <>
inline constexpr auto described<DenoiseOptions> = std::tuple{
    Option{"sigma", &DenoiseOptions::sigma, rule::anything,
           "Standard deviation of the noise in 8-bit grey levels, or in a floating-point picture's own unit; default: estimated, "
           "0 with --mask"},
    Option{"n_atoms", &DenoiseOptions::n_atoms,
           Rule{[](double v) { return v >= 1 && v <= 65536; }, "must be between 1 and 65536"},
           "Atoms of the dictionary; default: chosen by riata"},
    Option{"patch", &DenoiseOptions::patch, Rule{[](double v) { return v >= 2 && v <= 64; }, "must be between 2 and 64"},
           "Side of the square patches; default: chosen by riata"},
    Option{"n_layers", &DenoiseOptions::n_layers, rule::some_layers, "Unrolled FISTA layers of the learner"},
    Option{"reg", &DenoiseOptions::reg, rule::positive, "Learning weight in the unit of sigma; default: from sigma"},
    Option{"method", &DenoiseOptions::method},
    Option{"plain", &DenoiseOptions::plain, rule::anything,
           "The documents' variant: 128 atoms, 10 x 10 patches, l1 reconstruction"},
    Option{"learn", &DenoiseOptions::learn},
    Option{"seed", &DenoiseOptions::seed, rule::anything, "Same seed, same bits"}};

struct DenoiseResult {
  Picture picture;           ///< of the input's shape
  Matrix<float> dictionary;  ///< patch^2 x n_atoms
  double sigma = 0;          ///< given or estimated
  double reg = 0;            ///< learning weight used, the last of them
  Index patch = 0;
  int n_layers = 0;
  History history;  ///< of learning; rounds of filling are its phases
  Status status = Status::converged;
};

/// Memory beyond a few copies of the picture is bounded: patches are coded in blocks. Same seed, same bits, for any number
/// of threads. `observer` watches learning; stopping there codes with the best dictionary so far.
/// @throws std::invalid_argument for a picture smaller than a patch or not finite, a mask of other sides or that knows no pixel,
///         or bad options
DenoiseResult denoise(const Picture& noisy, const DenoiseOptions& options = {}, const Observer& observer = {});

/// Standard deviation of white noise in a picture, in its unit: a robust spread of the finest diagonal wavelet details
/// in its weakly textured parts, freed from the effect of clipping, and no more than white noise in the picture can be: a
/// periodic pattern, a halftone and black print on white are not taken for noise. 0 where a side is below 8 pixels, and for
/// noise below a millionth of the largest sample.
double estimate_sigma(const Picture& picture);

/// 10 log10(peak^2 / mean squared difference) in dB; infinity for equal pictures.
/// @throws std::invalid_argument if the shapes differ or peak is not > 0
double psnr(const Picture& picture, const Picture& reference, double peak = 255);

}  // namespace riata
