// Signals in a dataset of an HDF5 file, read when they are due. Needs libhdf5, which riata itself does not: link riata::hdf5, of
// find_package(riata COMPONENTS core hdf5), beside riata.
#pragma once

#include <hdf5.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>

#include "riata/core/error.hpp"
#include "riata/learning/signal_source.hpp"

namespace riata {
namespace hdf5 {

/// What H5Xopen gave, closed at the end.
class Handle {
 public:
  Handle() = default;
  Handle(hid_t id, herr_t (*close)(hid_t)) : id_(id), close_(close) {}
  Handle(Handle&& other) noexcept : id_(std::exchange(other.id_, H5I_INVALID_HID)), close_(other.close_) {}
  Handle& operator=(Handle&& other) noexcept {
    std::swap(id_, other.id_);
    std::swap(close_, other.close_);
    return *this;
  }
  ~Handle() {
    if (id_ >= 0) close_(id_);
  }
  operator hid_t() const { return id_; }  // NOLINT(google-explicit-constructor): the library takes such numbers
  bool is_open() const { return id_ >= 0; }

 private:
  hid_t id_ = H5I_INVALID_HID;
  herr_t (*close_)(hid_t) = nullptr;
};

/// As long as it lives the library prints no errors: they are said here, in one sentence.
class Silence {
 public:
  Silence() {
    H5Eget_auto2(H5E_DEFAULT, &print_, &data_);
    H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
  }
  Silence(const Silence&) = delete;
  Silence& operator=(const Silence&) = delete;
  ~Silence() { H5Eset_auto2(H5E_DEFAULT, print_, data_); }

 private:
  H5E_auto2_t print_ = nullptr;
  void* data_ = nullptr;
};

/// A dataset of numbers, (n_signals, n_features).
struct Table {
  std::string name;
  Handle file, dataset, space;
  hsize_t shape[2] = {0, 0};
  bool is_float32 = false;

  /// @throws std::invalid_argument naming what is wrong; riata::Error if the file cannot be read
  Table(const std::filesystem::path& path, const std::string& key) : name(path.string() + ":" + key) {
    if (!std::filesystem::exists(path)) throw Error(path.string() + ": no such file");
    if (!std::ifstream(path)) throw Error("cannot read " + path.string());
    const Silence silence;
    file = {H5Fopen(path.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT), H5Fclose};
    if (!file.is_open()) throw std::invalid_argument(path.string() + " is no HDF5 file, or a damaged one");
    Handle access(H5Pcreate(H5P_DATASET_ACCESS), H5Pclose);
    constexpr std::size_t n_slots = 10'007, bytes = 64 << 20;  // chunks that are kept: neighbours are read often
    H5Pset_chunk_cache(access, n_slots, bytes, H5D_CHUNK_CACHE_W0_DEFAULT);
    dataset = {H5Dopen2(file, key.c_str(), access), H5Dclose};
    if (!dataset.is_open()) throw std::invalid_argument(path.string() + " has no dataset '" + key + "'");
    space = {H5Dget_space(dataset), H5Sclose};
    const int n_dimensions = H5Sget_simple_extent_ndims(space);
    if (n_dimensions != 2)
      throw std::invalid_argument(name + " has " + std::to_string(std::max(n_dimensions, 0)) +
                                  " dimensions; expected 2: (n_signals, n_features)");
    H5Sget_simple_extent_dims(space, shape, nullptr);
    const Handle type(H5Dget_type(dataset), H5Tclose);
    const H5T_class_t kind = H5Tget_class(type);
    if (kind != H5T_FLOAT && kind != H5T_INTEGER)
      throw std::invalid_argument(name + " holds no numbers; expected floating-point numbers or integers");
    is_float32 = kind == H5T_FLOAT && H5Tget_size(type) <= sizeof(float);
  }
};

}  // namespace hdf5

/// A two-dimensional dataset, (n_signals, n_features), of floating-point numbers or integers, which become T.
template <Scalar T>
class Hdf5Signals final : public SignalSource<T> {
 public:
  /// @throws std::invalid_argument naming what is wrong; riata::Error if the file cannot be read
  Hdf5Signals(const std::filesystem::path& path, const std::string& dataset) : table_(path, dataset) {}

  Index n_features() const override { return static_cast<Index>(table_.shape[1]); }
  Index n_signals() const override { return static_cast<Index>(table_.shape[0]); }
  void read(Index first, MatrixRef<T> out) override {
    const hsize_t start[2] = {static_cast<hsize_t>(first), 0}, count[2] = {static_cast<hsize_t>(out.cols()), table_.shape[1]};
    const hdf5::Handle memory(H5Screate_simple(2, count, nullptr), H5Sclose);
    const hdf5::Silence silence;
    Matrix<T> some(out.rows(), out.cols());
    const bool is_read = H5Sselect_hyperslab(table_.space, H5S_SELECT_SET, start, nullptr, count, nullptr) >= 0 &&
                         H5Dread(table_.dataset, sizeof(T) == 4 ? H5T_NATIVE_FLOAT : H5T_NATIVE_DOUBLE, memory, table_.space,
                                 H5P_DEFAULT, some.data()) >= 0;
    if (!is_read)
      throw std::invalid_argument(table_.name + ": signals " + std::to_string(first) + " to " +
                                  std::to_string(first + out.cols() - 1) + " cannot be read; is the file damaged?");
    for (Index i = 0; i < some.cols(); ++i)
      if (!some.col(i).allFinite())
        throw std::invalid_argument(table_.name + ": signal " + std::to_string(first + i) + " has an entry that is not finite");
    out = some;
  }

 private:
  hdf5::Table table_;
};

/// Are its values float32? @throws as Hdf5Signals
inline bool is_float32_hdf5(const std::filesystem::path& path, const std::string& dataset) {
  return hdf5::Table(path, dataset).is_float32;
}

}  // namespace riata
