// Orthogonal matching pursuit: atoms are chosen one by one, and the code is the least-squares fit on those chosen.
#pragma once

#include <optional>
#include <vector>

#include "riata/core/csr.hpp"
#include "riata/core/names.hpp"
#include "riata/core/option.hpp"
#include "riata/core/status.hpp"
#include "riata/core/threads.hpp"
#include "riata/operators/dense_dictionary.hpp"

namespace riata {

/// Which atom comes next.
enum class Selection {
  omp,  ///< the largest |D_j^T r| / ||D_j||
  ols   ///< orthogonal least squares: the one that lowers ||r|| most once it is fitted with those chosen before
};
template <>
inline constexpr Name<Selection> names<Selection>[] = {{Selection::omp, "omp"}, {Selection::ols, "ols"}};

/// At least one of the three stops must be given; the first to be met ends the pursuit.
struct OmpOptions {
  std::optional<int> n_nonzero = {};     ///< at most so many atoms per signal, >= 1
  std::optional<double> tol = {};        ///< until ||x - D z||^2 <= tol ||x||^2
  std::vector<double> max_error = {};    ///< until ||x - D z||^2 <= max_error, >= 0: one for all signals, or one for each
  Selection selection = Selection::omp;  ///< which atom comes next
  Execution execution = {};
  void validate() const;  ///< @throws std::invalid_argument
};

template <>
inline constexpr auto described<OmpOptions> = std::tuple{
    Option{"n_nonzero", &OmpOptions::n_nonzero, rule::at_least_one}, Option{"tol", &OmpOptions::tol, rule::not_negative},
    Option{"max_error", &OmpOptions::max_error}, Option{"selection", &OmpOptions::selection}};

/// Products that the caller has already: they are not computed again. Views.
template <Scalar T>
struct OmpProducts {
  OptionalMatrixRef<T> gram = {};        ///< D^T D, n_atoms x n_atoms
  OptionalMatrixRef<T> covariance = {};  ///< D^T X, n_atoms x n_signals
};

template <Scalar T>
struct OmpResult {
  Matrix<T> codes;             ///< n_atoms x n_signals
  Vector<double> error;        ///< ||x - D z||^2, recomputed in double at the returned code
  Vector<int> n_nonzero;       ///< atoms chosen
  std::vector<Status> status;  ///< max_iter_reached where an error was asked for and not met, else converged
};

/// The same codes without their zeros.
template <Scalar T>
struct OmpLists {
  /// Of each signal those chosen, in the order of the pursuit; as many rows as there can be.
  Matrix<int> atoms = {};
  Matrix<T> values = {};            ///< likewise
  Vector<double> error = {};        ///< as in OmpResult
  Vector<int> n_nonzero = {};       ///< so many of a column count
  std::vector<Status> status = {};  ///< as in OmpResult
};

/// X is n_features x n_signals. Of atoms that pull alike to rounding any may be chosen. The pursuit also ends where no atom outside
/// the span of those chosen is left, or none that r is not orthogonal to, to rounding. An atom within 1e-4 of the span, relative to
/// its norm, is passed over. Correlations are those of T, by `ols` of double; the fit on the atoms chosen and its residual are in
/// double. A Gram matrix of the atoms is made, or the given one used, where that costs less than products with D: also for T =
/// double in single precision first, where what that cannot tell apart is told in double.
/// The results do not depend on the number of threads.
/// @throws std::invalid_argument if sizes disagree, an entry is not finite, no stop is given, or products that are known are seen to be others'
template <Scalar T>
OmpResult<T> omp(const NonDeduced<ConstMatrixRef<T>>& X, const DenseDictionary<T>& D, const OmpOptions& options,
                 const NonDeduced<OmpProducts<T>>& known = {});

/// The same.
template <Scalar T>
OmpLists<T> omp_lists(const NonDeduced<ConstMatrixRef<T>>& X, const DenseDictionary<T>& D, const OmpOptions& options,
                      const NonDeduced<OmpProducts<T>>& known = {});

/// Signals are rows, as sparse ones.
template <Scalar T>
CsrRows<T> to_csr(const OmpLists<T>& codes, Index n_atoms);

}  // namespace riata
