#include "riata/datasets/generators.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>
#include <vector>

#include "riata/core/check.hpp"
#include "riata/core/random.hpp"
#include "riata/core/stopping.hpp"
#include "riata/operators/dense_dictionary.hpp"

namespace riata::datasets {
namespace {

// One random stream per thing drawn, so that adding one never changes another.
enum Stream : std::uint32_t { dictionary_stream = 1, code_stream, support_stream, noise_stream, perturbation_stream };

void require_sizes(const char* where, Index n_features, Index n_atoms) {
  require(n_features >= 1 && n_atoms >= 1, "{}: {} features and {} atoms, must be at least 1", where, n_features, n_atoms);
  require(n_features <= (Index{1} << 40) / n_atoms, "{}: {} features times {} atoms do not fit in memory", where, n_features,
          n_atoms);
}

void require_signals(const char* where, Index entries, Index n_signals) {
  require(n_signals >= 1, "{}: {} signals, must be at least 1", where, n_signals);
  require(entries <= (Index{1} << 40) / n_signals, "{}: {} signals with {} entries each do not fit in memory", where, n_signals,
          entries);
}

template <Scalar T>
void require_atoms(const char* where, const Matrix<T>& D) {
  require_sizes(where, D.rows(), D.cols());
  require_finite(where, "D", D, of_atoms);
}

template <Scalar T>
Matrix<T> normal_matrix(Index rows, Index columns, std::uint64_t seed, Stream stream) {
  Matrix<T> A(rows, columns);
  RandomStream random(seed, stream);
  fill_normal<T>(random, A);
  return A;
}

/// A B, some columns at a time.
template <Scalar T>
Matrix<T> product(const Matrix<T>& A, const Matrix<T>& B) {
  const Index block = std::max<Index>(Index{1} << 28, 64 * A.size()) / A.size();
  Matrix<T> out(A.rows(), B.cols());
  for (Index first = 0; first < B.cols(); first += block) {
    leave_if_stopped();
    const Index n = std::min(block, B.cols() - first);
    out.middleCols(first, n).noalias() = A * B.middleCols(first, n);
  }
  return out;
}

/// Cosines of frequencies 0, 1/m, ..., (m-1)/m of a half period over n samples; all but the first with zero mean (where n > 1).
Matrix<double> cosines(Index n, Index m) {
  Matrix<double> C(n, m);
  for (Index k = 0; k < m; ++k) {
    leave_if_stopped();
    for (Index i = 0; i < n; ++i)
      C(i, k) =
          std::cos(std::numbers::pi * (static_cast<double>(i) + 0.5) * static_cast<double>(k) * (1.0 / static_cast<double>(m)));
    if (k > 0 && n > 1) C.col(k).array() -= C.col(k).mean();
  }
  return C;
}

}  // namespace

template <Scalar T>
Matrix<T> gaussian_dictionary(Index n_features, Index n_atoms, std::uint64_t seed) {
  require_sizes("gaussian_dictionary", n_features, n_atoms);
  Matrix<T> D = normal_matrix<T>(n_features, n_atoms, seed, dictionary_stream);
  project_atoms(D, Constraint::unit_sphere);
  return D;
}

template <Scalar T>
Matrix<T> dct_dictionary(Index n_features, Index n_atoms) {
  require_sizes("dct_dictionary", n_features, n_atoms);
  const auto side = static_cast<Index>(std::llround(std::sqrt(static_cast<double>(n_features))));
  Matrix<double> D(n_features, n_atoms);
  if (side * side == n_features && n_features > 1) {
    const auto m = static_cast<Index>(std::ceil(std::sqrt(static_cast<double>(n_atoms))));
    const Matrix<double> C = cosines(side, m);
    std::vector<std::pair<Index, Index>> waves;  // (vertical, horizontal) frequencies, low ones first
    for (Index a = 0; a < m; ++a)
      for (Index b = 0; b < m; ++b) waves.emplace_back(a, b);
    std::stable_sort(waves.begin(), waves.end(), [](const auto& u, const auto& v) {
      return u.first * u.first + u.second * u.second < v.first * v.first + v.second * v.second;
    });
    for (Index j = 0; j < n_atoms; ++j)
      for (Index row = 0; row < side; ++row)
        D.col(j).segment(row * side, side) =
            C(row, waves[static_cast<std::size_t>(j)].first) * C.col(waves[static_cast<std::size_t>(j)].second);
  } else {
    D = cosines(n_features, n_atoms);
  }
  project_atoms(D, Constraint::unit_sphere);
  return D.template cast<T>();
}

template <Scalar T>
Matrix<T> signals_on_b_infinity(const Matrix<T>& D, Index n_signals, SignalLaw law, std::uint64_t seed) {
  require_atoms("signals_on_b_infinity", D);
  require_signals("signals_on_b_infinity", D.rows() + D.cols(), n_signals);
  Matrix<T> X;
  if (law == SignalLaw::coding)
    X = product(D, normal_matrix<T>(D.cols(), n_signals, seed, code_stream));
  else
    X = normal_matrix<T>(D.rows(), n_signals, seed, code_stream);
  if (law == SignalLaw::sphere) project_atoms(X, Constraint::unit_sphere);
  return scale_to_b_infinity(std::move(X), D);
}

template <Scalar T>
Matrix<T> scale_to_b_infinity(Matrix<T> X, const Matrix<T>& D) {
  require(X.rows() == D.rows(), "scale_to_b_infinity: signals have {} features but atoms have {}; they must be equal", X.rows(),
          D.rows());
  require_atoms("scale_to_b_infinity", D);
  require_finite("scale_to_b_infinity", "X", X, of_signals);
  for (Index i = 0; i < X.cols(); ++i) {
    leave_if_stopped();
    const T largest = (D.transpose() * X.col(i)).cwiseAbs().maxCoeff();
    require(largest > T(0), "scale_to_b_infinity: signal {} is orthogonal to every atom", i);
    require(std::isfinite(largest), "scale_to_b_infinity: signal {} and its atoms are too large for their precision", i);
    X.col(i) /= largest;
  }
  return X;
}

template <Scalar T>
Planted<T> planted(const PlantedOptions& options) {
  require_sizes("planted", options.n_features, options.n_atoms);
  require_signals("planted", options.n_features + options.n_atoms, options.n_signals);
  require(options.density > 0 && options.density <= 1, "planted: density = {}, must be in (0, 1]", options.density);
  require(std::isfinite(options.noise_std) && options.noise_std >= 0, "planted: noise_std = {}, must be >= 0", options.noise_std);
  Planted<T> problem;
  problem.dictionary = gaussian_dictionary<T>(options.n_features, options.n_atoms, options.seed);
  problem.codes = normal_matrix<T>(options.n_atoms, options.n_signals, options.seed, code_stream);
  RandomStream support(options.seed, support_stream);
  for (Index i = 0; i < problem.codes.size(); ++i)
    if (support.uniform() >= options.density) problem.codes.data()[i] = T(0);
  problem.signals =
      product(problem.dictionary, problem.codes) +
      static_cast<T>(options.noise_std) * normal_matrix<T>(options.n_features, options.n_signals, options.seed, noise_stream);
  return problem;
}

template <Scalar T>
Matrix<T> perturbed(const Matrix<T>& D, double relative, std::uint64_t seed) {
  require_atoms("perturbed", D);
  require(std::isfinite(relative), "perturbed: relative = {}, must be finite", relative);
  const T mean = D.mean();
  const T std = std::sqrt((D.array() - mean).square().mean());
  Matrix<T> moved = D + static_cast<T>(relative) * std * normal_matrix<T>(D.rows(), D.cols(), seed, perturbation_stream);
  project_atoms(moved, Constraint::unit_sphere);
  return moved;
}

#define RIATA_INSTANTIATE(T)                                                                      \
  template Matrix<T> gaussian_dictionary<T>(Index, Index, std::uint64_t);                         \
  template Matrix<T> dct_dictionary<T>(Index, Index);                                             \
  template Matrix<T> signals_on_b_infinity<T>(const Matrix<T>&, Index, SignalLaw, std::uint64_t); \
  template Matrix<T> scale_to_b_infinity<T>(Matrix<T>, const Matrix<T>&);                         \
  template Planted<T> planted<T>(const PlantedOptions&);                                          \
  template Matrix<T> perturbed<T>(const Matrix<T>&, double, std::uint64_t);
RIATA_INSTANTIATE(float)
RIATA_INSTANTIATE(double)
#undef RIATA_INSTANTIATE

}  // namespace riata::datasets
