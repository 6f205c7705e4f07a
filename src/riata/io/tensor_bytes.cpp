#include "riata/io/tensor_bytes.hpp"

#include <fmt/ranges.h>

#include "riata/core/check.hpp"

namespace riata {

std::optional<std::uint64_t> checked_bytes(const std::vector<Index>& shape, std::uint64_t item_bytes) {
  Index n_bytes = static_cast<Index>(item_bytes);
  for (const Index n : shape)
    if (n < 0 || __builtin_mul_overflow(n_bytes, n, &n_bytes)) return std::nullopt;
  return static_cast<std::uint64_t>(n_bytes);
}

std::string to_text(const std::vector<Index>& shape) {
  return formatted("({}{})", fmt::join(shape, ", "), shape.size() == 1 ? "," : "");
}

std::string_view bytes_of(const Tensor& tensor) {
  return std::visit(
      [](const auto& values) {
        return std::string_view(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(values[0]));
      },
      tensor.data);
}

void require_consistent(const Tensor& tensor, const std::string& where) {
  const std::size_t n_values = std::visit([](const auto& values) { return values.size(); }, tensor.data);
  require(checked_bytes(tensor.shape, 1) == n_values, "{}: tensor of shape {} holds {} values", where, to_text(tensor.shape),
          n_values);
}

}  // namespace riata
