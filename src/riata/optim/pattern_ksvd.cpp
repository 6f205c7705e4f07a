#include "riata/optim/pattern_ksvd.hpp"

#include <cstdlib>
#include <span>

#include "riata/core/stopping.hpp"
#include "riata/optim/pattern_descent.hpp"

namespace riata {
namespace {

/// The activations of one pattern and what is left around them.
struct WindowsOf {
  std::span<const int> places;
  Index n_times, n_channels, n_positions, L;
  std::size_t size() const { return places.size(); }
  auto of(Matrix<double>& R, std::size_t i) const {
    const Index signal = places[i] / n_positions, time = places[i] % n_positions;
    return Eigen::Map<Matrix<double>>(R.col(signal).data(), n_times, n_channels).middleRows(time, L);
  }
  /// (A_kk *), of activations z that are in the order of their places.
  Matrix<double> lags(const Vector<double>& z) const {
    Vector<double> a = Vector<double>::Zero(L);
    for (std::size_t i = 0; i < size(); ++i)
      for (std::size_t j = i; j < size() && places[j] - places[i] < L; ++j)
        if (places[i] / n_positions == places[j] / n_positions)
          a(places[j] - places[i]) += z(static_cast<Index>(i)) * z(static_cast<Index>(j));
    return Matrix<double>::NullaryExpr(L, L, [a](Index l, Index other) { return a(std::abs(l - other)); });
  }
};

}  // namespace

template <Scalar T>
void refit_patterns(Parameters<T>& parameters, const ConvolutionalDictionary<T>& D, bool positive, CodesByAtom<T>& codes) {
  constexpr int n_turns = 3;
  const RecordingShape& shape = D.shape();
  Matrix<double> R = codes.residual.template cast<double>();
  auto moving = MovingPatterns::of(D, parameters);
  for (Index k = 0; k < D.n_atoms(); ++k) {
    leave_if_stopped();
    const auto start = static_cast<std::size_t>(codes.starts[static_cast<std::size_t>(k)]),
               n = static_cast<std::size_t>(codes.starts[static_cast<std::size_t>(k) + 1]) - start;
    if (n == 0) continue;
    const WindowsOf windows{std::span(codes.signals).subspan(start, n), shape.n_times, shape.n_channels, D.n_positions(),
                            moving.L};
    Vector<double> z = Eigen::Map<const Vector<T>>(codes.values.data() + start, static_cast<Index>(n)).template cast<double>();
    if (z.isZero(0)) continue;
    for (int turn = 0; turn < n_turns; ++turn) {
      const Matrix<double> old = moving.pattern(k), lags = windows.lags(z);
      Matrix<double> E = lags * old;
      for (std::size_t i = 0; i < n; ++i) E += z(static_cast<Index>(i)) * windows.of(R, i);
      moving.move(k, std::move(E), lags);
      const Matrix<double> d = moving.pattern(k), change = d - old;
      for (std::size_t i = 0; i < n; ++i) windows.of(R, i) -= z(static_cast<Index>(i)) * change;
      const double square = d.squaredNorm();
      for (std::size_t i = 0; i < n; ++i) {
        double& own = z(static_cast<Index>(i));
        const double best = own + windows.of(R, i).cwiseProduct(d).sum() / square, to = positive ? std::max(best, 0.0) : best;
        windows.of(R, i) -= (to - own) * d;
        own = to;
      }
      if (z.isZero(0)) break;
    }
    for (std::size_t i = 0; i < n; ++i) codes.values[start + i] = static_cast<T>(z(static_cast<Index>(i)));
  }
  moving.put(parameters);
  codes.residual = R.template cast<T>();
}

template <Scalar T>
Asking<T, Outcome<T>> PatternKSvd<T>::step(Position<T> from) {
  const Question<T> question{.at = from.parameters, .codes_by_atom = true};
  Sums<T> sums = co_await question;
  Outcome<T> outcome{.parameters = from.parameters, .moved = true, .value = sums.value, .step = 1};
  refit_patterns<T>(outcome.parameters, *D_, positive_, sums.by_atom);
  from.project(outcome.parameters);
  co_return outcome;
}

#define RIATA_INSTANTIATE(T)                                                                                 \
  template void refit_patterns<T>(Parameters<T>&, const ConvolutionalDictionary<T>&, bool, CodesByAtom<T>&); \
  template class PatternKSvd<T>;
RIATA_INSTANTIATE(float)
RIATA_INSTANTIATE(double)
#undef RIATA_INSTANTIATE

}  // namespace riata
