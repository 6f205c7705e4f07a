// Small random networks of every kind, for the tests of networks/.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "riata/networks/network.hpp"
#include "support/random_arrays.hpp"

namespace riata::testing {

struct KindCase {
  std::string kind;
  NetworkOptions options = {};

  std::string describe() const {
    return kind + (options.threshold == ThresholdShape::atom ? ", a threshold per atom" : "") +
           (options.support_selection ? ", support selection" : "") + (options.positive ? ", positive" : "");
  }
};

inline const std::vector<std::int64_t> groups_of_eight{0, 1, 0, 2, 2, 2, 1, 0};

/// Every kind with every option, for 8 atoms.
inline std::vector<KindCase> network_cases() {
  const auto atom = ThresholdShape::atom;
  const SupportSelection selection{.p = 15, .p_max = 40};
  return {{"lista"},
          {"lista", {.threshold = atom}},
          {"coupled"},
          {"coupled", {.threshold = atom}},
          {"coupled", {.support_selection = selection}},
          {"coupled", {.threshold = atom, .support_selection = selection}},
          {"tied"},
          {"tied", {.threshold = atom, .support_selection = selection}},
          {"alista"},
          {"alista", {.support_selection = selection}},
          {"step"},
          {"hessian"},
          {"hessian", {.threshold = atom}},
          {"first_step"},
          {"facnet"},
          {"iht"},
          {"lamp"},
          {"group", {.groups = groups_of_eight}},
          {"fista"},
          {"step", {.positive = true}},
          {"lista", {.positive = true}},
          {"coupled", {.threshold = atom, .positive = true}},
          {"alista", {.positive = true}},
          {"fista", {.positive = true}}};
}

inline double largest_difference(const Eigen::MatrixXd& A, const Eigen::MatrixXd& B) { return (A - B).cwiseAbs().maxCoeff(); }

/// Moves every parameter a little, each its own way.
template <Scalar T>
void shake(Network<T>& net, Draw& draw, double share = 0.2) {
  Parameters<T> parameters = net.parameters();
  for (auto& [name, values] : parameters) {
    const double size =
        share * std::max(static_cast<double>(values.norm()) / std::sqrt(static_cast<double>(values.size())), 1e-3);
    if (name.ends_with("scales") || name.ends_with("threshold") || name.ends_with("step"))
      for (Index k = 0; k < values.size(); ++k) values(k) *= static_cast<T>(draw.uniform(0.7, 1.3));
    else
      values += (size * draw.normal_matrix(values.rows(), values.cols())).template cast<T>();
    if (name.ends_with("hessian")) values = ((values + values.transpose()) / 2).eval();
  }
  net.set_parameters(parameters);
}

}  // namespace riata::testing
