#include "riata/learning/learn_kernels.hpp"

#include <algorithm>
#include <cmath>

#include "riata/core/check.hpp"
#include "riata/core/random.hpp"
#include "riata/core/stopping.hpp"

namespace riata {
namespace {

constexpr std::uint32_t stream_of_crops = 221, stream_of_patches = 222;

template <Scalar T>
using Planes = Eigen::Map<const Matrix<T>>;  // of a channel, width x height: rows of the picture are columns

template <Scalar T>
void require_pictures(const std::vector<SeenPicture<T>>& pictures) {
  require(!pictures.empty(), "learn_kernels: there is no picture");
  const Index n_channels = pictures.front().pixels.cols();
  for (std::size_t i = 0; i < pictures.size(); ++i) {
    leave_if_stopped();
    const auto& [height, width, pixels, mask] = pictures[i];
    require(height >= 1 && width >= 1 && pixels.cols() >= 1 && pixels.rows() == height * width,
            "learn_kernels: picture {} of {} x {} pixels has {} numbers in {} channels", i, height, width, pixels.rows(),
            pixels.cols());
    require(pixels.cols() == n_channels, "learn_kernels: picture {} has {} channels, the first has {}; they must be equal", i,
            pixels.cols(), n_channels);
    require(mask.size() == 0 || (mask.rows() == pixels.rows() && (mask.cols() == 1 || mask.cols() == n_channels)),
            "learn_kernels: the mask of picture {} has {} numbers in {} channels, must have {} in 1 or {}", i, mask.rows(),
            mask.cols(), pixels.rows(), n_channels);
    for (Index c = 0; c < n_channels; ++c)
      for (Index j = 0; j < pixels.rows(); ++j) {
        const T w = mask.size() == 0 ? T(1) : mask(j, mask.cols() == 1 ? 0 : c);
        require(w >= T(0) && w <= T(1),
                "learn_kernels: the mask of picture {} holds {} at row {}, column {}; must be between 0 and 1", i, w, j / width,
                j % width);
        require(
            w == T(0) || std::isfinite(pixels(j, c)),
            "learn_kernels: picture {} holds {} at row {}, column {}, channel {}; expected finite numbers, or a mask that is 0 "
            "there",
            i, pixels(j, c), j / width, j % width, c);
      }
  }
}

/// Parts of pictures as signals of one size.
template <Scalar T>
struct PictureBatch {
  Index height, width;
  Matrix<T> X, weights;  // zero where nothing was seen; 0 x 0: ones

  PictureBatch(Index n_rows, Index n_columns, Index n_channels, Index n_signals, bool weighted)
      : height(n_rows),
        width(n_columns),
        X(Matrix<T>::Zero(n_channels * height * width, n_signals)),
        weights(weighted ? Matrix<T>(Matrix<T>::Zero(X.rows(), n_signals)) : Matrix<T>()) {}
  Batch<T> batch() const { return weights.size() > 0 ? Batch<T>(X, weights) : Batch<T>(X); }

