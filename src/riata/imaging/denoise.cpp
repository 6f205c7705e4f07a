// Denoising by a dictionary learned from the noisy picture (Elad and Aharon, 2006, in outline; learned here by gradient
// descent through unrolled FISTA, Malezieux, Moreau and Kowalski, 2022):
//
//   1. sigma: given, or estimated
//   2. D = argmin over unit atoms of mean_i F(z_N(x_i, D), D) over centred patches x_i that hold more than noise
//   3. every overlapping patch estimated from its sparse code (patch_coder.hpp)
//   4. each pixel the weighted mean of the patches that cover it; the bias of clipped noise undone (clipping.hpp)
//
// Missing pixels are filled before that. The data fit of what is known is the least over what is missing,
//
//   1/2 ||M (x - D z)||^2 = min over y with M y = M x of 1/2 ||y - D z||^2,
//
// so y and the codes of its patches are found in turns, and patches share what they say of a pixel: y starts as a smooth surface
// (smooth_fill.hpp); in each round D takes a step on patches of y, those with missing pixels are coded as if all were known, and
// missing pixels move to their weighted mean. The level, what sigma is to noise, falls from round to round: what a patch cannot
// explain is at first mostly the mistakes of the start. Without noise the known pixels stay as they are.
//
// Every constant below is in units of sigma or, for levels, of the picture's contrast, so the result scales with the picture.
// docs/denoising.md has the measurements behind them.
#include "riata/imaging/denoise.hpp"

#include <algorithm>
#include <cmath>
#include <span>

#include "riata/core/check.hpp"
#include "riata/core/stopping.hpp"
#include "riata/datasets/generators.hpp"
#include "riata/imaging/clipping.hpp"
#include "riata/imaging/patch_coder.hpp"
#include "riata/imaging/smooth_fill.hpp"
#include "riata/operators/patches.hpp"
#include "riata/optim/block_coordinate.hpp"
#include "riata/optim/line_search.hpp"

