// Whether the Jacobian of an unrolled network is in its unstable regime, told from a few random directions per row of D.
//
// With J_l^k = dz_k / dD_l and J_l* that of the exact code, the growth of a signal's network is
//
//   max over the layers k >= 10 of   mean_l ||J_l^k - J_l*||_F / mean_l ||J_l*||_F ,
//
// 1 for J = 0. On the support of the solution it falls; before, while supports change, it may rise without bound, and
// back-propagation through few layers is then nearer to J* than through many (Malezieux, Moreau and Kowalski 2022, section
// 2.3). For w with independent signs as entries E ||J w||^2 = ||J||_F^2, so a few forward-mode vectors J_l w per row take the
// place of the n_atoms columns of J_l, at that share of their cost. One of them is along the exact code, where the term
// D_l z^T of the recursion acts; the random ones are orthogonal to it.
#pragma once

#include <optional>

#include "riata/unrolled/unrolled.hpp"

namespace riata {

struct StabilityOptions {
  UnrolledOptions network = {.algorithm = Layers::ista};
  std::optional<int> directions = 2;  ///< random ones per row of D, the same in every call; none: all entries of D, which
                                      ///< gives the growth itself instead of its estimate
  double tol = 1e-12;                 ///< of the exact codes: gap <= tol * 1/2 ||x||^2
  bool return_errors = false;
};

template <>
inline constexpr auto described<StabilityOptions> =
    std::tuple{Option{"network", &StabilityOptions::network}, Option{"directions", &StabilityOptions::directions},
               Option{"tol", &StabilityOptions::tol}, Option{"return_errors", &StabilityOptions::return_errors}};

/// Above it a network counts as unstable.
inline constexpr double largest_stable_growth = 1.1;

struct UnrolledStability {
  Vector<bool> unstable;      ///< per signal: growth > 1.1
  Vector<int> safe_backprop;  ///< per signal: a depth K of growth <= 1.1 while that of K + 1 is above; or all layers
  Vector<double> growth;      ///< per signal, through all layers; infinite where the iterates diverge
  Matrix<double> errors;      ///< layers + 1 x n_signals if wanted: the error of J^k relative to J*'s norm
};

/// X is n_features x n_signals. The growth of depth K is that of the recursion started with J = 0 at layer N - K.
/// Neither the number of threads nor the batch a signal comes in matters. Memory per thread: one signal's iterates.
/// @throws std::invalid_argument as unrolled_encode
template <Scalar T>
UnrolledStability unrolled_stability(const NonDeduced<ConstMatrixRef<T>>& X, const DenseDictionary<T>& D, const Reg& reg,
                                     const StabilityOptions& options = {});

}  // namespace riata
