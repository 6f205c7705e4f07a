#include "riata/neuro/whitening.hpp"

#include <cmath>
#include <map>

#include "riata/core/check.hpp"
#include "riata/linalg/decompositions.hpp"

namespace riata {
namespace {

constexpr double symmetry_tol = 1e-5;  // of the two channels' noise: a covariance that went through single precision passes

/// The root mean square of the noise of each channel's type.
Vector<double> scales_by_type(const ConstMatrixRef<double>& C, const std::vector<std::string>& types) {
  std::map<std::string, std::pair<double, Index>> sums;  // variance, channels
  const auto type = [&](Index i) { return types.empty() ? std::string("all channels") : types[static_cast<std::size_t>(i)]; };
  for (Index i = 0; i < C.rows(); ++i) {
    require(C(i, i) >= 0, "noise_cov: channel {} has the variance {}, must be >= 0", i, C(i, i));
    auto& [variance, count] = sums[type(i)];
    variance += C(i, i), ++count;
  }
  for (const auto& [name, sum] : sums) {
    require(sum.first > 0, "noise_cov: all variances of channel type '{}' are 0; leave these channels out", name);
    require(sum.first >= 1e-280 && sum.first <= 1e280,
            "noise_cov: the variances of channel type '{}' add up to {:.3g}, must be between 1e-280 and 1e280; scale them", name,
            sum.first);
  }
  Vector<double> scales(C.rows());
  for (Index i = 0; i < C.rows(); ++i) {
    const auto& [variance, count] = sums[type(i)];
    scales(i) = std::sqrt(variance / static_cast<double>(count));
  }
  return scales;
}

}  // namespace

Matrix<double> whitener(const ConstMatrixRef<double>& C, const std::vector<std::string>& channel_types, double rank_tol) {
  const Index n = C.rows();
  require(n > 0 && C.cols() == n, "noise_cov has shape ({}, {}), must be square", C.rows(), C.cols());
  require(channel_types.empty() || std::ssize(channel_types) == n,
          "channel_types has {} entries for {} channels; they must be equal", channel_types.size(), n);
  require(rank_tol > 0 && rank_tol < 1, "rank_tol = {}, must be between 0 and 1", rank_tol);
  require_finite("whitener", "noise_cov", C, {"channel", "channel"});
  const Vector<double> scales = scales_by_type(C, channel_types);

  Matrix<double> scaled(n, n);
  for (Index j = 0; j < n; ++j)
    for (Index i = 0; i < n; ++i) {
      const double unit = scales(i) * scales(j);
      require(std::abs(C(i, j) - C(j, i)) <= symmetry_tol * unit,
              "noise_cov is not symmetric: entry ({}, {}) is {} but ({}, {}) is {}", i, j, C(i, j), j, i, C(j, i));
      scaled(i, j) = 0.5 * (C(i, j) + C(j, i)) / unit;
    }
  const auto [values, vectors] = symmetric_eigen(scaled);
  const double least = rank_tol * values(n - 1);
  require(values(0) >= -least,
          "noise_cov is not positive semidefinite: scaled per channel type, its eigenvalues run from {:.3g} to {:.3g}", values(0),
          values(n - 1));
  const Index rank = (values.array() > least).count();
  return values.tail(rank).cwiseSqrt().cwiseInverse().asDiagonal() * vectors.rightCols(rank).transpose() *
         scales.cwiseInverse().asDiagonal();
}

}  // namespace riata
