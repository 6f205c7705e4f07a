#include "riata/imaging/conv_denoiser.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>

#include "riata/core/check.hpp"
#include "riata/core/sentence.hpp"
#include "riata/core/stopping.hpp"
#include "riata/datasets/generators.hpp"
#include "riata/imaging/mirrored.hpp"
#include "riata/imaging/noisy_crops.hpp"
#include "riata/io/model_file.hpp"
#include "riata/learning/decided.hpp"
#include "riata/learning/run.hpp"
#include "riata/optim/adam.hpp"

namespace riata {
namespace {

constexpr double published_sigma = 25.0 / 255;  // what pictures are scaled to
constexpr Index strip_rows = 16;                // of positions that are worked on at a time

double default_reg(ConvThreshold threshold) { return threshold == ConvThreshold::soft ? 0.16 : 0.05; }

/// The largest side up to n that positions cover, and the smallest from n on.
Index covered(Index n, Index kernel, Index stride) { return n - (n - kernel) % stride; }
Index to_cover(Index n, Index kernel, Index stride) {
  return kernel + (std::max(n, kernel) - kernel + stride - 1) / stride * stride;
}

/// Of a picture, Rec. 601; of a grey one itself.
Picture luminance(const Picture& picture) {
  require(picture.channels == 1 || picture.channels == 3, "pictures have {} channels, expected 1 or 3", picture.channels);
  if (picture.channels == 1) return picture;
  Picture grey{.height = picture.height, .width = picture.width, .samples = {}};
  grey.samples.resize(picture.samples.size() / 3);
  for (std::size_t i = 0; i < grey.samples.size(); ++i)
    grey.samples[i] = 0.299F * picture.samples[3 * i] + 0.587F * picture.samples[3 * i + 1] + 0.114F * picture.samples[3 * i + 2];
  return grey;
}

void require_finite_picture(const Picture& picture, const std::string& where) {
  require(picture.height >= 1 && picture.width >= 1 &&
              std::ssize(picture.samples) == picture.height * picture.width * picture.channels,
          "{}: the picture has {} samples, expected {} x {} x {}", where, picture.samples.size(), picture.height, picture.width,
          picture.channels);
  const auto bad = std::ranges::find_if(picture.samples, [](float v) { return !std::isfinite(v); });
  require(bad == picture.samples.end(), "{}: the picture holds {} at sample {}; expected finite numbers", where,
          bad == picture.samples.end() ? 0.0F : *bad, bad - picture.samples.begin());
}

/// The layers on one channel that positions cover, in strips of rows of positions: each reads a strip of the picture, and adds to it
/// what it makes. Neighbours overlap, so those in even and in odd places take turns.
class StripNetwork {
 public:
  StripNetwork(const ConvDenoiser& net, Index height, Index width, const Execution& execution)
      : net_(net), execution_(execution), height_(height), width_(width) {
    const Index l = net.kernel_size(), n_rows = (height - l) / net.stride + 1;
    const Index rows = std::max(strip_rows, (l + net.stride - 1) / net.stride);  // so that only neighbours overlap
    for (Index first = 0, n = 0; first < n_rows; first += n) {
      n = n_rows - first < 2 * rows ? n_rows - first : rows;  // what makes no whole strip belongs to the last one
      strips_.push_back({first * net.stride, (n - 1) * net.stride + l, {}});
    }
    for (const Strip& strip : strips_)
      if (!dictionaries_.contains(strip.height))
        dictionaries_.emplace(
            strip.height, ConvolutionalDictionary2D<float>(net.kernels, {1, strip.height, width, Boundary::valid, net.stride}));
  }

  /// D z_T, row after row; write_signal(r) writes -x, so that one plane suffices.
  Matrix<float> run(const std::function<void(Matrix<float>&)>& write_signal) {
    Matrix<float> r(height_ * width_, 1);
    for (Strip& strip : strips_) strip.z.setZero(dictionary(strip).code_size(), 1);
    for (int t = 0; t < net_.n_layers; ++t) {
      write_signal(r);
      if (t > 0) add_made(r);
      for_each([&](Strip& strip) { move(strip, r); });
    }
    r.setZero();
    add_made(r);
    return r;
  }

 private:
  struct Strip {
    Index row, height;  // of the picture
    Matrix<float> z;
  };
  const ConvolutionalDictionary2D<float>& dictionary(const Strip& strip) const { return dictionaries_.at(strip.height); }

