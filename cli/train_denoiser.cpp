// riata train --kind conv-denoise: clean pictures in, a convolutional denoising network out.
#include <algorithm>
#include <cctype>
#include <chrono>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "commands.hpp"
#include "inputs.hpp"
#include "interrupt.hpp"
#include "kernels.hpp"
#include "outputs.hpp"
#include "progress.hpp"
#include "riata/core/check.hpp"
#include "riata/core/error.hpp"
#include "riata/imaging/conv_denoiser.hpp"
#include "riata/version.hpp"

namespace riata::cli {
namespace {

namespace fs = std::filesystem;

struct TrainDenoiser {
  std::vector<std::string> inputs, data;  // pictures, and folders of them
  std::string kind, output, trace;
  std::optional<double> sigma;
  ConvDenoiserOptions options;
  Talk talk;

  int run();
};

bool is_picture_name(const fs::path& path) {
  std::string end = path.extension().string();
  std::ranges::transform(end, end.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return end == ".png" || end == ".jpg" || end == ".jpeg" || end == ".tif" || end == ".tiff";
}

/// Pictures, and those of folders in the order of their names.
std::vector<std::string> picture_files(const std::vector<std::string>& names) {
  std::vector<std::string> files;
  for (const std::string& name : names) {
    if (!fs::is_directory(name)) {
      files.push_back(name);
      continue;
    }
    std::vector<std::string> inside;
    for (const auto& entry : fs::directory_iterator(name))
      if (entry.is_regular_file() && is_picture_name(entry.path())) inside.push_back(entry.path().string());
    require(!inside.empty(), "{} holds no picture: no .png, .jpg, .jpeg, .tif or .tiff", name);
    std::ranges::sort(inside);
    files.insert(files.end(), inside.begin(), inside.end());
  }
  return files;
}

int TrainDenoiser::run() {
  options.validate();
  data.insert(data.begin(), inputs.begin(), inputs.end());
  require(sigma.has_value(), "--sigma is required: of the noise, in 8-bit grey levels");
  require(!data.empty(), "pictures are required, or folders of them");
  require_good_outputs(data, {output, options.checkpoint, trace});
  require_extension(output, {".safetensors"}, "networks");
  if (options.resume || options.resume_inexact) take_up_blas_kernels(options.checkpoint);
  catch_interrupts();
  options.execution.stop_requested = interrupt_requested;
  const std::vector<std::string> files = picture_files(data);
  std::vector<Picture> pictures;
  std::size_t n_floats = 0;
  for (const std::string& file : files) {
    const Image image = read_image(file);
    n_floats += image.is_float() ? 1 : 0;
    require(n_floats == 0 || n_floats == pictures.size() + 1, "{} is {}, and those before it are not; sigma has one unit", file,
            image.is_float() ? "floating point" : "in 8-bit grey levels");
    pictures.push_back(to_picture(image));
    const Picture& picture = pictures.back();
    require(std::min(picture.height, picture.width) >= options.crop,
            "{} has {} x {} pixels (height x width), must have at least the {} x {} of --crop", file, picture.height,
            picture.width, options.crop, options.crop);
  }
  const auto start = std::chrono::steady_clock::now();
  Progress progress(!talk.quiet, options.max_iter);
  auto [denoiser, history, status] = train_conv_denoiser(pictures, *sigma, options, [&](const IterationInfo& info) {
    progress.show(info);
    return interrupt_requested() ? Action::stop : Action::keep_going;
  });
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const bool is_stopped = status == Status::interrupted;
  const std::size_t n_updates = history.value.size();
  if (is_stopped && n_updates == 0) throw Interrupted();
  const std::size_t n_last = std::min<std::size_t>(n_updates, 100);
  double last = 0;
  for (std::size_t i = n_updates - n_last; i < n_updates; ++i) last += history.value[i] / static_cast<double>(n_last);
  denoiser.grey_levels = n_floats == 0;
  denoiser.metadata = {{"riata_version", version},
                       {"seed", formatted("{}", options.seed)},
                       {"n_pictures", formatted("{}", pictures.size())},
                       {"n_iter", formatted("{}", n_updates)},
                       {"value", formatted("{}", last)},
                       {"status", to_string(status)}};
  save_conv_denoiser(output, denoiser);
  if (!trace.empty()) write_trace(trace, history);
  tell(
      talk,
      {{"output", output},
       {"kind", "conv-denoise"},
       {"n_filters", denoiser.kernels.cols()},
       {"kernel_size", denoiser.kernel_size()},
       {"stride", denoiser.stride},
       {"n_layers", denoiser.n_layers},
       {"sigma", *sigma},
       {"reg", denoiser.reg},
       {"n_pictures", pictures.size()},
       {"n_iter", n_updates},
       {"value", last},
       {"seconds", seconds},
       {"status", to_string(status)}},
      formatted(
          "{}: {} kernels of {} x {} pixels, stride {}, {}, for sigma {}, from {} pictures, mean loss of the last {} {:.6g}, {}, "
          "{}, {:.1f} s",
          output, denoiser.kernels.cols(), denoiser.kernel_size(), denoiser.kernel_size(), denoiser.stride,
          counted(static_cast<std::size_t>(denoiser.n_layers), "layer"), *sigma, pictures.size(), n_last, last,
          counted(n_updates, "update"), to_string(status), seconds));
  if (const double L = denoiser.squared_norm(); denoiser.step * L > 2 && !talk.quiet)
    say(formatted("riata train: step = {} is above 2 / ||D||^2 = {:.3g}, where layers may diverge; try a smaller --step",
                  denoiser.step, 2 / L));
  if (!is_stopped) return ok;
  say(formatted("riata train: interrupted after {}; the network so far is in {}{}", counted(n_updates, "update"), output,
                options.checkpoint.empty() ? "" : " (--resume continues)"));
  return interrupted_code();
}

}  // namespace

Task add_train_denoiser(CLI::App& app) {
  const auto command = std::make_shared<TrainDenoiser>();
  app.add_option("IN", command->inputs, "Clean pictures, or folders of them: PNG, JPEG or TIFF; of colour the luminance is taken")
      ->type_name("FILE");
  app.add_option("--data", command->data, "The same")->type_name("FILE");
  app.add_option("--kind", command->kind,
                 "conv-denoise: a convolutional dictionary, unrolled; for codes of signals see riata train --help")
      ->type_name("conv-denoise");
  add_output(app, command->output, "The network: .safetensors");
  app.add_option("--sigma", command->sigma, "Standard deviation of the noise, in 8-bit grey levels");
  add_options(app, command->options);
  add_threads(app, command->options.execution.n_threads);
  app.add_option("--trace", command->trace, "iteration,phase,value,step,seconds as .csv")->type_name("FILE");
  add_talk(app, command->talk);
  app.footer("Example: riata train pictures --kind conv-denoise --sigma 25 -o net.safetensors");
  return [command] { return command->run(); };
}

}  // namespace riata::cli
