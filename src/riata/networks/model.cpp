#include "riata/networks/model.hpp"

#include "riata/core/check.hpp"

namespace riata {

ThresholdShape parse_threshold_shape(std::string_view name) {
  if (name == "scalar") return ThresholdShape::scalar;
  require(name == "atom", "threshold = '{}', must be 'scalar' or 'atom'", name);
  return ThresholdShape::atom;
}

const char* to_string(ThresholdShape shape) { return shape == ThresholdShape::atom ? "atom" : "scalar"; }

std::string parameter_name(int layer, std::string_view name) { return fmt::format("layer.{}.{}", layer, name); }

}  // namespace riata
