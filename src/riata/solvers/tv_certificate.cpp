#include "riata/solvers/tv_certificate.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "riata/core/check.hpp"
#include "riata/core/sweep.hpp"
#include "riata/linalg/kernels.hpp"
#include "riata/solvers/tv_problem.hpp"

namespace riata {
namespace {

constexpr double tv_roundoff = std::numeric_limits<double>::epsilon();

/// The running sums of v; the largest magnitude of all but the last.
double largest_running_sum(Index n, const double* v) {
  double sum = 0, largest = 0;
  for (Index t = 0; t + 1 < n; ++t) {
    sum += v[t];
    largest = std::max(largest, std::abs(sum));
  }
  return largest;
}

}  // namespace

Vector<double> response_to_constant(const Dictionary<double>& A) {
  Matrix<double> response(A.signal_size(), 1);
  A.apply(Matrix<double>::Ones(A.code_size(), 1), response);
  return response.col(0);
}

double TvTileCertificate::square_of_response(Index i, const ConstMatrixRef<double>& weights) const {
  if (weights.size() == 0) return fixed_order_dot(a_.size(), a_.data(), a_.data());
  const Vector<double> weighted = a_.cwiseProduct(weights.col(i));
  return fixed_order_dot(a_.size(), weighted.data(), a_.data());
}

/// Takes from residual i what lies along a, and returns <a, r> / ||a||^2.
double TvTileCertificate::project(Index i, const ConstMatrixRef<double>& weights) {
  const double square = square_of_response(i, weights);
  if (!(square > 0)) return 0;
  auto r = residuals_.col(i);
  double along = 0;
  for (int time = 0; time < 2; ++time) {  // the second for what rounding left of the first
    const Vector<double> weighted = weights.size() > 0 ? Vector<double>(r.cwiseProduct(weights.col(i))) : Vector<double>(r);
    const double part = fixed_order_dot(a_.size(), weighted.data(), a_.data()) / square;
    add_scaled(a_.size(), -part, a_.data(), r.data());
    along += part;
  }
  return along;
}

/// A^T r of the residuals.
void TvTileCertificate::correlate(const ConstMatrixRef<double>& weights) {
  correlations_.resize(A_.code_size(), residuals_.cols());
  if (weights.size() > 0) {
    weighted_ = residuals_.cwiseProduct(weights);
    A_.adjoint(weighted_, correlations_);
  } else {
    A_.adjoint(residuals_, correlations_);
  }
}

void TvTileCertificate::evaluate(const ConstMatrixRef<double>& X, const ConstMatrixRef<double>& U,
                                 const ConstVectorRef<double>& reg, const ConstMatrixRef<double>& weights) {
  const Index n = X.cols(), n_times = U.rows();
  residuals_.resize(X.rows(), n);
  A_.apply(U, residuals_);
  residuals_ = X - residuals_;
  for (Vector<double>* v : {&squares_, &objectives_, &gaps_}) v->resize(n);
  const auto square = [&](Index i) {
    const auto r = residuals_.col(i);
    const Vector<double> weighted = weights.size() > 0 ? Vector<double>(r.cwiseProduct(weights.col(i))) : Vector<double>(r);
    return fixed_order_dot(r.size(), weighted.data(), r.data());
  };
  for (Index i = 0; i < n; ++i) {
    objectives_(i) = 0.5 * square(i);
    const double along = project(i, weights);
    gaps_(i) = 0.5 * along * along * square_of_response(i, weights);
    squares_(i) = square(i);
  }
  correlate(weights);
  for (Index i = 0; i < n; ++i) {
    const double* const c = correlations_.col(i).data();
    const auto u = U.col(i);
    // Rounding may hide this much of a running sum: the dual point keeps clear of it.
    const double hidden = n_times > 1 ? 4 * tv_roundoff * std::sqrt(static_cast<double>(n_times) * squares_(i)) * norm_ : 0.0;
    const double largest = largest_running_sum(n_times, c) + hidden, s = largest > reg(i) ? reg(i) / largest : 1.0;
    double penalty = 0, products = 0, w = 0;
    for (Index t = 0; t + 1 < n_times; ++t) {
      w += c[t];
      const double jump = u(t + 1) - u(t);
      penalty += std::abs(jump);
      products += reg(i) * std::abs(jump) + s * w * jump;
    }
    const double last = std::abs(s * (w + c[n_times - 1]) * u(n_times - 1));  // 0, but for rounding
    objectives_(i) += reg(i) * penalty;
    gaps_(i) += 0.5 * (1 - s) * (1 - s) * squares_(i) + products + last;
  }
}

void TvTileCertificate::fit_constants(const ConstMatrixRef<double>& X, const ConstMatrixRef<double>& weights) {
  residuals_ = X;
  constants_.resize(X.cols());
  for (Index i = 0; i < X.cols(); ++i) {
    if (weights.size() > 0) residuals_.col(i) = (weights.col(i).array() == 0).select(0.0, residuals_.col(i));
    const double before = residuals_.col(i).norm();
    constants_(i) = project(i, weights);
    if (residuals_.col(i).norm() <= 4 * static_cast<double>(X.rows()) * tv_roundoff * before) residuals_.col(i).setZero();
  }
}

Vector<double> TvTileCertificate::reg_max(const ConstMatrixRef<double>& weights) {
  correlate(weights);
  Vector<double> largest(residuals_.cols());
  for (Index i = 0; i < largest.size(); ++i) largest(i) = largest_running_sum(A_.code_size(), correlations_.col(i).data());
  return largest;
}

template <Scalar T>
TvCertificate tv_certificate(const NonDeduced<ConstMatrixRef<T>>& X, const Dictionary<T>& A,
                             const NonDeduced<ConstMatrixRef<T>>& U, const Reg& reg, const OptionalMatrixRef<T>& mask,
                             const Execution& execution) {
  const StopScope scope(execution);
  const TvProblem<T> problem("tv_certificate", X, A, mask);
  require(U.rows() == A.code_size() && U.cols() == X.cols(), "tv_certificate: U has shape ({}, {}), expected ({}, {})", U.cols(),
          U.rows(), X.cols(), A.code_size());
  require_finite("tv_certificate", "U", U, of_signals);
  TvCertificate result{.objective = Vector<double>(X.cols()), .gap = Vector<double>(X.cols())};
  problem.for_each_tile(reg, execution, [&](TvTile<T>& tile, TvTileCertificate& certificate) {
    Matrix<double> signals = U.middleCols(tile.first, tile.size()).template cast<double>();
    tile.units.enter(signals);
    certificate.evaluate(tile.X(), signals, tile.reg, tile.weights);
    for (Index i = 0; i < tile.size(); ++i) {
      result.objective(tile.first + i) = std::ldexp(certificate.objective(i), tile.units.objective(i));
      result.gap(tile.first + i) = std::ldexp(certificate.gap(i), tile.units.objective(i));
    }
  });
  return result;
}

template <Scalar T>
Vector<double> tv_reg_max(const NonDeduced<ConstMatrixRef<T>>& X, const Dictionary<T>& A, const OptionalMatrixRef<T>& mask,
                          const Execution& execution) {
  const StopScope scope(execution);
  const TvProblem<T> problem("tv_reg_max", X, A, mask);
  Vector<double> largest(X.cols());
  problem.for_each_tile(Reg::fraction_of_max(1), execution, [&](TvTile<T>& tile, TvTileCertificate&) {
    for (Index i = 0; i < tile.size(); ++i) largest(tile.first + i) = std::ldexp(tile.reg_max(i), tile.units.weight(i));
  });
  return largest;
}

#define RIATA_INSTANTIATE(T)                                                                                                     \
  template TvCertificate tv_certificate<T>(const ConstMatrixRef<T>&, const Dictionary<T>&, const ConstMatrixRef<T>&, const Reg&, \
                                           const OptionalMatrixRef<T>&, const Execution&);                                       \
  template Vector<double> tv_reg_max<T>(const ConstMatrixRef<T>&, const Dictionary<T>&, const OptionalMatrixRef<T>&,             \
                                        const Execution&);
RIATA_INSTANTIATE(float)
RIATA_INSTANTIATE(double)
#undef RIATA_INSTANTIATE

}  // namespace riata