  void for_each(const std::function<void(Strip&)>& work, Index first = 0, Index step = 1) {
    const Index n = (std::ssize(strips_) - first + step - 1) / step;
    parallel_for(std::max<Index>(n, 0), execution_,
                 [&](Index i, int) { work(strips_[static_cast<std::size_t>(first + i * step)]); });
  }

  /// out += D z
  void add_made(Matrix<float>& out) {
    for (const Index parity : {0, 1})
      for_each(
          [&](Strip& strip) {
            Matrix<float> made(strip.height * width_, 1);
            dictionary(strip).apply(strip.z, made);
            out.middleRows(strip.row * width_, made.rows()) += made;
          },
          parity, 2);
  }

  /// z <- shrink(z - alpha D^T r)
  void move(Strip& strip, const Matrix<float>& r) const {
    Matrix<float> pull(strip.z.rows(), 1);
    dictionary(strip).adjoint(r.middleRows(strip.row * width_, strip.height * width_), pull);
    const bool is_soft = net_.threshold == ConvThreshold::soft;
    const auto alpha = static_cast<float>(net_.step), theta = static_cast<float>(is_soft ? net_.step * net_.reg : net_.reg);
    float *z = strip.z.data(), *c = pull.data();
    for (Index j = 0; j < strip.z.rows(); ++j) {
      const float v = z[j] - alpha * c[j];
      if (is_soft)
        z[j] = std::copysign(std::max(std::abs(v) - theta, 0.0F), v);
      else
        z[j] = std::abs(v) <= theta ? 0.0F : v;
    }
  }

