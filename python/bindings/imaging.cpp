#include "riata/imaging/denoise.hpp"

#include <algorithm>

#include "arrays.hpp"
#include "execution.hpp"
#include "history.hpp"
#include "module.hpp"

namespace riata::python {
namespace {

using Pixels = nb::ndarray<const float, nb::ndim<3>, nb::c_contig, nb::device::cpu>;

Picture to_picture(const Pixels& pixels) {
  return {.height = static_cast<Index>(pixels.shape(0)),
          .width = static_cast<Index>(pixels.shape(1)),
          .channels = static_cast<Index>(pixels.shape(2)),
          .samples = std::vector<float>(pixels.data(), pixels.data() + pixels.size())};
}

}  // namespace

void bind_imaging(nb::module_& m) {
  const DenoiseOptions standard;
  nb::dict defaults;
  defaults["plain"] = standard.plain;
  defaults["learn"] = standard.learn;
  defaults["random_state"] = standard.seed;
  m.attr("defaults")["denoise"] = defaults;

  m.def(
      "denoise",
      [](const Pixels& pixels, std::optional<double> sigma, std::optional<Index> n_atoms, std::optional<Index> patch,
         std::optional<int> layers, std::optional<double> reg, const std::string& method, bool plain, bool learn,
         std::uint64_t seed, std::optional<int> n_threads, const nb::object& callback, const std::optional<Pixels>& mask) {
        DenoiseOptions options{.sigma = sigma,
                               .n_atoms = n_atoms,
                               .patch = patch,
                               .reg = reg,
                               .method = parse_learning_method(method),
                               .plain = plain,
                               .learn = learn,
                               .seed = seed,
                               .execution = to_execution(n_threads)};
        if (layers) options.layers = *layers;
        if (mask) options.mask = to_picture(*mask);
        const Observer observer = to_observer<IterationInfo>(callback, OnInterrupt::raise);
        DenoiseResult result = without_gil([&] { return denoise(to_picture(pixels), options, observer); });
        nb::dict fields;
        fields["pixels"] = to_numpy(std::move(result.picture.samples));
        fields["dictionary"] = to_numpy(std::move(result.dictionary));
        fields["sigma"] = result.sigma;
        fields["reg"] = result.reg;
        fields["layers"] = result.layers;
        fields["history"] = history_to_python(std::move(result.history));
        fields["status"] = to_string(result.status);
        return fields;
      },
      array_arg("pixels"), nb::arg("sigma").none(), nb::arg("n_atoms").none(), nb::arg("patch").none(), nb::arg("layers").none(),
      nb::arg("reg").none(), nb::arg("method"), nb::arg("plain"), nb::arg("learn"), nb::arg("seed"), nb::arg("n_threads").none(),
      nb::arg("callback").none(), nb::arg("mask").none());
}

}  // namespace riata::python
