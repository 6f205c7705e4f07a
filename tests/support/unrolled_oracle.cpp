#include "support/unrolled_oracle.hpp"

namespace riata::testing {

void run_layers(const OracleNetwork& net, const OracleInput& in, OracleTrace& trace) {
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
        const double v = y(j, i) - alpha * in.D.col(j).dot(r),
                     threshold = alpha * std::pow(net.decay, k) * in.reg(i) * net.weights(j);
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

double loss_at(const OracleNetwork& net, const OracleInput& in, const Eigen::MatrixXd& Z) {
  const Eigen::MatrixXd& target = in.target.size() > 0 ? in.target : in.X;
  double sum = 0;
  for (Eigen::Index i = 0; i < Z.cols(); ++i) {
    sum += 0.5 * (in.D * Z.col(i) - target.col(i)).squaredNorm();
    if (net.lasso) sum += in.reg(i) * net.weights.dot(Z.col(i).cwiseAbs());
  }
  return net.mean ? sum / static_cast<double>(Z.cols()) : sum;
}

double loss_with_held(const OracleNetwork& net, const OracleInput& in, const OracleTrace& trace, int kept) {
  const auto n_held = static_cast<std::ptrdiff_t>(trace.z.size()) - kept;  // z_0, ..., z_{N-K}
  OracleTrace rerun;
  rerun.z.assign(trace.z.begin(), trace.z.begin() + n_held);
  rerun.y.assign(trace.y.begin(), trace.y.begin() + n_held);
  run_layers(net, in, rerun);
  return loss_at(net, in, rerun.output(net));
}

}  // namespace riata::testing
