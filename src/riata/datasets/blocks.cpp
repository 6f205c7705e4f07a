#include "riata/datasets/blocks.hpp"

#include <algorithm>
#include <cmath>

#include "riata/core/check.hpp"
#include "riata/core/random.hpp"

namespace riata::datasets {
namespace {

enum BlocksStream : std::uint32_t { jump_stream = 20, blocks_noise_stream };

}  // namespace

template <Scalar T>
Blocks<T> blocks(const Dictionary<T>& A, const BlocksOptions& options) {
  const Index n_times = A.code_size(), n_observed = A.signal_size(), n_signals = options.n_signals;
  require(n_signals >= 1 && n_signals <= (Index{1} << 40) / std::max(n_times, n_observed),
          "blocks: n_signals = {}, must be at least 1 and fit in memory", n_signals);
  require(options.density > 0 && options.density <= 1, "blocks: density = {}, must be in (0, 1]", options.density);
  require(std::abs(options.snr_db) <= 200, "blocks: snr_db = {}, must be between -200 and 200", options.snr_db);
  const Index n_jumps = std::max<Index>(1, static_cast<Index>(options.density * static_cast<double>(n_times)));
  Blocks<T> made{.activity = Matrix<T>::Zero(n_times, n_signals), .signals = Matrix<T>(n_observed, n_signals)};
  RandomStream jumps(options.seed, jump_stream), noise(options.seed, blocks_noise_stream);
  for (Index i = 0; i < n_signals; ++i) {
    leave_if_stopped();
    Vector<double> u = Vector<double>::Zero(n_times);
    for (Index k = 0; k < n_jumps; ++k) {
      const auto place = static_cast<Index>(jumps.below(static_cast<std::uint64_t>(n_times)));
      u(place) += jumps.normal();
    }
    for (Index t = 1; t < n_times; ++t) u(t) += u(t - 1);
    made.activity.col(i) = u.template cast<T>();
  }
  A.apply(made.activity, made.signals);
  for (Index i = 0; i < n_signals; ++i) {
    leave_if_stopped();
    Vector<double> e(n_observed);
    for (double& entry : e) entry = noise.normal();
    const Vector<double> clean = made.signals.col(i).template cast<double>();
    made.signals.col(i) = (clean + std::pow(10, -options.snr_db / 20) * clean.norm() / e.norm() * e).template cast<T>();
  }
  return made;
}

template Blocks<float> blocks(const Dictionary<float>&, const BlocksOptions&);
template Blocks<double> blocks(const Dictionary<double>&, const BlocksOptions&);

}  // namespace riata::datasets