  /// The part of a picture that begins there, n_rows x n_columns.
  void put(Index signal, const SeenPicture<T>& from, Index row, Index column, Index n_rows, Index n_columns) {
    for (Index c = 0; c < from.pixels.cols(); ++c) {
      const auto into = [&](Matrix<T>& all) {
        return Eigen::Map<Matrix<T>>(all.col(signal).data() + c * height * width, width, height).topLeftCorner(n_columns, n_rows);
      };
      const auto part = [&, &from = from](const Matrix<T>& all, Index channel) {
        return Planes<T>(all.col(channel).data(), from.width, from.height).block(column, row, n_columns, n_rows);
      };
      if (from.mask.size() == 0) {
        into(X) = part(from.pixels, c);
        if (weights.size() > 0) into(weights).setOnes();
        continue;
      }
      const auto w = part(from.mask, from.mask.cols() == 1 ? 0 : c);
      into(weights) = w;
      into(X) = (w.array() == T(0)).select(T(0), part(from.pixels, c));
    }
  }
};

template <Scalar T>
bool is_masked(const SeenPicture<T>& picture) {
  return picture.mask.size() > 0;
}

template <Scalar T>
PictureBatch<T> whole_pictures(const std::vector<SeenPicture<T>>& pictures, Boundary boundary) {
  Index height = 0, width = 0;
  for (const SeenPicture<T>& picture : pictures) {
    height = std::max(height, picture.height);
    width = std::max(width, picture.width);
  }
  const auto other = std::ranges::find_if(pictures, [&](const auto& of) { return of.height != height || of.width != width; });
  require(
      other == pictures.end() || boundary == Boundary::full,
      "learn_kernels: pictures have different sizes, {} x {} and {} x {}, which boundary = '{}' does not take; choose 'full', or "
      "method = 'stochastic', which takes crops of one size",
      other == pictures.end() ? 0 : other->height, other == pictures.end() ? 0 : other->width, height, width,
      to_string(boundary));
  const bool weighted = other != pictures.end() || std::ranges::any_of(pictures, is_masked<T>);
  PictureBatch<T> all(height, width, pictures.front().pixels.cols(), std::ssize(pictures), weighted);
  for (std::size_t i = 0; i < pictures.size(); ++i)
    all.put(static_cast<Index>(i), pictures[i], 0, 0, pictures[i].height, pictures[i].width);
  return all;
}

template <Scalar T>
PictureBatch<T> random_crops(const std::vector<SeenPicture<T>>& pictures, Index kernel_size, const KernelOptions& o) {
  Index height = pictures.front().height, width = pictures.front().width;
  double n_pixels = 0;
  for (const SeenPicture<T>& picture : pictures) {
    height = std::min(height, picture.height);
    width = std::min(width, picture.width);
    n_pixels += static_cast<double>(picture.height) * static_cast<double>(picture.width);
  }
  const Index side = o.crop_size.value_or(8 * kernel_size);
  require(!o.crop_size || (side >= kernel_size && side <= std::min(height, width)),
          "learn_kernels: crop_size = {}, must be {} to {}, the least side of a picture", side, kernel_size,
          std::min(height, width));
  height = std::min(height, side);
  width = std::min(width, side);
  const Index n_channels = pictures.front().pixels.cols();
  constexpr double most_entries = 0x1p30;
  const double most = most_entries / static_cast<double>(n_channels * height * width),
               n_wanted = std::min(most, 2 * n_pixels / static_cast<double>(height * width));
  const Index n_crops = std::max(10 * o.learn.batch_size.value_or(10), static_cast<Index>(n_wanted));
  PictureBatch<T> crops(height, width, n_channels, n_crops, std::ranges::any_of(pictures, is_masked<T>));
  std::vector<Index> ends;  // of each picture's places
  for (const SeenPicture<T>& picture : pictures)
    ends.push_back((ends.empty() ? 0 : ends.back()) + (picture.height - height + 1) * (picture.width - width + 1));
  for (Index i = 0; i < n_crops; ++i) {
    leave_if_stopped();
    RandomStream random(o.learn.seed, stream_of_crops, static_cast<std::uint32_t>(i));
    const auto drawn = static_cast<Index>(random.below(static_cast<std::uint64_t>(ends.back())));
    const auto which = static_cast<std::size_t>(std::ranges::upper_bound(ends, drawn) - ends.begin());
    const SeenPicture<T>& picture = pictures[which];
    const Index place = drawn - (which == 0 ? 0 : ends[which - 1]), n_columns = picture.width - width + 1;
    crops.put(i, picture, place / n_columns, place % n_columns, height, width);
  }
  return crops;
}

/// Have the pictures a mean that counts?
template <Scalar T>
bool have_mean(const PictureBatch<T>& of) {
  const double n = of.weights.size() > 0 ? static_cast<double>((of.weights.array() > T(0)).count())
                                         : static_cast<double>(of.X.size()),
               sum = of.X.template cast<double>().sum(), square = of.X.template cast<double>().squaredNorm();
  constexpr double least_share = 0.05;
  return sum * sum > least_share * n * square;
}

/// Patches of what was seen, without their mean in each channel.
template <Scalar T>
Matrix<T> initial_kernels(const PictureBatch<T>& of, Index n_channels, Index n_atoms, Index l, const LearnOptions& learn) {
  RandomStream random(learn.seed, stream_of_patches);
  Matrix<T> kernels(n_channels * l * l, n_atoms);
  fill_normal<T>(random, kernels);
  if (learn.init == Init::random || of.height < l || of.width < l) return kernels;
  Index first = 0;
  if (n_atoms > 1 && have_mean(of)) kernels.col(first++).setOnes();
  const auto draw = [&](Index n) { return static_cast<Index>(random.below(static_cast<std::uint64_t>(n))); };
  for (Index k = first; k < n_atoms; ++k) {
    Matrix<T> best = Matrix<T>::Zero(l * l, n_channels);
    for (int trial = 0; trial < 2; ++trial) {  // the one with more in it: pictures have flat places
      const Index i = draw(of.X.cols()), row = draw(of.height - l + 1), column = draw(of.width - l + 1);
      Matrix<T> patch(l * l, n_channels);
      for (Index c = 0; c < n_channels; ++c) {
        const auto part = [&](const Matrix<T>& all) -> Matrix<T> {
          return Planes<T>(all.col(i).data() + c * of.height * of.width, of.width, of.height).block(column, row, l, l);
        };
        const Matrix<T> x = part(of.X), w = of.weights.size() > 0 ? part(of.weights) : Matrix<T>(Matrix<T>::Ones(l, l));
        const T total = w.sum(), mean = total > T(0) ? w.cwiseProduct(x).sum() / total : T(0);
        patch.col(c) = (w.array() == T(0)).select(T(0), x.array() - mean).matrix().reshaped();
      }
      if (patch.stableNorm() > best.stableNorm()) best = patch;
    }
    if (!best.isZero(0)) kernels.col(k) = best.reshaped();
  }
  return kernels;
}

bool is_by_crops(const KernelOptions& o) { return parts_of(o.learn.method).batches == BatchesOf::some; }

template <Scalar T>
KernelResult<T> learn_kernels_from(const std::vector<SeenPicture<T>>& pictures, Index n_atoms, Index kernel_size, const Reg& reg,
                                   const KernelOptions& options, const Observer& observer, const auto& make_init) {
  options.validate();
  const StopScope scope(options.learn.execution);
  require(n_atoms >= 1, "learn_kernels: n_atoms = {}, must be >= 1", n_atoms);
  require(kernel_size >= 1, "learn_kernels: kernel_size = {}, must be >= 1", kernel_size);
  require_pictures(pictures);
  for (std::size_t i = 0; i < pictures.size(); ++i)
    require(std::min(pictures[i].height, pictures[i].width) >= kernel_size,
            "learn_kernels: picture {} has {} x {} pixels, must have at least {} x {}, as kernels have", i, pictures[i].height,
            pictures[i].width, kernel_size, kernel_size);
  const bool by_crops = is_by_crops(options);
  const PictureBatch<T> all =
      by_crops ? random_crops(pictures, kernel_size, options) : whole_pictures(pictures, options.boundary);
  const Index n_channels = pictures.front().pixels.cols();
  LearnOptions learn = options.learn;
  if (by_crops) learn.batch_size = learn.batch_size.value_or(std::min<Index>(10, all.X.cols()));
  const ConvolutionalDictionary2D<T> init(make_init(all, n_channels),
                                          {n_channels, all.height, all.width, options.boundary, options.stride});
  KernelResult<T> result{.atoms = {}, .learned = learn_dictionary<T>(all.batch(), init, reg, learn, observer)};
  result.atoms = result.learned.parameters.at("kernels");
  return result;
}

}  // namespace

void KernelOptions::validate() const {
  const auto [codes, moves, batches] = parts_of(learn.method);
  require((codes == CodesBy::layers && moves != MovesBy::adam) || learn.method == LearningMethod::alternating_exact,
          "learn_kernels: method = '{}' is not for pictures; choose 'unrolled', 'stochastic', 'truncated', 'alternating' or "
          "'alternating_exact'",
          to_string(learn.method));
  learn.validate();
  require(learn.init != Init::dct, "learn_kernels: init = 'dct' is not for pictures; choose 'data' or 'random'");
  require(stride >= 1, "learn_kernels: stride = {}, must be >= 1", stride);
  require(is_by_crops(*this) || !crop_size, "learn_kernels: crop_size is for the method 'stochastic', not for '{}'",
          to_string(learn.method));
  require(!is_by_crops(*this) || boundary != Boundary::circular,
          "learn_kernels: boundary = 'circular' is of whole pictures, and method 'stochastic' takes crops");
}

template <Scalar T>
KernelResult<T> learn_kernels(const std::vector<SeenPicture<T>>& pictures, Index n_atoms, Index kernel_size, const Reg& reg,
                              const KernelOptions& options, const Observer& observer) {
  return learn_kernels_from<T>(pictures, n_atoms, kernel_size, reg, options, observer,
                               [&](const PictureBatch<T>& all, Index n_channels) {
                                 return initial_kernels<T>(all, n_channels, n_atoms, kernel_size, options.learn);
                               });
}

template <Scalar T>
KernelResult<T> learn_kernels(const std::vector<SeenPicture<T>>& pictures, const NonDeduced<ConstMatrixRef<T>>& init,
                              const Reg& reg, const KernelOptions& options, const Observer& observer) {
  require(!pictures.empty(), "learn_kernels: there is no picture");
  const Index n_channels = std::max<Index>(1, pictures.front().pixels.cols());
  const auto size = static_cast<Index>(std::lround(std::sqrt(static_cast<double>(init.rows() / n_channels))));
  require(n_channels * size * size == init.rows(),
          "learn_kernels: kernels of init have {} entries, must be squares in each of the {} channels", init.rows(), n_channels);
  for (Index k = 0; k < init.cols(); ++k)
    require(!init.col(k).isZero(0), "learn_kernels: kernel {} of init is zero; expected kernels with a direction", k);
  return learn_kernels_from<T>(pictures, init.cols(), size, reg, options, observer,
                               [&](const PictureBatch<T>&, Index) { return Matrix<T>(init); });
}

#define RIATA_INSTANTIATE(T)                                                                                                 \
  template KernelResult<T> learn_kernels(const std::vector<SeenPicture<T>>&, Index, Index, const Reg&, const KernelOptions&, \
                                         const Observer&);                                                                   \
  template KernelResult<T> learn_kernels(const std::vector<SeenPicture<T>>&, const ConstMatrixRef<T>&, const Reg&,           \
                                         const KernelOptions&, const Observer&);
RIATA_INSTANTIATE(float)
RIATA_INSTANTIATE(double)
#undef RIATA_INSTANTIATE

}  // namespace riata
