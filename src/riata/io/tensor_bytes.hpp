// Tensors as bytes on disk: sizes without overflow, views of the values.
#pragma once

#include <bit>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "riata/core/tensors.hpp"

namespace riata {

static_assert(std::endian::native == std::endian::little, "riata's files are written for little-endian machines");

/// Bytes of an array of that shape; none if a dimension is negative or the product does not fit into an
/// Index.
std::optional<std::uint64_t> checked_bytes(const std::vector<Index>& shape, std::uint64_t item_bytes);

/// As Python writes a tuple: "()", "(3,)", "(3, 4)".
std::string to_text(const std::vector<Index>& shape);

/// The values as stored; valid as long as the tensor.
std::string_view bytes_of(const Tensor& tensor);

/// @throws std::invalid_argument if the shape does not hold as many entries as there are values
void require_consistent(const Tensor& tensor, const std::string& where);

}  // namespace riata
