// The oracle of unrolled networks: N layers by plain loops in double, and central differences of any function
// of them. Shares no code with the library.
#pragma once

#include <Eigen/Core>
#include <Eigen/SVD>
#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <vector>

namespace riata::testing {

struct OracleNetwork {
  bool accelerate = true;
  bool return_extrapolated = false;
  bool positive = false;
  bool lasso = true;  // the loss; else least squares
  bool mean = true;   // over the signals; else their sum
  double lipschitz = 1;
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

inline double lipschitz_of(const Eigen::MatrixXd& D) {
  const double norm = Eigen::JacobiSVD<Eigen::MatrixXd>(D).singularValues()(0);
  return norm * norm;
}

/// Runs the layers after `trace`, which holds the iterates so far (at least z_0 = y_0).
inline void run_layers(const OracleNetwork& net, const OracleInput& in, OracleTrace& trace) {
  const Eigen::Index m = in.D.cols(), n_signals = in.X.cols();
  double t = 1;
  for (Eigen::Index k = 0; k < in.steps.size(); ++k) {
    const double t_next = (1 + std::sqrt(1 + 4 * t * t)) / 2, momentum = net.accelerate ? (t - 1) / t_next : 0;
    t = t_next;
    if (k + 1 < static_cast<Eigen::Index>(trace.z.size())) continue;  // held
    const Eigen::MatrixXd& y = trace.y.back();
    Eigen::MatrixXd z(m, n_signals), y_next(m, n_signals);
    const double alpha = in.steps(k) / net.lipschitz;
    for (Eigen::Index i = 0; i < n_signals; ++i) {
      const Eigen::VectorXd r = in.D * y.col(i) - in.X.col(i);
      for (Eigen::Index j = 0; j < m; ++j) {
        const double v = y(j, i) - alpha * in.D.col(j).dot(r), threshold = alpha * in.reg(i) * net.weights(j);
        const double size = net.positive ? v : std::abs(v);
        trace.kink_distance = std::min(trace.kink_distance, std::abs(size - threshold));
        z(j, i) = size > threshold ? (v > 0 ? v - threshold : v + threshold) : 0;
        y_next(j, i) = z(j, i) + momentum * (z(j, i) - trace.z.back()(j, i));
        if (y_next(j, i) != 0) trace.kink_distance = std::min(trace.kink_distance, std::abs(y_next(j, i)));
      }
    }
    trace.z.push_back(std::move(z));
    trace.y.push_back(std::move(y_next));
  }
}

inline OracleTrace run_network(const OracleNetwork& net, const OracleInput& in, const Eigen::MatrixXd& start = {}) {
  OracleTrace trace;
  trace.z.push_back(start.size() > 0 ? start : Eigen::MatrixXd(Eigen::MatrixXd::Zero(in.D.cols(), in.X.cols())));
  trace.y = trace.z;
  run_layers(net, in, trace);
  return trace;
}

inline double loss_at(const OracleNetwork& net, const OracleInput& in, const Eigen::MatrixXd& Z) {
  const Eigen::MatrixXd& target = in.target.size() > 0 ? in.target : in.X;
  double sum = 0;
  for (Eigen::Index i = 0; i < Z.cols(); ++i) {
    sum += 0.5 * (in.D * Z.col(i) - target.col(i)).squaredNorm();
    if (net.lasso) sum += in.reg(i) * net.weights.dot(Z.col(i).cwiseAbs());
  }
  return net.mean ? sum / static_cast<double>(Z.cols()) : sum;
}

/// The loss as a function of `in`, with the first N - K iterates (and so their momentum) held at those of
/// `trace`.
inline double loss_with_held(const OracleNetwork& net, const OracleInput& in, const OracleTrace& trace, int kept) {
  const auto n_held = static_cast<std::ptrdiff_t>(trace.z.size()) - kept;  // z_0, ..., z_{N-K}
  OracleTrace rerun;
  rerun.z.assign(trace.z.begin(), trace.z.begin() + n_held);
  rerun.y.assign(trace.y.begin(), trace.y.begin() + n_held);
  run_layers(net, in, rerun);
  return loss_at(net, in, rerun.output(net));
}

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
