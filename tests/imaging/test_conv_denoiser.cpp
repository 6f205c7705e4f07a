#include "riata/imaging/conv_denoiser.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "riata/imaging/noisy_crops.hpp"
#include "riata/unrolled/unrolled.hpp"
#include "support/pictures.hpp"
#include "support/random_arrays.hpp"
#include "support/sentences.hpp"

namespace riata::testing {
namespace {

/// Bars and a disc, in 8-bit grey levels.
Picture bars_and_disc(Index height, Index width, double phase = 0) {
  return picture_of(height, width, 1, [&](Index i, Index j, Index) {
    const double bars = 40 * std::sin(0.35 * static_cast<double>(i + 2 * j) + phase);
    const double y = static_cast<double>(i) - 0.4 * static_cast<double>(height),
                 x = static_cast<double>(j) - 0.6 * static_cast<double>(width);
    return 120 + bars + (x * x + y * y < 150 ? 60 : 0);
  });
}

Picture with_white_noise(Picture picture, double sigma, std::uint64_t seed) {
  Draw draw(seed);
  for (float& v : picture.samples) v += static_cast<float>(sigma * draw.normal());
  return picture;
}

ConvDenoiser some_denoiser(Draw& draw, Index stride, ConvThreshold threshold = ConvThreshold::soft) {
  return {.kernels = draw.atoms(25, 7).cast<float>(),
          .stride = stride,
          .n_layers = 6,
          .threshold = threshold,
          .reg = threshold == ConvThreshold::soft ? 0.1 : 0.05,
          .step = 0.05,
          .sigma = 20};
}

/// The whole picture at once, by the unrolled layers. It is covered.
Picture by_definition(const ConvDenoiser& net, const Picture& noisy) {
  const double scale = 25.0 / 255 / net.sigma;
  const ConvolutionalDictionary2D<double> D(net.kernels.cast<double>(),
                                            {1, noisy.height, noisy.width, Boundary::valid, net.stride});
  const Matrix<double> x =
      scale * Eigen::Map<const Eigen::VectorXf>(noisy.samples.data(), std::ssize(noisy.samples)).cast<double>();
  const bool hard = net.threshold == ConvThreshold::hard;
  const UnrolledOptions layers{.n_layers = net.n_layers,
                               .algorithm = Layers::ista,
                               .lipschitz = 1 / net.step,
                               .penalty = {.kind = hard ? PenaltyKind::l0 : PenaltyKind::l1}};
  const Matrix<double> z = unrolled_encode<double>(x, D, hard ? net.reg * net.reg / 2 / net.step : net.reg, layers);
  Matrix<double> clean(x.rows(), 1);
  D.apply(z, clean);
  Picture picture = noisy;
  for (Index i = 0; i < clean.rows(); ++i) picture.samples[static_cast<std::size_t>(i)] = static_cast<float>(clean(i) / scale);
  return picture;
}

double largest_difference_of(const Picture& a, const Picture& b) {
  double most = 0;
  for (std::size_t i = 0; i < a.samples.size(); ++i)
    most = std::max(most, static_cast<double>(std::abs(a.samples[i] - b.samples[i])));
  return most;
}

TEST(ConvDenoiser, InStrips_IsTheUnrolledNetwork) {
  Draw draw(1);
  for (const Index stride : {1, 2, 3, 5})
    for (const ConvThreshold threshold : {ConvThreshold::soft, ConvThreshold::hard}) {
      const ConvDenoiser net = some_denoiser(draw, stride, threshold);
      for (const Index rows : {1, 15, 16, 17, 31, 32, 50}) {
        const Picture noisy = with_white_noise(bars_and_disc((rows - 1) * stride + 5, 7 * stride + 5), 20, 3);
        const Picture expected = by_definition(net, noisy), one = net.denoise(noisy, {.execution = {.n_threads = 1}});
        EXPECT_LE(largest_difference_of(one, expected), 1e-2) << stride << " " << rows;  // of 255
        EXPECT_GT(largest_difference_of(one, noisy), 5);
        EXPECT_TRUE(net.denoise(noisy, {.execution = {.n_threads = 3}}).samples == one.samples);
      }
    }
}

TEST(ConvDenoiser, DoesNotDependOnTheUnit_AndTakesAnySize_AndColour) {
  Draw draw(2);
  const ConvDenoiser net = some_denoiser(draw, 3);
  const Picture noisy = with_white_noise(bars_and_disc(41, 30), 20, 4);
  Picture scaled = noisy;
  for (float& v : scaled.samples) v *= 0.25F;
  const Picture clean = net.denoise(noisy), of_scaled = net.denoise(scaled, {.sigma = 5});
  for (std::size_t i = 0; i < clean.samples.size(); ++i) EXPECT_NEAR(of_scaled.samples[i], 0.25F * clean.samples[i], 1e-3);
  // Mirrored pixels take the place of those that positions would not cover.
  const Picture wide = picture_of(41, 32, 1, [&](Index i, Index j, Index) {
    return noisy.samples[static_cast<std::size_t>(i * 30 + (j < 30 ? j : 58 - j))];
  });
  const Picture of_wide = by_definition(net, wide);
  for (Index i = 0; i < 41; ++i)
    for (Index j = 0; j < 30; ++j)
      EXPECT_NEAR(clean.samples[static_cast<std::size_t>(i * 30 + j)], of_wide.samples[static_cast<std::size_t>(i * 32 + j)],
                  1e-2);
  const Picture colour = picture_of(41, 30, 3, [&](Index i, Index j, Index c) {
    return noisy.samples[static_cast<std::size_t>(i * 30 + j)] * static_cast<float>(c == 1);
  });
  const Picture of_colour = net.denoise(colour);
  for (std::size_t i = 0; i < clean.samples.size(); ++i) {
    EXPECT_EQ(of_colour.samples[3 * i + 1], clean.samples[i]);
    EXPECT_EQ(of_colour.samples[3 * i], 0);
  }
  const Picture averaged = net.denoise(noisy, {.shift_average = true});
  EXPECT_GT(largest_difference_of(averaged, clean), 0.1);
}

TEST(NoisyCrops, AreOfEachPictureOnceAnEpoch_WithNewNoise) {
  std::vector<Picture> pictures;
  for (int k = 0; k < 5; ++k)
    pictures.push_back(picture_of(20, 23, 1, [&](Index i, Index j, Index) { return 1000 * k + 30 * i + j; }));
  NoisyCrops<double> crops(pictures, {.crop = 8, .batch_size = 1, .sigma = 2, .scale = 0.5, .seed = 3});
  std::vector<int> seen(5, 0);
  double squares = 0;
  for (Index iteration = 0; iteration < 10; ++iteration) {
    const auto [batch, clean] = crops.batch(iteration);
    const Matrix<double> x = batch.X, c = *clean;
    const auto which = static_cast<std::size_t>(c(0) / 0.5 / 1000);
    ++seen[which];
    // Neighbours differ by one column, or by one row of 30, in the order of the flips.
    EXPECT_EQ(std::abs(c(1) - c(0)), 0.5);
    EXPECT_EQ(std::abs(c(8) - c(0)), 15);
    squares += (x - c).squaredNorm() / 64;
  }
  EXPECT_EQ(seen, std::vector<int>(5, 2));
  EXPECT_NEAR(squares / 10, 1, 0.2);  // (0.5 * 2)^2
  const Matrix<double> first = crops.batch(0).batch.X,
                       other = NoisyCrops<double>(pictures, {.crop = 8, .sigma = 2, .scale = 0.5, .seed = 3}).batch(0).batch.X;
  EXPECT_TRUE(first == other);
  EXPECT_EQ(refusal_of([&] { NoisyCrops<double>(pictures, {.crop = 21}); }),
            "picture 0 has 20 x 23 pixels (height x width), must have at least the 21 x 21 of a crop");
}

ConvDenoiserOptions small_options() {
  return {.n_filters = 8,
          .kernel_size = 6,
          .stride = 3,
          .n_layers = 5,
          .learning_rate = 1e-2,
          .crop = 31,
          .batch_size = 2,
          .max_iter = 300};
}

TEST(ConvDenoiser, IsTrainedToRemoveNoise_ByEveryGradientAndThreshold) {
  const std::vector<Picture> pictures{bars_and_disc(50, 60), bars_and_disc(45, 45, 1), bars_and_disc(60, 40, 2)};
  const Picture unseen = bars_and_disc(51, 48, 0.5), noisy = with_white_noise(unseen, 25, 7);
  for (const auto& [gradient, threshold] : {std::pair{ConvGradient::ls, ConvThreshold::soft},
                                            {ConvGradient::dec, ConvThreshold::soft},
                                            {ConvGradient::lasso, ConvThreshold::soft},
                                            {ConvGradient::ls, ConvThreshold::hard}}) {
    ConvDenoiserOptions options = small_options();
    options.gradient = gradient;
    options.threshold = threshold;
    const auto [net, history, status] = train_conv_denoiser(pictures, 25, options);
    EXPECT_EQ(status, Status::max_iter_reached);
    EXPECT_EQ(std::ssize(history.value), 300);
    EXPECT_LE((net.kernels.colwise().norm().array() - 1).abs().maxCoeff(), 1e-6);
    options.max_iter = 1;
    const ConvDenoiser start = train_conv_denoiser(pictures, 25, options).denoiser;
    EXPECT_GT(psnr(net.denoise(noisy), unseen), psnr(start.denoise(noisy), unseen) + 1) << to_string(gradient);
    EXPECT_GT(psnr(net.denoise(noisy), unseen), psnr(noisy, unseen) + 2) << to_string(gradient);
  }
}

TEST(ConvDenoiser, TrainsWithoutAUnit_TheSameForAnyThreads_AndResumes) {
  std::vector<Picture> pictures{bars_and_disc(50, 60), bars_and_disc(45, 45, 1)};
  ConvDenoiserOptions options = small_options();
  options.max_iter = 12;
  options.execution.n_threads = 1;
  const auto whole = train_conv_denoiser(pictures, 25, options);
  options.execution.n_threads = 3;
  EXPECT_TRUE(train_conv_denoiser(pictures, 25, options).denoiser.kernels == whole.denoiser.kernels);
  std::vector<Picture> scaled = pictures;
  for (Picture& picture : scaled)
    for (float& v : picture.samples) v *= 16;
  EXPECT_LE((train_conv_denoiser(scaled, 25 * 16, options).denoiser.kernels - whole.denoiser.kernels).norm(), 1e-5);

  options.checkpoint = std::filesystem::temp_directory_path() / "riata_conv_denoiser_checkpoint.safetensors";
  options.checkpoint_every = 3;
  options.max_iter = 7;
  train_conv_denoiser(pictures, 25, options);
  options.max_iter = 12;
  options.resume = true;
  const auto resumed = train_conv_denoiser(pictures, 25, options);
  EXPECT_TRUE(resumed.denoiser.kernels == whole.denoiser.kernels);
  EXPECT_EQ(resumed.history.value, whole.history.value);
  options.step = 0.09;
  EXPECT_THAT(refusal_of([&] { train_conv_denoiser(pictures, 25, options); }), ::testing::HasSubstr("step"));
  std::filesystem::remove(options.checkpoint);
}

TEST(ConvDenoiser, IsKeptInAFile) {
  Draw draw(5);
  const std::string path = std::filesystem::temp_directory_path() / "riata_conv_denoiser.safetensors";
  ConvDenoiser net = some_denoiser(draw, 3, ConvThreshold::hard);
  net.metadata = {{"note", "a test"}, {"sigma", "3"}};
  save_conv_denoiser(path, net);
  EXPECT_TRUE(holds_conv_denoiser(path));
  const ConvDenoiser stored = load_conv_denoiser(path);
  EXPECT_TRUE(stored.kernels == net.kernels);
  EXPECT_EQ(stored.metadata, (std::map<std::string, std::string>{{"note", "a test"}}));
  const Picture noisy = with_white_noise(bars_and_disc(30, 31), 20, 1);
  EXPECT_TRUE(stored.denoise(noisy).samples == net.denoise(noisy).samples);

  const TensorFile good = read_safetensors(path);
  const auto damaged = [&](const std::function<void(TensorFile&)>& damage) {
    return [&good, damage, path] {
      TensorFile file = good;
      damage(file);
      write_safetensors(path, file);
      load_conv_denoiser(path);
    };
  };
  const std::vector<BadInput> rows{
      {path + " holds a network, expected a convolutional denoiser", damaged([](auto& f) { f.metadata["kind"] = "network"; })},
      {path + ": tensor 'kernels' is missing", damaged([](auto& f) { f.tensors.clear(); })},
      {path + ": metadata 'stride' is missing", damaged([](auto& f) { f.metadata.erase("stride"); })},
      {path + ": stride = 9, must be between 1 and the kernels' 5", damaged([](auto& f) { f.metadata["stride"] = "9"; })},
      {path + ": reg = -1, must be > 0 and finite", damaged([](auto& f) { f.metadata["reg"] = "-1"; })},
      {path + ": threshold = 'firm', must be 'soft' or 'hard'", damaged([](auto& f) { f.metadata["threshold"] = "firm"; })},
  };
  for (const auto& [sentence, call] : rows) EXPECT_EQ(refusal_of(call), sentence);
  std::filesystem::remove(path);
}

TEST(ConvDenoiser, BadInputs_AreRefusedInASentence) {
  Draw draw(6);
  const ConvDenoiser net = some_denoiser(draw, 3);
  Picture broken = bars_and_disc(9, 9);
  broken.samples[4] = NAN;
  const auto train = [](const ConvDenoiserOptions& options, double sigma = 25) {
    return [options, sigma] { train_conv_denoiser({bars_and_disc(40, 40)}, sigma, options); };
  };
  const std::vector<BadInput> rows{
      {"ConvDenoiser: the picture has 4 x 9 pixels (height x width), must have at least the 5 x 5 of a kernel",
       [&] { net.denoise(bars_and_disc(4, 9)); }},
      {"ConvDenoiser: the picture holds nan at sample 4; expected finite numbers", [&] { net.denoise(broken); }},
      {"ConvDenoiser: sigma = 0, must be > 0 and finite", [&] { net.denoise(bars_and_disc(9, 9), {.sigma = 0}); }},
      {"train_conv_denoiser: sigma = -1, must be > 0 and finite", train({}, -1)},
      {"train_conv_denoiser: there are no pictures", [] { train_conv_denoiser({}, 25); }},
      {"picture 0 has 40 x 40 pixels (height x width), must have at least the 129 x 129 of a crop", train({})},
      {"stride = 10, must be at most the kernels' 9", train({.stride = 10})},
      {"crop = 8, must be at least the kernels' 9", train({.crop = 8})},
      {"threshold = 'hard' has no lasso loss; choose 'ls' or 'dec'",
       train({.threshold = ConvThreshold::hard, .gradient = ConvGradient::lasso, .crop = 33})},
      {"step = 0, must be > 0 and finite", train({.step = 0})},
  };
  for (const auto& [sentence, call] : rows) EXPECT_EQ(refusal_of(call), sentence);
}

}  // namespace
}  // namespace riata::testing
