// The denoising network of PUDLE: a convolutional dictionary D with a stride, unrolled, and trained on pictures with noise drawn
// anew; Tolooshams and Ba (2022), section 5.4, Table 1.
//
//   z_0 = 0,    z_{t+1} = shrink(z_t - alpha D^T (D z_t - y)),    x^ = D z_T;       y = x + noise of standard deviation sigma
//
//   gradient    of the loss                                        through
//   dec         1/2 ||x - D z||^2                                   the decoder alone, z being held
//   ls          1/2 ||x - D z_T||^2                                 all layers
//   lasso       1/2 ||x - D z_T||^2 + lambda ||z_T||_1              all layers
//
// shrink is soft with alpha lambda, or hard with b. Kernels have norm one after each update, which is Adam's. Units: pictures are scaled
// so that sigma is 25/255, the published one, where lambda = 0.16 and b = 0.05 are best; nothing depends on their own unit.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "riata/core/names.hpp"
#include "riata/core/option.hpp"
#include "riata/imaging/denoise.hpp"
#include "riata/operators/convolutional_dictionary_2d.hpp"

namespace riata {

enum class ConvThreshold { soft, hard };
enum class ConvGradient { dec, ls, lasso };
template <>
inline constexpr Name<ConvThreshold> names<ConvThreshold>[] = {{ConvThreshold::soft, "soft"}, {ConvThreshold::hard, "hard"}};
template <>
inline constexpr Name<ConvGradient> names<ConvGradient>[] = {
    {ConvGradient::dec, "dec"}, {ConvGradient::ls, "ls"}, {ConvGradient::lasso, "lasso"}};

struct ConvDenoiserOptions {
  Index n_filters = 64, kernel_size = 9, stride = 4;
  int n_layers = 15;
  ConvThreshold threshold = ConvThreshold::soft;
  std::optional<double> reg = {};  ///< lambda, or b of hard thresholds, in the unit above; absent: 0.16, or 0.05
  double step = 0.1;               ///< alpha
  ConvGradient gradient = ConvGradient::ls;
  double learning_rate = 1e-4, eps = 1e-3;  ///< of Adam
  Index crop = 129;                         ///< side of the crops, of which as much is used as positions cover
  Index batch_size = 1;                     ///< crops of an update
  bool flips = true;                        ///< crops are mirrored at random
  int max_iter = 20000;                     ///< updates
  std::optional<double> max_time = {};      ///< seconds
  std::string checkpoint = {};              ///< a safetensors file; empty: none
  int checkpoint_every = 100;
  bool resume = false;
  bool resume_inexact = false;
  bool overwrite_checkpoint = false;
  std::uint64_t seed = 0;
  Execution execution = {};
  void validate() const;  ///< @throws std::invalid_argument naming the field, its value and the rule
};

template <>
inline constexpr auto described<ConvDenoiserOptions> = std::tuple{
    Option{"n_filters", &ConvDenoiserOptions::n_filters,
           Rule{[](double v) { return v >= 1 && v <= 65536; }, "must be between 1 and 65536"}, "Kernels of the dictionary"},
    Option{"kernel_size", &ConvDenoiserOptions::kernel_size,
           Rule{[](double v) { return v >= 2 && v <= 64; }, "must be between 2 and 64"}, "Their side in pixels"},
    Option{"stride", &ConvDenoiserOptions::stride, rule::at_least_one, "Pixels from one position to the next"},
    Option{"n_layers", &ConvDenoiserOptions::n_layers,
           Rule{[](double v) { return v >= 1 && v <= 10000; }, "must be between 1 and 10000"}, "Steps of ISTA"},
    Option{"threshold", &ConvDenoiserOptions::threshold, rule::anything, "Soft, or hard"},
    Option{"reg", &ConvDenoiserOptions::reg, rule::positive,
           "lambda, or the hard threshold, of pictures scaled so that sigma is 25/255; default: 0.16, or 0.05"},
    Option{"step", &ConvDenoiserOptions::step, rule::positive, "alpha of the layers"},
    Option{"gradient", &ConvDenoiserOptions::gradient, rule::anything,
           "Through the decoder alone, or all layers, of the squared error or of the Lasso"},
    Option{"learning_rate", &ConvDenoiserOptions::learning_rate, rule::positive, "Of Adam"},
    Option{"eps", &ConvDenoiserOptions::eps, rule::positive, "Of Adam"},
    Option{"crop", &ConvDenoiserOptions::crop, rule::at_least_one, "Side of the crops in pixels"},
    Option{"batch_size", &ConvDenoiserOptions::batch_size,
           Rule{[](double v) { return v >= 1 && v <= 65536; }, "must be between 1 and 65536"}, "Crops of an update"},
    Option{"flips", &ConvDenoiserOptions::flips, rule::anything, "Mirror crops at random"},
    Option{"max_iter", &ConvDenoiserOptions::max_iter, rule::at_least_one, "Updates, at most", Role::limits},
    Option{"max_time", &ConvDenoiserOptions::max_time, rule::some_seconds, "Seconds, at most", Role::limits},
    Option{"checkpoint", &ConvDenoiserOptions::checkpoint, rule::anything, "Where a killed run continues from", Role::limits},
    Option{"checkpoint_every", &ConvDenoiserOptions::checkpoint_every, rule::at_least_one, "Updates between checkpoints",
           Role::limits},
    Option{"resume", &ConvDenoiserOptions::resume, rule::anything, "Continue from the checkpoint if it exists, bit for bit",
           Role::limits},
    Option{"resume_inexact", &ConvDenoiserOptions::resume_inexact, rule::anything,
           "The same, also where this machine lacks the kernels that rounded as the run did", Role::limits},
    Option{"overwrite_checkpoint", &ConvDenoiserOptions::overwrite_checkpoint, rule::anything,
           "Begin anew in the place of another run's checkpoint", Role::limits},
    Option{"seed", &ConvDenoiserOptions::seed, rule::anything, "Same seed, same bits"}};

struct ConvDenoiserRun {
  std::optional<double> sigma = {};  ///< of the noise, in the picture's unit; absent: that of training
  bool shift_average = false;        ///< the mean over all stride^2 shifts of the positions: better, and as many times slower
  Execution execution = {};
};

/// A trained network.
struct ConvDenoiser {
  Matrix<float> kernels = {};  ///< kernel_size^2 x n_filters, row after row, columns on the unit sphere
  Index stride = 4;
  int n_layers = 15;
  ConvThreshold threshold = ConvThreshold::soft;
  double reg = 0.16, step = 0.1, sigma = 25;         ///< sigma in the unit of the pictures of training
  bool grey_levels = true;                           ///< that unit is 8-bit grey levels, or else the pictures' own
  ConvGradient gradient = ConvGradient::ls;          ///< that it was trained by
  std::map<std::string, std::string> metadata = {};  ///< free text

