// A dictionary in a file: the tensor `dictionary` of a matrix, dictionary.<name> for each parameter of others. Of a convolution the
// metadata tell the shape: `dictionary` = "convolution", `n_channels`, `n_times`, `boundary`; and a window is dictionary.window.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "riata/core/tensors.hpp"
#include "riata/operators/dictionary.hpp"

namespace riata {

template <Scalar T>
void store_parameters(const Parameters<T>& parameters, NamedTensors& tensors);

/// The parameters, and what else a convolution is.
template <Scalar T>
void store_dictionary(const Dictionary<T>& D, NamedTensors& tensors, std::map<std::string, std::string>& metadata);

/// A matrix or a convolution as stored. @throws std::invalid_argument, beginning with `where`, if it is neither, of the other
/// precision, or not finite
template <Scalar T>
std::unique_ptr<Dictionary<T>> stored_dictionary(const NamedTensors& tensors, const std::map<std::string, std::string>& metadata,
                                                 const std::string& where);
/// Is the stored dictionary, a matrix or a convolution, of float32?
bool stored_in_float32(const NamedTensors& tensors, const std::map<std::string, std::string>& metadata, const std::string& where);

/// `like` with the parameters stored. @throws std::invalid_argument, beginning with `where`, if one is missing, of another shape
/// or precision, or not finite
template <Scalar T>
std::unique_ptr<Dictionary<T>> stored_dictionary(const NamedTensors& tensors, const Dictionary<T>& like,
                                                 const std::string& where);

/// Refuses tensors without `dictionary`, in a sentence that says what they hold in its place.
void require_stored_matrix(const NamedTensors& tensors, const std::string& where);

}  // namespace riata
