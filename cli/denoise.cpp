// riata denoise: a picture in, the same picture with less noise and no pixel missing out, depth and channels kept.
#include "riata/imaging/denoise.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>

#include "commands.hpp"
#include "interrupt.hpp"
#include "outputs.hpp"
#include "progress.hpp"
#include "riata/core/check.hpp"
#include "riata/imaging/conv_denoiser.hpp"
#include "riata/learning/model.hpp"
#include "riata/version.hpp"

namespace riata::cli {
namespace {

struct Denoise {
  std::string input, output, mask, reference, model_out, network;
  DenoiseOptions options;
  ReadImageOptions image;
  double peak = 255;
  bool keep_dct = false, shift_average = false;
  std::vector<const CLI::Option*> learning_flags;  // that a network has no use for
  std::optional<double> max_time;
  Talk talk;

  int run();

 private:
  /// What is told of a page.
  struct Cleaned {
    DenoiseResult result;
    std::optional<double> psnr_in, psnr_out;
    std::size_t n_missing = 0;
  };
  DenoiseResult clean(Picture&& noisy);
  void load_net();
  std::vector<Picture> read_beside(const std::string& file, const std::vector<Image>& pages) const;
  Cleaned clean_page(Image& page, const Picture* clean_picture);
  void save(const DenoiseResult& result) const;
  const char* method() const;
  nlohmann::ordered_json json_of(const Cleaned& page) const;
  std::string text_of(const Cleaned& page) const;

