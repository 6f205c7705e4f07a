#include "hdf5.hpp"

#include "riata/core/check.hpp"
#ifdef RIATA_HDF5
#include "riata/learning/hdf5_signals.hpp"
#endif

namespace riata::cli {

std::size_t hdf5_colon(const std::string& name) {
  for (const char* const extension : {".h5:", ".hdf5:", ".nwb:"})
    if (const auto at = name.rfind(extension); at != std::string::npos) return at + std::string_view(extension).size() - 1;
  return std::string::npos;
}

bool is_hdf5_name(const std::string& name) {
  return hdf5_colon(name) != std::string::npos || name.ends_with(".h5") || name.ends_with(".hdf5") || name.ends_with(".nwb");
}

namespace {

std::pair<std::string, std::string> parts_of_name(const std::string& name) {
  const std::size_t colon = hdf5_colon(name);
  require(colon != std::string::npos, "{} holds datasets; choose one, as in {}:/signals", name, name);
  return {name.substr(0, colon), name.substr(colon + 1)};
}

}  // namespace

#ifdef RIATA_HDF5
Precision precision_of_hdf5(const std::string& name) {
  const auto [file, dataset] = parts_of_name(name);
  return is_float32_hdf5(file, dataset) ? Precision::float32 : Precision::float64;
}

template <Scalar T>
std::shared_ptr<SignalSource<T>> hdf5_signals(const std::string& name) {
  const auto [file, dataset] = parts_of_name(name);
  return std::make_shared<Hdf5Signals<T>>(file, dataset);
}
#else
namespace {
[[noreturn]] void refuse(const std::string& name) {
  parts_of_name(name);
  throw std::invalid_argument(formatted("{} is an HDF5 file; this riata was built without libhdf5 (RIATA_HDF5=OFF)", name));
}
}  // namespace

Precision precision_of_hdf5(const std::string& name) { refuse(name); }

template <Scalar T>
std::shared_ptr<SignalSource<T>> hdf5_signals(const std::string& name) {
  refuse(name);
}
#endif

template std::shared_ptr<SignalSource<float>> hdf5_signals<float>(const std::string&);
template std::shared_ptr<SignalSource<double>> hdf5_signals<double>(const std::string&);

Tensor read_hdf5(const std::string& name) {
  const auto read = [&]<Scalar T>(T) {
    const auto source = hdf5_signals<T>(name);
    Matrix<T> all(source->n_features(), source->n_signals());
    if (all.size() > 0) source->read(0, all);
    return to_tensor<T>(all);
  };
  return precision_of_hdf5(name) == Precision::float32 ? read(float()) : read(double());
}

}  // namespace riata::cli
