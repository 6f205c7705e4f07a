// Signals from HDF5: FILE.h5:DATASET, where riata was built with libhdf5.
#pragma once

#include <memory>
#include <string>

#include "inputs.hpp"
#include "riata/learning/signal_source.hpp"

namespace riata::cli {

/// "x.h5:/signals", also .hdf5 and .nwb; of a file alone its only dataset is not looked for.
bool is_hdf5_name(const std::string& name);
/// Where in such a name the colon is, or npos.
std::size_t hdf5_colon(const std::string& name);

Precision precision_of_hdf5(const std::string& name);
template <Scalar T>
std::shared_ptr<SignalSource<T>> hdf5_signals(const std::string& name);
/// The whole.
Tensor read_hdf5(const std::string& name);

}  // namespace riata::cli