  std::optional<ConvDenoiser> net_;
  double learning_s_ = 0;  // of the pages before
  bool is_heard_ = false;  // the signal that ended the learning
};

const char* Denoise::method() const { return net_ ? "network" : keep_dct ? "dct" : to_string(options.method); }

void Denoise::load_net() {
  for (const CLI::Option* flag : learning_flags)
    require(network.empty() || flag->count() == 0, "{} is for dictionaries learned from the picture, not for --network",
            flag->get_name());
  require(!shift_average || !network.empty(), "--shift-average is for --network");
  if (!network.empty()) net_ = load_conv_denoiser(network);
}

/// Ctrl-C and --max-time end the learning, that of later pages after one iteration; a picture is then cleaned with the best
/// dictionary so far. Ctrl-C while it is cleaned ends all.
DenoiseResult Denoise::clean(Picture&& noisy) {
  if (net_) {
    DenoiseResult result;
    result.sigma = options.sigma.value_or(net_->sigma);
    result.reg = net_->reg;
    result.n_layers = net_->n_layers;
    const Execution execution{.n_threads = options.execution.n_threads, .stop_requested = interrupt_requested};
    result.picture =
        net_->denoise(std::move(noisy), {.sigma = result.sigma, .shift_average = shift_average, .execution = execution});
    return result;
  }
  Progress progress(!talk.quiet);
  bool out_of_time = false;
  double seconds = 0;
  DenoiseOptions how = options;
  how.execution.stop_requested = [this] { return !is_heard_ && (is_heard_ = interrupt_requested()); };
  DenoiseResult result = denoise(noisy, how, [&](const IterationInfo& info) {
    progress.show(info);
    seconds = info.seconds;
    out_of_time = max_time && learning_s_ + seconds >= *max_time;
    is_heard_ = interrupt_requested();
    return out_of_time || is_heard_ ? Action::stop : Action::keep_going;
  });
  learning_s_ += seconds;
  if (result.status == Status::interrupted && out_of_time && !interrupt_requested()) result.status = Status::max_time_reached;
  return result;
}

void Denoise::save(const DenoiseResult& result) const {
  save_model<float>(model_out, {.dictionary = result.dictionary,
                                .steps = {},
                                .metadata = {{"riata_version", version},
                                             {"method", method()},
                                             {"n_layers", formatted("{}", result.n_layers)},
                                             {"reg", formatted("{}", result.reg)},
                                             {"sigma", formatted("{}", result.sigma)},
                                             {"patch", formatted("{}", result.patch)},
                                             {"centred", options.plain ? "false" : "true"},
                                             {"seed", formatted("{}", options.seed)},
                                             {"n_iter", formatted("{}", result.history.value.size())},
                                             {"status", to_string(result.status)}}});
}

nlohmann::ordered_json decibels(const std::optional<double>& value) {
  if (!value || !std::isfinite(*value)) return nullptr;  // JSON has no infinity
  return *value;
}

/// A picture for each page, or none where no file was given.
std::vector<Picture> Denoise::read_beside(const std::string& file, const std::vector<Image>& pages) const {
  std::vector<Picture> pictures;
  if (file.empty()) return pictures;
  for (const Image& page : read_images(file, {.max_pixels = image.max_pixels})) pictures.push_back(to_picture(page));
  require(pictures.size() == pages.size(), "{} has {} pages but {} has {}; they must be equal", file, pictures.size(), input,
          pages.size());
  return pictures;
}

/// By content, as pictures are read.
bool is_jpeg(const std::string& file) {
  std::ifstream bytes(file, std::ios::binary);
  return bytes.get() == 0xff && bytes.get() == 0xd8;
}

/// 1 where a channel is not zero.
Picture to_mask(const Picture& picture) {
  Picture mask{picture.height, picture.width, 1, std::vector<float>(static_cast<std::size_t>(picture.height * picture.width))};
  for (std::size_t i = 0; i < picture.samples.size(); ++i)
    if (picture.samples[i] != 0) mask.samples[i / static_cast<std::size_t>(picture.channels)] = 1;
  return mask;
}

Denoise::Cleaned Denoise::clean_page(Image& page, const Picture* clean_picture) {
  require(!net_ || options.sigma || page.is_float() != net_->grey_levels,
          "--sigma is required: {} is {}, and {} was trained on pictures {}", input,
          page.is_float() ? "floating point, in a unit of its own" : "in 8-bit grey levels", network,
          net_ && net_->grey_levels ? "in 8-bit grey levels" : "of another unit");
  Picture noisy = to_picture(page);
  const double largest = page.is_float() ? peak : 255;
  Cleaned cleaned;
  if (clean_picture) cleaned.psnr_in = psnr(noisy, *clean_picture, largest);  // also: the shapes agree, before the long work
  if (options.mask) {
    cleaned.psnr_in.reset();  // what is missing has no value
    cleaned.n_missing = static_cast<std::size_t>(std::ranges::count(options.mask->samples, 0.0f));
  }
  cleaned.result = clean(std::move(noisy));
  page = to_image(cleaned.result.picture, page);
  if (clean_picture) cleaned.psnr_out = psnr(to_picture(page), *clean_picture, largest);
  return cleaned;
}

nlohmann::ordered_json Denoise::json_of(const Cleaned& page) const {
  const DenoiseResult& result = page.result;
  if (net_)
    return {{"psnr_in", decibels(page.psnr_in)},
            {"psnr_out", decibels(page.psnr_out)},
            {"n_layers", result.n_layers},
            {"sigma", result.sigma},
            {"method", method()},
            {"network", network}};
  return {{"psnr_in", decibels(page.psnr_in)},
          {"psnr_out", decibels(page.psnr_out)},
          {"n_atoms", result.dictionary.cols()},
          {"n_layers", result.n_layers},
          {"sigma", result.sigma},
          {"sigma_estimated", !options.sigma && !options.mask},
          {"n_missing", page.n_missing},
          {"patch", result.patch},
          {"reg", result.reg},
          {"method", method()},
          {"plain", options.plain},
          {"n_iter", result.history.value.size()},
          {"status", to_string(result.status)}};
}

std::string Denoise::text_of(const Cleaned& page) const {
  const DenoiseResult& result = page.result;
  std::string text = net_ ? formatted("sigma {:.4g}, {} kernels of {} x {}", result.sigma, net_->kernels.cols(),
                                      net_->kernel_size(), net_->kernel_size())
                          : formatted("sigma {:.4g}{}, {} atoms of {} x {}, {}", result.sigma,
                                      options.sigma || options.mask ? "" : " (estimated)", result.dictionary.cols(), result.patch,
                                      result.patch, counted(result.history.value.size(), "iteration"));
  if (options.mask) text += formatted(", {} filled", counted(page.n_missing, "pixel"));
  if (page.psnr_out) text += formatted(", {:.2f} dB", *page.psnr_out);
  if (page.psnr_in) text += formatted(" (noisy: {:.2f} dB)", *page.psnr_in);
  return text;
}

int Denoise::run() {
  const auto start = std::chrono::steady_clock::now();
  options.learn = !keep_dct;
  if (!mask.empty()) options.mask.emplace();
  load_net();
  options.validate();
  require(std::isfinite(peak) && peak > 0, "peak = {}, must be > 0 and finite", peak);
  if (max_time) check_rule("max_time", *max_time, false, rule::some_seconds);
  require_good_outputs({input, mask, reference, network}, {output, model_out});
  if (!model_out.empty()) require_extension(model_out, {".safetensors"}, "models");
  std::vector<Image> pages = read_images(input, image);
  require_writable_as(output, pages);
  require(model_out.empty() || pages.size() == 1, "--model-out holds one dictionary, and {} has {} pages; choose one with --page",
          input, pages.size());
  require(!is_jpeg(mask), "--mask {}: JPEG turns black, which is missing, into nearly black; expected a PNG or TIFF", mask);
  const std::vector<Picture> masks = read_beside(mask, pages), clean_pictures = read_beside(reference, pages);

  catch_interrupts();
  std::vector<Cleaned> cleaned;
  for (std::size_t i = 0; i < pages.size(); ++i) {
    if (!masks.empty()) options.mask = to_mask(masks[i]);
    cleaned.push_back(clean_page(pages[i], clean_pictures.empty() ? nullptr : &clean_pictures[i]));
  }
  write_images(output, pages);
  if (!model_out.empty()) save(cleaned.front().result);

  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const bool is_stopped = interrupt_requested();
  nlohmann::ordered_json json{{"output", output}, {"seconds", seconds}};
  std::string summary = output + ":";
  if (cleaned.size() == 1) {
    json.update(json_of(cleaned.front()));
    summary += formatted(" {}, {:.1f} s", text_of(cleaned.front()), seconds);
  } else {
    summary += formatted(" {} pages, {:.1f} s", cleaned.size(), seconds);
    for (std::size_t i = 0; i < cleaned.size(); ++i) {
      json["pages"].push_back(json_of(cleaned[i]));
      summary += formatted("\n  page {}: {}", i + 1, text_of(cleaned[i]));
    }
  }
  tell(talk, json, summary);
  if (!is_stopped) return ok;
  say(formatted("riata denoise: interrupted after {}; {} was cleaned with the best dictionary so far",
                counted(cleaned.back().result.history.value.size(), "iteration"), output));
  return interrupted_code();
}

}  // namespace

Task add_denoise(CLI::App& app) {
  const auto command = std::make_shared<Denoise>();
  DenoiseOptions& options = command->options;
  app.add_option("IN", command->input, "PNG, JPEG or TIFF, grey or colour, 8 or 16 bits, or floating point (TIFF)")
      ->type_name("FILE")
      ->required();
  add_output(app, command->output, "The cleaned picture: .png, .jpg or .tif (several pages, floating point)");
  std::vector<const CLI::Option*>& learning = command->learning_flags;
  add_options(app, options, [&](CLI::Option* option) {
    if (option->get_name() != "--sigma") learning.push_back(option);
  });
  app.add_option("--network", command->network,
                 "Clean by a network that riata train --kind conv-denoise wrote, at its sigma unless --sigma is given")
      ->type_name("FILE");
  app.add_flag("--shift-average", command->shift_average,
               "Of --network: the mean over all shifts of its positions, better and as many times slower");
  learning.push_back(
      app.add_option(
             "--mask", command->mask,
             "A picture (no JPEG) of the same sides, page by page, black (0) where a pixel is missing: it is filled; without "
             "noise the "
             "others stay as they are")
          ->type_name("FILE"));
  app.add_option("--reference", command->reference, "The clean picture, to report psnr_in and psnr_out")->type_name("FILE");
  app.add_option("--peak", command->peak, "Largest value of a floating-point picture, for psnr_in and psnr_out alone")
      ->capture_default_str();
  learning.push_back(add_choice(app, "method", options.method, "Gradient through the layers, or of the dictionary alone",
                                {LearningMethod::unrolled, LearningMethod::alternating}));
  learning.push_back(
      app.add_flag("--dct", command->keep_dct, "No learning: keep the overcomplete DCT that learning starts from"));
  learning.push_back(
      app.add_option("--model-out", command->model_out, "Also write the dictionary: .safetensors")->type_name("FILE"));
  learning.push_back(app.add_option("--max-time", command->max_time, "Seconds of learning, at most"));
  add_image(app, command->image, "all pages, each with a dictionary of its own");
  add_threads(app, options.execution.n_threads);
  add_talk(app, command->talk);
  app.footer("Example: riata denoise noisy.png -o clean.png --sigma 25");
  return [command] { return command->run(); };
}

}  // namespace riata::cli
