// The parameters of a dictionary in a file: the tensor `dictionary` of a matrix, dictionary.<name> of others.
#pragma once

#include <string>

#include "riata/core/tensors.hpp"
#include "riata/operators/dictionary.hpp"

namespace riata {

template <Scalar T>
void store_parameters(const Parameters<T>& parameters, NamedTensors& tensors);

/// `like` with the parameters stored. @throws std::invalid_argument, beginning with `where`, if one is missing, of another shape
/// or precision, or not finite
template <Scalar T>
std::unique_ptr<Dictionary<T>> stored_dictionary(const NamedTensors& tensors, const Dictionary<T>& like,
                                                 const std::string& where);

/// Refuses tensors without `dictionary`, in a sentence that says what they hold in its place.
void require_stored_matrix(const NamedTensors& tensors, const std::string& where);

}  // namespace riata
