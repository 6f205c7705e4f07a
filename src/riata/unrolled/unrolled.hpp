// Sparse coding by a fixed number of ISTA or FISTA layers, and the gradient of a loss through them.
//
//   lasso           G_N(D) = 1/2 ||D z_N - x||^2 + reg g(z_N)
//   least_squares   1/2 ||D z_N - x||^2            (of `targets` instead of x where one is given)
//
// z_N(D, s, reg, x) is the output of N layers (coupled_layer.hpp). With every layer kept this is the gradient of deep dictionary
// learning, g^2 of Malezieux, Moreau and Kowalski (2022) and g_ae-lasso, g_ae-ls of Tolooshams and Ba (2021); with none it
// is the alternating-minimisation gradient (D z_N - x) z_N^T, g^1 and g_dec there.
#pragma once

#include <optional>
#include <vector>

#include "riata/core/names.hpp"
#include "riata/core/option.hpp"
#include "riata/core/threads.hpp"
#include "riata/operators/dense_dictionary.hpp"
#include "riata/terms/batch.hpp"
#include "riata/terms/l1.hpp"
#include "riata/terms/reg.hpp"

namespace riata {

enum class Layers { ista, fista };
enum class Loss { lasso, least_squares };
enum class Reduction { mean, sum };

template <>
inline constexpr Name<Layers> names<Layers>[] = {{Layers::fista, "fista"}, {Layers::ista, "ista"}};
template <>
inline constexpr Name<Loss> names<Loss>[] = {{Loss::lasso, "lasso"}, {Loss::least_squares, "least_squares"}};
template <>
inline constexpr Name<Reduction> names<Reduction>[] = {{Reduction::mean, "mean"}, {Reduction::sum, "sum"}};

/// The network: what the forward pass needs.
struct UnrolledOptions {
  int n_layers = 20;  ///< N >= 1
  Layers algorithm = Layers::fista;
  std::vector<double> steps = {};        ///< factors s_i: layer i has step s_i / L and threshold s_i reg / L; any sign,
                                         ///< since learning may pass zero; empty: ones
  std::optional<double> lipschitz = {};  ///< L > 0; by default ||D||_2^2 to rounding. A constant in every derivative
  bool return_extrapolated = false;      ///< FISTA: the output is y_N instead of the prox point z_N
  double decay = 1;                      ///< beta in (0, 1]: the weight of layer k = 0, 1, ... is beta^k reg
  PenaltyOptions penalty = {};
  Execution execution = {};
  void validate() const;  ///< @throws std::invalid_argument naming the field, its value and the rule
};

template <>
inline constexpr auto described<UnrolledOptions> =
    std::tuple{Option{"n_layers", &UnrolledOptions::n_layers, rule::some_layers},
               Option{"algorithm", &UnrolledOptions::algorithm},
               Option{"steps", &UnrolledOptions::steps},
               Option{"lipschitz", &UnrolledOptions::lipschitz, rule::positive},
               Option{"return_extrapolated", &UnrolledOptions::return_extrapolated},
               Option{"decay", &UnrolledOptions::decay, Rule{[](double v) { return v > 0 && v <= 1; }, "must be > 0 and <= 1"}},
               Option{"penalty", &UnrolledOptions::penalty}};

/// Codes after N layers, n_atoms x n_signals, of signals or of {signals, mask} (terms/batch.hpp), started from `init` (same
/// shape) or zero. Steps beyond 2 / ||D||_2^2 may diverge; once a code has overflowed, what follows means nothing, finite or not.
/// @throws std::invalid_argument if sizes disagree, an entry is not finite, or reg is not > 0
template <Scalar T>
Matrix<T> unrolled_encode(const NonDeduced<Batch<T>>& batch, const Dictionary<T>& D, const Reg& reg,
                          const UnrolledOptions& options = {}, const OptionalMatrixRef<T>& init = {});

/// The derivatives to take; what is not asked for costs nothing.
struct GradientOptions {
  Loss loss = Loss::lasso;
  std::optional<int> backprop = {};  ///< the last K layers are differentiated, 0 <= K <= n_layers; by default all
  Reduction reduction = Reduction::mean;
  bool dictionary = true, steps = true, reg = true, signals = false, codes = true, usage = false;
};

template <>
inline constexpr auto described<GradientOptions> =
    std::tuple{Option{"loss", &GradientOptions::loss}, Option{"backprop", &GradientOptions::backprop},
               Option{"reduction", &GradientOptions::reduction}};

template <Scalar T>
struct UnrolledGradient {
  double value = 0;          ///< the loss, mean or sum over the signals
  Parameters<T> parameters;  ///< by the dictionary's, of a matrix "dictionary"; or empty
  Vector<double> steps;      ///< one entry per layer, zero for layers not kept; or empty
  Vector<double> reg;        ///< of reg's shape: one entry, or one per signal; with the explicit g(z). For a
                             ///< fraction of reg_max, the derivative by the resulting weight. Or empty
  Matrix<T> signals;         ///< n_features x n_signals, with the explicit -(D z - x) unless targets are given; or 0 x 0
  Matrix<T> codes;           ///< n_atoms x n_signals: the output; or 0 x 0
  Vector<double> usage;      ///< per atom, the mean or sum of z_j^2 at the output: the loss's curvature there; or empty
};

/// Memory beyond the results is constant in the number of signals; bits do not depend on the number of threads.
/// `targets`, if given, have the shape of X and replace it in the loss alone (supervised denoising).
/// @throws std::invalid_argument as unrolled_encode, and if backprop > n_layers
template <Scalar T>
UnrolledGradient<T> unrolled_gradient(const NonDeduced<Batch<T>>& batch, const Dictionary<T>& D, const Reg& reg,
                                      const UnrolledOptions& options = {}, const GradientOptions& gradient = {},
                                      const OptionalMatrixRef<T>& targets = {});

/// Vector-Jacobian product of the output: the derivatives of <cotangent, codes> through the last `backprop` layers, all of
/// them by default, by everything the layers depend on. `cotangent` is n_atoms x n_signals; nothing is averaged.
/// @throws std::invalid_argument as unrolled_gradient
template <Scalar T>
UnrolledGradient<T> unrolled_vjp(const NonDeduced<Batch<T>>& batch, const Dictionary<T>& D, const Reg& reg,
                                 const NonDeduced<ConstMatrixRef<T>>& cotangent, const UnrolledOptions& options = {},
                                 std::optional<int> backprop = {});

/// The value alone: one forward pass, nothing stored. What line searches call.
template <Scalar T>
double unrolled_loss(const NonDeduced<Batch<T>>& batch, const Dictionary<T>& D, const Reg& reg,
                     const UnrolledOptions& options = {}, const GradientOptions& gradient = {});

}  // namespace riata
