#include <utility>
#include <vector>

#include "arrays.hpp"
#include "encode_result.hpp"
#include "history.hpp"
#include "module.hpp"
#include "options.hpp"
#include "riata/core/check.hpp"
#include "riata/learning/learn_kernels.hpp"
#include "riata/solvers/encode.hpp"

namespace riata::python {
namespace {

/// Kernels as Python passes them, (n_atoms, n_channels l^2), for pictures of that shape.
template <Scalar T>
ConvolutionalDictionary2D<T> make_kernels(const Array2<T>& kernels, Index n_channels, std::pair<Index, Index> size,
                                          const std::string& boundary, Index stride) {
  return {Matrix<T>(view<T>(kernels)), {n_channels, size.first, size.second, parse<Boundary>(boundary, "boundary"), stride}};
}

/// Pictures (n_channels, height width), with masks likewise or of one channel, or None.
template <Scalar T>
std::vector<SeenPicture<T>> to_pictures(const nb::list& pictures, const nb::list& masks, const nb::list& sizes) {
  std::vector<SeenPicture<T>> all;
  for (std::size_t i = 0; i < pictures.size(); ++i) {
    SeenPicture<T> picture{nb::cast<Index>(sizes[i][0]), nb::cast<Index>(sizes[i][1]),
                           Matrix<T>(view<T>(nb::cast<Array2<T>>(pictures[i])))};
    if (!masks[i].is_none()) picture.mask = view<T>(nb::cast<Array2<T>>(masks[i]));
    all.push_back(std::move(picture));
  }
  return all;
}

template <Scalar T>
nb::dict to_python(KernelResult<T>&& result) {
  nb::dict fields;
  fields["atoms"] = to_numpy(std::move(result.atoms));
  fields["steps"] = to_numpy(std::move(result.learned.steps));
  fields["history"] = history_to_python(std::move(result.learned.history));
  fields["initial_value"] = result.learned.initial_value;
  fields["reg"] = result.learned.reg;
  fields["n_replaced"] = result.learned.n_replaced;
  fields["status"] = to_string(result.learned.status);
  return fields;
}

template <Scalar T>
void bind_kernels_in(nb::module_& m) {
  m.def(
      "kernel_encode",
      [](const Array2<T>& X, const std::optional<Array2<T>>& mask, const Array2<T>& kernels, Index n_channels, Index height,
         Index width, const std::string& boundary, Index stride, const PythonReg& reg, const nb::dict& given) {
        const auto options = to_options<EncodeOptions>(given);
        const Reg weight = to_reg(reg);
        return python::to_python<T>(without_gil([&] {
          const auto D = make_kernels<T>(kernels, n_channels, {height, width}, boundary, stride);
          return encode<T>(to_batch<T>(X, mask), D, weight, options);
        }));
      },
      array_arg("X"), array_arg("mask").none(), array_arg("kernels"), nb::arg("n_channels"), nb::arg("height"), nb::arg("width"),
      nb::arg("boundary"), nb::arg("stride"), array_arg("reg"), nb::arg("options"));
  m.def(
      "kernel_decode",
      [](const Array2<T>& Z, const Array2<T>& kernels, Index n_channels, Index height, Index width, const std::string& boundary,
         Index stride) {
        return to_numpy(without_gil([&] {
          const auto D = make_kernels<T>(kernels, n_channels, {height, width}, boundary, stride);
          require(static_cast<Index>(Z.shape(1)) == D.code_size(), "kernel_decode: Z has {} entries, must have {}", Z.shape(1),
                  D.code_size());
          Matrix<T> X(D.signal_size(), static_cast<Index>(Z.shape(0)));
          D.apply(view<T>(Z), X);
          return X;
        }));
      },
      array_arg("Z"), array_arg("kernels"), nb::arg("n_channels"), nb::arg("height"), nb::arg("width"), nb::arg("boundary"),
      nb::arg("stride"));
}

}  // namespace

void bind_kernels(nb::module_& m) {
  describe_options<KernelOptions>(m, "learn_kernels");
  bind_kernels_in<float>(m);
  bind_kernels_in<double>(m);
  m.def(
      "learn_kernels",
      [](const nb::list& pictures, const nb::list& masks, const nb::list& sizes, bool is_float, Index n_atoms, Index kernel_size,
         const nb::object& init, const PythonReg& reg, const nb::object& callback, const nb::dict& given) {
        const auto options = to_options<KernelOptions>(given, OnInterrupt::stop);
        const Reg weight = to_reg(reg);
        const Observer observer = to_observer<IterationInfo>(callback, OnInterrupt::stop);
        const auto learn = [&]<Scalar T>(T) {
          const auto all = to_pictures<T>(pictures, masks, sizes);
          Matrix<T> start;
          if (!init.is_none()) start = view<T>(nb::cast<Array2<T>>(init));
          auto result = without_gil([&] {
            return start.size() > 0 ? learn_kernels<T>(all, start, weight, options, observer)
                                    : learn_kernels<T>(all, n_atoms, kernel_size, weight, options, observer);
          });
          return to_python<T>(std::move(result));
        };
        return is_float ? learn(float()) : learn(double());
      },
      nb::arg("pictures"), nb::arg("masks"), nb::arg("sizes"), nb::arg("is_float"), nb::arg("n_atoms"), nb::arg("kernel_size"),
      nb::arg("init").none(), array_arg("reg"), nb::arg("callback").none(), nb::arg("options"));
}

}  // namespace riata::python
