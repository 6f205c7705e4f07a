// Orthogonal matching pursuit: atoms are chosen one by one, and the code is the least-squares fit on those chosen.
#pragma once

#include <optional>
#include <vector>

#include "riata/core/option.hpp"
#include "riata/core/status.hpp"
#include "riata/core/threads.hpp"
#include "riata/operators/dense_dictionary.hpp"

namespace riata {

/// At least one of the two stops must be given; the first to be met ends the pursuit.
struct OmpOptions {
  std::optional<int> n_nonzero = {};  ///< at most so many atoms per signal, >= 1
  std::optional<double> tol = {};     ///< until ||x - D z||^2 <= tol ||x||^2
  Execution execution = {};
  void validate() const;  ///< @throws std::invalid_argument
};

template <>
inline constexpr auto described<OmpOptions> = std::tuple{Option{"n_nonzero", &OmpOptions::n_nonzero, rule::at_least_one},
                                                         Option{"tol", &OmpOptions::tol, rule::not_negative}};

template <Scalar T>
struct OmpResult {
  Matrix<T> codes;             ///< n_atoms x n_signals
  Vector<double> error;        ///< ||x - D z||^2, recomputed in double at the returned code
  Vector<int> n_nonzero;       ///< atoms chosen
  std::vector<Status> status;  ///< max_iter_reached where `tol` was given and not met, else converged
};

/// X is n_features x n_signals. The atom chosen is that of the largest |D_j^T r| / ||D_j||, the first of equals. The pursuit
/// also ends where no atom outside the span of those chosen is left, or none that r is not orthogonal to.
/// Computed in double. The results do not depend on the number of threads.
/// @throws std::invalid_argument if sizes disagree, an entry is not finite, or no stop is given
template <Scalar T>
OmpResult<T> omp(const NonDeduced<ConstMatrixRef<T>>& X, const DenseDictionary<T>& D, const OmpOptions& options);

}  // namespace riata
