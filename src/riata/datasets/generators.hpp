// Seeded synthetic problems: dictionaries, signals on B_inf, planted dictionaries with sparse codes.
#pragma once

#include <cstdint>
#include <utility>

#include "riata/core/names.hpp"
#include "riata/core/option.hpp"
#include "riata/core/types.hpp"

namespace riata::datasets {

/// Independent standard normal entries, columns scaled to unit norm (each atom uniform on the sphere).
template <Scalar T>
Matrix<T> gaussian_dictionary(Index n_features, Index n_atoms, std::uint64_t seed);

/// Cosines, overcomplete where n_atoms > n_features: two-dimensional (separable, over square patches) if n_features is a
/// perfect square, else one-dimensional; low frequencies first. The first atom is constant, the others have zero mean (unless
/// n_features is 1); all have unit norm.
template <Scalar T>
Matrix<T> dct_dictionary(Index n_features, Index n_atoms);

/// The laws of signals on B_inf = { x : ||D^T x||_inf = 1 } in the literature of Ablin et al. (2019).
enum class SignalLaw {
  gaussian,  ///< x ~ N(0, I), scaled: the paper
  coding,    ///< x = D z with z ~ N(0, I), scaled: the published code
  sphere     ///< x uniform on the sphere, scaled: the lecture
};

/// n_signals columns on B_inf of D, so that reg_max is 1 for each. @throws std::invalid_argument
template <Scalar T>
Matrix<T> signals_on_b_infinity(const Matrix<T>& D, Index n_signals, SignalLaw law, std::uint64_t seed);
template <MatrixExpression M>
Matrix<typename M::Scalar> signals_on_b_infinity(const M& D, Index n_signals, SignalLaw law, std::uint64_t seed) {
  return signals_on_b_infinity(Matrix<typename M::Scalar>(D), n_signals, law, seed);
}

/// Any signals scaled onto B_inf of D, for images or digits. @throws std::invalid_argument if D^T x = 0 for some x
template <Scalar T>
Matrix<T> scale_to_b_infinity(Matrix<T> X, const Matrix<T>& D);
template <MatrixExpression M>
Matrix<typename M::Scalar> scale_to_b_infinity(NonDeduced<Matrix<typename M::Scalar>> X, const M& D) {
  return scale_to_b_infinity(std::move(X), Matrix<typename M::Scalar>(D));
}

struct PlantedOptions {
  Index n_features = 30, n_atoms = 50, n_signals = 1000;
  double density = 0.3;  ///< probability that a code entry is not zero; then standard normal
  double noise_std = 0.1;
  std::uint64_t seed = 0;
};

}  // namespace riata::datasets

namespace riata {

template <>
inline constexpr Name<datasets::SignalLaw> names<datasets::SignalLaw>[] = {{datasets::SignalLaw::gaussian, "gaussian"},
                                                                           {datasets::SignalLaw::coding, "coding"},
                                                                           {datasets::SignalLaw::sphere, "sphere"}};

template <>
inline constexpr auto described<datasets::PlantedOptions> =
    std::tuple{Option{"n_features", &datasets::PlantedOptions::n_features}, Option{"n_atoms", &datasets::PlantedOptions::n_atoms},
               Option{"n_signals", &datasets::PlantedOptions::n_signals},   Option{"density", &datasets::PlantedOptions::density},
               Option{"noise_std", &datasets::PlantedOptions::noise_std},   Option{"seed", &datasets::PlantedOptions::seed}};

}  // namespace riata

namespace riata::datasets {

/// X = D Z + noise. `dictionary` has unit atoms.
template <Scalar T>
struct Planted {
  Matrix<T> dictionary, codes, signals;
};
template <Scalar T>
Planted<T> planted(const PlantedOptions& options);

/// D + relative * std(D) * N(0, 1), columns scaled to unit norm: a start near the truth (Malezieux et al., 2022, 0.5).
template <Scalar T>
Matrix<T> perturbed(const Matrix<T>& D, double relative, std::uint64_t seed);
template <MatrixExpression M>
Matrix<typename M::Scalar> perturbed(const M& D, double relative, std::uint64_t seed) {
  return perturbed(Matrix<typename M::Scalar>(D), relative, seed);
}

}  // namespace riata::datasets
