// Between image files and pictures; PSNR; the noise level of a picture.
//
// The noise level is the median absolute diagonal detail of a wavelet, over 0.6745: Donoho and Johnstone (1994), Biometrika
// 81(3). Two departures, for photographs. Texture reaches the details too, so only weakly textured cells count, as in Liu,
// Tanaka and Okutomi (2013), IEEE Trans. Image Process. 22(12). Where noise was clipped at the ends of the range it is narrower,
// so cells near them are left out and the others corrected by the variance of clipped noise, which depends on sigma: hence the
// rounds. What is texture everywhere is told from noise by what white noise cannot be: see white_limit.
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "riata/core/check.hpp"
#include "riata/core/stopping.hpp"
#include "riata/imaging/clipping.hpp"
#include "riata/imaging/denoise.hpp"
#include "riata/linalg/blas.hpp"
#include "riata/linalg/decompositions.hpp"

namespace riata {
namespace {

double grey_level(int bit_depth) { return bit_depth == 16 ? 257.0 : 1.0; }

/// Daubechies' wavelet with four vanishing moments: smooth regions vanish from its details, noise stays.
constexpr std::array<double, 8> high_pass{-0.0105974018, -0.0328830117, 0.0308413818, 0.1870348117,
                                          -0.0279837694, -0.6308807679, 0.7148465706, -0.2303778133};
constexpr std::array<double, 8> low_pass{0.2303778133,  0.7148465706, 0.6308807679, -0.0279837694,
                                         -0.1870348117, 0.0308413818, 0.0328830117, -0.0105974018};
constexpr auto taps = static_cast<Index>(high_pass.size());
constexpr Index largest_radius = 2;
constexpr Index few_cells = 100;  // fewer give no spread to build on

/// A window's finest diagonal detail and what is around it. All three come from different vectors of one orthonormal basis,
/// so that choosing cells by structure and mean does not bias the detail of white noise.
struct Cell {
  double detail;     ///< absolute value
  double structure;  ///< mean square of the horizontal and vertical details
  double mean;       ///< of the samples
};

/// The cell whose corner is at `corner`: (2 radius + 1)^2 windows of 8 x 8, every two samples.
Cell cell_at(const float* corner, Index column_stride, Index row_stride, Index radius) {
  constexpr Index most_windows = 2 * largest_radius + 1, most_rows = taps + 4 * largest_radius;
  const Index n = 2 * radius + 1;
  std::array<std::array<double, most_windows>, most_rows> low{}, high{};
  for (Index row = 0; row < taps + 4 * radius; ++row)
    for (Index j = 0; j < n; ++j)
      for (Index k = 0; k < taps; ++k) {
        const auto v = static_cast<double>(corner[row * row_stride + (2 * j + k) * column_stride]);
        low[row][j] += low_pass[k] * v;
        high[row][j] += high_pass[k] * v;
      }
  Cell cell{};
  for (Index i = 0; i < n; ++i)
    for (Index j = 0; j < n; ++j) {
      double smooth = 0, horizontal = 0, vertical = 0, diagonal = 0;
      for (Index k = 0; k < taps; ++k) {
        smooth += low_pass[k] * low[2 * i + k][j];
        horizontal += high_pass[k] * low[2 * i + k][j];
        vertical += low_pass[k] * high[2 * i + k][j];
        diagonal += high_pass[k] * high[2 * i + k][j];
      }
      cell.mean += smooth / 2;  // the low-pass filter sums to sqrt(2)
      cell.structure += horizontal * horizontal + vertical * vertical;
      if (i == radius && j == radius) cell.detail = std::abs(diagonal);
    }
  cell.mean /= static_cast<double>(n * n);
  cell.structure /= static_cast<double>(n * n);
  return cell;
}

std::vector<Cell> cells_of(const Picture& picture) {
  if (std::min(picture.height, picture.width) < taps) return {};
  const auto side_of = [](Index radius) { return taps + 4 * radius; };
  const auto n_cells = [&](Index side) {
    return std::max<Index>(0, picture.height - side + 1) * std::max<Index>(0, picture.width - side + 1) * picture.channels;
  };
  Index radius = largest_radius;  // small pictures: smaller cells, for there to be enough of them
  while (radius > 0 && n_cells(side_of(radius)) < few_cells) --radius;
  const Index side = side_of(radius);
  // Large pictures are sampled: at most a quarter of a million cells, which fix the estimate to a percent.
  constexpr double most_cells = 1 << 18;
  const auto stride = static_cast<Index>(std::ceil(std::sqrt(static_cast<double>(n_cells(side)) / most_cells)));
  std::vector<Cell> cells;
  for (Index c = 0; c < picture.channels; ++c)
    for (Index top = 0; top + side <= picture.height; top += stride) {
      leave_if_stopped();
      for (Index left = 0; left + side <= picture.width; left += stride)
        cells.push_back(cell_at(picture.samples.data() + (top * picture.width + left) * picture.channels + c, picture.channels,
                                picture.width * picture.channels, radius));
    }
  return cells;
}

/// The value with `fraction` of the others below it. Reorders.
double quantile(std::vector<double>& values, double fraction) {
  const auto at = values.begin() + static_cast<std::ptrdiff_t>(fraction * static_cast<double>(values.size() - 1));
  std::nth_element(values.begin(), at, values.end());
  return *at;
}

double spread_of(std::vector<double>& details) { return quantile(details, 0.5) / 0.6745; }  // the median of |N(0, 1)|

/// One round: the spread of the details in the quietest two fifths of the cells that lie far enough from where noise was
/// clipped, each freed from what clipping by noise of standard deviation `sigma` took. `sigma` if too few cells are left.
double refined(const std::vector<Cell>& cells, double sigma, const ClippingRange& range) {
  leave_if_stopped();
  constexpr double far_enough = 1.5, enough_cells = 0.25, quiet = 0.4;
  const auto margin = [&](const Cell& cell) { return std::min(cell.mean - range.low, range.high - cell.mean); };
  std::vector<double> values;
  for (const Cell& cell : cells) values.push_back(margin(cell));
  const double least = std::min(far_enough * sigma, quantile(values, 1 - enough_cells));
  std::vector<Cell> kept;
  values.clear();
  for (const Cell& cell : cells) {
    if (margin(cell) < least) continue;
    // A cell clipped further than this says little, and rounds that trust it can run away.
    const double left = std::max(0.3, clipped_variance((range.low - cell.mean) / sigma, (range.high - cell.mean) / sigma));
    kept.push_back({.detail = cell.detail / std::sqrt(left), .structure = cell.structure / left, .mean = cell.mean});
    values.push_back(kept.back().structure);
  }
  if (std::ssize(kept) < few_cells) return sigma;
  const double most = quantile(values, std::max(quiet, static_cast<double>(few_cells) / static_cast<double>(kept.size())));
  values.clear();
  for (const Cell& cell : kept)
    if (cell.structure <= most) values.push_back(cell.detail);
  return spread_of(values);
}

/// So far apart that about `most` of `count` places are looked at.
Index spacing(Index count, Index most) { return (count + most - 1) / most; }

struct Area {
  Index top, left, height, width;
};

/// The smallest eigenvalue of the covariance of p x p windows of an area, with the largest p <= 8 of which there are 10 p^2.
double least_window_variance(const Picture& picture, const Area& area) {
  leave_if_stopped();
  constexpr Index most_windows = 1 << 14;
  const Index channels = picture.channels;
  const auto count = [&](Index p) { return (area.height - p + 1) * (area.width - p + 1); };
  Index p = 8;
  while (p > 1 && count(p) * channels < 10 * p * p) --p;
  const Index columns = area.width - p + 1, stride = spacing(count(p) * channels, most_windows);
  Matrix<double> windows((count(p) - 1) / stride * channels + channels, p * p), covariance(p * p, p * p);
  for (Index i = 0; i < windows.rows(); ++i) {
    const Index corner = i / channels * stride;
    for (Index k = 0; k < p * p; ++k) {
      const Index row = area.top + corner / columns + k / p, column = area.left + corner % columns + k % p;
      const auto at = static_cast<std::size_t>((row * picture.width + column) * channels + i % channels);
      windows(i, k) = static_cast<double>(picture.samples[at]);
    }
  }
  windows.rowwise() -= Eigen::RowVectorXd(windows.colwise().mean());
  multiply_transposed<double>(windows, windows, covariance);
  covariance /= static_cast<double>(windows.rows());
  return std::max(0.0, symmetric_eigenvalues(covariance)(0));
}

/// The same for the picture as a whole, and for the tile of 32 x 32 that has most: a texture whose direction turns has all
/// directions in the whole, and few in each tile.
double least_window_variance(const Picture& picture) {
  constexpr Index tile = 32, most_tiles = 8;  // along a side
  const Index height = std::min(tile, picture.height), width = std::min(tile, picture.width);
  const Index rows = std::clamp<Index>(picture.height / tile, 1, most_tiles);
  const Index columns = std::clamp<Index>(picture.width / tile, 1, most_tiles);
  double most = 0;
  for (Index i = 0; i < rows * columns; ++i) {
    const Index top = (picture.height - height) * (i / columns) / std::max<Index>(rows - 1, 1);
    const Index left = (picture.width - width) * (i % columns) / std::max<Index>(columns - 1, 1);
    most = std::max(most, least_window_variance(picture, {top, left, height, width}));
  }
  return std::min(most, least_window_variance(picture, {0, 0, picture.height, picture.width}));
}

/// The least, over shifts s of up to 32 pixels, of mean (x(i) - x(i + s))^2 / 2.
double least_shift_variance(const Picture& picture) {
  constexpr Index farthest = 32, most_pixels = 1 << 12;
  const Index height = picture.height, width = picture.width, channels = picture.channels;
  const Index most_down = std::min(farthest, height / 2), most_right = std::min(farthest, width / 2);
  const Index stride = spacing(height * width, most_pixels);
  double least = std::numeric_limits<double>::infinity();
  for (Index down = 0; down <= most_down; ++down) {
    leave_if_stopped();
    for (Index right = down == 0 ? 1 : -most_right; right <= most_right; ++right) {
      double sum = 0;
      Index n = 0;
      for (Index pixel = 0; pixel < (height - down) * width; pixel += stride) {
        const Index column = pixel % width + right;
        if (column < 0 || column >= width) continue;
        const float* here = picture.samples.data() + pixel * channels;
        const float* there = here + (down * width + right) * channels;
        for (Index c = 0; c < channels; ++c, ++n) {
          const double difference = static_cast<double>(here[c]) - static_cast<double>(there[c]);
          sum += difference * difference / 2;
        }
      }
      if (n > 0) least = std::min(least, sum / static_cast<double>(n));
    }
  }
  return least;
}

/// Noise of standard deviation sigma adds sigma^2 to every direction of the windows' space and to every shift,
///
///   sigma^2 <= min_v v^T C v / v^T v   and   sigma^2 <= min_s mean (x(i) - x(i + s))^2 / 2,
///
/// while texture lacks directions (a grating has two, a pattern of p x q pixels pq) and repeats itself. And it leaves a quarter
/// of the samples, and more, strictly inside the picture's range: what lies at its ends is ink and paper. The root of the least,
/// 0 for ink and paper.
double white_limit(const Picture& picture) {
  constexpr double share_inside = 0.25;
  const auto ends = std::minmax_element(picture.samples.begin(), picture.samples.end());
  const float low = *ends.first, high = *ends.second;
  const auto inside = std::count_if(picture.samples.begin(), picture.samples.end(), [=](float v) { return low < v && v < high; });
  if (static_cast<double>(inside) < share_inside * static_cast<double>(picture.samples.size())) return 0;
  return std::sqrt(std::min(least_window_variance(picture), least_shift_variance(picture)));
}

}  // namespace

Picture to_picture(const Image& image) {
  Picture picture{
      .height = image.height, .width = image.width, .channels = image.channels - (image.has_alpha ? 1 : 0), .samples = {}};
  const float scale = static_cast<float>(1 / grey_level(image.bit_depth));
  picture.samples.reserve(static_cast<std::size_t>(picture.height * picture.width * picture.channels));
  for (Index pixel = 0; pixel < image.height * image.width; ++pixel)
    for (Index c = 0; c < picture.channels; ++c) {
      const auto i = static_cast<std::size_t>(pixel * image.channels + c);
      picture.samples.push_back(image.is_float() ? image.values[i] : scale * static_cast<float>(image.samples[i]));
    }
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
      const float value = picture.samples[static_cast<std::size_t>(pixel * colours + c)];
      const auto i = static_cast<std::size_t>(pixel * like.channels + c);
      if (like.is_float())
        image.values[i] = value;
      else
        image.samples[i] = static_cast<std::uint16_t>(std::lround(std::clamp(level * static_cast<double>(value), 0.0, largest)));
    }
  return image;
}