namespace riata {
namespace {

/// What the defaults and --plain differ in.
struct Recipe {
  Index n_atoms, patch;
  double reg;              // of learning, in units of sigma
  Index n_training;        // patches
  int max_iter;            // of learning
  bool centred;            // subtract each patch's mean
  double training_energy;  // training patches have ||x|| >= this * sigma * sqrt(n - 1)
  std::uint64_t seed = 0;  // of the training patches
  bool by_blocks = false;  // learn by block coordinate descent instead of back-propagation
};
constexpr Recipe best{256, 8, 2.5, 16000, 25, true, 1.1};
constexpr Recipe plain{128, 10, 1.0, 16000, 25, false, 0};
constexpr std::size_t block = 4096;  // patches coded together: bounds the memory

/// Of filling.
struct Rounds {
  int number;
  double first, last;     // levels, in units of the contrast
  double learning_level;  // learning stays at it where the level is lower: smaller reg takes longer and teaches no more
  double relaxation;      // a missing pixel moves by this times the distance to its estimate
  Index n_training;
  int max_iter;            // of learning, in each
  int number_at_stride_1;  // the last ones; those before take every second patch
};
constexpr Rounds rounds{15, 1.2, 0.12, 0.3, 1.5, 8000, 2, 3};

Recipe recipe_for(const DenoiseOptions& options) {
  Recipe recipe = options.plain ? plain : best;
  recipe.n_atoms = options.n_atoms.value_or(recipe.n_atoms);
  recipe.patch = options.patch.value_or(recipe.patch);
  recipe.seed = options.seed;
  return recipe;
}

/// Orthonormal opponent colours: grey, red - blue, and the rest. White noise stays white, of the same sigma.
constexpr float opponent[3][3] = {
    {0.57735027f, 0.57735027f, 0.57735027f}, {0.70710678f, 0.0f, -0.70710678f}, {0.40824829f, -0.81649658f, 0.40824829f}};

using Plane = std::vector<float>;

std::vector<Plane> split(const Picture& picture) {
  const Index n = picture.height * picture.width, channels = picture.channels;
  std::vector<Plane> planes(static_cast<std::size_t>(channels), Plane(static_cast<std::size_t>(n)));
  for (Index i = 0; i < n; ++i) {
    const float* v = picture.samples.data() + i * channels;
    for (Index c = 0; c < channels; ++c)
      planes[static_cast<std::size_t>(c)][static_cast<std::size_t>(i)] =
          channels == 3 ? opponent[c][0] * v[0] + opponent[c][1] * v[1] + opponent[c][2] * v[2] : v[c];
  }
  return planes;
}

void merge(const std::vector<Plane>& planes, Picture& picture) {
  const Index n = picture.height * picture.width, channels = picture.channels;
  for (Index i = 0; i < n; ++i)
    for (Index c = 0; c < channels; ++c) {
      const auto pixel = static_cast<std::size_t>(i);
      picture.samples[static_cast<std::size_t>(i * channels + c)] =
          channels == 3
              ? opponent[0][c] * planes[0][pixel] + opponent[1][c] * planes[1][pixel] + opponent[2][c] * planes[2][pixel]
              : planes[static_cast<std::size_t>(c)][pixel];
    }
}

/// Cosines without the constant, which centred patches do not need.
Matrix<float> initial_dictionary(const Recipe& recipe) {
  const Index n = recipe.patch * recipe.patch;
  if (!recipe.centred) return datasets::dct_dictionary<float>(n, recipe.n_atoms);
  return datasets::dct_dictionary<float>(n, recipe.n_atoms + 1).rightCols(recipe.n_atoms);
}

std::unique_ptr<Update<float>> update_of(const Recipe& recipe) {
  if (recipe.by_blocks) return std::make_unique<BlockCoordinate<float>>();
  return std::make_unique<LineSearch<float>>(LineSearchOptions{.first = 2, .grow = 2, .relative = false});
}

int next_phase(const History& history) { return history.phase.empty() ? 0 : static_cast<int>(history.phase.back()) + 1; }

/// Hears of a run that follows those of `before`.
Observer after(const History& before, const Observer& observer) {
  if (!observer) return {};
  return [&](IterationInfo info) {
    info.phase = next_phase(before);
    info.iteration += static_cast<int>(before.value.size());
    info.seconds += before.seconds.empty() ? 0 : before.seconds.back();
    return observer(info);
  };
}

void append(const History& run, History& history) {
  const double seconds = history.seconds.empty() ? 0 : history.seconds.back();
  history.phase.insert(history.phase.end(), run.phase.size(), next_phase(history));
  history.value.insert(history.value.end(), run.value.begin(), run.value.end());
  history.step.insert(history.step.end(), run.step.begin(), run.step.end());
  for (const double s : run.seconds) history.seconds.push_back(seconds + s);
}

/// Learns on patches of a plane with noise of standard deviation `level`, from the result's dictionary on: the dictionary, its
/// reg, history and status.
void learn(const Plane& plane, double level, const Picture& noisy, const Recipe& recipe, const DenoiseOptions& options,
           const Observer& observer, DenoiseResult& result) {
  result.reg = options.reg.value_or(recipe.reg * level);
  if (!options.learn || result.status == Status::interrupted) return;
  const double n = static_cast<double>(recipe.patch * recipe.patch);
  auto sampler = std::make_unique<PatchSampler<float>>(
      plane.data(), noisy.height, noisy.width,
      PatchSamplerOptions{.patch = recipe.patch,
                          .n_patches = recipe.n_training,
                          .centred = recipe.centred,
                          .smallest_norm = recipe.training_energy * level * std::sqrt(n - 1),
                          .seed = recipe.seed});
  if (sampler->batch().batch.size() == 0) return;  // nothing rises above the noise
  std::optional<int> backprop;
  if (options.method == LearningMethod::alternating) backprop = 0;
  const DenseDictionary<float> D(result.dictionary);
  Run<float> run(
      std::move(sampler),
      std::make_unique<UnrolledDirection<float>>(
          D, result.reg,
          UnrolledDirectionOptions{.network = {.n_layers = options.n_layers}, .backprop = backprop, .scale_by_usage = true}),
      update_of(recipe), {{.moves = {"dictionary"}}}, D.parameters(),
      {.max_iter = recipe.max_iter,
       .tol = 1e-5,
       .project = [&D](Parameters<float>& p) { D.project(p); },
       .atoms = {.seed = options.seed},
       .execution = options.execution});
  auto learned = run.fit(after(result.history, observer));
  result.dictionary = std::move(learned.parameters.at("dictionary"));
  append(learned.history, result.history);
  result.status = learned.status;
}

/// The patches of a grid that hold a wanted pixel.
std::vector<Index> patches_with(const std::vector<bool>& wanted, const PatchGrid& grid) {
  std::vector<Index> patches;
  const auto holds_one = [&](Index i) {
    for (Index row = 0; row < grid.patch(); ++row) {
      const auto first = wanted.begin() + (grid.top(i) + row) * grid.width() + grid.left(i);
      if (std::find(first, first + grid.patch(), true) != first + grid.patch()) return true;
    }
    return false;
  };
  for (Index i = 0; i < grid.count(); ++i)
    if (holds_one(i)) patches.push_back(i);
  return patches;
}

/// Codes the overlapping patches of a plane with noise of standard deviation `level`, block by block, and puts their averages in
/// the place of wanted pixels.
void code(Plane& plane, const std::vector<bool>& wanted, double level, Index stride, const Picture& noisy, const Recipe& recipe,
          const DenoiseOptions& options, const DenoiseResult& result) {
  const StopScope scope(options.execution);
  const PatchGrid grid(noisy.height, noisy.width, recipe.patch, stride);
  const DenseDictionary<float> D(result.dictionary);
  const std::vector<Index> chosen = patches_with(wanted, grid);
  Plane sums(plane.size(), 0.0f), counts(plane.size(), 0.0f);
  for (std::size_t first = 0; first < chosen.size(); first += block) {
    const std::span<const Index> here = std::span(chosen).subspan(first, std::min(block, chosen.size() - first));
    Matrix<float> patches(recipe.patch * recipe.patch, std::ssize(here));
    for (Index k = 0; k < patches.cols(); ++k)
      patches.col(k) = extract_patches(plane.data(), grid, here[static_cast<std::size_t>(k)], 1);
    const PatchEstimate estimate = options.plain ? estimate_by_unrolling(patches, D, options.reg.value_or(recipe.reg * level),
                                                                         options.n_layers, options.execution)
                                                 : estimate_by_aggregation(std::move(patches), D, level, options.execution);
    for (Index k = 0; k < std::ssize(here); ++k)
      accumulate_patches<float>(estimate.patches.col(k), estimate.weights.segment(k, 1), grid, here[static_cast<std::size_t>(k)],
                                sums.data(), counts.data());
  }
  for (std::size_t i = 0; i < plane.size(); ++i)
    if (wanted[i]) plane[i] = sums[i] / counts[i];
}

/// Root mean square of what patches hold beside their mean.
double contrast(const Plane& plane, Index height, Index width, Index patch) {
  const PatchGrid grid(height, width, patch, patch);
  Matrix<float> patches = extract_patches(plane.data(), grid, 0, grid.count());
  patches.rowwise() -= patches.colwise().mean().eval();
  return std::sqrt(patches.cast<double>().squaredNorm() / static_cast<double>(patches.size()));
}

/// Missing pixels of all planes, by rounds at falling levels, none below sigma.
void fill(std::vector<Plane>& planes, const std::vector<bool>& known, const Picture& noisy, Recipe recipe,
          const DenoiseOptions& options, const Observer& observer, DenoiseResult& result) {
  const StopScope scope(options.execution);
  std::vector<bool> missing = known;
  missing.flip();
  std::vector<double> contrasts;
  for (Plane& plane : planes) {
    plane = smooth_fill(std::move(plane), known, noisy.height, noisy.width);
    contrasts.push_back(contrast(plane, noisy.height, noisy.width, recipe.patch));
  }
  recipe.n_training = rounds.n_training;
  recipe.max_iter = rounds.max_iter;
  recipe.by_blocks = true;
  for (int round = 0; round < rounds.number; ++round) {
    const double level = rounds.first * std::pow(rounds.last / rounds.first, round / (rounds.number - 1.0));
    const Index stride = round < rounds.number - rounds.number_at_stride_1 ? 2 : 1;
    const double learning_level = std::max(result.sigma, contrasts[0] * std::max(level, rounds.learning_level));
    ++recipe.seed;  // other patches
    if (contrasts[0] > 0) learn(planes[0], learning_level, noisy, recipe, options, observer, result);
    for (std::size_t c = 0; c < planes.size(); ++c) {
      if (contrasts[c] == 0) continue;
      Plane estimate = planes[c];
      code(estimate, missing, std::max(result.sigma, contrasts[c] * level), stride, noisy, recipe, options, result);
      for (std::size_t i = 0; i < estimate.size(); ++i)  // the known ones are where they were
        planes[c][i] += static_cast<float>(rounds.relaxation) * (estimate[i] - planes[c][i]);
    }
  }
}

/// Which pixels are known; all of them without a mask.
std::vector<bool> known_pixels(const Picture& noisy, const DenoiseOptions& options) {
  std::vector<bool> known(static_cast<std::size_t>(noisy.height * noisy.width), true);
  if (options.mask)
    for (std::size_t i = 0; i < known.size(); ++i) known[i] = options.mask->samples[i] != 0;
  return known;
}

DenoiseResult clean(const Picture& noisy, const DenoiseOptions& options, const Observer& observer) {
  const Recipe recipe = recipe_for(options);
  DenoiseResult result;
  result.picture = noisy;
  result.patch = recipe.patch;
  result.n_layers = options.n_layers;
  result.sigma = options.sigma ? *options.sigma : options.mask ? 0 : estimate_sigma(noisy);
  result.dictionary = initial_dictionary(recipe);
  result.reg = options.reg.value_or(recipe.reg * result.sigma);
  const std::vector<bool> known = known_pixels(noisy, options);
  const bool is_whole = std::ranges::find(known, false) == known.end();
  if (result.sigma == 0 && is_whole) return result;  // the picture is its own estimate
  std::vector<Plane> planes = split(noisy);
  Picture filled = noisy;
  if (!is_whole) {
    fill(planes, known, noisy, recipe, options, observer, result);
    merge(planes, filled);
    for (std::size_t i = 0; i < filled.samples.size(); ++i)
      if (known[i / static_cast<std::size_t>(noisy.channels)]) filled.samples[i] = noisy.samples[i];  // as it was, not as merged
    result.picture = filled;
  }
  if (result.sigma == 0) return result;
  learn(planes[0], result.sigma, noisy, recipe, options, observer, result);
  const std::vector<bool> all(known.size(), true);
  for (Plane& plane : planes) code(plane, all, result.sigma, 1, noisy, recipe, options, result);
  merge(planes, result.picture);
  if (!options.plain) undo_clipping(filled, result.sigma, result.picture);
  return result;
}

Picture times_power_of_two(Picture picture, int exponent) {
  for (float& v : picture.samples) v = std::ldexp(v, exponent);
  return picture;
}

/// In a unit in which no square leaves the range of float: the same bits, scaled.
DenoiseResult clean_far_from_one(const Picture& noisy, int exponent, DenoiseOptions options, const Observer& observer) {
  for (auto* number : {&options.sigma, &options.reg})
    if (*number) *number = std::ldexp(**number, -exponent);
  Observer here;
  if (observer)
    here = [&](IterationInfo info) {
      info.value = std::ldexp(info.value, 2 * exponent);
      return observer(info);
    };
  DenoiseResult result = clean(times_power_of_two(noisy, -exponent), options, here);
  result.picture = times_power_of_two(std::move(result.picture), exponent);
  for (double* number : {&result.sigma, &result.reg}) *number = std::ldexp(*number, exponent);
  for (double& value : result.history.value) value = std::ldexp(value, 2 * exponent);
  return result;
}

/// Zeros where the mask has them.
Picture without_missing(Picture picture, const Picture& mask) {
  require(mask.height == picture.height && mask.width == picture.width && mask.channels == 1 &&
              std::ssize(mask.samples) == mask.height * mask.width,
          "denoise: the mask is {} x {} pixels with {} channels, expected the picture's {} x {} and one channel", mask.height,
          mask.width, mask.channels, picture.height, picture.width);
  const auto unknown = std::ranges::find_if(mask.samples, [](float v) { return std::isnan(v); }) - mask.samples.begin();
  require(unknown == std::ssize(mask.samples),
          "denoise: the mask holds NaN at row {}, column {}; expected numbers, 0 where a pixel is missing",
          unknown / std::max<Index>(mask.width, 1), unknown % std::max<Index>(mask.width, 1));
  require(std::ranges::any_of(mask.samples, [](float v) { return v != 0; }),
          "denoise: the mask is zero everywhere; expected at least one known pixel");
  for (std::size_t i = 0; i < picture.samples.size(); ++i)
    if (mask.samples[i / static_cast<std::size_t>(picture.channels)] == 0) picture.samples[i] = 0;
  return picture;
}

}  // namespace

void DenoiseOptions::validate() const {
  if (sigma) {
    require(std::isfinite(*sigma) && (*sigma > 0 || (mask && *sigma == 0)), "sigma = {}, must be {} 0 and finite", *sigma,
            mask ? ">=" : ">");
  }
  check_options(*this);
  require(method == LearningMethod::unrolled || method == LearningMethod::alternating,
          "method = '{}', must be 'unrolled' or 'alternating'", to_string(method));
  require(method == LearningMethod::unrolled || !mask || sigma.value_or(0) > 0,
          "method = '{}' is for noise, sigma > 0; without it missing pixels are learned by block coordinate descent",
          to_string(method));
}

DenoiseResult denoise(const Picture& noisy, const DenoiseOptions& options, const Observer& observer) {
  options.validate();
  const Recipe recipe = recipe_for(options);
  require(noisy.channels >= 1 && std::ssize(noisy.samples) == noisy.height * noisy.width * noisy.channels,
          "denoise: {} samples for {} x {} pixels with {} channels", noisy.samples.size(), noisy.height, noisy.width,
          noisy.channels);
  require(noisy.height >= recipe.patch && noisy.width >= recipe.patch,
          "denoise: the picture is {} x {} pixels, smaller than a patch of {} x {}", noisy.height, noisy.width, recipe.patch,
          recipe.patch);
  const Picture seen = options.mask ? without_missing(noisy, *options.mask) : noisy;
  require(std::all_of(seen.samples.begin(), seen.samples.end(), [](float v) { return std::isfinite(v); }),
          "denoise: the picture holds NaN or infinity; expected finite numbers");

  constexpr int far = 20;
  float largest = 0;
  for (const float v : seen.samples) largest = std::max(largest, std::abs(v));
  const int exponent = largest > 0 ? std::ilogb(largest) : 0;
  return std::abs(exponent) > far ? clean_far_from_one(seen, exponent, options, observer) : clean(seen, options, observer);
}

}  // namespace riata
