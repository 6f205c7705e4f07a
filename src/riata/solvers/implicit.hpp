// Derivatives of exact sparse codes, z = argmin_z 1/2 ||x - D z||^2 + reg sum_j w_j |z_j|.
//
// On the support S of z, with its signs s, the optimality conditions are linear and the codes differentiable:
//
//   D_S^T (D_S z_S - x) + reg w_S s = 0
//   D_S^T D_S dz_S = D_S^T (dx - dD z) + (dD^T r - (dreg w + reg dw) s)_S,      r = x - D z
//
// Backward, with the cotangent c of z and the pseudo-inverse D_S^+ (so dependent atoms get the least-norm derivative):
//
//   p = (D_S^+)^T c_S,   a_S = D_S^+ p          that is a_S = (D_S^T D_S)^+ c_S and p = D a
//   D += r a^T - p z^T,   x += p,   reg += -sum_j w_j s_j a_j,   w_j += -reg s_j a_j
//
// Malezieux, Moreau and Kowalski (2022), section 2, give the closed form for the rows of D; Bertrand et al. (2020) that for
// reg. Cost per signal: one rank-revealing QR decomposition of D_S.
#pragma once

#include "riata/core/threads.hpp"
#include "riata/operators/dense_dictionary.hpp"
#include "riata/terms/l1.hpp"
#include "riata/terms/reg.hpp"

namespace riata {

struct ImplicitOptions {
  double tol = 1e-12;  ///< of the codes, where none are given: gap <= tol * 1/2 ||x||^2
  PenaltyOptions penalty = {};
  Execution execution = {};
};

template <>
inline constexpr auto described<ImplicitOptions> =
    std::tuple{Option{"tol", &ImplicitOptions::tol}, Option{"penalty", &ImplicitOptions::penalty}};

/// What implicit_gradient returns: <cotangent, codes> differentiated, summed over the signals.
template <Scalar T>
struct ImplicitGradient {
  Matrix<T> dictionary;    ///< n_features x n_atoms
  Matrix<T> signals;       ///< n_features x n_signals
  Vector<double> reg;      ///< of reg's shape: one entry, or one per signal. For a fraction of reg_max, by the resulting weight
  Vector<double> weights;  ///< one entry per atom: by the penalty's weights
  Matrix<T> codes;         ///< n_atoms x n_signals: those given, or the exact ones
};

/// Vector-Jacobian product of the exact codes. `cotangent`, and `codes` if given, are n_atoms x n_signals; what is given
/// counts as exact, and its support as the solution's. Everything is computed in double. Bits do not depend on the number of
/// threads.
/// @throws std::invalid_argument if sizes disagree, an entry is not finite, or a code is negative with `positive`
template <Scalar T>
ImplicitGradient<T> implicit_gradient(const NonDeduced<ConstMatrixRef<T>>& X, const DenseDictionary<T>& D, const Reg& reg,
                                      const NonDeduced<ConstMatrixRef<T>>& cotangent, const ImplicitOptions& options = {},
                                      const OptionalMatrixRef<T>& codes = {});

/// A direction in the space of (D, X, reg); what is empty does not move.
template <Scalar T>
struct ImplicitDirection {
  Matrix<T> dictionary = {};  ///< n_features x n_atoms
  Matrix<T> signals = {};     ///< n_features x n_signals
  Vector<double> reg = {};    ///< one entry, or one per signal
};

/// Jacobian-vector product: the codes' derivative along a direction, n_atoms x n_signals. Otherwise as implicit_gradient,
/// whose adjoint it is.
template <Scalar T>
Matrix<T> implicit_jvp(const NonDeduced<ConstMatrixRef<T>>& X, const DenseDictionary<T>& D, const Reg& reg,
                       const ImplicitDirection<T>& direction, const ImplicitOptions& options = {},
                       const OptionalMatrixRef<T>& codes = {});

/// The Jacobian of one signal's exact code by row l of D, n_atoms x n_atoms: J(i, k) = dz_i / dD(l, k), which is
/// -(D_S^T D_S)^{-1} (D_l z^T + (D_l^T z - x_l) I)_S on the support and 0 elsewhere. x has n_features entries.
template <Scalar T>
Matrix<T> implicit_jacobian(const NonDeduced<ConstVectorRef<T>>& x, const DenseDictionary<T>& D, const Reg& reg, Index row,
                            const ImplicitOptions& options = {});

/// A held-out loss and its derivatives by the penalty's parameters.
struct HyperGradient {
  double value = 0;
  Vector<double> reg;      ///< of reg's shape, as in ImplicitGradient
  Vector<double> weights;  ///< one entry per atom
};

/// The mean over the signals of 1/2 ||x_i' - D' z_i(reg, w)||^2, where the codes z_i are those of X. Either X' is another
/// observation of the same signals and D' = D, or X' holds features that X lacks and D' (as many atoms as D) their rows.
/// @throws std::invalid_argument as implicit_gradient
template <Scalar T>
HyperGradient hypergradient(const NonDeduced<ConstMatrixRef<T>>& X, const DenseDictionary<T>& D, const Reg& reg,
                            const NonDeduced<ConstMatrixRef<T>>& X_held_out, const DenseDictionary<T>& D_held_out,
                            const ImplicitOptions& options = {}, const OptionalMatrixRef<T>& codes = {});

}  // namespace riata
