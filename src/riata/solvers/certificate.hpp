// What a code is worth: objective, duality gap and optimality violation, computed in double at the code itself.
//
//   F(z) = 1/2 ||x - D z||^2 + reg g(z),   r = x - D z,   theta = s r with the largest feasible s <= 1
//   gap  = F(z) - ( 1/2 ||x||^2 - 1/2 ||x - theta||^2 ) = reg g(z) - s z^T D^T r + (1 - s)^2 / 2 ||r||^2
//
// (the right-hand form does not subtract large numbers; weights of a batch go into x and D as their square roots). "Relative gap"
// everywhere means gap / (1/2 ||x||^2). Where atoms are free, of weight 0, theta is orthogonal to them (free_atoms.hpp).
#pragma once

#include "riata/core/threads.hpp"
#include "riata/operators/dense_dictionary.hpp"
#include "riata/terms/batch.hpp"
#include "riata/terms/penalty_options.hpp"
#include "riata/terms/reg.hpp"

namespace riata {

/// F(z_i) per signal. X is n_features x n_signals, Z is n_atoms x n_signals.
/// @throws std::invalid_argument if sizes disagree, an entry is not finite, a code is negative with `positive`, or that of an atom
/// of infinite weight is not zero
template <Scalar T>
Vector<double> lasso_objective(const NonDeduced<Batch<T>>& X, const Dictionary<T>& D, const NonDeduced<ConstMatrixRef<T>>& Z,
                               const Reg& reg, const PenaltyOptions& penalty = {}, const Execution& execution = {});

/// Upper bound on F(z_i) - F(z_i*) per signal, in units of the objective; never negative up to rounding.
template <Scalar T>
Vector<double> duality_gap(const NonDeduced<Batch<T>>& X, const Dictionary<T>& D, const NonDeduced<ConstMatrixRef<T>>& Z,
                           const Reg& reg, const PenaltyOptions& penalty = {}, const Execution& execution = {});

struct LassoCertificate {
  Vector<double> objective, gap;
};

/// lasso_objective() and duality_gap() at the price of one.
template <Scalar T>
LassoCertificate lasso_certificate(const NonDeduced<Batch<T>>& X, const Dictionary<T>& D, const NonDeduced<ConstMatrixRef<T>>& Z,
                                   const Reg& reg, const PenaltyOptions& penalty = {}, const Execution& execution = {});

/// max_j dist(D_j^T (x - D z), reg dg(z_j)) per signal: zero exactly at an optimum.
template <Scalar T>
Vector<double> kkt_violation(const NonDeduced<Batch<T>>& X, const Dictionary<T>& D, const NonDeduced<ConstMatrixRef<T>>& Z,
                             const Reg& reg, const PenaltyOptions& penalty = {}, const Execution& execution = {});

/// The smallest reg whose solution is zero, per signal. The bits do not depend on the batch a signal comes in, and
/// solvers given this very number return exactly zero.
template <Scalar T>
Vector<T> reg_max(const NonDeduced<Batch<T>>& X, const Dictionary<T>& D, const PenaltyOptions& penalty = {},
                  const Execution& execution = {});

/// One weight per signal: the number repeated, the given vector, or the fraction of each signal's own reg_max.
template <Scalar T>
Vector<T> resolve_reg(const Reg& reg, const NonDeduced<Batch<T>>& X, const Dictionary<T>& D, const PenaltyOptions& penalty,
                      const Execution& execution);

/// One weight for a run of learning or training: the number, or the fraction of the 0.99 quantile of reg_max over the signals that
/// are not zero, of at most 10 000 drawn by the seed, so that neither one artefact decides nor all data are passed over.
/// @throws std::invalid_argument for a weight per signal
template <Scalar T>
double resolve_run_reg(const Reg& reg, const NonDeduced<Batch<T>>& X, const Dictionary<T>& D, const PenaltyOptions& penalty,
                       std::uint64_t seed, const Execution& execution);

/// The signals whose reg_max that is of: all of few, in their order.
std::vector<Index> drawn_for_reg(Index n_signals, std::uint64_t seed);

/// One weight for the batch: the number, or the fraction of the batch's largest reg_max.
/// @throws std::invalid_argument for a weight per signal
template <Scalar T>
double resolve_batch_reg(const Reg& reg, const NonDeduced<Batch<T>>& X, const Dictionary<T>& D, const PenaltyOptions& penalty,
                         const Execution& execution);

}  // namespace riata
