// Between image files and pictures; PSNR; the noise level of a picture.
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "riata/core/check.hpp"
#include "riata/imaging/denoise.hpp"

namespace riata {
namespace {

double grey_level(int bit_depth) { return bit_depth == 16 ? 257.0 : 1.0; }

/// The high-pass filter of Daubechies' wavelet with four vanishing moments: smooth regions vanish, noise stays.
constexpr std::array<double, 8> high_pass{-0.0105974018, -0.0328830117, 0.0308413818,  0.1870348117,
                                          -0.0279837694, -0.6308807679, 0.7148465706, -0.2303778133};

/// Median of |diagonal detail| over every second position of one channel, windows that touch a clipped pixel left out.
void collect_details(const Picture& picture, Index channel, double low, double high, std::vector<float>& details) {
  constexpr auto side = static_cast<Index>(high_pass.size());
  // Large pictures are sampled: a million windows fix the median to a tenth of a percent.
  const double windows = static_cast<double>(picture.height) * static_cast<double>(picture.width);
  const auto stride = std::max<Index>(1, static_cast<Index>(std::sqrt(windows / 1e6)));
  for (Index top = 0; top + side <= picture.height; top += stride)
    for (Index left = 0; left + side <= picture.width; left += stride) {
      double detail = 0;
      bool clipped = false;
      for (Index row = 0; row < side; ++row) {
        double line = 0;
        for (Index column = 0; column < side; ++column) {
          const auto index = static_cast<std::size_t>(((top + row) * picture.width + left + column) * picture.channels + channel);
          const double v = static_cast<double>(picture.samples[index]);
          clipped |= v <= low || v >= high;
          line += high_pass[static_cast<std::size_t>(column)] * v;
        }
        detail += high_pass[static_cast<std::size_t>(row)] * line;
      }
      if (!clipped) details.push_back(static_cast<float>(std::abs(detail)));
    }
}

}  // namespace

Picture to_picture(const Image& image) {
  Picture picture{.height = image.height,
                  .width = image.width,
                  .channels = image.channels - (image.has_alpha ? 1 : 0),
                  .samples = {}};
  const float scale = static_cast<float>(1 / grey_level(image.bit_depth));
  picture.samples.reserve(static_cast<std::size_t>(picture.height * picture.width * picture.channels));
  for (Index pixel = 0; pixel < image.height * image.width; ++pixel)
    for (Index c = 0; c < picture.channels; ++c)
      picture.samples.push_back(scale * static_cast<float>(image.samples[static_cast<std::size_t>(pixel * image.channels + c)]));
  return picture;
}

Image to_image(const Picture& picture, const Image& like) {
  const Index colours = like.channels - (like.has_alpha ? 1 : 0);
  require(picture.height == like.height && picture.width == like.width && picture.channels == colours,
          "to_image: the picture is {} x {} with {} channels, the image {} x {} with {}", picture.height, picture.width,
          picture.channels, like.height, like.width, colours);
  Image image = like;
  const double level = grey_level(like.bit_depth), largest = 255 * level;
  for (Index pixel = 0; pixel < like.height * like.width; ++pixel)
    for (Index c = 0; c < colours; ++c) {
      const double v = level * static_cast<double>(picture.samples[static_cast<std::size_t>(pixel * colours + c)]);
      image.samples[static_cast<std::size_t>(pixel * like.channels + c)] =
          static_cast<std::uint16_t>(std::lround(std::clamp(v, 0.0, largest)));
    }
  return image;
}

double estimate_sigma(const Picture& picture) {
  require(!picture.samples.empty(), "estimate_sigma: the picture is empty");
  const auto [low, high] = std::minmax_element(picture.samples.begin(), picture.samples.end());
  std::vector<float> details;
  for (Index c = 0; c < picture.channels; ++c)
    collect_details(picture, c, static_cast<double>(*low), static_cast<double>(*high), details);
  if (details.size() < 100) {  // small, or mostly clipped: use every window
    details.clear();
    for (Index c = 0; c < picture.channels; ++c)
      collect_details(picture, c, -std::numeric_limits<double>::infinity(), std::numeric_limits<double>::infinity(),
                      details);
  }
  if (details.empty()) return 0;
  const auto middle = details.begin() + std::ssize(details) / 2;
  std::nth_element(details.begin(), middle, details.end());
  return static_cast<double>(*middle) / 0.6745;  // the median of |N(0, 1)|
}

double psnr(const Picture& picture, const Picture& reference, double peak) {
  require(picture.height == reference.height && picture.width == reference.width && picture.channels == reference.channels,
          "psnr: the picture is {} x {} with {} channels, the reference {} x {} with {}; they must be equal",
          picture.height, picture.width, picture.channels, reference.height, reference.width, reference.channels);
  require(std::isfinite(peak) && peak > 0, "psnr: peak = {}, must be > 0", peak);
  require(!picture.samples.empty(), "psnr: the picture is empty");
  double sum = 0;
  for (std::size_t i = 0; i < picture.samples.size(); ++i) {
    const double difference = static_cast<double>(picture.samples[i]) - static_cast<double>(reference.samples[i]);
    sum += difference * difference;
  }
  return 10 * std::log10(peak * peak * static_cast<double>(picture.samples.size()) / sum);
}

}  // namespace riata
