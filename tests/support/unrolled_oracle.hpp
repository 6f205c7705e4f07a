// The oracle of unrolled networks: N layers by plain loops in double, and central differences of any function
// of them. Shares no code with the library.
#pragma once

#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <vector>

#include "support/decompositions.hpp"

namespace riata::testing {

struct OracleNetwork {
  bool accelerate = true;
  bool return_extrapolated = false;
  bool positive = false;
  bool lasso = true;  // the loss; else least squares
  bool mean = true;   // over the signals; else their sum
  double lipschitz = 1;
  double decay = 1;         // of reg, from layer to layer
  Eigen::VectorXd weights;  // one per atom
};

/// All that a derivative may be taken of; `target` is what the loss compares with if it is not empty.
struct OracleInput {
  Eigen::MatrixXd D, X, target;
  Eigen::VectorXd steps, reg;  // one factor per layer; one weight per signal
};

/// z_k and y_k for k = 0, ..., N: one matrix each, atoms x signals.
struct OracleTrace {
  std::vector<Eigen::MatrixXd> z, y;
  double kink_distance = std::numeric_limits<double>::infinity();  // of any threshold's argument from its threshold
  const Eigen::MatrixXd& output(const OracleNetwork& net) const { return net.return_extrapolated ? y.back() : z.back(); }
};

/// Runs the layers after `trace`, which holds the iterates so far (at least z_0 = y_0).
void run_layers(const OracleNetwork& net, const OracleInput& in, OracleTrace& trace);

inline OracleTrace run_network(const OracleNetwork& net, const OracleInput& in, const Eigen::MatrixXd& start = {}) {
  OracleTrace trace;
  trace.z.push_back(start.size() > 0 ? start : Eigen::MatrixXd(Eigen::MatrixXd::Zero(in.D.cols(), in.X.cols())));
  trace.y = trace.z;
  run_layers(net, in, trace);
  return trace;
}

double loss_at(const OracleNetwork& net, const OracleInput& in, const Eigen::MatrixXd& Z);

/// The loss as a function of `in`, with the first N - K iterates (and so their momentum) held at those of
/// `trace`.
double loss_with_held(const OracleNetwork& net, const OracleInput& in, const OracleTrace& trace, int kept);

/// d value / d entry of every entry of `array`, by central differences at h and 2 h extrapolated to h = 0
/// (error h^4); leaves `array` as it was. Kinks must be further away than 2 h can move anything.
template <class Array>
Eigen::MatrixXd central_differences(Array& array, const std::function<double()>& value, double h = 1e-4) {
  Eigen::MatrixXd gradient(array.rows(), array.cols());
  for (Eigen::Index j = 0; j < array.cols(); ++j)
    for (Eigen::Index i = 0; i < array.rows(); ++i) {
      const double before = array(i, j);
      const auto difference = [&](double step) {
        array(i, j) = before + step;
        const double above = value();
        array(i, j) = before - step;
        return (above - value()) / (2 * step);
      };
      gradient(i, j) = (4 * difference(h) - difference(2 * h)) / 3;
      array(i, j) = before;
    }
  return gradient;
}

}  // namespace riata::testing
