// Sparse coding of a batch of signals that share a dictionary:
//
//   z_i = argmin_z  1/2 ||x_i - D z||^2 + reg_i g(z),   i = 1, ..., n_signals,
//
// each signal stopped by its own relative duality gap.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "riata/core/status.hpp"
#include "riata/core/threads.hpp"
#include "riata/operators/dense_dictionary.hpp"
#include "riata/terms/l1.hpp"
#include "riata/terms/reg.hpp"

namespace riata {

enum class Solver {
  automatic,          ///< coordinate descent while its Gram matrix is affordable (n_atoms <= 8192), else FISTA
  ista,               ///< proximal gradient, step 1 / ||D||_2^2
  fista,              ///< accelerated; Beck and Teboulle (2009), with gradient restart by default
  coordinate_descent  ///< cyclic, on the Gram matrix, with active sets
};

/// "auto", "ista", "fista" or "cd". @throws std::invalid_argument
Solver parse_solver(std::string_view name);

struct EncodeOptions {
  Solver method = Solver::automatic;
  double tol = 1e-6;        ///< a signal is done when gap <= tol * 1/2 ||x||^2; 0 runs all iterations
  int max_iter = 10000;     ///< iterations, or sweeps over the atoms for coordinate descent; reaching it is a Status
  int check_every = 10;     ///< iterations between gap evaluations of the proximal methods
  bool restart = true;      ///< FISTA: forget the momentum where it points uphill (O'Donoghue and Candes, 2015)
  PenaltyOptions penalty = {};
  Execution execution = {};
  void validate() const;    ///< @throws std::invalid_argument naming the field, its value and the rule
};

template <Scalar T>
struct EncodeResult {
  Matrix<T> codes;              ///< n_atoms x n_signals
  Vector<double> objective;     ///< F(z_i), recomputed in double at the returned code
  Vector<double> gap;           ///< duality gap, likewise; in units of the objective
  Eigen::VectorXi n_iter;       ///< iterations or sweeps
  std::vector<Status> status;   ///< converged, or max_iter_reached (also when rounding forbids any further progress)
  Solver method;                ///< the one that ran
};

/// X is n_features x n_signals; `init`, if given, is n_atoms x n_signals and may not alias anything written.
/// Neither codes nor certificates depend on the number of threads.
/// @throws std::invalid_argument if sizes disagree, an entry is not finite, or reg is not > 0
template <Scalar T>
EncodeResult<T> encode(const NonDeduced<ConstMatrixRef<T>>& X, const DenseDictionary<T>& D, const Reg& reg,
                       const EncodeOptions& options = {}, const Matrix<T>* init = nullptr);

}  // namespace riata
