#include "riata/terms/total_variation.hpp"

#include <algorithm>
#include <cmath>
#include <memory>

#include "riata/core/check.hpp"
#include "riata/core/sweep.hpp"

namespace riata {
namespace {

constexpr Axes of_times{"signal", "sample"};

/// Calls visit(first, end, mean of h) for every block of u.
template <Scalar T, class Visit>
void for_each_block(const ConstVectorRef<T>& u, const T* h, const Visit& visit) {
  const Index n = u.size();
  for (Index first = 0; first < n;) {
    Index end = first + 1;
    while (end < n && u(end) == u(first)) ++end;
    visit(first, end, even_sum(end - first, h + first) / static_cast<double>(end - first));
    first = end;
  }
}

/// Of the jump after sample t.
template <Scalar T>
double sign_after(const ConstVectorRef<T>& u, Index t) {
  return u(t + 1) > u(t) ? 1.0 : -1.0;
}

/// theta_t in double.
template <Scalar T>
double theta_of(const Thresholds<T>& thresholds, Index t) {
  if (thresholds.theta == nullptr) return 1;
  return static_cast<double>((*thresholds.theta)(thresholds.theta->size() == 1 ? 0 : t));
}

/// As Thresholds are made of it.
template <Scalar T>
struct SharedWeight {
  SharedWeight(const TvWeight<T>& weight, Index n_signals)
      : rho(weight.per_signal.size() == 1 ? Vector<T>(Vector<T>::Constant(n_signals, weight.per_signal(0))) : weight.per_signal),
        theta(weight.per_jump) {}
  Thresholds<T> of(Index first, Index n) const { return {rho.segment(first, n), theta.size() > 0 ? &theta : nullptr}; }
  Vector<T> rho;
  Matrix<T> theta;
};

/// Signals of a tile: some 256 KB, so that long signals go one by one.
Index signals_of_tile(Index n_times) { return std::clamp<Index>(32768 / std::max<Index>(n_times, 1), 1, 128); }

template <Scalar T>
void require_fit(const char* where, const char* name, const ConstMatrixRef<T>& Y, const TvWeight<T>& weight) {
  const Index n_times = Y.rows(), n_signals = Y.cols(), n_weights = weight.per_signal.size(), n_jumps = weight.per_jump.size();
  require(n_times > 0, "{}: {} has no samples", where, name);
  require(n_weights == 1 || n_weights == n_signals,
          "{}: weight has {} entries for {} signals; expected one number or one per signal", where, n_weights, n_signals);
  require(n_jumps == 0 || n_jumps == n_times - 1, "{}: jump_weights has {} entries, expected {}, one between two of {} samples",
          where, n_jumps, n_times - 1, n_times);
  const auto require_weights = [&](const char* of, const Vector<T>& weights) {
    for (Index i = 0; i < weights.size(); ++i)
      if (!(std::isfinite(weights(i)) && weights(i) >= T(0)))
        refuse(weights.size() == 1
                   ? formatted("{}: {} = {}, must be >= 0 and finite", where, of, static_cast<double>(weights(i)))
                   : formatted("{}: {}: entry {} is {}, must be >= 0 and finite", where, of, i, static_cast<double>(weights(i))));
  };
  require_weights("weight", weight.per_signal);
  require_weights("jump_weights", weight.per_jump);
  require_finite(where, name, Y, of_times);
}

template <Scalar T>
void require_shape(const char* where, const char* name, const ConstMatrixRef<T>& given, const ConstMatrixRef<T>& U) {
  require(given.rows() == U.rows() && given.cols() == U.cols(), "{}: {} has shape ({}, {}), expected the signals' ({}, {})",
          where, name, given.cols(), given.rows(), U.cols(), U.rows());
  require_finite(where, name, given, of_times);
}

}  // namespace

template <Scalar T>
double TotalVariation<T>::value(const ConstVectorRef<T>& u) const {
  double sum = 0;
  for (Index t = 0; t + 1 < u.size(); ++t) sum += std::abs(static_cast<double>(u(t + 1)) - static_cast<double>(u(t)));
  return sum;
}

template <Scalar T>
void TotalVariation<T>::prox(MatrixRef<T> V, const Thresholds<T>& thresholds) {
  prox(V, thresholds, V);
}

template <Scalar T>
void TotalVariation<T>::prox(const ConstMatrixRef<T>& Y, const Thresholds<T>& thresholds, MatrixRef<T> U) {
  const bool is_per_jump = thresholds.is_per_atom();
  const Vector<double> weights = thresholds.rho.template cast<double>() * (is_per_jump ? 1.0 : theta_of(thresholds, 0));
  string_.solve(Y.rows(), Y.cols(), Y.data(), Y.outerStride(), weights.data(), is_per_jump ? thresholds.theta->data() : nullptr,
                U.data(), U.outerStride());
}

template <Scalar T>
double TotalVariation<T>::prox_vjp(const ConstVectorRef<T>& u, const Thresholds<T>& thresholds, Index signal, VectorRef<T> h,
                                   std::span<double> jumps) const {
  const double rho = static_cast<double>(thresholds.rho(signal));
  double sum = 0, mean_before = 0;
  for_each_block<T>(u, h.data(), [&](Index first, Index end, double mean) {
    if (first > 0) {
      const double by_weight = sign_after(u, first - 1) * (mean_before - mean);
      sum += theta_of(thresholds, first - 1) * by_weight;
      if (!jumps.empty()) jumps[static_cast<std::size_t>(first - 1)] += rho * by_weight;
    }
    mean_before = mean;
    h.segment(first, end - first).setConstant(static_cast<T>(mean));
  });
  return sum;
}

template <Scalar T>
void TotalVariation<T>::prox_vjp(const ConstMatrixRef<T>& U, const Thresholds<T>& thresholds, MatrixRef<T> H,
                                 const ThresholdCotangents<T>& cotangents) const {
  const bool is_per_jump = thresholds.is_per_atom();
  const Thresholds<T> plain(thresholds.rho);
  Vector<double> jumps = Vector<double>::Zero(is_per_jump && cotangents.theta != nullptr ? thresholds.theta->size() : 0);
  double theta_sum = 0;
  for (Index i = 0; i < U.cols(); ++i) {
    const double sum =
        prox_vjp(U.col(i), is_per_jump ? thresholds : plain, i, H.col(i), {jumps.data(), static_cast<std::size_t>(jumps.size())});
    theta_sum += static_cast<double>(thresholds.rho(i)) * sum;
    if (!cotangents.rho.empty()) cotangents.rho[static_cast<std::size_t>(i)] = is_per_jump ? sum : theta_of(thresholds, 0) * sum;
  }
  if (cotangents.theta == nullptr) return;
  if (is_per_jump)
    *cotangents.theta += jumps.template cast<T>();
  else
    (*cotangents.theta)(0) += static_cast<T>(theta_sum);
}

template <Scalar T>
void TotalVariation<T>::prox_jvp(const ConstVectorRef<T>& u, const Thresholds<T>& thresholds, Index signal, VectorRef<T> h,
                                 double drho, std::span<const double> dtheta) const {
  const double rho = static_cast<double>(thresholds.rho(signal));
  const auto pull = [&](Index t) {  // of the jump after sample t, on the sum of the block before it
    const double d = drho * theta_of(thresholds, t) + (dtheta.empty() ? 0.0 : rho * dtheta[static_cast<std::size_t>(t)]);
    return sign_after(u, t) * d;
  };
  for_each_block<T>(u, h.data(), [&](Index first, Index end, double mean) {
    const double pulled = (end < u.size() ? pull(end - 1) : 0.0) - (first > 0 ? pull(first - 1) : 0.0);
    h.segment(first, end - first).setConstant(static_cast<T>(mean + pulled / static_cast<double>(end - first)));
  });
}

template <Scalar T>
void TotalVariation<T>::least_subgradient(const ConstMatrixRef<T>& U, const Thresholds<T>& thresholds, MatrixRef<T> H) {
  const bool is_per_jump = thresholds.is_per_atom();
  for (Index i = 0; i < U.cols(); ++i) {
    const ConstVectorRef<T> u = U.col(i);
    const double rho = static_cast<double>(thresholds.rho(i)), weight = is_per_jump ? rho : rho * theta_of(thresholds, 0);
    const auto pull = [&](Index t) { return sign_after(u, t) * rho * theta_of(thresholds, t); };  // of the jump after sample t
    for (Index first = 0, end = 0; first < u.size(); first = end) {
      for (end = first + 1; end < u.size() && u(end) == u(first);) ++end;
      Vector<double> steepest = -H.col(i).segment(first, end - first).template cast<double>();
      if (first > 0) steepest(0) -= pull(first - 1);
      if (end < u.size()) steepest(end - first - 1) += pull(end - 1);
      const Index n_jumps = end - first - 1;
      const Vector<double> factors =
          is_per_jump ? Vector<double>(thresholds.theta->col(0).segment(first, n_jumps).template cast<double>())
                      : Vector<double>();
      string_.solve(end - first, 1, steepest.data(), end - first, &weight, is_per_jump ? factors.data() : nullptr,
                    steepest.data(), end - first);
      H.col(i).segment(first, end - first) = -steepest.template cast<T>();
    }
  }
}

template <Scalar T>
void TotalVariation<T>::add_subgradient(const ConstMatrixRef<T>& U, const ConstVectorRef<T>& scales, MatrixRef<T> H) const {
  for (Index i = 0; i < U.cols(); ++i)
    for (Index t = 0; t + 1 < U.rows(); ++t)
      if (U(t + 1, i) != U(t, i)) {
        const T s = U(t + 1, i) > U(t, i) ? scales(i) : -scales(i);
        H(t, i) -= s;
        H(t + 1, i) += s;
      }
}

template <Scalar T>
Matrix<T> prox_tv(const NonDeduced<ConstMatrixRef<T>>& Y, const TvWeight<T>& weight, const Execution& execution) {
  Matrix<T> U(Y.rows(), Y.cols());
  prox_tv<T>(Y, weight, U, execution);
  return U;
}

template <Scalar T>
void prox_tv(const NonDeduced<ConstMatrixRef<T>>& Y, const TvWeight<T>& weight, NonDeduced<MatrixRef<T>> U,
             const Execution& execution) {
  const StopScope scope(execution);
  require_fit<T>("prox_tv", "Y", Y, weight);
  require(U.rows() == Y.rows() && U.cols() == Y.cols(), "prox_tv: the output is {} x {}, expected {} x {}", U.rows(), U.cols(),
          Y.rows(), Y.cols());
  const SharedWeight<T> shared(weight, Y.cols());
  std::vector<TotalVariation<T>> penalties(static_cast<std::size_t>(resolve_threads(execution.n_threads)));
  for_each_tile(signals_of_tile(Y.rows()), Y.cols(), execution, [&](Index first, Index n, int thread) {
    penalties[static_cast<std::size_t>(thread)].prox(Y.middleCols(first, n), shared.of(first, n), U.middleCols(first, n));
  });
}

template <Scalar T>
TvDerivative<T> prox_tv_vjp(const NonDeduced<ConstMatrixRef<T>>& U, const TvWeight<T>& weight,
                            const NonDeduced<ConstMatrixRef<T>>& cotangent, const Execution& execution) {
  const StopScope scope(execution);
  require_fit<T>("prox_tv_vjp", "U", U, weight);
  require_shape<T>("prox_tv_vjp", "cotangent", cotangent, U);
  const SharedWeight<T> shared(weight, U.cols());
  const Index n_signals = U.cols(), n_jumps = weight.per_jump.size(), tile = signals_of_tile(U.rows()),
              n_tiles = (n_signals + tile - 1) / tile;
  TvDerivative<T> by{.signals = cotangent, .weight = Vector<double>::Zero(n_signals)};
  const TotalVariation<T> g;
  // Sums over signals: those of a lane's, then of the lanes, in order.
  by.jumps = sweep(
      Partition{.tile = tile, .n_tiles = n_tiles, .n_lanes = std::min<Index>(n_tiles, 64)}, n_signals, execution,
      Vector<double>(Vector<double>::Zero(n_jumps)), [] { return std::make_unique<char>(); },
      [&](Index first, Index n, char&, Vector<double>& jumps) {
        const Thresholds<T> thresholds = shared.of(first, n);
        for (Index i = 0; i < n; ++i)
          by.weight(first + i) = g.prox_vjp(U.col(first + i), thresholds, i, by.signals.col(first + i),
                                            {jumps.data(), static_cast<std::size_t>(n_jumps)});
      },
      [](char&, Vector<double>&) {});
  if (weight.per_signal.size() == 1) by.weight = Vector<double>::Constant(1, even_sum(n_signals, by.weight.data()));
  return by;
}

template <Scalar T>
Matrix<T> prox_tv_jvp(const NonDeduced<ConstMatrixRef<T>>& U, const TvWeight<T>& weight, const TvDerivative<T>& tangent,
                      const Execution& execution) {
  const StopScope scope(execution);
  require_fit<T>("prox_tv_jvp", "U", U, weight);
  require_shape<T>("prox_tv_jvp", "the tangent of Y", tangent.signals, U);
  const Vector<double>& drho = tangent.weight;
  require(drho.size() == 0 || drho.size() == weight.per_signal.size(),
          "prox_tv_jvp: the tangent of weight has {} entries, expected {}", drho.size(), weight.per_signal.size());
  require(tangent.jumps.size() == 0 || tangent.jumps.size() == U.rows() - 1,
          "prox_tv_jvp: the tangent of jump_weights has {} entries, expected {}", tangent.jumps.size(), U.rows() - 1);
  const SharedWeight<T> shared(weight, U.cols());
  Matrix<T> dU = tangent.signals;
  const TotalVariation<T> g;
  for_each_tile(signals_of_tile(U.rows()), U.cols(), execution, [&](Index first, Index n, int) {
    const Thresholds<T> thresholds = shared.of(first, n);
    for (Index i = 0; i < n; ++i)
      g.prox_jvp(U.col(first + i), thresholds, i, dU.col(first + i),
                 drho.size() == 0 ? 0.0 : drho(drho.size() == 1 ? 0 : first + i),
                 {tangent.jumps.data(), static_cast<std::size_t>(tangent.jumps.size())});
  });
  return dU;
}

#define RIATA_INSTANTIATE(T)                                                                                      \
  template class TotalVariation<T>;                                                                               \
  template Matrix<T> prox_tv<T>(const ConstMatrixRef<T>&, const TvWeight<T>&, const Execution&);                  \
  template void prox_tv<T>(const ConstMatrixRef<T>&, const TvWeight<T>&, MatrixRef<T>, const Execution&);         \
  template TvDerivative<T> prox_tv_vjp<T>(const ConstMatrixRef<T>&, const TvWeight<T>&, const ConstMatrixRef<T>&, \
                                          const Execution&);                                                      \
  template Matrix<T> prox_tv_jvp<T>(const ConstMatrixRef<T>&, const TvWeight<T>&, const TvDerivative<T>&, const Execution&);
RIATA_INSTANTIATE(float)
RIATA_INSTANTIATE(double)
#undef RIATA_INSTANTIATE

}  // namespace riata
