// Sparse codes that share their support: an atom, or a group of atoms, is used by all signals of a batch or by none.
//
//   min_Z  F(Z) = 1/2 ||X - D Z||_F^2 + reg sum_g ||Z_g||_F,    Z_g = the rows of Z that belong to group g
//
// the group Lasso over rows, known as multi-task Lasso, or MxNE where D is a leadfield and signals are instants.
#pragma once

#include <vector>

#include "riata/core/option.hpp"
#include "riata/core/status.hpp"
#include "riata/core/threads.hpp"
#include "riata/operators/dense_dictionary.hpp"
#include "riata/terms/reg.hpp"

namespace riata {

struct JointOptions {
  double tol = 1e-6;         ///< done when gap <= tol * 1/2 ||X||_F^2; 0: as far as it goes
  int max_iter = 100000;     ///< sweeps over the working set; reaching it is a Status
  Index group_size = 1;      ///< so many atoms in a row form a group; divides their number
  Execution execution = {};  ///< one problem runs on the calling thread; n_threads has no effect
  void validate() const;     ///< @throws std::invalid_argument naming the field, its value and the rule
};

template <>
inline constexpr auto described<JointOptions> =
    std::tuple{Option{"tol", &JointOptions::tol, rule::not_negative},
               Option{"max_iter", &JointOptions::max_iter, rule::at_least_one}, Option{"group_size", &JointOptions::group_size}};

template <Scalar T>
struct JointResult {
  Matrix<T> codes;             ///< n_atoms x n_signals
  std::vector<Index> support;  ///< the groups with a code that is not zero, in order
  double reg;                  ///< the weight itself, also where a fraction was asked for
  double objective;            ///< F(Z), recomputed in double at the returned codes
  double gap;                  ///< duality gap, likewise; an upper bound on F(Z) - F(Z*)
  int n_iter;                  ///< sweeps
  Status status;               ///< converged, or max_iter_reached (also when rounding allows no more)
};

/// X is n_features x n_signals. One weight for the batch: a number, or a fraction of joint_reg_max(). Computed in double.
/// Slow where many atoms in use are nearly equal and reg is a small part of reg_max: thousands of sweeps.
/// @throws std::invalid_argument if sizes disagree, an entry is not finite, or reg is not one number > 0
template <Scalar T>
JointResult<T> joint_encode(const NonDeduced<ConstMatrixRef<T>>& X, const DenseDictionary<T>& D, const Reg& reg,
                            const JointOptions& options = {});

/// The smallest reg whose solution is zero: max_g ||D_g^T X||_F.
template <Scalar T>
double joint_reg_max(const NonDeduced<ConstMatrixRef<T>>& X, const DenseDictionary<T>& D, Index group_size = 1);

/// What joint codes are worth.
struct JointCertificate {
  double objective;  ///< F(Z)
  double gap;        ///< an upper bound on F(Z) - F(Z*), never negative
};

/// With R = X - D Z and the largest s <= 1 for which s R is dual feasible, ||D_g^T s R||_F <= reg for all g:
///
///   gap = F(Z) - ( 1/2 ||X||^2 - 1/2 ||X - s R||^2 ) = reg sum_g ||Z_g|| - s <Z, D^T R> + (1 - s)^2 / 2 ||R||^2
///
/// computed in double from X, D and Z alone; shares nothing with the solver.
/// @throws std::invalid_argument if sizes disagree, an entry is not finite, or reg is not > 0
template <Scalar T>
JointCertificate joint_certificate(const NonDeduced<ConstMatrixRef<T>>& X, const DenseDictionary<T>& D,
                                   const NonDeduced<ConstMatrixRef<T>>& Z, double reg, Index group_size = 1);

/// @throws std::invalid_argument unless groups of this size cut the atoms evenly
void require_groups(Index group_size, Index n_atoms);

}  // namespace riata
