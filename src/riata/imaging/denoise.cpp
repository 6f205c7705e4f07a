// Denoising by a dictionary learned from the noisy picture (Elad and Aharon, 2006, in outline; learned here by gradient
// descent through unrolled FISTA, Malezieux, Moreau and Kowalski, 2022):
//
//   1. sigma: given, or estimated
//   2. D = argmin over unit atoms of mean_i F(z_N(x_i, D), D) over centred patches x_i that hold more than noise
//   3. every overlapping patch estimated from its sparse code (patch_coder.hpp)
//   4. each pixel the weighted mean of the patches that cover it; the bias of clipped noise undone (clipping.hpp)
//
// Every constant below is in units of sigma, so the result scales with the picture. docs/denoising.md has the
// measurements behind them.
#include "riata/imaging/denoise.hpp"

#include <algorithm>
#include <cmath>

#include "riata/core/check.hpp"
#include "riata/core/stopping.hpp"
#include "riata/datasets/generators.hpp"
#include "riata/imaging/clipping.hpp"
#include "riata/imaging/patch_coder.hpp"
#include "riata/operators/patches.hpp"
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
};
constexpr Recipe best{256, 8, 2.5, 16000, 25, true, 1.1};
constexpr Recipe plain{128, 10, 1.0, 16000, 25, false, 0};
constexpr Index block = 4096;  // patches coded together: bounds the memory

Recipe recipe_for(const DenoiseOptions& options) {
  Recipe recipe = options.plain ? plain : best;
  recipe.n_atoms = options.n_atoms.value_or(recipe.n_atoms);
  recipe.patch = options.patch.value_or(recipe.patch);
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

/// Learns on patches of the first plane; fills everything of the result but the picture.
void learn(const Plane& plane, const Picture& noisy, const Recipe& recipe, const DenoiseOptions& options,
           const Observer& observer, DenoiseResult& result) {
  result.dictionary = initial_dictionary(recipe);
  if (!options.learn) return;
  const double n = static_cast<double>(recipe.patch * recipe.patch);
  auto sampler = std::make_unique<PatchSampler<float>>(
      plane.data(), noisy.height, noisy.width,
      PatchSamplerOptions{.patch = recipe.patch,
                          .n_patches = recipe.n_training,
                          .centred = recipe.centred,
                          .smallest_norm = recipe.training_energy * result.sigma * std::sqrt(n - 1),
                          .seed = options.seed});
  if (sampler->batch().batch.size() == 0) return;  // nothing rises above the noise
  std::optional<int> backprop;
  if (options.method == LearningMethod::alternating) backprop = 0;
  const DenseDictionary<float> D(result.dictionary);
  Run<float> run(
      std::move(sampler),
      std::make_unique<UnrolledDirection<float>>(
          D, result.reg,
          UnrolledDirectionOptions{.network = {.layers = options.layers}, .backprop = backprop, .scale_by_usage = true}),
      std::make_unique<LineSearch<float>>(LineSearchOptions{.first = 2, .grow = 2, .relative = false}),
      {{.moves = {"dictionary"}}}, D.parameters(),
      {.max_iter = recipe.max_iter,
       .tol = 1e-5,
       .project = [&D](Parameters<float>& p) { D.project(p); },
       .atoms = {.seed = options.seed},
       .execution = options.execution});
  auto learned = run.fit(observer);
  result.dictionary = std::move(learned.parameters.at("dictionary"));
  result.history = std::move(learned.history);
  result.status = learned.status;
}

/// Codes all overlapping patches of a plane, block by block, and averages them in place.
void code(Plane& plane, const Picture& noisy, const Recipe& recipe, const DenoiseOptions& options, const DenoiseResult& result) {
  const StopScope scope(options.execution);
  const PatchGrid grid(noisy.height, noisy.width, recipe.patch);
  const DenseDictionary<float> D(result.dictionary);
  Plane sums(plane.size(), 0.0f), counts(plane.size(), 0.0f);
  for (Index first = 0; first < grid.count(); first += block) {
    Matrix<float> patches = extract_patches(plane.data(), grid, first, std::min(block, grid.count() - first));
    const PatchEstimate estimate = options.plain
                                       ? estimate_by_unrolling(patches, D, result.reg, options.layers, options.execution)
                                       : estimate_by_aggregation(std::move(patches), D, result.sigma, options.execution);
    accumulate_patches<float>(estimate.patches, estimate.weights, grid, first, sums.data(), counts.data());
  }
  for (std::size_t i = 0; i < plane.size(); ++i) plane[i] = sums[i] / counts[i];
}

DenoiseResult clean(const Picture& noisy, const DenoiseOptions& options, const Observer& observer) {
  const Recipe recipe = recipe_for(options);
  DenoiseResult result;
  result.picture = noisy;
  result.patch = recipe.patch;
  result.layers = options.layers;
  result.sigma = options.sigma ? *options.sigma : estimate_sigma(noisy);
  result.reg = options.reg.value_or(recipe.reg * result.sigma);
  if (result.sigma == 0) {  // no noise: the picture is its own estimate
    result.dictionary = initial_dictionary(recipe);
    return result;
  }
  std::vector<Plane> planes = split(noisy);
  learn(planes[0], noisy, recipe, options, observer, result);
  for (Plane& plane : planes) code(plane, noisy, recipe, options, result);
  merge(planes, result.picture);
  if (!options.plain) undo_clipping(noisy, result.sigma, result.picture);
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

}  // namespace

void DenoiseOptions::validate() const {
  if (sigma) require(std::isfinite(*sigma) && *sigma > 0, "sigma = {}, must be > 0 and finite", *sigma);
  if (n_atoms) require(*n_atoms >= 1 && *n_atoms <= 65536, "n_atoms = {}, must be between 1 and 65536", *n_atoms);
  if (patch) require(*patch >= 2 && *patch <= 64, "patch = {}, must be between 2 and 64", *patch);
  if (reg) require(std::isfinite(*reg) && *reg > 0, "reg = {}, must be > 0 and finite", *reg);
  UnrolledOptions{.layers = layers}.validate();
  require(method == LearningMethod::unrolled || method == LearningMethod::alternating,
          "denoise: method must be 'unrolled' or 'alternating'");
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
  require(std::all_of(noisy.samples.begin(), noisy.samples.end(), [](float v) { return std::isfinite(v); }),
          "denoise: the picture holds NaN or infinity; expected finite numbers");

  constexpr int far = 20;
  float largest = 0;
  for (const float v : noisy.samples) largest = std::max(largest, std::abs(v));
  const int exponent = largest > 0 ? std::ilogb(largest) : 0;
  return std::abs(exponent) > far ? clean_far_from_one(noisy, exponent, options, observer) : clean(noisy, options, observer);
}

}  // namespace riata
