#include "riata/optim/pattern_ksvd.hpp"

#include <span>

#include "riata/core/stopping.hpp"

namespace riata {
namespace {

/// The activations of one pattern and what is left around them.
struct WindowsOf {
  std::span<const int> places;
  Index n_times, n_channels, n_positions, L;
  auto window(Matrix<double>& R, std::size_t i) const {
    const Index signal = places[i] / n_positions, time = places[i] % n_positions;
    return Eigen::Map<Matrix<double>>(R.col(signal).data(), n_times, n_channels).middleRows(time, L);
  }
};

}  // namespace

template <Scalar T>
void refit_patterns(Parameters<T>& parameters, const ConvolutionalDictionary<T>& D, bool positive, CodesByAtom<T>& codes) {
  constexpr int n_steps = 10;
  const RecordingShape& shape = D.shape();
  const Index K = D.n_atoms(), L = D.atom_times();
  const bool rank_one = D.is_rank_one();
  Vector<double> window = Vector<double>::Ones(L);
  if (D.window().size() > 0) window = D.window().template cast<double>();
  Matrix<double> R = codes.residual.template cast<double>();
  const auto here = D.at(parameters);
  const Matrix<T> atoms = dynamic_cast<const ConvolutionalDictionary<T>&>(*here).atoms();
  for (Index k = 0; k < K; ++k) {
    leave_if_stopped();
    const auto start = static_cast<std::size_t>(codes.starts[static_cast<std::size_t>(k)]),
               n = static_cast<std::size_t>(codes.starts[static_cast<std::size_t>(k) + 1]) - start;
    if (n == 0) continue;
    const WindowsOf at{std::span(codes.signals).subspan(start, n), shape.n_times, shape.n_channels, D.n_positions(), L};
    const Vector<double> before =
        Eigen::Map<const Vector<T>>(codes.values.data() + start, static_cast<Index>(n)).template cast<double>();
    const Matrix<double> old = Eigen::Map<const Matrix<T>>(atoms.col(k).data(), L, shape.n_channels).template cast<double>();
    Vector<double> z = before, u, v;
    Matrix<double> d = old;
    if (rank_one) u = parameters.at("u").col(k).template cast<double>();
    if (rank_one) v = parameters.at("v").col(k).template cast<double>();
    for (int step = 0; step < n_steps; ++step) {
      Matrix<double> pull = before.dot(z) * old;  // sum z_i E_i
      for (std::size_t i = 0; i < n; ++i) pull += z(static_cast<Index>(i)) * at.window(R, i);
      if (rank_one) {
        const Vector<double> over_time = window.cwiseProduct(pull * u);
        if (!(over_time.norm() > 0)) break;
        v = over_time.normalized();
        u = (pull.transpose() * window.cwiseProduct(v)).normalized();
        d = window.cwiseProduct(v) * u.transpose();
      } else {
        if (!(pull.norm() > 0)) break;
        d = pull.normalized();
      }
      const double square = d.squaredNorm(), along = d.cwiseProduct(old).sum();
      for (std::size_t i = 0; i < n; ++i) {
        const auto to = static_cast<Index>(i);
        z(to) = (at.window(R, i).cwiseProduct(d).sum() + before(to) * along) / square;
        if (positive) z(to) = std::max(z(to), 0.0);
      }
    }
    Matrix<double> left = R;
    for (std::size_t i = 0; i < n; ++i) at.window(left, i) += before(static_cast<Index>(i)) * old - z(static_cast<Index>(i)) * d;
    if (!(left.squaredNorm() <= R.squaredNorm())) continue;
    R = std::move(left);
    for (std::size_t i = 0; i < n; ++i) codes.values[start + i] = static_cast<T>(z(static_cast<Index>(i)));
    if (rank_one) {
      parameters.at("u").col(k) = u.template cast<T>();
      parameters.at("v").col(k) = v.template cast<T>();
    } else {
      parameters.at("kernels").col(k) = Eigen::Map<const Vector<double>>(d.data(), d.size()).template cast<T>();
    }
  }
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
