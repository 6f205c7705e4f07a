#include "riata/learning/pattern_events.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <tuple>

#include "riata/core/check.hpp"

namespace riata {
namespace {

constexpr double same_event = 0.5;  // the autocorrelation at which two activations no longer make one event

constexpr Axes of_activations{"trial", "activation"}, of_samples{"trial", "sample"};

/// Where a pattern of L samples and some channels has most energy, and how far apart activations make one event.
struct PatternShape {
  Index peak = 0, reach = 0;
};

PatternShape shape_of(const Matrix<double>& pattern) {
  PatternShape shape;
  const Index L = pattern.rows();
  pattern.rowwise().squaredNorm().maxCoeff(&shape.peak);
  const double energy = pattern.squaredNorm();
  const auto correlation = [&](Index lag) { return pattern.topRows(L - lag).cwiseProduct(pattern.bottomRows(L - lag)).sum(); };
  while (shape.reach < L / 2 && correlation(shape.reach + 1) >= same_event * energy) ++shape.reach;
  return shape;
}

struct Activation {
  Index position;
  double size;  ///< its absolute value, over the largest
  double sum;   ///< of the sizes within reach
};

/// Events of one row of activations: positions and indices of the largest, strongest first.
struct Found {
  Index position;
  double sum;        ///< of sizes
  double amplitude;  ///< of the activations themselves, over the largest
};

template <class Row>
std::vector<Found> events_of(const Row& row, double largest, const PatternShape& shape, Index length) {
  std::vector<Activation> active;
  for (Index p = 0; p < row.size(); ++p)
    if (row(p) != 0) active.push_back({p, std::abs(static_cast<double>(row(p))) / largest, 0});
  const auto within = [&](Index position, Index distance) {
    const auto first = std::ranges::lower_bound(active, position - distance, {}, &Activation::position);
    return std::ranges::subrange(first,
                                 std::ranges::upper_bound(first, active.end(), position + distance, {}, &Activation::position));
  };
  for (Activation& a : active)
    for (const Activation& other : within(a.position, shape.reach)) a.sum += other.size;
  std::vector<const Activation*> order(active.size());
  std::ranges::transform(active, order.begin(), [](const Activation& a) { return &a; });
  std::ranges::sort(order, [](const Activation* a, const Activation* b) {
    return std::tuple(-a->sum, -a->size, a->position) < std::tuple(-b->sum, -b->size, b->position);
  });
  std::vector<bool> taken(static_cast<std::size_t>(row.size())), counted = taken;
  std::vector<Found> found;
  for (const Activation* a : order) {
    if (taken[static_cast<std::size_t>(a->position)]) continue;
    double offset = 0, amplitude = 0, sum = 0;
    for (const Activation& other : within(a->position, shape.reach)) {
      if (counted[static_cast<std::size_t>(other.position)]) continue;  // of a larger event
      counted[static_cast<std::size_t>(other.position)] = true;
      sum += other.size;
      offset += other.size * static_cast<double>(other.position - a->position);
      amplitude += static_cast<double>(row(other.position)) / largest;
    }
    found.push_back({a->position + std::lround(offset / sum), sum, amplitude});
    for (const Activation& other : within(a->position, length / 2)) taken[static_cast<std::size_t>(other.position)] = true;
  }
  return found;
}

/// Half of the energy is in events at least as large.
double typical_size(std::vector<double> sizes) {
  std::ranges::sort(sizes, std::greater());
  double energy = 0, so_far = 0;
  for (const double size : sizes) energy += size * size;
  for (const double size : sizes)
    if ((so_far += size * size) >= energy / 2) return size;
  return 0;
}

/// The sample of the trial that a pattern's sample meets; outside of the trial where there is none.
Index time_of(Index position, Index sample, Index length, const RecordingShape& shape) {
  const Index time = position + sample;
  switch (shape.boundary) {
    case Boundary::valid:
      return time;
    case Boundary::full:
      return time - (length - 1);
    case Boundary::circular:
      return time % shape.n_times;
  }
  return time;
}

/// Each pattern as a dictionary of its own.
template <Scalar T>
std::vector<ConvolutionalDictionary<double>> single_patterns(const ConvolutionalDictionary<T>& D) {
  std::vector<ConvolutionalDictionary<double>> single;
  const Parameters<T> parameters = D.parameters();
  const auto column = [&](const char* name, Index k) -> Matrix<double> {
    return parameters.at(name).col(k).template cast<double>();
  };
  for (Index k = 0; k < D.n_atoms(); ++k) {
    if (D.is_rank_one())
      single.push_back(ConvolutionalDictionary<double>::rank_one(column("u", k), column("v", k), D.shape(),
                                                                 D.window().template cast<double>()));
    else
      single.emplace_back(column("kernels", k), D.shape());
  }
  return single;
}

}  // namespace

template <Scalar T>
std::vector<std::vector<PatternEvent>> pattern_events(const NonDeduced<ConstMatrixRef<T>>& codes,
                                                      const ConvolutionalDictionary<T>& D, double min_amplitude) {
  const Index n_positions = D.n_positions(), L = D.atom_times(), n_channels = D.shape().n_channels;
  require(codes.rows() == D.code_size(), "pattern_events: codes have {} activations, must have {}", codes.rows(), D.code_size());
  require(min_amplitude >= 0 && std::isfinite(min_amplitude), "pattern_events: min_amplitude = {}, must be >= 0 and finite",
          min_amplitude);
  require_finite("pattern_events", "Z", codes, of_activations);
  const Matrix<double> atoms = D.atoms().template cast<double>();
  std::vector<std::vector<PatternEvent>> events(static_cast<std::size_t>(D.n_atoms()));
  for (Index k = 0; k < D.n_atoms(); ++k) {
    const auto of_atom = codes.middleRows(k * n_positions, n_positions);
    const double largest = codes.cols() == 0 ? 0 : static_cast<double>(of_atom.cwiseAbs().maxCoeff());
    if (largest == 0) continue;
    const PatternShape shape = shape_of(Eigen::Map<const Matrix<double>>(atoms.col(k).data(), L, n_channels));
    std::vector<std::vector<Found>> found;
    std::vector<double> sizes;
    for (Index trial = 0; trial < codes.cols(); ++trial) {
      found.push_back(events_of(of_atom.col(trial), largest, shape, L));
      for (const Found& event : found.back()) sizes.push_back(event.sum);
    }
    const double least = min_amplitude * typical_size(sizes);
    auto& kept = events[static_cast<std::size_t>(k)];
    for (Index trial = 0; trial < codes.cols(); ++trial)
      for (const Found& event : found[static_cast<std::size_t>(trial)]) {
        const Index time = time_of(event.position, shape.peak, L, D.shape());
        if (event.sum >= least && time >= 0 && time < D.shape().n_times) kept.push_back({trial, time, event.amplitude * largest});
      }
    std::ranges::sort(kept, {}, [](const PatternEvent& e) { return std::tuple(e.trial, e.time); });
  }
  return events;
}

template <Scalar T>
ExplainedVariance explained_variance(const NonDeduced<ConstMatrixRef<T>>& X, const NonDeduced<ConstMatrixRef<T>>& codes,
                                     const ConvolutionalDictionary<T>& D) {
  const Index n_positions = D.n_positions(), n_atoms = D.n_atoms();
  require(X.rows() == D.signal_size(), "explained_variance: signals have {} samples, must have {}", X.rows(), D.signal_size());
  require(codes.rows() == D.code_size() && codes.cols() == X.cols(),
          "explained_variance: codes are {} activations of {} trials, must be {} of {}", codes.rows(), codes.cols(),
          D.code_size(), X.cols());
  require_finite("explained_variance", "X", X, of_samples);
  require_finite("explained_variance", "Z", codes, of_activations);
  ExplainedVariance explained{.per_atom = Vector<double>::Zero(n_atoms), .total = 0};
  const double largest = X.size() == 0 ? 0 : static_cast<double>(X.cwiseAbs().maxCoeff());
  if (largest == 0) return explained;
  double energy = 0, left = 0;
  const auto in_double = D.in_double();
  const std::vector<ConvolutionalDictionary<double>> single = single_patterns<T>(D);
  Matrix<double> made(X.rows(), 1), part(X.rows(), 1);
  for (Index trial = 0; trial < X.cols(); ++trial) {
    const Matrix<double> x = X.col(trial).template cast<double>() / largest;
    const Matrix<double> z = codes.col(trial).template cast<double>() / largest;
    in_double->apply(z, made);
    const Matrix<double> r = x - made;
    energy += x.squaredNorm();
    left += r.squaredNorm();
    for (Index k = 0; k < n_atoms; ++k) {
      leave_if_stopped();
      single[static_cast<std::size_t>(k)].apply(z.middleRows(k * n_positions, n_positions), part);
      explained.per_atom(k) += 2 * r.cwiseProduct(part).sum() + part.squaredNorm();
    }
  }
  explained.per_atom /= energy;
  explained.total = 1 - left / energy;
  return explained;
}

#define RIATA_INSTANTIATE(T)                                                                                                     \
  template std::vector<std::vector<PatternEvent>> pattern_events<T>(const ConstMatrixRef<T>&, const ConvolutionalDictionary<T>&, \
                                                                    double);                                                     \
  template ExplainedVariance explained_variance<T>(const ConstMatrixRef<T>&, const ConstMatrixRef<T>&,                           \
                                                   const ConvolutionalDictionary<T>&);
RIATA_INSTANTIATE(float)
RIATA_INSTANTIATE(double)
#undef RIATA_INSTANTIATE

}  // namespace riata
