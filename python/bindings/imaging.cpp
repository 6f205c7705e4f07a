#include "riata/imaging/denoise.hpp"

#include <algorithm>

#include "arrays.hpp"
#include "history.hpp"
#include "module.hpp"
#include "options.hpp"

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
}

}  // namespace riata::python
