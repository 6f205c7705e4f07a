#include "riata/terms/penalty_file.hpp"

#include <cmath>

#include "riata/core/check.hpp"
#include "riata/io/model_file.hpp"
#include "riata/terms/group_l1.hpp"
#include "riata/terms/l1.hpp"
#include "riata/terms/reg.hpp"

namespace riata {

void store_penalty(const PenaltyOptions& penalty, TensorFile& file) {
  require(penalty.kind != PenaltyKind::own, "save_model: a penalty of one's own has no form in files; leave it out");
  if (penalty.kind != PenaltyKind::l1) file.metadata["penalty"] = to_string(penalty.kind);
  if (penalty.positive) file.metadata["positive"] = "true";
  if (penalty.l1_ratio) file.metadata["l1_ratio"] = formatted("{}", *penalty.l1_ratio);
  if (!penalty.weights.empty()) file.tensors["weights"] = to_tensor(penalty.weights);
  if (!penalty.groups.empty())
    file.tensors["groups"] = to_tensor(std::vector<double>(penalty.groups.begin(), penalty.groups.end()));
}

PenaltyOptions stored_penalty(const TensorFile& file, const std::string& path, Index n_atoms) {
  const auto text = [&](const char* key) { return text_of(file.metadata, key); };
  PenaltyOptions penalty{.positive = text("positive") == "true"};
  try {
    if (!text("penalty").empty()) penalty.kind = parse<PenaltyKind>(text("penalty"), "penalty");
    if (!text("l1_ratio").empty()) penalty.l1_ratio = std::get<double>(Reg::parse(text("l1_ratio")).value());
    if (file.tensors.contains("weights")) penalty.weights = get_vector<double>(file.tensors, "weights", path);
    if (file.tensors.contains("groups"))
      for (const double label : get_vector<double>(file.tensors, "groups", path)) {
        require(std::floor(label) == label && std::abs(label) < 0x1p53, "groups holds {}, must be integers", label);
        penalty.groups.push_back(static_cast<std::int64_t>(label));
      }
    penalty.validate(n_atoms);
    require(!penalty.has_weights_per_signal(n_atoms), "weights: {} entries for {} atoms; they must be equal",
            penalty.weights.size(), n_atoms);
    if (penalty.kind == PenaltyKind::group)  // or they refuse what they are given
      GroupL1<double>(penalty, n_atoms);
    else if (!penalty.weights.empty())
      L1<double>(penalty, n_atoms, Weights::any);
  } catch (const std::exception& refusal) {
    refuse(formatted("{}: {}", path, refusal.what()));
  }
  return penalty;
}

}  // namespace riata