  Index kernel_size() const;
  double squared_norm() const;  ///< ||D||_2^2 or a little more: of a step above 2 over it the layers may diverge
  /// Channels one by one. Pictures that positions do not cover are mirrored at their right and lower ends first. The codes are held
  /// once, n_filters / stride^2 numbers a pixel, and worked on in strips. Same bits for any number of threads.
  /// @throws std::invalid_argument for a picture smaller than a kernel or not finite
  Picture denoise(Picture noisy, const ConvDenoiserRun& run = {}) const;
  void validate(const std::string& where) const;  ///< @throws std::invalid_argument, after `where`
};

struct ConvDenoiserResult {
  ConvDenoiser denoiser;
  History history;  ///< values are those of each batch before its update
  Status status = Status::converged;
};

/// Grey pictures, or colour, whose luminance is taken; each epoch takes a crop of each. A run is a function of the seed, for any
/// number of threads, and after a kill and a resume.
/// @throws std::invalid_argument naming the picture that is smaller than a crop or not finite, or for bad options; riata::Error if a
/// checkpoint cannot be written
ConvDenoiserResult train_conv_denoiser(const std::vector<Picture>& pictures, double sigma,
                                       const ConvDenoiserOptions& options = {}, const Observer& observer = {});

/// One safetensors file: `kernels` (n_filters, kernel_size, kernel_size), and in the metadata `kind` = "conv_denoiser" and the
/// other fields. Written atomically. @throws riata::Error if it cannot be written
void save_conv_denoiser(const std::string& path, const ConvDenoiser& denoiser);
/// @throws riata::Error if the file cannot be read; std::invalid_argument if it is corrupt, holds something else, or is of a future
/// format version
ConvDenoiser load_conv_denoiser(const std::string& path);
/// Does the file hold such a network, by its metadata? False also for files of other programs. @throws as read_safetensors_metadata()
bool holds_conv_denoiser(const std::string& path);

}  // namespace riata
