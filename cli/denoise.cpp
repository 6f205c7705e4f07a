// riata denoise: a picture in, the same picture with less noise out, depth and channels kept.
#include "riata/imaging/denoise.hpp"

#include <chrono>
#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>

#include "commands.hpp"
#include "interrupt.hpp"
#include "outputs.hpp"
#include "progress.hpp"
#include "riata/core/check.hpp"
#include "riata/learning/model.hpp"
#include "riata/version.hpp"

namespace riata::cli {
namespace {

LearningMethod parse_method(std::string_view name) {
  require(name == "unrolled" || name == "alternating", "method = '{}', must be 'unrolled' or 'alternating'", name);
  return parse_learning_method(name);
}

struct Denoise {
  std::string input, output, reference, model_out;
  DenoiseOptions options;
  bool keep_dct = false;
  std::optional<double> max_time_s;
  Talk talk;

  int run();

 private:
  DenoiseResult clean(const Picture& noisy) const;
  void save(const DenoiseResult& result) const;
  const char* method() const;
};

const char* Denoise::method() const { return keep_dct ? "dct" : to_string(options.method); }

/// Ctrl-C and --max-time end the learning; the picture is then cleaned with the best dictionary so far.
DenoiseResult Denoise::clean(const Picture& noisy) const {
  Progress progress(!talk.quiet);
  bool out_of_time = false;
  DenoiseResult result = denoise(noisy, options, [&](const IterationInfo& info) {
    progress.show(info);
    out_of_time = max_time_s && info.seconds >= *max_time_s;
    return out_of_time || interrupt_requested() ? Action::stop : Action::keep_going;
  });
  if (result.status == Status::interrupted && out_of_time && !interrupt_requested()) result.status = Status::max_time_reached;
  return result;
}

void Denoise::save(const DenoiseResult& result) const {
  save_model<float>(model_out, {.dictionary = result.dictionary,
                                .steps = {},
                                .metadata = {{"riata_version", version},
                                             {"method", method()},
                                             {"layers", fmt::format("{}", result.layers)},
                                             {"reg", fmt::format("{}", result.reg)},
                                             {"sigma", fmt::format("{}", result.sigma)},
                                             {"patch", fmt::format("{}", result.patch)},
                                             {"centred", options.plain ? "false" : "true"},
                                             {"seed", fmt::format("{}", options.seed)},
                                             {"iterations", fmt::format("{}", result.history.value.size())},
                                             {"status", to_string(result.status)}}});
}

nlohmann::ordered_json decibels(const std::optional<double>& value) {
  if (!value || !std::isfinite(*value)) return nullptr;  // JSON has no infinity
  return *value;
}

int Denoise::run() {
  const auto start = std::chrono::steady_clock::now();
  options.learn = !keep_dct;
  options.validate();
  if (max_time_s) require(std::isfinite(*max_time_s) && *max_time_s > 0, "max_time = {}, must be > 0 seconds", *max_time_s);
  require_good_outputs({input, reference}, {output, model_out});
  if (!model_out.empty()) require_extension(model_out, {".safetensors"}, "models");
  const Image image = read_image(input);
  require_writable_as(output, image);
  const Picture noisy = to_picture(image);
  std::optional<Picture> clean_picture;
  std::optional<double> psnr_in, psnr_out;
  if (!reference.empty()) {
    clean_picture = to_picture(read_image(reference));
    psnr_in = psnr(noisy, *clean_picture);  // also checks that the shapes agree, before the long work
  }

  catch_interrupts();
  const DenoiseResult result = clean(noisy);
  const Image written = to_image(result.picture, image);
  if (clean_picture) psnr_out = psnr(to_picture(written), *clean_picture);
  write_image(output, written);
  if (!model_out.empty()) save(result);

  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const bool is_stopped = interrupt_requested();
  std::string summary = fmt::format("{}: sigma {:.4g}{}, {} atoms of {} x {}, {}, {:.1f} s", output, result.sigma,
                                    options.sigma ? "" : " (estimated)", result.dictionary.cols(), result.patch, result.patch,
                                    counted(result.history.value.size(), "iteration"), seconds);
  if (psnr_in) summary += fmt::format(", {:.2f} dB (noisy: {:.2f} dB)", *psnr_out, *psnr_in);
  tell(talk,
       {{"output", output},
        {"psnr_in", decibels(psnr_in)},
        {"psnr_out", decibels(psnr_out)},
        {"seconds", seconds},
        {"n_atoms", result.dictionary.cols()},
        {"layers", result.layers},
        {"sigma", result.sigma},
        {"sigma_estimated", !options.sigma.has_value()},
        {"patch", result.patch},
        {"reg", result.reg},
        {"method", method()},
        {"plain", options.plain},
        {"iterations", result.history.value.size()},
        {"status", to_string(is_stopped ? Status::interrupted : result.status)}},
       summary);
  if (!is_stopped) return ok;
  fmt::print(stderr, "riata denoise: interrupted after {}; {} was cleaned with the best dictionary so far\n",
             counted(result.history.value.size(), "iteration"), output);
  return interrupted_by_user;
}

}  // namespace

Run add_denoise(CLI::App& app) {
  const auto command = std::make_shared<Denoise>();
  DenoiseOptions& options = command->options;
  app.add_option("IN", command->input, "PNG, JPEG or TIFF, grey or colour, 8 or 16 bits")->type_name("FILE")->required();
  add_output(app, command->output, "The cleaned picture: .png, .jpg or .tif");
  app.add_option("--sigma", options.sigma, "Standard deviation of the noise in 8-bit grey levels; default: estimated");
  app.add_option("--reference", command->reference, "The clean picture, to report psnr_in and psnr_out")->type_name("FILE");
  app.add_option("--atoms", options.n_atoms, "Atoms of the dictionary; default: chosen by riata");
  app.add_option("--patch", options.patch, "Side of the square patches; default: chosen by riata");
  app.add_option("--layers", options.layers, "Unrolled FISTA layers of the learner")->capture_default_str();
  app.add_option("--reg", options.reg, "Learning weight in 8-bit grey levels; default: from sigma");
  add_choice(app, "--method", options.method, parse_method, {"unrolled", "alternating"},
             "Gradient through the layers, or of the dictionary alone");
  app.add_flag("--plain", options.plain, "The documents' variant: 128 atoms, 10 x 10 patches, l1 reconstruction");
  app.add_flag("--dct", command->keep_dct, "No learning: keep the overcomplete DCT that learning starts from");
  app.add_option("--model-out", command->model_out, "Also write the dictionary: .safetensors")->type_name("FILE");
  add_seed(app, options.seed);
  app.add_option("--max-time", command->max_time_s, "Seconds of learning, at most");
  add_threads(app, options.execution.n_threads);
  add_talk(app, command->talk);
  app.footer("Example: riata denoise noisy.png -o clean.png --sigma 25");
  return [command] { return command->run(); };
}

}  // namespace riata::cli