double estimate_sigma(const Picture& picture) {
  require(!picture.samples.empty(), "estimate_sigma: the picture is empty");
  const std::vector<Cell> cells = cells_of(picture);
  if (cells.empty()) return 0;
  std::vector<double> details;
  std::vector<float> means;
  for (const Cell& cell : cells) {
    details.push_back(cell.detail);
    means.push_back(static_cast<float>(cell.mean));
  }
  double sigma = spread_of(details);
  constexpr int rounds = 6;
  for (int round = 0; round < rounds && sigma > 0; ++round) sigma = refined(cells, sigma, clipping_range(picture, means, sigma));
  // Windows are few and noise may be clipped, so the limit itself errs: by a third at most, where it was tried.
  constexpr double too_much = 2;
  if (const double limit = white_limit(picture); sigma > too_much * limit) sigma = limit;
  // Below this it is the rounding of the filters.
  constexpr double negligible = 1e-6;
  const auto [low, high] = std::minmax_element(picture.samples.begin(), picture.samples.end());
  return sigma <= negligible * static_cast<double>(std::max(-*low, *high)) ? 0 : sigma;
}

double psnr(const Picture& picture, const Picture& reference, double peak) {
  require(picture.height == reference.height && picture.width == reference.width && picture.channels == reference.channels,
          "psnr: the picture is {} x {} with {} channels, the reference {} x {} with {}; they must be equal", picture.height,
          picture.width, picture.channels, reference.height, reference.width, reference.channels);
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
