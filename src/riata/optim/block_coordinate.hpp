// Atoms from the statistics of codes, A = sum z z^T and B = sum x z^T; Mairal, Bach, Ponce and Sapiro (2010), Algorithms 1 and 2:
//
//   1/2 sum ||x - D z||^2 = 1/2 tr(D^T D A) - tr(D^T B) + constant
//
// is least over unit atoms d_j, the others fixed, at d_j + (b_j - D a_j) / A_jj, put onto the sphere or
// into the ball, or the part of it that is non-negative.
//
// Online they are those of all batches until then (running_statistics.hpp).
#pragma once

#include <optional>

#include "riata/operators/dense_dictionary.hpp"
#include "riata/optim/running_statistics.hpp"
#include "riata/optim/update.hpp"

namespace riata {

struct BlockCoordinateOptions {
  std::optional<double> forgetting = {};  ///< rho >= 0; absent: no earlier batch counts
  Constraint constraint = Constraint::unit_sphere;
  void validate() const;  ///< @throws std::invalid_argument naming the field, its value and the rule
};

/// Moves a dictionary that is a matrix of unit atoms, unverified: codes are other ones at the new atoms. Atoms without a code
/// stay.
template <Scalar T>
class BlockCoordinate final : public Update<T> {
 public:
  explicit BlockCoordinate(const BlockCoordinateOptions& options = {}) : options_(options) { options_.validate(); }

  const char* name() const override { return "block coordinate descent"; }
  std::set<Piece> needs() const override { return {Piece::statistics}; }
  Asking<T, Outcome<T>> step(Position<T> from) override;

  void forget_atoms(const std::vector<Index>& atoms) override { past_.forget(atoms); }
  void reset() override { past_ = {}; }
  NamedTensors state() const override;
  void restore(const NamedTensors& state, const Parameters<T>& parameters) override;

 private:
  BlockCoordinateOptions options_;
  RunningStatistics past_;
};

}  // namespace riata
