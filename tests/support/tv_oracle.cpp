#include "support/tv_oracle.hpp"

#include <algorithm>

namespace riata::testing {
namespace {

using Precise = long double;

struct Knot {
  Precise x, value;
};

/// Where a function that rises with slope 1 outside of its knots takes `value`.
Precise where(const std::vector<Knot>& f, Precise value) {
  if (value <= f.front().value) return f.front().x - (f.front().value - value);
  for (std::size_t k = 1; k < f.size(); ++k)
    if (value <= f[k].value) {
      const Precise rise = f[k].value - f[k - 1].value;
      return rise == 0 ? f[k].x : f[k - 1].x + (f[k].x - f[k - 1].x) * ((value - f[k - 1].value) / rise);
    }
  return f.back().x + (value - f.back().value);
}

}  // namespace

std::vector<Index> blocks_of(const Vector<double>& u) {
  std::vector<Index> starts;
  for (Index t = 0; t < u.size(); ++t)
    if (t == 0 || u(t) != u(t - 1)) starts.push_back(t);
  starts.push_back(u.size());
  return starts;
}

Vector<double> block_means(const Vector<double>& u, const Vector<double>& h, const Vector<double>& pulls) {
  const std::vector<Index> starts = blocks_of(u);
  Vector<double> means(u.size());
  for (std::size_t b = 0; b + 1 < starts.size(); ++b) {
    const Index first = starts[b], end = starts[b + 1];
    Precise sum = 0;
    for (Index t = first; t < end; ++t) sum += h(t);
    if (end < u.size()) sum += u(end) > u(end - 1) ? Precise(pulls(end - 1)) : -Precise(pulls(end - 1));
    if (first > 0) sum -= u(first) > u(first - 1) ? Precise(pulls(first - 1)) : -Precise(pulls(first - 1));
    means.segment(first, end - first).setConstant(static_cast<double>(sum / static_cast<Precise>(end - first)));
  }
  return means;
}

Vector<double> exact_prox_tv(const Vector<double>& y, const std::vector<double>& weights) {
  const Index n = y.size();
  std::vector<Precise> low(static_cast<std::size_t>(n)), high(static_cast<std::size_t>(n)), u(static_cast<std::size_t>(n));
  std::vector<Knot> f{{Precise(y(0)), 0}};
  const Precise most =
      static_cast<Precise>(n) * (Precise(y.maxCoeff()) - Precise(y.minCoeff())) + 1;  // no dual variable is as large
  for (Index t = 0; t + 1 < n; ++t) {
    const auto i = static_cast<std::size_t>(t);
    const Precise w = std::min<Precise>(weights[i], most);
    low[i] = where(f, -w);
    high[i] = where(f, w);
    std::vector<Knot> next{{low[i], -w}};
    for (const Knot& knot : f)
      if (knot.value > -w && knot.value < w) next.push_back(knot);
    next.push_back({high[i], w});
    for (Knot& knot : next) knot.value += knot.x - Precise(y(t + 1));
    f = std::move(next);
  }
  u.back() = where(f, 0);
  for (Index t = n - 2; t >= 0; --t) {
    const auto i = static_cast<std::size_t>(t);
    u[i] = std::clamp(u[i + 1], low[i], std::max(low[i], high[i]));
  }
  // Runs as long double tells them apart, each a number of its own that has the order of theirs.
  Vector<double> runs(n);
  for (Index t = 0; t < n; ++t) {
    const auto i = static_cast<std::size_t>(t);
    runs(t) = t == 0 ? 0 : runs(t - 1) + (u[i] > u[i - 1] ? 1 : u[i] < u[i - 1] ? -1 : 0);
  }
  return block_means(runs, y, Eigen::Map<const Eigen::VectorXd>(weights.data(), static_cast<Index>(weights.size())));
}

}  // namespace riata::testing