  const ConvDenoiser& net_;
  const Execution& execution_;
  Index height_, width_;
  std::vector<Strip> strips_;
  std::map<Index, ConvolutionalDictionary2D<float>> dictionaries_;  // by the height of their strips
};

/// What decides the iterates.
std::string fingerprint_of(const std::vector<Picture>& pictures, double sigma, const ConvDenoiserOptions& options) {
  nlohmann::json all = decided_by(options);
  std::uint64_t hash = 0;
  for (const Picture& picture : pictures)
    hash = (hash * 1099511628211ull + static_cast<std::uint64_t>(picture.width)) * 1099511628211ull ^
           hash_of<float>(Eigen::Map<const Matrix<float>>(picture.samples.data(), picture.width, picture.height));
  all.update({{"run", "conv_denoiser"}, {"sigma", sigma}, {"pictures", pictures.size()}, {"pictures_hash", hash}});
  return all.dump();
}

const char* const free_keys[] = {"format", "format_version", "kind",  "conventions", "stride",  "n_layers", "threshold",
                                 "reg",    "step",           "sigma", "unit",        "gradient"};

}  // namespace

void ConvDenoiserOptions::validate() const {
  check_options(*this);
  require(stride <= kernel_size, "stride = {}, must be at most the kernels' {}", stride, kernel_size);
  require(crop >= kernel_size, "crop = {}, must be at least the kernels' {}", crop, kernel_size);
  checkpoint_of(*this).validate();
}

Index ConvDenoiser::kernel_size() const { return std::lround(std::sqrt(static_cast<double>(kernels.rows()))); }

double ConvDenoiser::squared_norm() const {
  validate("ConvDenoiser");
  return ConvolutionalDictionary2D<float>(kernels, {1, kernel_size(), kernel_size(), Boundary::valid, stride}).squared_norm();
}

void ConvDenoiser::validate(const std::string& where) const {
  const Index l = kernel_size();
  require(kernels.size() > 0 && l * l == kernels.rows() && l >= 2, "{}: kernels have {} pixels, expected a square of 4 or more",
          where, kernels.rows());
  require_finite(where.c_str(), "kernels", kernels, of_file);
  require(stride >= 1 && stride <= l, "{}: stride = {}, must be between 1 and the kernels' {}", where, stride, l);
  require(n_layers >= 1 && n_layers <= 10000, "{}: n_layers = {}, must be between 1 and 10000", where, n_layers);
  for (const auto& [name, value] : {std::pair{"reg", reg}, {"step", step}, {"sigma", sigma}})
    require(value > 0 && std::isfinite(value), "{}: {} = {}, must be > 0 and finite", where, name, value);
}

Picture ConvDenoiser::denoise(Picture picture, const ConvDenoiserRun& run) const {
  validate("ConvDenoiser");
  require_finite_picture(picture, "ConvDenoiser");
  const Index l = kernel_size(), H = picture.height, W = picture.width, C = picture.channels;
  require(std::min(H, W) >= l,
          "ConvDenoiser: the picture has {} x {} pixels (height x width), must have at least the {} x {} of a kernel", H, W, l,
          l);
  const double noise = run.sigma.value_or(sigma);
  require(noise > 0 && std::isfinite(noise), "ConvDenoiser: sigma = {}, must be > 0 and finite", noise);
  const StopScope scope(run.execution);
  const auto scale = static_cast<float>(published_sigma / noise);
  require(std::isnormal(scale) && std::isnormal(1 / scale),
          "ConvDenoiser: sigma = {:.2g} leaves single precision; choose another unit", noise);
  const Index n_shifts = run.shift_average ? stride : 1;
  const auto share = 1 / (scale * static_cast<float>(n_shifts * n_shifts));
  for (Index c = 0; c < C; ++c) {
    const auto sample = [&](Index i, Index j) -> float& {
      return picture.samples[static_cast<std::size_t>((i * W + j) * C + c)];
    };
    Matrix<float> sum(n_shifts > 1 ? H * W : 0, 1);
    sum.setZero();
    for (Index shift = 0; shift < n_shifts * n_shifts; ++shift) {
      // So many mirrored pixels stand before the picture.
      const Index down = shift / n_shifts, right = shift % n_shifts;
      const Index height = to_cover(H + down, l, stride), width = to_cover(W + right, l, stride);
      const Matrix<float> x = StripNetwork(*this, height, width, run.execution).run([&](Matrix<float>& r) {
        for (Index i = 0; i < height; ++i)
          for (Index j = 0; j < width; ++j) r(i * width + j) = -scale * sample(mirrored(i - down, H), mirrored(j - right, W));
      });
      require(
          x.allFinite(),
          "ConvDenoiser: the network diverges on this picture: step = {} is above 2 / ||D||^2 = {:.3g}, or samples are too large",
          step, 2 / squared_norm());
      for (Index i = 0; i < H; ++i)
        for (Index j = 0; j < W; ++j) {
          const float v = share * x((i + down) * width + j + right);
          if (n_shifts > 1)
            sum(i * W + j) += v;
          else
            sample(i, j) = v;
        }
    }
    for (Index i = 0; n_shifts > 1 && i < H; ++i)
      for (Index j = 0; j < W; ++j) sample(i, j) = sum(i * W + j);
  }
  return picture;
}

ConvDenoiserResult train_conv_denoiser(const std::vector<Picture>& pictures, double sigma, const ConvDenoiserOptions& options,
                                       const Observer& observer) {
  options.validate();
  require(sigma > 0 && std::isfinite(sigma), "train_conv_denoiser: sigma = {}, must be > 0 and finite", sigma);
  require(!pictures.empty(), "train_conv_denoiser: there are no pictures");
  std::vector<Picture> grey;
  for (std::size_t i = 0; i < pictures.size(); ++i) {
    require_finite_picture(pictures[i], formatted("train_conv_denoiser, picture {}", i));
    grey.push_back(luminance(pictures[i]));
  }
  Checkpoint checkpoint = checkpoint_of(options);
  const ResumedKernels kernels(checkpoint);
  if (!options.checkpoint.empty()) checkpoint.fingerprint = fingerprint_of(grey, sigma, options);
  const Index side = covered(options.crop, options.kernel_size, options.stride);
  const double reg = options.reg.value_or(default_reg(options.threshold));
  const bool is_hard = options.threshold == ConvThreshold::hard;
  require(!is_hard || options.gradient != ConvGradient::lasso, "threshold = 'hard' has no lasso loss; choose 'ls' or 'dec'");
  const std::shared_ptr<const Dictionary<float>> D = std::make_shared<ConvolutionalDictionary2D<float>>(
      datasets::gaussian_dictionary<float>(options.kernel_size * options.kernel_size, options.n_filters, options.seed),
      PictureShape{1, side, side, Boundary::valid, options.stride});
  Run<float> run(
      std::make_unique<NoisyCrops<float>>(std::move(grey), NoisyCropsOptions{.crop = side,
                                                                             .batch_size = options.batch_size,
                                                                             .sigma = sigma,
                                                                             .scale = published_sigma / sigma,
                                                                             .flips = options.flips,
                                                                             .seed = options.seed}),
      std::make_unique<UnrolledDirection<float>>(
          *D, reg,
          UnrolledDirectionOptions{.network = {.n_layers = options.n_layers, .algorithm = Layers::ista},
                                   .loss = options.gradient == ConvGradient::lasso ? Loss::lasso : Loss::least_squares,
                                   .backprop = options.gradient == ConvGradient::dec ? std::optional(0) : std::nullopt,
                                   .step = options.step,
                                   .hard_threshold = is_hard ? std::optional(reg) : std::nullopt}),
      std::make_unique<Adam<float>>(AdamOptions{.rate = options.learning_rate, .eps = options.eps}),
      {Phase{.moves = {"kernels"}}}, D->parameters(),
      RunOptions<float>{.max_iter = options.max_iter,
                        .max_time = options.max_time,
                        .project = [D](Parameters<float>& p) { D->project(p); },
                        .checkpoint = std::move(checkpoint),
                        .execution = options.execution,
                        .words = {.who = "train_conv_denoiser", .iterations = "updates", .value = "loss of its batch"}});
  RunResult<float> trained = run.fit(observer);
  return {.denoiser = {.kernels = std::move(trained.parameters.at("kernels")),
                       .stride = options.stride,
                       .n_layers = options.n_layers,
                       .threshold = options.threshold,
                       .reg = reg,
                       .step = options.step,
                       .sigma = sigma,
                       .gradient = options.gradient},
          .history = std::move(trained.history),
          .status = trained.status};
}

void save_conv_denoiser(const std::string& path, const ConvDenoiser& denoiser) {
  denoiser.validate("save_conv_denoiser");
  TensorFile file;
  Tensor kernels = to_tensor<float>(denoiser.kernels);
  kernels.shape = {denoiser.kernels.cols(), denoiser.kernel_size(), denoiser.kernel_size()};
  file.tensors["kernels"] = std::move(kernels);
  file.metadata = denoiser.metadata;
  for (const char* key : free_keys) file.metadata.erase(key);
  file.metadata["stride"] = std::to_string(denoiser.stride);
  file.metadata["n_layers"] = std::to_string(denoiser.n_layers);
  file.metadata["threshold"] = to_string(denoiser.threshold);
  for (const auto& [key, value] : {std::pair{"reg", denoiser.reg}, {"step", denoiser.step}, {"sigma", denoiser.sigma}})
    file.metadata[key] = formatted("{}", value);
  file.metadata["unit"] = denoiser.grey_levels ? "8-bit grey levels" : "own";
  file.metadata["gradient"] = to_string(denoiser.gradient);
  file.metadata["conventions"] = "pictures times 25/255/sigma; z <- shrink(z - step D^T (D z - y)), clean = D z";
  write_model_file(path, "conv_denoiser", std::move(file));
}

ConvDenoiser load_conv_denoiser(const std::string& path) {
  TensorFile file = read_model_file(path);
  const std::string kind = text_of(file.metadata, "kind");
  require(kind == "conv_denoiser", "{} holds a {}, expected a convolutional denoiser", path,
          kind.empty() ? "model of no kind" : shown(kind));
  const auto found = file.tensors.find("kernels");
  require(found != file.tensors.end(), "{}: tensor 'kernels' is missing", path);
  Tensor& kernels = found->second;
  require(kernels.shape.size() == 3 && kernels.shape[1] == kernels.shape[2],
          "{}: 'kernels' has not the shape (n_filters, kernel_size, kernel_size)", path);
  kernels.shape = {kernels.shape[0], kernels.shape[1] * kernels.shape[2]};
  ConvDenoiser denoiser{.kernels = get_matrix<float>(file.tensors, "kernels", path)};
  denoiser.stride = number_of<Index>(file.metadata, "stride", path);
  denoiser.n_layers = number_of<int>(file.metadata, "n_layers", path);
  denoiser.reg = number_of<double>(file.metadata, "reg", path);
  denoiser.step = number_of<double>(file.metadata, "step", path);
  denoiser.sigma = number_of<double>(file.metadata, "sigma", path);
  try {
    denoiser.threshold = parse<ConvThreshold>(text_of(file.metadata, "threshold"), "threshold");
    denoiser.gradient = parse<ConvGradient>(text_of(file.metadata, "gradient"), "gradient");
  } catch (const std::invalid_argument& refused) {
    refuse(path + ": " + refused.what());
  }
  denoiser.grey_levels = text_of(file.metadata, "unit") != "own";
  denoiser.metadata = std::move(file.metadata);
  for (const char* key : free_keys) denoiser.metadata.erase(key);
  denoiser.validate(path);
  return denoiser;
}

bool holds_conv_denoiser(const std::string& path) {
  const auto metadata = read_safetensors_metadata(path);
  return text_of(metadata, "format") == "riata" && text_of(metadata, "kind") == "conv_denoiser";
}

}  // namespace riata
