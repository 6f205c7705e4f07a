#include "riata/imaging/denoise.hpp"

#include <nanobind/stl/map.h>
#include <nanobind/stl/vector.h>

#include <algorithm>

#include "arrays.hpp"
#include "history.hpp"
#include "module.hpp"
#include "options.hpp"
#include "paths.hpp"
#include "riata/imaging/conv_denoiser.hpp"

namespace riata::python {
namespace {

using Pixels = nb::ndarray<const float, nb::ndim<3>, nb::c_contig, nb::device::cpu>;

Picture to_picture(const Pixels& pixels) {
  return {.height = static_cast<Index>(pixels.shape(0)),
          .width = static_cast<Index>(pixels.shape(1)),
          .channels = static_cast<Index>(pixels.shape(2)),
          .samples = std::vector<float>(pixels.data(), pixels.data() + pixels.size())};
}

nb::dict denoiser_to_python(ConvDenoiser&& denoiser) {
  nb::dict fields;
  fields["kernels"] = to_numpy<float>(std::move(denoiser.kernels));
  fields["stride"] = denoiser.stride;
  fields["n_layers"] = denoiser.n_layers;
  fields["threshold"] = to_string(denoiser.threshold);
  fields["reg"] = denoiser.reg;
  fields["step"] = denoiser.step;
  fields["sigma"] = denoiser.sigma;
  fields["grey_levels"] = denoiser.grey_levels;
  fields["gradient"] = to_string(denoiser.gradient);
  fields["metadata"] = denoiser.metadata;
  return fields;
}

ConvDenoiser to_denoiser(const nb::dict& fields) {
  return {.kernels = view<float>(nb::cast<Array2<float>>(fields["kernels"])),
          .stride = nb::cast<Index>(fields["stride"]),
          .n_layers = nb::cast<int>(fields["n_layers"]),
          .threshold = parse<ConvThreshold>(nb::cast<std::string>(fields["threshold"]), "threshold"),
          .reg = nb::cast<double>(fields["reg"]),
          .step = nb::cast<double>(fields["step"]),
          .sigma = nb::cast<double>(fields["sigma"]),
          .grey_levels = nb::cast<bool>(fields["grey_levels"]),
          .gradient = parse<ConvGradient>(nb::cast<std::string>(fields["gradient"]), "gradient"),
          .metadata = nb::cast<std::map<std::string, std::string>>(fields["metadata"])};
}

}  // namespace

void bind_imaging(nb::module_& m) {
  describe_options<DenoiseOptions>(m, "denoise");
  m.def(
      "denoise",
      [](const Pixels& pixels, const std::optional<Pixels>& mask, const nb::object& callback, const nb::dict& given) {
        auto options = to_options<DenoiseOptions>(given);
        if (mask) options.mask = to_picture(*mask);
        const Observer observer = to_observer<IterationInfo>(callback, OnInterrupt::raise);
        DenoiseResult result = without_gil([&] { return denoise(to_picture(pixels), options, observer); });
        nb::dict fields;
        fields["pixels"] = to_numpy(std::move(result.picture.samples));
        fields["dictionary"] = to_numpy(std::move(result.dictionary));
        fields["sigma"] = result.sigma;
        fields["reg"] = result.reg;
        fields["n_layers"] = result.n_layers;
        fields["history"] = history_to_python(std::move(result.history));
        fields["status"] = to_string(result.status);
        return fields;
      },
      array_arg("pixels"), nb::arg("mask").none(), nb::arg("callback").none(), nb::arg("options"));

  describe_options<ConvDenoiserOptions>(m, "ConvDenoiser");
  m.def(
      "train_conv_denoiser",
      [](const std::vector<Pixels>& pictures, double sigma, const nb::object& callback, const nb::dict& given) {
        const auto options = to_options<ConvDenoiserOptions>(given, OnInterrupt::stop);
        const Observer observer = to_observer<IterationInfo>(callback, OnInterrupt::stop);
        std::vector<Picture> all;
        for (const Pixels& pixels : pictures) all.push_back(to_picture(pixels));
        ConvDenoiserResult result = without_gil([&] { return train_conv_denoiser(all, sigma, options, observer); });
        const double squared_norm = result.denoiser.squared_norm();
        nb::dict fields = denoiser_to_python(std::move(result.denoiser));
        fields["history"] = history_to_python(std::move(result.history));
        fields["status"] = to_string(result.status);
        fields["squared_norm"] = squared_norm;
        return fields;
      },
      nb::arg("pictures"), nb::arg("sigma"), nb::arg("callback").none(), nb::arg("options"));
  m.def(
      "conv_denoise",
      [](const Pixels& pixels, const nb::dict& fields, std::optional<double> sigma, bool shift_average,
         std::optional<int> n_threads) {
        const ConvDenoiser denoiser = to_denoiser(fields);
        Picture clean = without_gil([&] {
          return denoiser.denoise(to_picture(pixels),
                                  {.sigma = sigma, .shift_average = shift_average, .execution = to_execution(n_threads)});
        });
        return to_numpy(std::move(clean.samples));
      },
      array_arg("pixels"), nb::arg("denoiser"), nb::arg("sigma").none(), nb::arg("shift_average"), nb::arg("n_threads").none());
  m.def(
      "save_conv_denoiser",
      [](const Path& path, const nb::dict& fields) {
        const ConvDenoiser denoiser = to_denoiser(fields);
        without_gil([&] { save_conv_denoiser(path, denoiser); });
      },
      nb::arg("path"), nb::arg("denoiser"));
  m.def(
      "load_conv_denoiser",
      [](const Path& path) { return denoiser_to_python(without_gil([&] { return load_conv_denoiser(path); })); },
      nb::arg("path"));
  m.def(
      "holds_conv_denoiser", [](const Path& path) { return without_gil([&] { return holds_conv_denoiser(path); }); },
      nb::arg("path"));
}

}  // namespace riata::python
